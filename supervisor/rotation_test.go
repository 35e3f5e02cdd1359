package supervisor_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/telegramsim"
	"dualgram/supervisor"
	"dualgram/supervisor/failover"
	"dualgram/transport/webhook"
)

const (
	secondSecret = "Second_secret_of_the_test-0123456"
	thirdSecret  = "Third_secret_of_the_test-01234567"
)

// secretFile stands for where the secret that is wanted comes from; it outlives
// the hosts.
type secretFile struct{ atomic.Value }

func (w *testWorld) secretFrom() *secretFile {
	f := new(secretFile)
	f.Store(secret)
	tune := w.tune
	w.tune = func(o *supervisor.BotOptions) {
		if tune != nil {
			tune(o)
		}
		o.Webhook.Secret = func() string { return f.Load().(string) }
	}
	return f
}

// refused lists the deliveries that were answered 403.
func (w *testWorld) refused(t *testing.T) (ids []int64) {
	t.Helper()
	truth, err := w.sim.Bot(w.botID)
	must0(t, err)
	for _, r := range truth.Updates {
		for _, a := range r.Attempts {
			if a.Status == http.StatusForbidden {
				ids = append(ids, r.ID)
			}
		}
	}
	return ids
}

// takes tells whether the listener takes the secret; "" sends no header. A body is
// announced that is too large, and never sent.
func (w *testWorld) takes(t *testing.T, token string) bool {
	t.Helper()
	raw, err := w.net.From("149.154.167.220").Dial(t.Context(), "tcp", testIP+":443")
	must0(t, err)
	c := tls.Client(raw, w.clientTLS())
	defer c.Close()
	head := "POST /webhook HTTP/1.1\r\nHost: " + testHost + "\r\nContent-Length: 2097152\r\n"
	if token != "" {
		head += webhook.SecretHeader + ": " + token + "\r\n"
	}
	_, err = io.WriteString(c, head+"\r\n")
	must0(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	must0(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", resp.StatusCode)
	}
	return resp.StatusCode == http.StatusRequestEntityTooLarge
}

// wants checks which of the secrets the listener takes.
func (w *testWorld) wants(t *testing.T, when string, yes []string, no []string) {
	t.Helper()
	for _, s := range yes {
		if !w.takes(t, s) {
			t.Errorf("%s: %q is refused", when, s)
		}
	}
	for _, s := range no {
		if w.takes(t, s) {
			t.Errorf("%s: %q is taken", when, s)
		}
	}
}

func (w *testWorld) saw(name string) bool {
	return slices.ContainsFunc(w.story(), func(e supervisor.Event) bool { return e.Kind == supervisor.EventSecret && e.Name == name })
}

func waitFor(t *testing.T, what string, most time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(most); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s within %v", what, most)
		}
	}
}

// TestRotation: a change of the secret under traffic, with a crash at each step,
// loses nothing, refuses nothing, never leaves webhook mode, and ends with the old
// secret refused.
func TestRotation(t *testing.T) {
	for _, at := range []string{"", supervisor.SecretBegun, supervisor.StepIntentPersisted, supervisor.StepPollerJoined,
		supervisor.StepSetSent, supervisor.StepSetAcked, supervisor.StepModePersisted, supervisor.SecretDone} {
		t.Run("crash at "+at, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *testWorld) { rotate(t, w, at) })
		})
	}
}

