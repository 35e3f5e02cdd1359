package polling

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/transport"
	"dualgram/transport/botapi"
)

// TestDrainThenPark: from the head, each page confirmed by the call after its
// commit, empty page, 5 s polls for two minutes, then 25 s.
func TestDrainThenPark(t *testing.T) {
	bubble(t, func(_ *rig, o *Options) { o.AllowedUpdates = []string{"message"} }, func(ctx context.Context, r *rig) {
		r.script = []step{upds(5, 7), upds(8), {}}
		err := r.runFor(ctx, 5*time.Minute, Start{})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if got := r.offsets()[:4]; !slices.Equal(got, []int64{0, 8, 9, 9}) {
			t.Errorf("offsets %v", got)
		}
		for i, c := range r.calls {
			timeout, deadline := 25*time.Second, 35*time.Second
			switch {
			case i == 0: // a handover waits for it
				timeout, deadline = 0, 1500*time.Millisecond
			case i < 3:
				timeout, deadline = 0, 5*time.Second
			case c.at < 2*time.Minute:
				timeout, deadline = 5*time.Second, 15*time.Second
			}
			deadline = min(deadline, 5*time.Minute-c.at)
			if c.Limit != 100 || !slices.Equal(c.AllowedUpdates, []string{"message"}) || c.Timeout != timeout || c.deadline != deadline {
				t.Errorf("call %d: %+v", i, c)
			}
		}
		want := []transport.Page{{Offset: 0, Next: 8}, {Offset: 8, Next: 9}}
		if len(r.batches) != 2 || *r.batches[0].Page != want[0] || *r.batches[1].Page != want[1] || r.batches[0].Source != transport.SourcePolling {
			t.Errorf("batches %+v", r.batches)
		}
		if d := r.kinds(EventDrained); len(d) != 1 {
			t.Errorf("drained %d times", len(d))
		}
		if c := r.kinds(EventCommitted); len(c) != 2 || !c[0].First || c[1].First || c[0].New != 2 || c[0].Next != 8 {
			t.Errorf("committed %+v", c)
		}
		if c := r.kinds(EventConfirmed); len(c) != 2 || c[0].Offset != 8 || c[1].Offset != 9 {
			t.Errorf("confirmed %+v", c)
		}
		g := r.p.Progress()
		if g.Running || g.Pages != 2 || g.Offset != 9 || g.Draining || g.LastUpdate != r.start || !errors.Is(g.Err, context.DeadlineExceeded) {
			t.Errorf("progress %+v", g)
		}
	})
}

func TestStartOffset(t *testing.T) {
	bubble(t, nil, func(ctx context.Context, r *rig) {
		if err := r.runFor(ctx, time.Second, Start{Offset: 42}); !errors.Is(err, context.DeadlineExceeded) || r.calls[0].Offset != 42 {
			t.Errorf("%v %v", err, r.offsets())
		}
		if err := r.p.Run(ctx, Start{Offset: -1}); err == nil {
			t.Error("a negative offset was accepted")
		}
	})
}

// TestStoreFailure: nothing is confirmed until the sink has the page, however
// often that takes; the pauses grow to 5 s.
func TestStoreFailure(t *testing.T) {
	bubble(t, nil, func(ctx context.Context, r *rig) {
		boom := errors.New("disk full")
		r.script = []step{upds(1)}
		for range 10 {
			r.script = append(r.script, upds(2, 3))
		}
		r.script = append(r.script, step{})
		n := 0
		r.accept = func(_ context.Context, b transport.Batch) (transport.Receipt, error) {
			if n++; n > 1 && n < 11 {
				return transport.Receipt{}, boom
			}
			return r.take(b), nil
		}
		_ = r.runFor(ctx, time.Hour, Start{})
		want := []int64{0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 4}
		if got := r.offsets()[:12]; !slices.Equal(got, want) {
			t.Errorf("offsets %v", got)
		}
		f := r.kinds(EventStoreFailed)
		if len(f) != 9 || f[0].Wait > 200*time.Millisecond || f[8].Wait < 500*time.Millisecond || f[8].Wait > 5*time.Second || !errors.Is(f[0].Err, boom) {
			t.Errorf("%d failures, first %v, last %v", len(f), f[0].Wait, f[8].Wait)
		}
	})
}

