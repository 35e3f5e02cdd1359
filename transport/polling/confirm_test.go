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

func TestConfirm(t *testing.T) {
	for _, tc := range []struct {
		name      string
		run, then []step
		offset    int64 // sent; 0: no call
		want      ConfirmResult
		err       bool
	}{
		{"nothing came", []step{{}, {hang: true}}, nil, 0, ConfirmResult{Skipped: "nothing committed"}, false},
		{"proven by an answer", []step{upds(4), {}, {hang: true}}, nil, 0, ConfirmResult{Offset: 5, Skipped: "already confirmed", Confirmed: true}, false},
		{"parked, not proven", []step{upds(4), {hang: true}}, []step{{}}, 5, ConfirmResult{Offset: 5, Confirmed: true}, false},
		{"returns a page", []step{upds(4), {hang: true}}, []step{upds(5, 6)}, 5, ConfirmResult{Offset: 5, Confirmed: true, Committed: true, Elements: 2, New: 2}, false},
		{"after a server error", []step{upds(4), apiErr(botapi.KindServer, 502), {hang: true}}, nil, 0, ConfirmResult{Offset: 5, Skipped: "offset in doubt"}, false},
		{"refused", []step{upds(4), {hang: true}}, []step{conflict(botapi.ConflictWebhookActive)}, 5, ConfirmResult{Offset: 5}, true},
		{"hangs", []step{upds(4), {hang: true}}, []step{{hang: true}}, 5, ConfirmResult{Offset: 5, Duration: 4 * time.Second}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, nil, func(ctx context.Context, r *rig) {
				r.script = tc.run
				_ = r.runFor(ctx, 2*time.Second, Start{})
				r.script, r.calls, r.batches = tc.then, nil, nil
				got, err := r.p.Confirm(ctx)
				if got != tc.want || (err != nil) != tc.err {
					t.Errorf("got %+v, %v", got, err)
				}
				if tc.offset == 0 && len(r.calls) != 0 || tc.offset != 0 && !slices.Equal(r.offsets(), []int64{tc.offset}) || len(r.calls) == 1 && r.calls[0].Timeout != 0 {
					t.Errorf("calls %+v", r.calls)
				}
				if tc.want.Committed && len(r.batches) != 1 {
					t.Errorf("batches %+v", r.batches)
				}
				// A second one has nothing to prove if the first one did.
				if got, _ := r.p.Confirm(ctx); tc.want.Confirmed && got.Skipped != "already confirmed" {
					t.Errorf("again: %+v", got)
				}
			})
		})
	}
}

func TestConfirmStoreFails(t *testing.T) {
	bubble(t, nil, func(ctx context.Context, r *rig) {
		r.script = []step{upds(4), {hang: true}}
		_ = r.runFor(ctx, time.Second, Start{})
		r.script = []step{upds(5)}
		boom := errors.New("boom")
		r.accept = func(context.Context, transport.Batch) (transport.Receipt, error) { return transport.Receipt{}, boom }
		got, err := r.p.Confirm(ctx)
		if !errors.Is(err, boom) || !got.Confirmed || got.Committed {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestConfirmHook(t *testing.T) {
	boom := errors.New("boom")
	armed := false
	bubble(t, func(_ *rig, o *Options) {
		o.Hook = func(_ context.Context, p string) error {
			if armed && p == "confirm-sent" {
				return boom
			}
			return nil
		}
	}, func(ctx context.Context, r *rig) {
		r.script = []step{upds(4), {hang: true}}
		_ = r.runFor(ctx, time.Second, Start{})
		armed = true
		r.calls = nil
		if _, err := r.p.Confirm(ctx); !errors.Is(err, boom) || len(r.calls) != 0 {
			t.Errorf("%v, %d calls", err, len(r.calls))
		}
	})
}

func TestStandby(t *testing.T) {
	for _, tc := range []struct {
		name    string
		s       step
		err     error
		kind    botapi.Kind
		batches int
	}{
		{"refused as expected", conflict(botapi.ConflictWebhookActive), nil, "", 0},
		{"a page", upds(3, 4), ErrNoWebhook, "", 1},
		{"an empty page", step{}, ErrNoWebhook, "", 0},
		{"another poller", conflict(botapi.ConflictOtherGetUpdates), nil, botapi.KindConflict, 0},
		{"network", apiErr(botapi.KindRefused, 0), nil, botapi.KindRefused, 0},
		{"hangs", step{hang: true}, nil, botapi.KindTimeout, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(_ *rig, o *Options) { o.AllowedUpdates = []string{"poll"} }, func(ctx context.Context, r *rig) {
				r.script = []step{tc.s}
				err := r.p.Standby(ctx)
				if tc.err != nil && !errors.Is(err, tc.err) || botapi.KindOf(err) != tc.kind || tc.err == nil && tc.kind == "" && err != nil {
					t.Error(err)
				}
				r.script = []step{conflict(botapi.ConflictWebhookActive)}
				if err := r.p.Standby(ctx); err != nil {
					t.Errorf("the next one: %v", err)
				}
				r.calls = r.calls[:1]
				c := r.calls[0]
				if len(r.calls) != 1 || c.Offset != 0 || c.Timeout != 0 || c.deadline != 5*time.Second || c.AllowedUpdates != nil {
					t.Errorf("call %+v", c)
				}
				if len(r.batches) != tc.batches || errors.Is(err, ErrNoWebhook) != (len(r.kinds(EventStandbyPage)) == 1) {
					t.Errorf("%d batches, %+v", len(r.batches), r.events)
				}
			})
		})
	}
	// A Run that begins doesn't wait for a standby check, and ends it.
	bubble(t, nil, func(ctx context.Context, r *rig) {
		r.script = []step{{hang: true}, upds(1)}
		done := make(chan error)
		go func() { done <- r.p.Standby(ctx) }()
		synctest.Wait()
		if err := r.p.Standby(ctx); !errors.Is(err, ErrRunning) {
			t.Errorf("two at once: %v", err)
		}
		go func() { done <- r.runFor(ctx, time.Second, Start{}) }()
		if err := <-done; !errors.Is(err, ErrRunning) || time.Since(r.start) != 0 {
			t.Errorf("%v after %v", err, time.Since(r.start))
		}
		synctest.Wait()
		if err := r.p.Standby(ctx); !errors.Is(err, ErrRunning) {
			t.Errorf("while running: %v", err)
		}
		if _, err := r.p.Confirm(ctx); !errors.Is(err, ErrRunning) {
			t.Errorf("confirm while running: %v", err)
		}
		<-done
	})
}
