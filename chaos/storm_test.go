package chaos

import (
	"context"
	"sync"
	"testing"
	"time"
)

// Everything at once under the race detector: faults come and go while clients
// post; afterwards the server is as good as new.
func TestStorm(t *testing.T) {
	bubble(t, "storm", func(t *testing.T) {
		r := newRig(t, rigOptions{reopen: true})
		var wg sync.WaitGroup
		ctx, stop := context.WithCancel(t.Context())
		for range 8 {
			wg.Go(func() {
				c := r.client()
				c.http.Timeout = 2 * time.Second
				for ctx.Err() == nil {
					_, _ = c.post1()
					time.Sleep(70 * time.Millisecond)
				}
			})
		}
		for i, e := range serverEffects() {
			wg.Go(func() {
				for n := range 4 {
					time.Sleep(time.Duration(i*37+n*11) * time.Millisecond)
					s := e.spec
					s.For = time.Duration(i%3+1) * 400 * time.Millisecond
					if !lookupWhole(s.Kind) {
						s.Share, s.Seed = 0.7, uint64(i)
					}
					l, err := r.reg.Inject(s)
					if err != nil {
						t.Error(err)
						return
					}
					switch n {
					case 0:
						l.End()
					case 1:
						_ = l.Renew(time.Second)
					case 2:
						r.reg.Clear()
					}
					r.reg.List()
				}
			})
		}
		time.Sleep(6 * time.Second)
		stop()
		wg.Wait()
		if n := r.reg.List(); len(n) != 0 || r.reg.load() != nil {
			t.Errorf("left over: %v", n)
		}
		for range 3 {
			wantOK(t, r.client(), "after the storm")
		}
	})
}

func lookupWhole(k Kind) bool { i, _ := lookup(k); return i.Whole }
