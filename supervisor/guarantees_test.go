package supervisor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/telegramsim"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
	"dualgram/transport/delivery"

	"github.com/rs/zerolog"
)

// TestG1NoLoss: nothing is acknowledged while the ledger can't commit, in either
// mode, and the mode stays; once it can, everything arrives.
func TestG1NoLoss(t *testing.T) {
	for _, mode := range []string{"webhook", "polling"} {
		t.Run(mode, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *testWorld) {
				h, stop := w.proven(t, 10)
				if mode == "polling" {
					_, err := h.faults.Inject(chaos.Spec{Kind: "net.refuse", For: 10 * time.Minute})
					must0(t, err)
					must0(t, h.await("polling", false, 10*time.Second))
				}
				time.Sleep(time.Second)
				broken := time.Now()
				lease, err := h.faults.Inject(chaos.Spec{Kind: "store.fail", For: time.Minute})
				must0(t, err)
				time.Sleep(time.Second)
				acked := w.acked(t)
				time.Sleep(20 * time.Second)
				if n := w.acked(t); n != acked {
					t.Errorf("%d updates were acknowledged while nothing could be committed", n-acked)
				}
				if m := w.moves(broken); len(m) > 0 {
					t.Errorf("a failing store moved the mode: %v", m)
				}
				lease.End()
				h.faults.Clear()
				w.settle(t, h, stop, broken)
			})
		})
	}
}

func (w *testWorld) acked(t *testing.T) int {
	t.Helper()
	b, err := w.sim.Bot(w.botID)
	must0(t, err)
	return b.Counters.Acknowledged
}

// TestG2NoDoubles: what Telegram sends again, after an answer it did not get to
// read or after a restart of ours, reaches the bot once.
func TestG2NoDoubles(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 5)
		ids := w.push(t, 5, 42)
		time.Sleep(time.Second)
		for _, id := range ids {
			must0(t, w.sim.Redeliver(w.botID, id))
		}
		time.Sleep(2 * time.Second)
		must0(t, h.stop())
		for _, id := range ids {
			must0(t, w.sim.Redeliver(w.botID, id))
		}
		h = w.start(nil)
		must0(t, h.await("webhook", false, 2*time.Minute))
		if v := w.settle(t, h, stop, time.Now()); v.Figures.Repeats > 0 {
			t.Errorf("%d repeats", v.Figures.Repeats)
		}
	})
}

// TestG3Order: an update that the bot refuses holds up its own chat, in order,
// and nobody else's.
func TestG3Order(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		var mu sync.Mutex
		bad := map[int64]bool{}
		w.tune = func(o *supervisor.BotOptions) {
			o.Handler = delivery.Func(func(ctx context.Context, u delivery.Update) error {
				mu.Lock()
				refuse := bad[u.ID]
				mu.Unlock()
				if refuse {
					return io.ErrUnexpectedEOF
				}
				return w.bot.Deliver(ctx, u)
			})
		}
		h, stop := w.proven(t, 5)
		mu.Lock()
		ids := w.push(t, 3, 42)
		bad[ids[0]] = true
		mu.Unlock()
		other := w.push(t, 3, 43)
		time.Sleep(20 * time.Second)
		got := map[int64]bool{}
		for _, x := range w.bot.record() {
			got[x.ID] = true
		}
		for _, id := range ids {
			if got[id] {
				t.Errorf("update %d of the held chat went ahead", id)
			}
		}
		for _, id := range other {
			if !got[id] {
				t.Errorf("update %d of another chat was held up", id)
			}
		}
		mu.Lock()
		clear(bad)
		mu.Unlock()
		time.Sleep(time.Minute)
		w.settle(t, h, stop, time.Now())
	})
}

