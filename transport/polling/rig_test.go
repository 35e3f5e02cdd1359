package polling

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/transport"
	"dualgram/transport/botapi"
)

// step is what the scripted API answers one call with.
type step struct {
	page []string
	err  error
	take time.Duration
	// park waits for the call's timeout (or ctx) and answers with an empty page.
	park bool
	// hang waits for the end of ctx.
	hang bool
}

type sentCall struct {
	botapi.GetUpdates
	at       time.Duration // since the start
	deadline time.Duration // what the context leaves
}

// rig is a poller with a scripted API and a recording sink, in a bubble.
type rig struct {
	t      *testing.T
	p      *Poller
	start  time.Time
	cancel context.CancelFunc

	mu      sync.Mutex
	script  []step
	calls   []sentCall
	resets  int
	batches []transport.Batch
	events  []Event
	held    map[string]bool
	accept  func(ctx context.Context, b transport.Batch) (transport.Receipt, error)
	inSink  int
}

func (r *rig) GetUpdates(ctx context.Context, q botapi.GetUpdates) (botapi.Page, error) {
	r.mu.Lock()
	dl, _ := ctx.Deadline()
	r.calls = append(r.calls, sentCall{q, time.Since(r.start), time.Until(dl)})
	s := step{park: true}
	if len(r.script) > 0 {
		s, r.script = r.script[0], r.script[1:]
	}
	calls := len(r.calls)
	r.mu.Unlock()
	wait := s.take
	if s.park {
		wait = q.Timeout
		if wait == 0 && calls > 400 {
			r.t.Error("hot loop")
			r.cancel()
		}
	}
	if s.hang {
		wait = 24 * time.Hour
	}
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			k := botapi.KindCanceled
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				k = botapi.KindTimeout
			}
			return botapi.Page{}, &botapi.Error{Op: "getUpdates", Kind: k, Phase: botapi.PhaseWait, Err: ctx.Err()}
		}
	}
	if s.err != nil {
		return botapi.Page{}, s.err
	}
	var p botapi.Page
	for _, e := range s.page {
		p.Elements = append(p.Elements, []byte(e))
	}
	return p, nil
}

func (r *rig) ResetPool(p botapi.Pool) {
	if p != botapi.PoolPoll {
		r.t.Errorf("pool %s reset", p)
	}
	r.mu.Lock()
	r.resets++
	r.mu.Unlock()
}

func (r *rig) Accept(ctx context.Context, b transport.Batch) (transport.Receipt, error) {
	r.mu.Lock()
	r.inSink++
	r.batches = append(r.batches, b)
	f := r.accept
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.inSink--
		r.mu.Unlock()
	}()
	if f != nil {
		return f(ctx, b)
	}
	return r.take(b), nil
}

// take stores a batch in the recording sink.
func (r *rig) take(b transport.Batch) transport.Receipt {
	r.mu.Lock()
	defer r.mu.Unlock()
	var rec transport.Receipt
	for _, u := range b.Updates {
		s := transport.StatusNew
		switch {
		case !u.HasID:
			s = transport.StatusQuarantined
		case r.held[string(u.Raw)]:
			s = transport.StatusDuplicate
		}
		r.held[string(u.Raw)] = true
		rec.Items = append(rec.Items, transport.Item{Status: s})
	}
	return rec
}

// bubble runs f with a poller; change may alter its options.
func bubble(t *testing.T, change func(*rig, *Options), f func(context.Context, *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, start: time.Now(), held: map[string]bool{}}
		o := Options{API: r, Sink: r, Observe: func(e Event) {
			r.mu.Lock()
			r.events = append(r.events, e)
			r.mu.Unlock()
		}}
		if change != nil {
			change(r, &o)
		}
		p, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		r.p = p
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		r.cancel = cancel
		f(ctx, r)
	})
}

// runFor runs the poller for d and returns Run's error.
func (r *rig) runFor(ctx context.Context, d time.Duration, s Start) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	err := r.p.Run(ctx, s)
	if r.inSink != 0 {
		r.t.Error("Run returned while the sink was at work")
	}
	return err
}

func (r *rig) count() (calls, resets int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls), r.resets
}

func (r *rig) offsets() []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []int64
	for _, c := range r.calls {
		out = append(out, c.Offset)
	}
	return out
}

func (r *rig) kinds(k EventKind) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Event
	for _, e := range r.events {
		if e.Kind == k {
			out = append(out, e)
		}
	}
	return out
}

func upd(id int) string { return fmt.Sprintf(`{"update_id":%d,"message":{"chat":{"id":1}}}`, id) }

func upds(ids ...int) step {
	var s step
	for _, id := range ids {
		s.page = append(s.page, upd(id))
	}
	return s
}

func apiErr(k botapi.Kind, code int) step {
	return step{err: &botapi.Error{Op: "getUpdates", Kind: k, Code: code}}
}

func conflict(c botapi.Conflict) step {
	return step{err: &botapi.Error{Op: "getUpdates", Kind: botapi.KindConflict, Code: 409, Conflict: c}}
}
