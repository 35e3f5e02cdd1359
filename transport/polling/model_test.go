package polling

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"encoding/json"

	"dualgram/chaos/memnet"
	"dualgram/transport"
	"dualgram/transport/botapi"
)

// telegram is a tiny model of one bot's queue (TQueue.cpp, Client.cpp:16321): an
// offset within range forgets everything below it when the call is processed,
// and eats future updates if it is above the tail.
type telegram struct {
	t    *testing.T
	held func(raw string) bool

	mu     sync.Mutex
	queue  []queued
	tail   int64
	wake   chan struct{}
	pushed []string
	lost   map[string]bool // wiped by the server itself, not by us
}

type queued struct {
	id  int64
	raw string
}

func newTelegram(t *testing.T, tail int64) *telegram {
	return &telegram{t: t, tail: tail, wake: make(chan struct{}), lost: map[string]bool{}}
}

// push adds an update; nameless ones carry no id that could be read.
func (g *telegram) push(nameless bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(g.pushed)
	raw := fmt.Sprintf(`{"update_id":%d,"message":{"chat":{"id":%d},"n":%d}}`, g.tail, n%3, n)
	if nameless {
		raw = fmt.Sprintf(`{"message":{"n":%d}}`, n)
	}
	g.queue = append(g.queue, queued{g.tail, raw})
	g.tail++
	g.pushed = append(g.pushed, raw)
	close(g.wake)
	g.wake = make(chan struct{})
}

// newSeries is what a logOut or a lost server does.
func (g *telegram) newSeries(tail int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, q := range g.queue {
		g.lost[q.raw] = true
	}
	g.queue, g.tail = nil, tail
}

// forget is the processing of an offset.
func (g *telegram) forget(offset int64) {
	head := g.tail
	if len(g.queue) > 0 {
		head = g.queue[0].id
	}
	if offset <= 0 || offset > g.tail+10 || offset < head-100_000 {
		return
	}
	if offset > g.tail {
		g.t.Errorf("offset %d eats future updates: the tail is %d", offset, g.tail)
		g.tail = offset
	}
	for len(g.queue) > 0 && g.queue[0].id < offset {
		if !g.held(g.queue[0].raw) {
			g.t.Errorf("offset %d confirms %s, which the sink doesn't hold", offset, g.queue[0].raw)
		}
		g.queue = g.queue[1:]
	}
}

func (g *telegram) getUpdates(ctx context.Context, q botapi.GetUpdates) ([][]byte, error) {
	if q.Offset < 0 {
		g.t.Errorf("negative offset %d", q.Offset)
	}
	until := time.Now().Add(q.Timeout)
	for first := true; ; first = false {
		g.mu.Lock()
		if first {
			g.forget(q.Offset)
		}
		var out [][]byte
		for _, u := range g.queue[:min(len(g.queue), max(q.Limit, 1), 100)] {
			out = append(out, []byte(u.raw))
		}
		wake := g.wake
		g.mu.Unlock()
		left := time.Until(until)
		if len(out) > 0 || left <= 0 {
			return out, nil
		}
		select {
		case <-wake:
		case <-time.After(left):
		case <-ctx.Done():
			return nil, &botapi.Error{Kind: botapi.KindCanceled, Phase: botapi.PhaseWait, Err: ctx.Err()}
		}
	}
}

// faulty puts random failures before and after the processing of a call.
type faulty struct {
	*telegram
	rnd  *rand.Rand
	mu   sync.Mutex
	rate float64
}

func (f *faulty) ResetPool(botapi.Pool) {}

func (f *faulty) draw() (float64, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rnd.Float64() >= f.rate {
		return 0, -1
	}
	return f.rnd.Float64(), f.rnd.IntN(10)
}