// TestErrors: what each error leads to: the next offset, the pause, the end.
func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		name   string
		s      step
		next   int64 // offset of the next call
		lo, hi time.Duration
		end    error
	}{
		{"timeout", apiErr(botapi.KindTimeout, 0), 2, 1, 200 * time.Millisecond, nil},
		{"refused", apiErr(botapi.KindRefused, 0), 2, 1, 200 * time.Millisecond, nil},
		{"dns", apiErr(botapi.KindDNS, 0), 2, 1, 200 * time.Millisecond, nil},
		{"untyped", step{err: errors.New("x")}, 2, 1, 200 * time.Millisecond, nil},
		{"canceled by nobody", apiErr(botapi.KindCanceled, 0), 2, 1, 200 * time.Millisecond, nil},
		{"HTML", apiErr(botapi.KindProtocol, 200), 2, 1, 200 * time.Millisecond, nil},
		{"500", apiErr(botapi.KindServer, 500), 0, 1, 200 * time.Millisecond, nil},
		{"404", apiErr(botapi.KindNotFound, 404), 0, 1, 200 * time.Millisecond, nil},
		{"421", apiErr(botapi.KindMisdirected, 421), 0, 1, 200 * time.Millisecond, nil},
		{"429", step{err: &botapi.Error{Kind: botapi.KindRateLimited, Code: 429, RetryAfter: 17 * time.Second}}, 2, 17 * time.Second, 17 * time.Second, nil},
		{"401", apiErr(botapi.KindUnauthorized, 401), 0, 0, 0, ErrUnauthorized},
		{"webhook active", conflict(botapi.ConflictWebhookActive), 0, 0, 0, ErrWebhookActive},
		{"set in progress", conflict(botapi.ConflictSetWebhook), 0, 1, 200 * time.Millisecond, nil},
		{"other poller", conflict(botapi.ConflictOtherGetUpdates), 0, 2 * time.Second, 3500 * time.Millisecond, nil},
		{"new conflict", conflict(botapi.ConflictUnknown), 0, 2 * time.Second, 3500 * time.Millisecond, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, nil, func(ctx context.Context, r *rig) {
				r.script = []step{upds(1), tc.s, upds(1, 2), {}}
				err := r.runFor(ctx, time.Minute, Start{})
				if tc.end != nil {
					var e *botapi.Error
					if !errors.Is(err, tc.end) || !errors.As(err, &e) || len(r.calls) != 2 {
						t.Errorf("%v after %d calls", err, len(r.calls))
					}
					return
				}
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				wait := r.calls[2].at - r.calls[1].at
				if r.calls[2].Offset != tc.next || wait < tc.lo || wait > tc.hi {
					t.Errorf("next call with offset %d after %v", r.calls[2].Offset, wait)
				}
				if r.calls[3].Offset != 3 {
					t.Errorf("the page after it isn't confirmed: %v", r.offsets())
				}
			})
		})
	}
}

// TestBackoff: the pauses grow with full jitter to 10 s, and every second
// network error in a row throws the connections away.
func TestBackoff(t *testing.T) {
	bubble(t, nil, func(ctx context.Context, r *rig) {
		for range 40 {
			r.script = append(r.script, apiErr(botapi.KindReset, 0))
		}
		_ = r.runFor(ctx, time.Hour, Start{})
		var longest time.Duration
		for i := range 40 {
			w := r.calls[i+1].at - r.calls[i].at
			limit := min(200*time.Millisecond<<min(i, 10), 10*time.Second)
			if w <= 0 || w > limit+1 {
				t.Errorf("pause %d is %v", i, w)
			}
			longest = max(longest, w)
		}
		if longest < 5*time.Second {
			t.Errorf("longest pause %v", longest)
		}
		if r.resets != 20 || len(r.kinds(EventPoolReset)) != 20 {
			t.Errorf("%d resets", r.resets)
		}
	})
	bubble(t, nil, func(ctx context.Context, r *rig) {
		r.script = []step{apiErr(botapi.KindReset, 0), {}, apiErr(botapi.KindReset, 0), apiErr(botapi.KindServer, 502), apiErr(botapi.KindReset, 0)}
		if _ = r.runFor(ctx, time.Minute, Start{}); r.resets != 0 {
			t.Error("reset for errors that were not in a row")
		}
	})
}

