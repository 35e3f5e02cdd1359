package chaos

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestClockJump: a lease ends by whichever clock gets there first. A wall clock
// that is set back, as far as it likes, prolongs nothing; one that is set ahead, as
// after a suspend, ends the fault on its next use, and frees what waits in it
// within a second.
func TestClockJump(t *testing.T) {
	for _, c := range []struct {
		name string
		jump time.Duration
		ends time.Duration // after the jump, at the latest
	}{
		{"ahead", time.Hour, 0},
		{"back", -time.Hour, 20 * time.Second},
		{"ahead by less than is left", 10 * time.Second, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var jumped atomic.Int64
				reg := New(Options{Enabled: true, WallClock: func() time.Time { return time.Now().Add(time.Duration(jumped.Load())) }})
				defer reg.Close()
				l, err := reg.Inject(Spec{Kind: "http.status", For: 30 * time.Second})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(10*time.Second - 1)
				jumped.Store(int64(c.jump))
				if c.ends > 0 {
					time.Sleep(c.ends - time.Second)
					if !l.f.fire() {
						t.Fatal("the fault ended before either clock said so")
					}
					time.Sleep(time.Second + 1)
				}
				if l.f.fire() || len(reg.List()) != 0 {
					t.Error("the fault acts after its lease")
				}
				if err := l.Renew(time.Minute); !errors.Is(err, ErrEnded) {
					t.Errorf("renewed: %v", err)
				}
				time.Sleep(lookEvery)
				synctest.Wait()
				select {
				case <-l.Done():
				default:
					t.Error("what waits in the fault was not told")
				}
			})
		})
	}
}

// TestRenewAtALook: a renewal just when the fault is looked at loses neither the
// renewal nor the end.
func TestRenewAtALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := New(Options{Enabled: true})
		l, err := reg.Inject(Spec{Kind: "http.status", For: 6 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			time.Sleep(2 * lookEvery)
			if err := l.Renew(6 * time.Second); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(6*time.Second - 1)
		if len(reg.List()) != 1 {
			t.Error("it ended early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if len(reg.List()) != 0 || l.Status().Remaining != 0 {
			t.Error("it did not end")
		}
		if err := reg.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestPlanAndFired: a plan changes nothing and says what is wrong; the count of
// what was hit outlives the fault.
func TestPlanAndFired(t *testing.T) {
	reg := New(Options{Enabled: true})
	defer reg.Close()
	s, err := reg.Plan(Spec{Kind: "http.status"})
	if err != nil || s.Spec.For != DefaultLease || s.Spec.Share != 1 || len(reg.List()) != 0 {
		t.Errorf("%+v, %v, %d active", s, err, len(reg.List()))
	}
	if _, err := reg.Plan(Spec{Kind: "crash.at"}); !errors.Is(err, ErrDestructive) {
		t.Errorf("crash.at: %v", err)
	}
	l, err := reg.Inject(Spec{Kind: "http.status", Count: 2})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		l.f.fire()
	}
	l.End()
	fired := reg.Fired()
	if fired["http.status"] != 2 || len(fired) != len(Kinds()) {
		t.Errorf("%v", fired)
	}
	if n := (*Registry)(nil).Fired(); len(n) != len(Kinds()) {
		t.Errorf("of no registry: %v", n)
	}
}