// TestG4TenSeconds: every fault, with a slow Bot API that loses one call of the
// worst kind, is over within ten seconds.
func TestG4TenSeconds(t *testing.T) {
	faults := []chaos.Kind{"tls.expired", "tls.handshake_stall", "net.blackhole", "net.refuse", "net.reset", "net.stop_accept", "http.status", "http.hang", "http.panic"}
	lost := []telegramsim.Fault{
		{},
		{Kind: telegramsim.FaultHang, Method: "deleteWebhook", Count: 1},
		{Kind: telegramsim.FaultLoseHang, Method: "deleteWebhook", Count: 1},
		{Kind: telegramsim.FaultHang, Method: "getWebhookInfo", Count: 1},
		{Kind: telegramsim.FaultReset, Method: "getUpdates", Count: 1},
		{Kind: telegramsim.FaultHTML, Method: "deleteWebhook", Count: 1},
	}
	for _, fault := range faults {
		for i, l := range lost {
			t.Run(fmt.Sprintf("%s/%s_%s", fault, l.Method, l.Kind), func(t *testing.T) {
				t.Parallel()
				if testing.Short() && i > 1 {
					t.Skip("short")
				}
				inWorld(t, func(t *testing.T, w *testWorld) {
					w.sim.SetKnobs(telegramsim.Knobs{Latency: 500 * time.Millisecond})
					h, stop := w.proven(t, 3)
					// Anywhere between two calls of getWebhookInfo.
					time.Sleep(time.Duration(i) * 333 * time.Millisecond)
					onset := time.Now()
					if l.Kind != "" {
						w.sim.SetFault(l)
					}
					lease, err := h.faults.Inject(chaos.Spec{Kind: fault, For: 10 * time.Minute})
					must0(t, err)
					w.push(t, 1, 77)
					must0(t, h.await("polling", false, 20*time.Second))
					time.Sleep(2 * time.Second)
					lease.End()
					v := w.settle(t, h, stop, onset)
					if v.Figures.Failover > 10*time.Second || v.Figures.Failover == 0 {
						t.Errorf("the first update came by polling after %v", v.Figures.Failover)
					}
				})
			})
		}
	}
}

// TestG5Evidence: nothing that is not the path's fault moves the mode.
func TestG5Evidence(t *testing.T) {
	for name, annoy := range map[string]func(t *testing.T, w *testWorld, h *host){
		"strangers": func(t *testing.T, w *testWorld, _ *host) {
			stranger := w.net.From("149.154.167.9")
			c := &http.Client{Transport: &http.Transport{DialContext: stranger.Dial, TLSClientConfig: w.clientTLS()}, Timeout: 5 * time.Second}
			for i := range 200 {
				req, _ := http.NewRequest(http.MethodPost, testURL, strings.NewReader(`{"update_id":1}`))
				req.Header.Set("X-Telegram-Bot-Api-Secret-Token", fmt.Sprint("wrong", i))
				resp, err := c.Do(req)
				must0(t, err)
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusForbidden {
					t.Errorf("a stranger got %d", resp.StatusCode)
				}
				time.Sleep(50 * time.Millisecond)
			}
			c.CloseIdleConnections()
		},
		"bad TLS": func(t *testing.T, w *testWorld, _ *host) {
			for range 100 {
				conn, err := w.net.From("149.154.167.9").Dial(t.Context(), "tcp", testIP+":443")
				must0(t, err)
				_, _ = conn.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
				_ = conn.Close()
				time.Sleep(50 * time.Millisecond)
			}
		},
		"a dead bot": func(t *testing.T, _ *testWorld, h *host) {
			lease, err := h.faults.Inject(chaos.Spec{Kind: "delivery.fail", For: 5 * time.Minute})
			must0(t, err)
			time.Sleep(30 * time.Second)
			lease.End()
		},
		"a slow disk": func(t *testing.T, _ *testWorld, h *host) {
			lease, err := h.faults.Inject(chaos.Spec{Kind: "store.slow", For: 5 * time.Minute, Delay: 3 * time.Second})
			must0(t, err)
			time.Sleep(40 * time.Second)
			lease.End()
		},
		"content": func(t *testing.T, w *testWorld, _ *host) {
			for _, raw := range []string{`{`, `"x"`, `{"chat":{"id":"no"}}`, `nonsense`} {
				_, err := w.sim.PushRaw(w.botID, "message", []byte(raw))
				must0(t, err)
			}
			time.Sleep(10 * time.Second)
		},
		"silence": func(*testing.T, *testWorld, *host) { time.Sleep(10 * time.Minute) },
		"a Telegram outage": func(_ *testing.T, w *testWorld, _ *host) {
			w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultHang})
			time.Sleep(time.Minute)
			w.sim.ClearFaults()
		},
		"429 on info": func(_ *testing.T, w *testWorld, _ *host) {
			w.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultTooMany, Method: "getWebhookInfo", RetryAfter: 20, Count: 3})
			time.Sleep(90 * time.Second)
		},
		"a burst": func(t *testing.T, w *testWorld, _ *host) {
			for i := range 2000 {
				w.push(t, 1, int64(100+i%300))
			}
			time.Sleep(20 * time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *testWorld) {
				h, stop := w.proven(t, 5)
				from := time.Now()
				if name == "silence" {
					stop()
					stop = func() {}
				}
				annoy(t, w, h)
				time.Sleep(5 * time.Second)
				if m := w.moves(from); len(m) > 0 {
					t.Errorf("the mode moved: %v", m)
				}
				w.settle(t, h, stop, from)
			})
		})
	}
}