// TestConfirmingCallFails: pages from the head come in between, full of
// duplicates; the pauses grow all the same, and it gets on when the error goes.
func TestConfirmingCallFails(t *testing.T) {
	bubble(t, nil, func(ctx context.Context, r *rig) {
		for range 12 {
			r.script = append(r.script, upds(1), apiErr(botapi.KindServer, 504))
		}
		r.script = append(r.script, upds(1), upds(2), step{})
		_ = r.runFor(ctx, time.Hour, Start{})
		es := r.kinds(EventError)
		if len(es) != 12 || es[10].Wait+es[11].Wait+es[9].Wait < time.Second {
			t.Errorf("%d errors, pauses %v %v", len(es), es[10].Wait, es[11].Wait)
		}
		if got := r.offsets()[24:27]; !slices.Equal(got, []int64{0, 2, 3}) {
			t.Errorf("offsets %v", got)
		}
	})
}

func TestNewSeries(t *testing.T) {
	bubble(t, nil, func(ctx context.Context, r *rig) {
		n := 0
		r.accept = func(_ context.Context, b transport.Batch) (transport.Receipt, error) {
			rec := r.take(b)
			n++
			rec.NewSeries = n == 2
			return rec, nil
		}
		r.script = []step{upds(700), upds(30, 31), upds(30, 31), {}}
		_ = r.runFor(ctx, 10*time.Second, Start{})
		if got := r.offsets()[:4]; !slices.Equal(got, []int64{0, 701, 0, 32}) {
			t.Errorf("offsets %v", got)
		}
	})
	// A page from the head needs no second look, or a sink that calls each page
	// a new series would never let one be confirmed.
	bubble(t, nil, func(ctx context.Context, r *rig) {
		r.accept = func(_ context.Context, b transport.Batch) (transport.Receipt, error) {
			rec := r.take(b)
			rec.NewSeries = true
			return rec, nil
		}
		r.script = []step{upds(5), upds(3), upds(3), upds(4), upds(4), {}}
		_ = r.runFor(ctx, 10*time.Second, Start{})
		if got := r.offsets()[:6]; !slices.Equal(got, []int64{0, 6, 0, 4, 0, 5}) {
			t.Errorf("offsets %v", got)
		}
	})
}