func (f *faulty) GetUpdates(ctx context.Context, q botapi.GetUpdates) (botapi.Page, error) {
	fail := func(k botapi.Kind, p botapi.Phase) (botapi.Page, error) {
		return botapi.Page{}, &botapi.Error{Op: "getUpdates", Kind: k, Phase: p}
	}
	hang := func() (botapi.Page, error) {
		<-ctx.Done()
		return fail(botapi.KindTimeout, botapi.PhaseWait)
	}
	_, which := f.draw()
	switch which {
	case 0:
		return fail(botapi.KindRefused, botapi.PhaseConnect)
	case 1:
		return hang()
	case 2:
		return fail(botapi.KindServer, botapi.PhaseBody)
	case 3:
		return botapi.Page{}, &botapi.Error{Kind: botapi.KindConflict, Conflict: botapi.ConflictSetWebhook}
	case 4:
		return botapi.Page{}, &botapi.Error{Kind: botapi.KindRateLimited, RetryAfter: 2 * time.Second}
	}
	es, err := f.getUpdates(ctx, q)
	switch which { // the answer is lost, the offset is processed
	case 5:
		return hang()
	case 6:
		return fail(botapi.KindReset, botapi.PhaseBody)
	case 7:
		return fail(botapi.KindProtocol, botapi.PhaseBody)
	case 8:
		return botapi.Page{}, &botapi.Error{Kind: botapi.KindConflict, Conflict: botapi.ConflictOtherGetUpdates}
	case 9:
		return fail(botapi.KindServer, botapi.PhaseBody)
	}
	return botapi.Page{Elements: es}, err
}

// ledger is a sink that may fail before it stores and after it has stored.
type ledger struct {
	mu    sync.Mutex
	rnd   *rand.Rand
	rate  float64
	m     map[string]bool
	maxID int64
}

func (l *ledger) holds(raw string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.m[raw]
}

