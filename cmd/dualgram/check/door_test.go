package check_test

import (
	"testing"
	"time"
)

// The webhook's address is given back as soon as the way in has been tried, not when
// everything else has been.
func TestDoorIsClosedSoon(t *testing.T) {
	inWorld(t, func(w *world) {
		w.net.Blackhole("127.0.0.1:9000", true) // the bot
		var free time.Duration
		go func() {
			begin := time.Now()
			time.Sleep(time.Second)
			if ln, err := w.net.Listen(hookIP + ":8443"); err == nil {
				free = time.Since(begin)
				_ = ln.Close()
			}
		}()
		begin := time.Now()
		w.check()
		if took := time.Since(begin); took < 4*time.Second || free == 0 {
			t.Errorf("it took %v, and the address wasn't free after a second (%v)", took, free)
		}
	})
}

// Updates that Telegram tries to deliver while a check has the webhook's address are
// refused, and stay where they are.
func TestDoorRefuses(t *testing.T) {
	inWorld(t, func(w *world) {
		if code, text, err := w.sim.ForeignSetWebhook(w.botID, hookURL); err != nil || code != 200 {
			t.Fatal(code, text, err)
		}
		w.push(3)
		w.net.SetLatency(hookIP+":8443", 100*time.Millisecond) // so that it is open for a while
		refused := 0
		for range 60 {
			w.check()
			refused = 0
			for _, u := range must(w.sim.Bot(w.botID)).Updates {
				for _, a := range u.Attempts {
					switch a.Status {
					case 503:
						refused++
					case 0: // no connection
					default:
						t.Errorf("answered with %d", a.Status)
					}
				}
			}
			if refused > 0 {
				break
			}
		}
		if n := w.sim.Pending(w.botID); n != 3 || refused == 0 {
			t.Errorf("%d of 3 are left, %d deliveries met a check", n, refused)
		}
	})
}