// TestNameless: elements without an id.
func TestNameless(t *testing.T) {
	const x, y = `{"message":{"text":"x"}}`, `{"update_id":`
	page := func(es ...string) step { return step{page: es} }
	t.Run("within a page", func(t *testing.T) {
		bubble(t, nil, func(ctx context.Context, r *rig) {
			r.script = []step{page(upd(5), x, upd(7)), {}}
			_ = r.runFor(ctx, time.Second, Start{})
			if got := r.offsets()[:2]; !slices.Equal(got, []int64{0, 8}) || r.batches[0].Page.Next != 8 {
				t.Errorf("offsets %v", got)
			}
		})
	})
	t.Run("at the end, then stepped over", func(t *testing.T) {
		bubble(t, nil, func(ctx context.Context, r *rig) {
			r.script = []step{page(upd(5), x), page(x), page(), {}}
			_ = r.runFor(ctx, time.Second, Start{})
			if got := r.offsets()[:3]; !slices.Equal(got, []int64{0, 6, 7}) {
				t.Errorf("offsets %v", got)
			}
			if len(r.batches) != 1 || r.batches[0].Page.Next != 0 || len(r.batches[0].Updates) != 2 {
				t.Errorf("batches %+v", r.batches)
			}
		})
	})
	t.Run("at the end, then followed", func(t *testing.T) {
		bubble(t, nil, func(ctx context.Context, r *rig) {
			r.script = []step{page(upd(5), x), page(x, y, upd(8)), {}}
			_ = r.runFor(ctx, time.Second, Start{})
			if got := r.offsets()[:3]; !slices.Equal(got, []int64{0, 6, 9}) || len(r.batches[1].Updates) != 2 {
				t.Errorf("offsets %v, %+v", got, r.batches[1])
			}
		})
	})
	t.Run("alone at the head", func(t *testing.T) {
		bubble(t, nil, func(ctx context.Context, r *rig) {
			for range 30 {
				r.script = append(r.script, page(x))
			}
			r.script = append(r.script, page(x, upd(9)), step{})
			_ = r.runFor(ctx, time.Hour, Start{})
			for i, o := range r.offsets()[:31] {
				if o != 0 {
					t.Fatalf("call %d has offset %d", i, o)
				}
			}
			if r.offsets()[31] != 10 || len(r.batches) != 2 {
				t.Errorf("offset %d, %d batches", r.offsets()[31], len(r.batches))
			}
			if at := r.calls[30].at; at < 20*time.Second || at > 150*time.Second {
				t.Errorf("30 polls in %v", at)
			}
		})
	})
	t.Run("steps end at the head", func(t *testing.T) {
		bubble(t, nil, func(ctx context.Context, r *rig) {
			for range 14 {
				r.script = append(r.script, page(x))
			}
			_ = r.runFor(ctx, time.Hour, Start{Offset: 6})
			want := []int64{6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 0, 0}
			if got := r.offsets()[:14]; !slices.Equal(got, want) {
				t.Errorf("offsets %v", got)
			}
		})
	})
	t.Run("an id that doesn't rise confirms nothing", func(t *testing.T) {
		bubble(t, nil, func(ctx context.Context, r *rig) {
			r.script = []step{page(upd(5), upd(6), upd(2), upd(99)), {}}
			_ = r.runFor(ctx, time.Second, Start{})
			if got := r.offsets()[:2]; !slices.Equal(got, []int64{0, 7}) || r.batches[0].Page.Next != 0 {
				t.Errorf("offsets %v", got)
			}
		})
	})
}

// TestOffsetNotHeeded: a front that answers from a cache makes no hot loop.
func TestOffsetNotHeeded(t *testing.T) {
	bubble(t, nil, func(ctx context.Context, r *rig) {
		for range 30 {
			r.script = append(r.script, upds(5, 6))
		}
		_ = r.runFor(ctx, time.Hour, Start{})
		if at := r.calls[29].at; at < 20*time.Second {
			t.Errorf("30 polls in %v", at)
		}
		if len(r.kinds(EventStuck)) != 29 {
			t.Errorf("%d events", len(r.kinds(EventStuck)))
		}
	})
}

func TestForeignPoller(t *testing.T) {
	bubble(t, nil, func(ctx context.Context, r *rig) {
		other := conflict(botapi.ConflictOtherGetUpdates)
		r.script = []step{{}, other, other, other, other, other, other, upds(3), other, {park: true}, {park: true}}
		_ = r.runFor(ctx, 10*time.Minute, Start{})
		c := r.kinds(EventConflict)
		if len(c) != 7 {
			t.Fatalf("%d conflicts", len(c))
		}
		for i, e := range c {
			if e.ForeignFirst != c[0].At || e.ForeignLast != e.At || e.Wait < 2*time.Second || e.Wait > 31*time.Second {
				t.Errorf("conflict %d: %+v", i, e)
			}
		}
		if c[5].Wait < 20*time.Second {
			t.Errorf("the pauses don't grow: %v", c[5].Wait)
		}
		gone := r.kinds(EventForeignGone)
		if len(gone) != 1 || gone[0].ForeignFirst != c[0].At || gone[0].At.Sub(c[6].At) < 5*time.Second {
			t.Errorf("gone: %+v", gone)
		}
		if !r.p.Progress().ForeignSince.IsZero() {
			t.Error("still foreign")
		}
	})
	bubble(t, nil, func(ctx context.Context, r *rig) {
		r.script = []step{{}, conflict(botapi.ConflictOtherGetUpdates)}
		_ = r.runFor(ctx, 4*time.Second, Start{})
		if r.p.Progress().ForeignSince.IsZero() {
			t.Error("the other poller is forgotten")
		}
	})
}