func (l *ledger) Accept(ctx context.Context, b transport.Batch) (transport.Receipt, error) {
	time.Sleep(time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	fails, late := l.rnd.Float64() < l.rate, l.rnd.IntN(2) == 0
	if fails && !late {
		return transport.Receipt{}, errors.New("disk full")
	}
	var rec transport.Receipt
	for _, u := range b.Updates {
		s := transport.StatusNew
		switch {
		case l.m[string(u.Raw)]:
			s = transport.StatusDuplicate
		case !u.HasID:
			s = transport.StatusQuarantined
		case u.ID < l.maxID-1000 || u.ID > l.maxID+1000:
			rec.NewSeries = l.maxID != 0
		}
		if u.HasID {
			l.maxID = u.ID
		}
		rec.Items = append(rec.Items, transport.Item{Status: s})
		if !fails { // what fails late may be gone after a crash: it isn't held
			l.m[string(u.Raw)] = true
		}
	}
	if fails {
		return transport.Receipt{}, errors.New("sync failed")
	}
	return rec, nil
}

// TestNeverConfirmsWhatIsNotHeld runs the poller against the model with random
// failures of the API, the store and the process, and random new series, and
// then without: in between nothing may be confirmed that the sink doesn't hold,
// and at the end it holds everything.
func TestNeverConfirmsWhatIsNotHeld(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 20
	}
	for seed := range uint64(seeds) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			rate := rnd.Float64() * 0.7
			led := &ledger{rnd: rand.New(rand.NewPCG(seed, 2)), rate: rnd.Float64() * 0.5, m: map[string]bool{}}
			tg := newTelegram(t, 2_000_001+rnd.Int64N(900_000_000))
			tg.held = led.holds
			api := &faulty{telegram: tg, rnd: rand.New(rand.NewPCG(seed, 3)), rate: rate}
			p, err := New(Options{API: api, Sink: led})
			if err != nil {
				t.Fatal(err)
			}
			nameless := rnd.Float64() * 0.3
			done := make(chan struct{})
			go func() {
				defer close(done)
				rnd := rand.New(rand.NewPCG(seed, 4))
				for range 300 {
					time.Sleep(time.Duration(rnd.ExpFloat64() * float64(300*time.Millisecond)))
					for range 1 + rnd.IntN(4) {
						tg.push(rnd.Float64() < nameless)
					}
					switch rnd.IntN(60) {
					case 0:
						p.Kick()
					case 1:
						tg.newSeries(2_000_001 + rnd.Int64N(900_000_000))
					case 2:
						for range 250 {
							tg.push(false)
						}
					}
				}
				api.mu.Lock()
				api.rate = 0
				api.mu.Unlock()
				led.mu.Lock()
				led.rate = 0
				led.mu.Unlock()
				tg.push(false) // an id after whatever has none
				time.Sleep(5 * time.Minute)
			}()
			// The process is stopped and started, now and then after a Confirm.
			for ended := false; !ended; {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+rnd.IntN(40))*time.Second)
				err := p.Run(ctx, Start{})
				cancel()
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("seed %d: Run ended: %v", seed, err)
				}
				if rnd.IntN(2) == 0 {
					_, _ = p.Confirm(context.Background())
				}
				if rnd.IntN(4) == 0 {
					_ = p.Standby(context.Background())
				}
				select {
				case <-done:
					ended = true
				default:
				}
			}
			tg.mu.Lock()
			defer tg.mu.Unlock()
			for _, raw := range tg.pushed {
				if !led.m[raw] && !tg.lost[raw] {
					t.Errorf("seed %d: never taken in: %s", seed, raw)
				}
			}
			if len(tg.queue) > 0 {
				t.Errorf("seed %d: %d updates never confirmed, from %s", seed, len(tg.queue), tg.queue[0].raw)
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestOverHTTP is the poller, the client and net/http on one side, the model
// behind an http.Server on the other, with a network that fails in between.
func TestOverHTTP(t *testing.T) {
	const token = "123456789:AAF_fake-token_fake-token_fake-tok3"
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		led := &ledger{rnd: rand.New(rand.NewPCG(1, 2)), m: map[string]bool{}}
		tg := newTelegram(t, 5_000_000)
		tg.held = led.holds
		ln, err := n.Listen("api.example.com:80")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var q struct {
				Offset  int64
				Limit   int
				Timeout int64
			}
			b, _ := io.ReadAll(r.Body)
			_ = json.Unmarshal(b, &q)
			es, err := tg.getUpdates(r.Context(), botapi.GetUpdates{Offset: q.Offset, Limit: q.Limit, Timeout: time.Duration(q.Timeout) * time.Second})
			if err != nil {
				return
			}
			var parts []string
			for _, e := range es {
				parts = append(parts, string(e))
			}
			_, _ = io.WriteString(w, `{"ok":true,"result":[`+strings.Join(parts, ",\n")+`]}`)
		})}
		served := make(chan struct{})
		go func() { defer close(served); _ = srv.Serve(ln) }()
		c, err := botapi.New(botapi.Options{Token: token, BaseURL: (&url.URL{Scheme: "http", Host: "api.example.com"}).String(),
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) { return n.Dial(ctx, network, addr) }})
		if err != nil {
			t.Fatal(err)
		}
		p, err := New(Options{API: c, Sink: led})
		if err != nil {
			t.Fatal(err)
		}
		for range 250 {
			tg.push(false)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- p.Run(ctx, Start{}) }()
		taken := func(what string, within time.Duration) {
			t.Helper()
			start := time.Now()
			tg.push(false)
			for raw := tg.pushed[len(tg.pushed)-1]; !led.holds(raw); time.Sleep(10 * time.Millisecond) {
				if time.Since(start) > within {
					t.Errorf("%s: not taken in after %v", what, time.Since(start))
					return
				}
			}
		}
		taken("backlog", time.Second)
		taken("parked", 100*time.Millisecond)
		n.Cut("api.example.com:80")
		taken("after a cut", 500*time.Millisecond)
		n.Refuse("api.example.com:80", true)
		n.Cut("api.example.com:80")
		time.Sleep(2 * time.Second)
		n.Refuse("api.example.com:80", false)
		taken("after a refusal", p.o.MaxWait) // by its jitter a pause may be as long
		time.Sleep(3 * time.Minute)
		n.Blackhole("api.example.com:80", true)
		time.Sleep(10 * time.Second)
		n.Blackhole("api.example.com:80", false)
		p.Kick()
		taken("after a black hole and a kick", time.Second)
		start := time.Now()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || time.Since(start) > 10*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		res, err := p.Confirm(context.Background())
		if err != nil || !res.Confirmed || len(tg.queue) != 0 {
			t.Errorf("%+v, %v, %d left", res, err, len(tg.queue))
		}
		c.Close()
		_ = srv.Close()
		<-served
		time.Sleep(5 * time.Minute)
	})
}