func rotate(t *testing.T, w *testWorld, at string) {
	var mu sync.Mutex
	armed, current := false, (*host)(nil)
	crashes := func(point string) bool {
		mu.Lock()
		defer mu.Unlock()
		if !armed || point != at || at == "" {
			return false
		}
		armed = false
		current.crash()
		return true
	}
	hook := func(_ *host, point string) error {
		if crashes(point) {
			return errCrashed
		}
		return nil
	}
	w.tune = func(o *supervisor.BotOptions) {
		observe := o.Observe
		o.Observe = func(e supervisor.Event) {
			observe(e)
			if e.Kind == supervisor.EventSecret {
				crashes(e.Name)
			}
		}
	}
	file := w.secretFrom()
	h := w.start(hook)
	quiet := w.traffic(t, 3)
	must0(t, h.await("webhook", false, 90*time.Second))

	busy := w.traffic(t, 50)
	time.Sleep(time.Second)
	mu.Lock()
	armed, current = true, h
	mu.Unlock()
	began := time.Now()
	file.Store(secondSecret)
	if at == "" {
		w.wants(t, "at once", []string{secret, secondSecret}, []string{thirdSecret, ""})
	} else {
		<-h.dead
		h.bury()
		time.Sleep(500 * time.Millisecond)
		h = w.start(hook)
		must0(t, h.await("webhook", h.trial(), 5*time.Second))
		w.wants(t, "after the crash", []string{secret, secondSecret}, []string{thirdSecret})
	}
	time.Sleep(5 * time.Second)
	busy()
	rotated := func() bool {
		s, err := h.sup.Status(t.Context())
		return err == nil && s.Bots[0].Phase == "webhook" && !hasWarning(s.Bots[0].Warnings, "secret_rotation")
	}
	waitFor(t, "end of the rotation", 4*time.Minute, rotated)
	if took := time.Since(began); took < 2*time.Minute || took > 3*time.Minute {
		t.Errorf("it took %v", took)
	}
	must0(t, h.await("webhook", false, 90*time.Second))
	w.wants(t, "at the end", []string{secondSecret}, []string{secret, thirdSecret, ""})
	before := w.acked(t)
	time.Sleep(5 * time.Second)
	if w.acked(t) == before {
		t.Error("nothing is delivered any more: Telegram has the old secret")
	}
	for _, m := range w.moves(began) {
		if strings.HasPrefix(m, "to_polling") || strings.HasPrefix(m, "held") {
			t.Errorf("the mode moved: %s", m)
		}
	}
	w.settle(t, h, quiet, began)
	if ids := w.refused(t); len(ids) > 0 {
		t.Errorf("%d deliveries were refused: %v", len(ids), ids)
	}
}

// traffic runs until the returned function is called, which waits for it.
func (w *testWorld) traffic(t *testing.T, rate float64) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	w.cleanup = append(w.cleanup, cancel)
	done := make(chan error, 1)
	go func() {
		done <- telegramsim.Traffic{Seed: uint64(rate), Bot: w.botID, Rate: rate, Chats: 12}.Run(ctx, w.sim)
	}()
	return sync.OnceFunc(func() { cancel(); <-done })
}

func (h *host) trial() bool {
	time.Sleep(time.Second)
	_, trial := h.phase()
	return trial
}

// TestRotationIsPrompt: with nothing in the way, Telegram has the new secret
// within two seconds, and the trial begins anew.
func TestRotationIsPrompt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		file := w.secretFrom()
		h, stop := w.proven(t, 4)
		began := time.Now()
		file.Store(secondSecret)
		waitFor(t, "acknowledgement", 2*time.Second, func() bool { return w.saw(supervisor.SecretDone) })
		if _, trial := h.phase(); !trial {
			t.Error("a real set begins a trial")
		}
		w.wants(t, "in the grace", []string{secret, secondSecret}, nil)
		waitFor(t, "end", 2*time.Minute+time.Second, func() bool { return w.saw(supervisor.SecretDropped) })
		if since := time.Since(began); since < 2*time.Minute {
			t.Errorf("the old secret was dropped after %v", since)
		}
		w.wants(t, "after the grace", []string{secondSecret}, []string{secret})
		if n := w.calls(t, "setWebhook", began); n != 1 {
			t.Errorf("%d sets", n)
		}
		w.settle(t, h, stop, began)
		if ids := w.refused(t); len(ids) > 0 {
			t.Errorf("refused: %v", ids)
		}
	})
}