// TestLimit: the second page that doesn't arrive halves the limit, each further
// one again; good pages raise it step by step.
func TestLimit(t *testing.T) {
	bubble(t, nil, func(ctx context.Context, r *rig) {
		big := apiErr(botapi.KindTooLarge, 200)
		cut := step{err: &botapi.Error{Kind: botapi.KindTimeout, Phase: botapi.PhaseBody}}
		r.script = []step{big, apiErr(botapi.KindProtocol, 200), cut, big, big, big, big, big, big, upds(1), upds(2), upds(3), upds(4), upds(5), big, upds(6)}
		_ = r.runFor(ctx, 20*time.Minute, Start{})
		var got []int
		for _, c := range r.calls[:24] {
			got = append(got, c.Limit)
		}
		want := []int{100, 100, 50, 25, 12, 6, 3, 1, 1, 1, 1, 2, 2, 4, 4, 2, 2, 4, 4, 8, 8, 16, 16, 32}
		if !slices.Equal(got, want) {
			t.Errorf("limits %v\nwant   %v", got, want)
		}
		if l := r.calls[len(r.calls)-1].Limit; l != 100 {
			t.Errorf("ended at %d", l)
		}
		if at := r.calls[7].at; at > 8*time.Second {
			t.Errorf("down to one after %v", at)
		}
	})
	bubble(t, nil, func(ctx context.Context, r *rig) {
		for range 6 {
			r.script = append(r.script, apiErr(botapi.KindTimeout, 0), apiErr(botapi.KindServer, 502))
		}
		_ = r.runFor(ctx, 20*time.Minute, Start{})
		for _, c := range r.calls {
			if c.Limit != 100 {
				t.Fatalf("limit %d for errors that aren't the page's", c.Limit)
			}
		}
	})
}

func TestSlowLineGetsMoreTime(t *testing.T) {
	bubble(t, nil, func(ctx context.Context, r *rig) {
		r.script = []step{{hang: true}, {hang: true}, upds(1)}
		_ = r.runFor(ctx, time.Minute, Start{})
		if r.calls[0].deadline != firstDeadline || r.calls[1].deadline != 5*time.Second || r.calls[2].deadline != 10*time.Second || r.calls[3].deadline != 5*time.Second {
			t.Errorf("%v %v %v", r.calls[1].deadline, r.calls[2].deadline, r.calls[3].deadline)
		}
	})
}