// TestG6NoFights: a foreign webhook or poller is named, and nothing is set or
// deleted.
func TestG6NoFights(t *testing.T) {
	ours := func(t *testing.T, w *testWorld) (n int) {
		b, err := w.sim.Bot(w.botID)
		must0(t, err)
		for _, c := range b.Calls {
			if !c.Foreign {
				n++
			}
		}
		return n
	}
	t.Run("webhook", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *testWorld) {
			h, stop := w.proven(t, 5)
			stop()
			before := ours(t, w)
			w.sim.SetHost("other.example.com", "5.45.72.99")
			if code, text, err := w.sim.ForeignSetWebhook(w.botID, "https://other.example.com/secret-path"); err != nil || code != 200 {
				t.Fatal(code, text, err)
			}
			must0(t, h.await("held", false, 10*time.Second))
			time.Sleep(5 * time.Minute)
			if n := ours(t, w) - before; n != 0 {
				t.Errorf("%d calls against a foreign webhook", n)
			}
			s, err := h.sup.Status(t.Context())
			must0(t, err)
			raw, _ := json.Marshal(s)
			if !strings.Contains(string(raw), "other.example.com") || strings.Contains(string(raw), "secret-path") {
				t.Errorf("the status does not name the other webhook as it should: %s", raw)
			}
			// It goes away by itself: ours is set again.
			_, _, err = w.sim.ForeignDeleteWebhook(w.botID)
			must0(t, err)
			must0(t, h.await("webhook", true, 30*time.Second))
			must0(t, h.stop())
		})
	})
	t.Run("poller", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *testWorld) {
			h, stop := w.proven(t, 1)
			stop()
			lease, err := h.faults.Inject(chaos.Spec{Kind: "tls.expired", For: 10 * time.Minute})
			must0(t, err)
			must0(t, h.await("polling", false, 10*time.Second))
			before := ours(t, w)
			end, err := w.sim.ForeignPoller(w.botID, 25*time.Second)
			must0(t, err)
			time.Sleep(2 * time.Minute)
			if n := ours(t, w) - before; n != 0 {
				t.Errorf("%d sets or deletes against a foreign poller", n)
			}
			s, err := h.sup.Status(t.Context())
			must0(t, err)
			if !hasWarning(s.Bots[0].Warnings, "foreign_poller") {
				t.Errorf("no warning names the other poller: %+v", s.Bots[0].Warnings)
			}
			if says := h.warning(t, "foreign_poller"); !strings.Contains(says, ", last at ") || strings.Contains(says, "last at 00:00:00") {
				t.Errorf("when it was seen last: %s", says)
			}
			end()
			time.Sleep(2 * time.Minute)
			s, err = h.sup.Status(t.Context())
			must0(t, err)
			if hasWarning(s.Bots[0].Warnings, "foreign_poller") {
				t.Error("the other poller is gone, and the warning still there")
			}
			// One that is still there, or went a moment ago, when the webhook is set.
			end, err = w.sim.ForeignPoller(w.botID, 25*time.Second)
			must0(t, err)
			time.Sleep(time.Minute)
			end()
			lease.End()
			must0(t, h.await("webhook", false, 3*time.Minute))
			s, err = h.sup.Status(t.Context())
			must0(t, err)
			if hasWarning(s.Bots[0].Warnings, "foreign_poller") {
				t.Error("the webhook is set, and the warning of another poller still there")
			}
			must0(t, h.stop())
		})
	})
}