// TestRotationWhileDown: a secret that was changed while nobody ran is rotated all
// the same, although the old value is gone.
func TestRotationWhileDown(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		file := w.secretFrom()
		h, stop := w.proven(t, 4)
		must0(t, h.stop())
		began := time.Now()
		time.Sleep(5 * time.Second)
		file.Store(secondSecret)
		h = w.start(nil)
		w.wants(t, "at the start", []string{secret, secondSecret}, []string{thirdSecret})
		waitFor(t, "end", 4*time.Minute, func() bool { return w.saw(supervisor.SecretDropped) })
		w.wants(t, "after the grace", []string{secondSecret}, []string{secret})
		w.settle(t, h, stop, began)
		if ids := w.refused(t); len(ids) > 0 {
			t.Errorf("refused: %v", ids)
		}
	})
}

// TestRotationMeetsTrouble: whatever becomes of the set, nothing is refused or
// lost, and the rotation comes to its end.
func TestRotationMeetsTrouble(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault telegramsim.Fault
		stays bool // it is known that nothing was done, so not even a poll asks
	}{
		{"answer lost", telegramsim.Fault{Kind: telegramsim.FaultLoseHang, Method: "setWebhook", Count: 1}, false},
		{"request lost", telegramsim.Fault{Kind: telegramsim.FaultHang, Method: "setWebhook", Count: 1}, false},
		{"late", telegramsim.Fault{Kind: telegramsim.FaultLate, Method: "setWebhook", Count: 1, Delay: 40 * time.Second}, false},
		{"rate limited", telegramsim.Fault{Kind: telegramsim.FaultTooMany, Method: "setWebhook", Count: 1, RetryAfter: 30}, true},
		{"server error", telegramsim.Fault{Kind: telegramsim.FaultError, Method: "setWebhook", Count: 2}, false},
		{"refused by something in between", telegramsim.Fault{Kind: telegramsim.FaultError, Method: "setWebhook", Count: 1, Code: 400, Description: "Bad Request"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *testWorld) {
				file := w.secretFrom()
				h, stop := w.proven(t, 4)
				began := time.Now()
				w.sim.SetFault(c.fault)
				file.Store(secondSecret)
				waitFor(t, "acknowledgement", 3*time.Minute, func() bool { return w.saw(supervisor.SecretDone) })
				waitFor(t, "end", 3*time.Minute, func() bool { return w.saw(supervisor.SecretDropped) })
				must0(t, h.await("webhook", false, 2*time.Minute))
				w.wants(t, "at the end", []string{secondSecret}, []string{secret})
				for _, m := range w.moves(began) {
					if strings.HasPrefix(m, "polling") || strings.HasPrefix(m, "held") || c.stays && strings.HasPrefix(m, "to_polling") {
						t.Errorf("the mode moved: %s", m)
					}
				}
				w.settle(t, h, stop, began)
				if ids := w.refused(t); len(ids) > 0 {
					t.Errorf("refused: %v", ids)
				}
			})
		})
	}
}