func TestKick(t *testing.T) {
	bubble(t, nil, func(ctx context.Context, r *rig) {
		r.p.Kick() // not running
		r.script = []step{{}, {hang: true}, {park: true}, apiErr(botapi.KindReset, 0), apiErr(botapi.KindReset, 0), apiErr(botapi.KindReset, 0), apiErr(botapi.KindReset, 0), apiErr(botapi.KindReset, 0), apiErr(botapi.KindReset, 0),
			{err: &botapi.Error{Kind: botapi.KindRateLimited, RetryAfter: time.Minute}}}
		done := make(chan error)
		ctx, cancel := context.WithCancel(ctx)
		go func() { done <- r.p.Run(ctx, Start{Offset: 4}) }()
		time.Sleep(2 * time.Second)
		g := r.p.Progress()
		if !g.Running || g.CallStarted != r.start || g.CallTimeout != 5*time.Second || g.Calls != 2 || g.LastCompleted != r.start || g.Draining {
			t.Errorf("parked: %+v", g)
		}
		r.p.Kick()
		synctest.Wait()
		if calls, resets := r.count(); calls != 3 || r.offsets()[2] != 4 || resets != 1 || len(r.kinds(EventError)) != 0 || time.Since(r.start) != 2*time.Second {
			t.Errorf("%d calls, %d resets", calls, resets)
		}
		// In a pause: the next call goes out at once.
		for len(r.kinds(EventError)) < 6 {
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if w := r.kinds(EventError)[5].Wait; w < 100*time.Millisecond {
			t.Fatalf("no pause to shorten: %v", w)
		}
		n, _ := r.count()
		r.p.Kick()
		synctest.Wait()
		if m, _ := r.count(); m != n+1 {
			t.Errorf("%d calls, want %d", m, n+1)
		}
		// But not in a pause that Telegram asked for.
		r.p.Kick()
		time.Sleep(59 * time.Second)
		if m, _ := r.count(); m != n+1 {
			t.Error("the kick overrode a 429")
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestHooks(t *testing.T) {
	boom := errors.New("boom")
	for _, tc := range []struct {
		point   string
		calls   int
		batches int
	}{{"page-fetched", 1, 0}, {"page-committed", 1, 1}, {"confirm-sent", 1, 1}} {
		t.Run(tc.point, func(t *testing.T) {
			var points []string
			bubble(t, func(_ *rig, o *Options) {
				o.Hook = func(_ context.Context, p string) error {
					points = append(points, p)
					if p == tc.point {
						return boom
					}
					return nil
				}
			}, func(ctx context.Context, r *rig) {
				r.script = []step{upds(1)}
				if err := r.runFor(ctx, time.Minute, Start{}); !errors.Is(err, boom) || len(r.calls) != tc.calls || len(r.batches) != tc.batches {
					t.Errorf("%v after %d calls, %d batches", err, len(r.calls), len(r.batches))
				}
			})
			all := []string{"page-fetched", "page-committed", "confirm-sent"}
			if !slices.Equal(points, all[:slices.Index(all, tc.point)+1]) {
				t.Errorf("points %v", points)
			}
		})
	}
}

// TestFence: Run ends quickly when told to, but not before the sink is done, and
// a page in the sink is committed if that takes no longer than the grace.
func TestFence(t *testing.T) {
	for _, tc := range []struct {
		name string
		sink time.Duration
		took time.Duration
		held bool
	}{{"parked", 0, 0, true}, {"commit in progress", time.Second, time.Second, true}, {"commit hangs", time.Hour, acceptGrace, false}} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, nil, func(ctx context.Context, r *rig) {
				r.script = []step{upds(1)}
				r.accept = func(ctx context.Context, b transport.Batch) (transport.Receipt, error) {
					select {
					case <-time.After(tc.sink):
						return r.take(b), nil
					case <-ctx.Done():
						return transport.Receipt{}, ctx.Err()
					}
				}
				ctx, cancel := context.WithCancel(ctx)
				done := make(chan error)
				go func() { done <- r.p.Run(ctx, Start{}) }()
				synctest.Wait()
				if err := r.p.Run(ctx, Start{}); !errors.Is(err, ErrRunning) {
					t.Error(err)
				}
				start := time.Now()
				cancel()
				err := <-done
				if !errors.Is(err, context.Canceled) || time.Since(start) != tc.took || r.held[upd(1)] != tc.held || r.inSink != 0 {
					t.Errorf("%v after %v, held %v", err, time.Since(start), r.held)
				}
				if len(r.calls) > 3 || tc.sink > 0 && len(r.calls) != 1 {
					t.Errorf("calls %v", r.offsets())
				}
			})
		})
	}
}

func TestOptions(t *testing.T) {
	r := &rig{}
	for i, o := range []Options{
		{}, {API: r}, {Sink: r},
		{API: r, Sink: r, LongPoll: 51 * time.Second},
		{API: r, Sink: r, EarlyPoll: time.Millisecond},
		{API: r, Sink: r, Slack: time.Second},
		{API: r, Sink: r, DrainDeadline: 4 * time.Second},
		{API: r, Sink: r, MaxWait: time.Millisecond},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%d: accepted", i)
		}
	}
	var _ API = (*botapi.Client)(nil)
}