// TestG7Explained: after a restart the journal tells each change of mode with its
// cause, evidence and steps.
func TestG7Explained(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 10)
		lease, err := h.faults.Inject(chaos.Spec{Kind: "net.blackhole", For: time.Minute})
		must0(t, err)
		must0(t, h.await("polling", false, 10*time.Second))
		lease.End()
		must0(t, h.await("webhook", false, 2*time.Minute))
		stop()
		must0(t, h.stop())
		h = w.start(nil)
		told, err := h.sup.Events(t.Context(), console.EventsQuery{Limit: 1000})
		events := told.Events
		must0(t, err)
		var there, back *supervisor.Handover
		for _, e := range events {
			var ev supervisor.Event
			must0(t, json.Unmarshal(e.Data, &ev))
			if ev.Kind == supervisor.EventHandover && ev.To == "polling" {
				there = ev.Handover
			} else if ev.Kind == supervisor.EventHandover && there != nil {
				back = ev.Handover
			}
		}
		if there == nil || back == nil {
			t.Fatalf("the journal of %d entries lacks a handover", len(events))
		}
		if there.Cause.Name != supervisor.SignalStall || there.Cause.Evidence == "" || !there.Onset.Before(there.Decided) {
			t.Errorf("failover: %+v", there)
		}
		for _, want := range []string{supervisor.StepDeleteSent, supervisor.StepDeleteAcked, supervisor.StepPageCommitted, supervisor.StepModePersisted} {
			if !hasStep(there, want) {
				t.Errorf("the failover's record lacks the step %s: %+v", want, there.Steps)
			}
		}
		for _, want := range []string{supervisor.StepPollerJoined, supervisor.StepSetSent, supervisor.StepSetAcked} {
			if !hasStep(back, want) {
				t.Errorf("the failback's record lacks the step %s: %+v", want, back.Steps)
			}
		}
		must0(t, h.stop())
	})
}

func hasStep(h *supervisor.Handover, name string) bool {
	for _, s := range h.Steps {
		if s.Name == name {
			return true
		}
	}
	return false
}

// TestG8LeasedFaults: a crash ends an injected fault, and the bot is back on the
// webhook without anybody's help.
func TestG8LeasedFaults(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		h, stop := w.proven(t, 10)
		from := time.Now()
		_, err := h.faults.Inject(chaos.Spec{Kind: "net.blackhole", For: 15 * time.Minute})
		must0(t, err)
		time.Sleep(time.Second)
		h.crash()
		h.bury()
		time.Sleep(time.Second)
		h = w.start(nil)
		must0(t, h.await("webhook", false, 2*time.Minute))
		w.settle(t, h, stop, from)
	})
}

// TestG9Secrets: token, secret and message text are in no log line, event,
// journal entry or status, at the most talkative level and with every kind of
// failure on the way.
func TestG9Secrets(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		var mu sync.Mutex
		var seen bytes.Buffer
		w.log = zerolog.New(writerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return seen.Write(p)
		})).Level(zerolog.TraceLevel)
		h, stop := w.proven(t, 10)
		for _, f := range []telegramsim.FaultKind{telegramsim.FaultReset, telegramsim.FaultHTML, telegramsim.FaultTooMany, telegramsim.FaultError, telegramsim.FaultHang} {
			w.sim.SetFault(telegramsim.Fault{Kind: f, Count: 4, RetryAfter: 1})
		}
		for _, kind := range []chaos.Kind{"net.reset", "delivery.fail", "botapi.dns", "botapi.reset"} {
			lease, err := h.faults.Inject(chaos.Spec{Kind: kind, For: time.Minute})
			must0(t, err)
			time.Sleep(15 * time.Second)
			lease.End()
		}
		must0(t, h.await("webhook", false, 5*time.Minute))
		s, err := h.sup.Status(t.Context())
		must0(t, err)
		told, err := h.sup.Events(t.Context(), console.EventsQuery{Limit: 1000})
		events := told.Events
		must0(t, err)
		raw, _ := json.Marshal([]any{s, events, w.story()})
		w.settle(t, h, stop, time.Now())
		mu.Lock()
		all := seen.String() + string(raw)
		mu.Unlock()
		if len(all) < 5000 || !strings.Contains(all, "getUpdates") && !strings.Contains(all, "getWebhookInfo") {
			t.Fatalf("too little was said to judge: %d bytes", len(all))
		}
		_, key, _ := strings.Cut(testToken, ":")
		for _, forbidden := range []string{testToken, key, strings.ReplaceAll(testToken, ":", "%3A"), secret, "hello", "Hello", "text 0"} {
			if i := strings.Index(all, forbidden); i >= 0 {
				t.Errorf("%q is in: …%s…", forbidden, all[max(0, i-200):min(len(all), i+100)])
			}
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