// TestRotationWaits: not in a hold, not in polling, not while the Bot API is
// silent; both secrets are good meanwhile.
func TestRotationWaits(t *testing.T) {
	status := func(t *testing.T, h *host) bool {
		t.Helper()
		s, err := h.sup.Status(t.Context())
		must0(t, err)
		return hasWarning(s.Bots[0].Warnings, "secret_rotation")
	}
	check := func(t *testing.T, w *testWorld, h *host, since time.Time) {
		t.Helper()
		if n := w.calls(t, "setWebhook", since); n > 0 {
			t.Errorf("%d sets", n)
		}
		if !status(t, h) {
			t.Error("the status says nothing of it")
		}
		w.wants(t, "meanwhile", []string{secret, secondSecret}, nil)
	}
	t.Run("hold", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *testWorld) {
			file := w.secretFrom()
			h, stop := w.proven(t, 2)
			began := time.Now()
			must0(t, h.sup.Command(t.Context(), "test", failover.Event{Command: failover.Hold}))
			file.Store(secondSecret)
			time.Sleep(5 * time.Minute)
			check(t, w, h, began)
			must0(t, h.sup.Command(t.Context(), "test", failover.Event{Command: failover.SwitchAuto}))
			waitFor(t, "acknowledgement", 5*time.Second, func() bool { return w.saw(supervisor.SecretDone) })
			w.settle(t, h, stop, began)
		})
	})
	t.Run("polling", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *testWorld) {
			file := w.secretFrom()
			h, stop := w.proven(t, 2)
			began := time.Now()
			must0(t, h.sup.Command(t.Context(), "test", failover.Event{Command: failover.SwitchPolling}))
			must0(t, h.await("polling", false, 10*time.Second))
			file.Store(secondSecret)
			time.Sleep(5 * time.Minute)
			check(t, w, h, began)
			must0(t, h.sup.Command(t.Context(), "test", failover.Event{Command: failover.SwitchAuto}))
			waitFor(t, "acknowledgement", 30*time.Second, func() bool { return w.saw(supervisor.SecretDone) })
			if n := w.calls(t, "setWebhook", began); n != 1 {
				t.Errorf("%d sets: the failback brings it", n)
			}
			w.settle(t, h, stop, began)
		})
	})
	t.Run("the Bot API is silent", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *testWorld) {
			file := w.secretFrom()
			h, stop := w.proven(t, 2)
			w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultHang})
			time.Sleep(10 * time.Second)
			began := time.Now()
			file.Store(secondSecret)
			time.Sleep(5 * time.Minute)
			if m := w.moves(began); len(m) > 0 {
				t.Errorf("moved: %v", m)
			}
			check(t, w, h, began)
			w.sim.ClearFaults()
			waitFor(t, "acknowledgement", time.Minute, func() bool { return w.saw(supervisor.SecretDone) })
			w.settle(t, h, stop, began)
		})
	})
}

// TestRotationInARow: a secret that is replaced before Telegram has it.
func TestRotationInARow(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		file := w.secretFrom()
		h, stop := w.proven(t, 4)
		began := time.Now()
		w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultLoseHang, Method: "setWebhook", Count: 1})
		file.Store(secondSecret)
		time.Sleep(2 * time.Second) // it is on its way
		file.Store(thirdSecret)
		w.wants(t, "at once", []string{secret, secondSecret, thirdSecret}, nil)
		waitFor(t, "end", 5*time.Minute, func() bool { return w.saw(supervisor.SecretDropped) })
		w.wants(t, "at the end", []string{thirdSecret}, []string{secret, secondSecret})
		file.Store(secret)
		waitFor(t, "the first one again", time.Minute, func() bool {
			s, err := h.sup.Status(t.Context())
			return err == nil && s.Bots[0].Trial
		})
		w.wants(t, "the first one again", []string{secret, thirdSecret}, []string{secondSecret})
		w.settle(t, h, stop, began)
		if ids := w.refused(t); len(ids) > 0 {
			t.Errorf("refused: %v", ids)
		}
	})
}

// TestRotationTrialCounts: a webhook that breaks in the trial of a renewal is a
// relapse like any.
func TestRotationTrialCounts(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		w.tune = func(o *supervisor.BotOptions) {
			o.Policy = failover.Policy{HoldDown: 30 * time.Second, MaxHoldDown: time.Hour}
		}
		file := w.secretFrom()
		h, stop := w.proven(t, 4)
		stop()
		time.Sleep(11 * time.Minute) // no relapse of the first webhook's any more
		stop = w.traffic(t, 5)
		file.Store(secondSecret)
		waitFor(t, "acknowledgement", 5*time.Second, func() bool { return w.saw(supervisor.SecretDone) })
		lease, err := h.faults.Inject(chaos.Spec{Kind: "net.refuse", For: 10 * time.Minute})
		must0(t, err)
		must0(t, h.await("polling", false, 10*time.Second))
		s, err := h.sup.Status(t.Context())
		must0(t, err)
		if left := s.Bots[0].HoldDownLeft; left < 50 || left > 66 {
			t.Errorf("the hold-down is %.0f s: it was to double", left)
		}
		lease.End()
		must0(t, h.await("webhook", false, 5*time.Minute))
		w.settle(t, h, stop, time.Now())
	})
}
