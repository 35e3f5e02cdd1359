package supervisor

import (
	"strings"
	"testing"
	"time"

	"dualgram/store"
	"dualgram/transport/botapi"
	"dualgram/transport/webhook"
)

// clock makes moments of seconds.
func clock(s float64) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(s * float64(time.Second)))
}

// TestHole tells the story of a missing id in steps of one answer of
// getWebhookInfo each, or of a look without one.
func TestHole(t *testing.T) {
	type step struct {
		at      float64
		pending int     // of a sample then; -1: no sample
		missing []int64 // single ids
		busy    int64   // an id in progress
		want    Level
	}
	for _, c := range []struct {
		name  string
		setup func(h *hole)
		steps []step
	}{
		{"the same id for 4 s", nil, []step{{10, 1, []int64{5}, 0, Clear}, {11, 1, []int64{5}, 0, Suspect}, {13.9, 1, []int64{5}, 0, Suspect}, {14, 1, []int64{5}, 0, Tripped}}},
		{"each is filled in time", nil, []step{{10, 1, []int64{5, 9}, 0, Clear}, {13, 1, []int64{5, 9}, 0, Suspect}, {13.5, 1, []int64{9}, 0, Clear}, {14.5, 1, []int64{9}, 0, Suspect}, {14.9, 1, nil, 0, Clear}, {16, 1, nil, 0, Clear}}},
		{"one after another is late", nil, []step{{10, 1, []int64{5, 9}, 0, Clear}, {12, 1, []int64{5, 9}, 0, Suspect}, {12.5, 1, []int64{9, 12}, 0, Clear}, {14, 1, []int64{9, 12}, 0, Suspect}, {14.5, 1, []int64{12}, 0, Clear}, {15.4, 1, []int64{12}, 0, Clear}, {15.5, 1, []int64{12}, 0, Tripped}}},
		{"one after another in its turn", nil, []step{{10, 1, []int64{5, 9}, 0, Clear}, {10.9, 1, []int64{9, 12}, 0, Clear}, {11.8, 1, []int64{12, 14}, 0, Clear}, {12.7, 1, []int64{14, 16}, 0, Clear}, {13.6, 1, []int64{16, 18}, 0, Clear}, {14.5, 1, []int64{18, 20}, 0, Clear}, {15.4, 1, []int64{20}, 0, Clear}, {16.3, 1, []int64{22}, 0, Clear}}},
		{"in progress", nil, []step{{10, 1, []int64{5}, 5, Clear}, {15, 1, []int64{5}, 5, Clear}, {20, 1, []int64{5}, 5, Clear}}},
		{"one in progress doesn't hide the next", nil, []step{{10, 1, []int64{5, 6}, 5, Clear}, {12, 1, []int64{5, 6}, 5, Suspect}, {14, 1, []int64{5, 6}, 5, Tripped}}},
		{"nothing was ever pending", nil, []step{{10, 0, nil, 0, Clear}, {11, -1, []int64{5}, 0, Clear}, {16, -1, []int64{5}, 0, Clear}}},
		{"pending only at last", nil, []step{{10, 0, nil, 0, Clear}, {10.5, -1, []int64{5}, 0, Clear}, {14.4, 1, []int64{5}, 0, Suspect}, {14.6, 1, []int64{5}, 0, Suspect}, {18.5, 1, []int64{5}, 0, Tripped}}},
		{"the last sample is too old", nil, []step{{10, 1, []int64{5}, 0, Clear}, {11, 1, []int64{5}, 0, Suspect}, {20, -1, []int64{5}, 0, Suspect}, {20.1, 1, []int64{5}, 0, Tripped}}},
		{"refused by the disk", func(h *hole) { h.refused(5, clock(9)) }, []step{{10, 1, []int64{5}, 0, Clear}, {20, 1, []int64{5}, 0, Clear}}},
		{"refused by the disk long ago", func(h *hole) { h.refused(5, clock(-200)) }, []step{{10, 1, []int64{5}, 0, Clear}, {14, 1, []int64{5}, 0, Tripped}}},
		{"taken without an id", func(h *hole) { h.taken(clock(9)) }, []step{{10, 1, []int64{5}, 0, Clear}, {20, 1, []int64{5}, 0, Clear}}},
		{"what was taken without an id explains one only", func(h *hole) { h.taken(clock(9)) }, []step{{10, 0, []int64{5}, 0, Clear}, {20, 1, []int64{8}, 0, Clear}, {24, 1, []int64{8}, 0, Tripped}}},
		{"more missing than taken without an id", func(h *hole) { h.taken(clock(9)) }, []step{{10, 1, []int64{5, 8}, 0, Clear}, {14, 1, []int64{5, 8}, 0, Tripped}}},
		{"one that is gone is no outage", nil, []step{{10, -1, []int64{5}, 0, Clear}, {11, 0, []int64{5}, 0, Suspect}, {12, 0, []int64{5}, 0, Suspect}, {80, 0, []int64{5}, 0, Clear}}},
		{"two that are gone are somebody's", nil, []step{{10, -1, []int64{5}, 0, Clear}, {11, 0, []int64{5}, 0, Suspect}, {30, 0, []int64{5, 9}, 0, Tripped}}},
		{"the same one is counted once", nil, []step{{11, 0, []int64{5}, 0, Suspect}, {12, 0, []int64{5}, 0, Suspect}, {13, 0, []int64{5}, 0, Suspect}}},
		{"what may have expired", nil, []step{{50, 0, []int64{5, 9}, 0, Clear}}},
		{"one that is gone is not waited for", nil, []step{{10, -1, []int64{5}, 0, Clear}, {11, 0, []int64{5}, 0, Suspect}, {80, 1, []int64{5}, 0, Clear}, {90, 1, []int64{5}, 0, Clear}}},
		{"the threshold is doubled", func(h *hole) { h.notBrought(clock(0)) }, []step{{10, 1, []int64{5}, 0, Clear}, {12, 1, []int64{5}, 0, Suspect}, {15, 1, []int64{5}, 0, Suspect}, {18, 1, []int64{5}, 0, Tripped}}},
		{"the doubling ends", func(h *hole) { h.notBrought(clock(-3600)) }, []step{{10, 1, []int64{5}, 0, Clear}, {14, 1, []int64{5}, 0, Tripped}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := hole{t: Thresholds{}.WithDefaults()}
			if c.setup != nil {
				c.setup(&h)
			}
			for i, s := range c.steps {
				var holes []store.Hole
				for _, id := range s.missing {
					holes = append(holes, store.Hole{From: id, To: id, Since: clock(9 + float64(id)/10)})
				}
				busy := func(id int64) bool { return id == s.busy }
				if s.pending >= 0 {
					h.sampled(sample{Sent: clock(s.at), Got: clock(s.at), Pending: s.pending}, holes, busy)
				}
				if r := h.read(clock(s.at), holes, busy); r.Level != s.want {
					t.Fatalf("step %d at %v: %v, want %v (%s)", i, s.at, r.Level, s.want, r.Evidence)
				}
			}
		})
	}
}

// TestHoleSeries: what was accounted for in one series says nothing about another,
// whose ids may be lower.
func TestHoleSeries(t *testing.T) {
	h := hole{t: Thresholds{}.WithDefaults()}
	none := func(int64) bool { return false }
	old := []store.Hole{{From: 700, To: 700, Series: 1, Since: clock(9)}}
	h.sampled(sample{Sent: clock(10), Got: clock(10)}, old, none)
	fresh := []store.Hole{{From: 5, To: 5, Series: 2, Since: clock(99)}}
	var r Reading
	for at := 100.0; at <= 106; at++ {
		h.sampled(sample{Sent: clock(at), Got: clock(at), Pending: 1}, fresh, none)
		r = h.read(clock(at), fresh, none)
	}
	if r.Level != Tripped {
		t.Errorf("%v: %s", r.Level, r.Evidence)
	}
}

// TestHoleFactor: the doubling has a bound.
func TestHoleFactor(t *testing.T) {
	h := hole{t: Thresholds{}.WithDefaults()}
	for range 9 {
		h.notBrought(clock(0))
	}
	if w := h.window(clock(1)); w != 32*time.Second {
		t.Errorf("window %v", w)
	}
	h.registered()
	if w := h.window(clock(1)); w != 32*time.Second {
		t.Errorf("a registration forgot the factor: %v", w)
	}
}

func TestRedelivery(t *testing.T) {
	type post struct {
		at float64
		id int64
		ok bool
	}
	for _, c := range []struct {
		name  string
		posts []post
		at    float64
		want  Level
	}{
		{"none", []post{{1, 1, true}, {2, 2, true}}, 3, Clear},
		{"at once: the answer was on its way", []post{{1, 1, true}, {1.5, 1, true}, {1.9, 1, true}}, 2, Clear},
		{"once", []post{{1, 1, true}, {3, 1, true}}, 3, Suspect},
		{"an answer lost for good", []post{{1, 1, true}, {1.1, 1, true}, {3, 1, true}, {7, 1, true}}, 7, Tripped},
		{"two ids", []post{{1, 1, true}, {1.1, 2, true}, {3, 1, true}, {5, 2, true}, {7, 1, true}}, 7, Tripped},
		{"one that was acknowledged since", []post{{1, 1, true}, {3, 1, true}, {3.1, 2, true}, {5, 2, true}}, 5, Tripped},
		{"what was on its way when Telegram's server restarted", []post{{1, 1, true}, {1.1, 2, true}, {1.2, 3, true}, {3, 1, true}, {3.1, 2, true}, {6, 3, true}}, 6, Suspect},
		{"too far apart", []post{{1, 1, true}, {3, 1, true}, {14, 1, true}}, 14, Suspect},
		{"never acknowledged", []post{{1, 1, false}, {3, 1, false}, {7, 1, false}, {15, 1, false}}, 15, Clear},
		{"it passes", []post{{1, 1, true}, {3, 1, true}, {7, 1, true}}, 30, Clear},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := redelivery{t: Thresholds{}.WithDefaults()}
			for _, p := range c.posts {
				r.arrived(p.id, p.ok, clock(p.at))
			}
			if got := r.read(clock(c.at)); got.Level != c.want {
				t.Errorf("%v, want %v (%s)", got.Level, c.want, got.Evidence)
			}
		})
	}
}

// TestRedeliverySpacedOut: Telegram's back-off makes them rare, and the answers are
// still lost; it is over when none comes any more.
func TestRedeliverySpacedOut(t *testing.T) {
	r := redelivery{t: Thresholds{}.WithDefaults()}
	for _, at := range []float64{1, 3, 7, 15} {
		r.arrived(1, true, clock(at))
		r.read(clock(at))
	}
	for _, at := range []float64{18, 24.9} {
		if got := r.read(clock(at)); got.Level != Tripped {
			t.Errorf("at %v: %v", at, got.Level)
		}
	}
	if got := r.read(clock(25.1)); got.Level != Clear {
		t.Errorf("when none has come for long: %v", got.Level)
	}
	r.arrived(1, true, clock(40))
	if got := r.read(clock(41)); got.Level != Suspect {
		t.Errorf("a single one later: %v", got.Level)
	}
}

// TestRedeliveryCut: an answer that the client did not wait for is lost as well if
// we were quick; if we were slow, it is no fault of the way back.
func TestRedeliveryCut(t *testing.T) {
	for took, want := range map[time.Duration]Level{50 * time.Millisecond: Tripped, 3 * time.Second: Clear} {
		a := arrivals{redelivery: redelivery{t: Thresholds{}.WithDefaults()}}
		for _, at := range []float64{1, 3, 7} {
			a.outcome(webhook.Outcome{Cause: webhook.CauseClientGone, Status: 200, HasID: true, UpdateID: 5, Duration: took}, clock(at))
		}
		if r := a.redelivery.read(clock(7)); r.Level != want {
			t.Errorf("answers that took %v: %v, want %v", took, r.Level, want)
		}
	}
}

// TestRedeliveryMemory: the memory is bounded, and holds the newest.
func TestRedeliveryMemory(t *testing.T) {
	r := redelivery{t: Thresholds{}.WithDefaults()}
	for id := range int64(3 * redeliveryMemory) {
		r.arrived(id, true, clock(0))
	}
	if len(r.acked) != redeliveryMemory || len(r.order) != redeliveryMemory {
		t.Errorf("%d and %d remembered", len(r.acked), len(r.order))
	}
	r.arrived(3*redeliveryMemory-1, true, clock(2))
	if len(r.again) != 1 {
		t.Error("the newest is forgotten")
	}
}

func TestTelegramErrors(t *testing.T) {
	const refused, tls, bad502, our503, timeout, reset, bad504 = "Connection refused", "SSL error {error:0A000086:SSL routines::certificate verify failed}",
		"Wrong response from the webhook: 502 Bad Gateway", "Wrong response from the webhook: 503 Service Unavailable", "Read timeout expired", "Connection reset by peer",
		"Wrong response from the webhook: 504 Gateway Time-out"
	type step struct {
		at      float64 // a sample's moment
		date    float64 // last_error_date; 0: none
		message string
		pending int
		acked   float64 // last acknowledged delivery
		trial   bool
		want    Level
	}
	away := func(o *own) { o.listening = clock(90) }
	for _, c := range []struct {
		name  string
		adopt bool // the webhook was not set by us: the first answer is the baseline
		own   func(o *own)
		steps []step
	}{
		{"nothing", false, nil, []step{{100, 0, "", 0, 0, false, Clear}, {102, 0, "", 5, 0, false, Clear}}},
		{"refused, and nothing came since", false, nil, []step{{100, 99, refused, 1, 50, false, Suspect}, {100.5, 99, refused, 1, 50, false, Suspect}, {101, 99, refused, 1, 50, false, Tripped}}},
		{"refused, and a delivery came since", false, nil, []step{{100, 99, refused, 1, 50, false, Suspect}, {101, 99, refused, 1, 100.5, false, Suspect}, {111, 99, refused, 1, 100.5, false, Clear}}},
		{"refused, and nothing is pending any more", false, nil, []step{{100, 99, refused, 0, 50, false, Suspect}, {102, 99, refused, 0, 50, false, Suspect}, {111, 99, refused, 0, 50, false, Clear}}},
		{"in the trial nothing has to wait", false, nil, []step{{100, 99, tls, 0, 0, true, Suspect}, {101, 99, tls, 0, 0, true, Tripped}}},
		{"what was there at the start", true, nil, []step{{100, 99, tls, 3, 0, false, Clear}, {102, 99, tls, 3, 0, false, Clear}}},
		{"the same again, with a new date", true, nil, []step{{100, 99, tls, 3, 0, false, Clear}, {102, 101, tls, 3, 0, false, Suspect}, {103, 101, tls, 3, 0, false, Tripped}}},
		{"one 502", false, nil, []step{{100, 99, bad502, 1, 0, false, Suspect}, {102, 99, bad502, 1, 0, false, Suspect}, {111, 99, bad502, 1, 0, false, Clear}}},
		{"two 502", false, nil, []step{{100, 99, bad502, 1, 0, false, Suspect}, {102, 101, bad502, 1, 0, false, Tripped}}},
		{"two 502 of one hiccup", false, nil, []step{{100, 99, bad502, 1, 0, false, Suspect}, {100.5, 100, bad502, 1, 0, false, Suspect}}},
		{"two 502 too far apart", false, nil, []step{{100, 99, bad502, 1, 0, false, Suspect}, {112, 111, bad502, 1, 0, false, Suspect}}},
		{"half of the connections are refused", false, nil, []step{{100, 99, refused, 4, 100, false, Suspect}, {100.5, 100, refused, 4, 100.4, false, Suspect}, {102, 101, refused, 4, 101.9, false, Tripped}}},
		{"a 503 that we gave", false, func(o *own) { o.answered = answers{503: clock(99)}.at }, []step{{100, 99, our503, 1, 0, false, Clear}, {102, 101, our503, 1, 0, false, Clear}}},
		{"a 504 for our slow disk", false, func(o *own) { o.storeBad = clock(98) }, []step{{100, 99, bad504, 1, 0, false, Clear}, {102, 101, bad504, 1, 0, false, Clear}}},
		{"a 504", false, nil, []step{{100, 99, bad504, 1, 0, false, Suspect}, {102, 101, bad504, 1, 0, false, Tripped}}},
		{"what was there before a set that changed nothing", false, func(o *own) { o.registered = clock(95) }, []step{{100, 80, tls, 1, 0, true, Clear}, {102, 80, tls, 1, 0, true, Clear}}},
		{"a 502 while we gave a 503", false, func(o *own) { o.answered = answers{503: clock(99)}.at }, []step{{100, 99, bad502, 1, 0, false, Suspect}, {102, 101, bad502, 1, 0, false, Tripped}}},
		{"a 503 that we gave long before", false, func(o *own) { o.answered = answers{503: clock(80)}.at }, []step{{100, 99, our503, 1, 0, false, Suspect}, {102, 101, our503, 1, 0, false, Tripped}}},
		{"a time-out", false, nil, []step{{100, 99, timeout, 1, 30, false, Suspect}, {101, 99, timeout, 1, 30, false, Tripped}}},
		{"a time-out of what began before we listened", false, away, []step{{100, 99, timeout, 1, 0, false, Clear}, {102, 99, timeout, 1, 0, false, Clear}}},
		{"a time-out while the ledger hung", false, func(o *own) { o.storeBad = clock(60) }, []step{{100, 99, timeout, 1, 0, false, Clear}, {102, 99, timeout, 1, 0, false, Clear}}},
		{"refused while we were down", false, away, []step{{100, 88, refused, 1, 0, false, Clear}, {100, 91, refused, 1, 0, false, Clear}}},
		{"resets", false, nil, []step{{100, 99, reset, 1, 0, false, Suspect}, {104, 103, reset, 1, 0, false, Tripped}}},
		{"Telegram's own disk", false, nil, []step{{100, 99, "Internal Server Error: can't create temporary file", 1, 0, false, Clear}, {104, 103, "Internal Server Error: can't upload the file", 1, 0, false, Clear}}},
		{"a hard one stays while nothing speaks against it", false, nil, []step{{100, 99, refused, 1, 0, false, Suspect}, {101, 99, refused, 1, 0, false, Tripped}, {140, 99, refused, 1, 0, false, Tripped}, {141, 99, refused, 1, 140.5, false, Clear}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := telegramErrors{t: Thresholds{}.WithDefaults()}
			w.registered(!c.adopt)
			o := own{answered: answers{}.at, listening: clock(-1000)}
			if c.own != nil {
				c.own(&o)
			}
			for i, s := range c.steps {
				info := botapi.WebhookInfo{PendingUpdateCount: s.pending, LastErrorMessage: s.message}
				if s.date != 0 {
					info.LastErrorDate = clock(s.date)
				}
				w.sample(info, clock(s.at), clock(s.at), o)
				if r := w.read(clock(s.at), clock(s.acked), s.trial); r.Level != s.want {
					t.Fatalf("step %d at %v: %v, want %v (%s)", i, s.at, r.Level, s.want, r.Evidence)
				}
			}
		})
	}
}

type answers map[int]time.Time

func (a answers) at(status int) time.Time { return a[status] }

// TestTelegramErrorWords: what a stranger sent is not repeated.
func TestTelegramErrorWords(t *testing.T) {
	for text, want := range map[string]string{
		"Wrong response from the webhook: GET /bot700000001:AAHfakefakefakefakefakefakefakefake0/x HTTP/1.1": `"protocol"`,
		"Wrong response from the webhook: 502 AAHsecret":                                                     `"status 502"`,
		"Connection refused": `"Connection refused"`,
	} {
		n := report{reported: reported{message: text}, WebhookError: botapi.ClassifyWebhookError(text)}
		if got := n.words(); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s", text, got)
		}
	}
}

// TestTelegramsOwn: the status shows nothing of a delivery that somebody echoes.
func TestTelegramsOwn(t *testing.T) {
	echo := "Wrong response from the webhook: POST /hook-path HTTP/1.1\nX-Telegram-Bot-Api-Secret-Token: the-secret\n\n{\"update_id\":1,\n\"message\":{\"text\":\"hello\"}}"
	for message, want := range map[string]string{"": "", echo: "protocol", "Connection refused": "Connection refused",
		"Wrong response from the webhook: 502 the-secret": "status 502"} {
		if got := botapi.ShowWebhookError(message); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestDrift(t *testing.T) {
	want := botapi.SetWebhook{MaxConnections: 40, IPAddress: "5.45.72.10", AllowedUpdates: []string{"message", "poll"}}
	good := botapi.WebhookInfo{MaxConnections: 40, IPAddress: "5.45.72.10", AllowedUpdates: []string{"poll", "message"}}
	for _, c := range []struct {
		name   string
		change func(w *botapi.SetWebhook, i *botapi.WebhookInfo)
		says   string // "" if there is no drift
	}{
		{"nothing", func(*botapi.SetWebhook, *botapi.WebhookInfo) {}, ""},
		{"fewer updates", func(_ *botapi.SetWebhook, i *botapi.WebhookInfo) { i.AllowedUpdates = []string{"message"} }, "allowed_updates"},
		{"the default instead", func(_ *botapi.SetWebhook, i *botapi.WebhookInfo) { i.AllowedUpdates = nil }, "allowed_updates"},
		{"the default wanted and there", func(w *botapi.SetWebhook, i *botapi.WebhookInfo) {
			w.AllowedUpdates, i.AllowedUpdates = []string{}, nil
		}, ""},
		{"the default wanted by name", func(w *botapi.SetWebhook, i *botapi.WebhookInfo) {
			w.AllowedUpdates, i.AllowedUpdates = append([]string{"some_newer_update"}, defaultUpdates...), nil
		}, ""},
		{"more than the default wanted", func(w *botapi.SetWebhook, i *botapi.WebhookInfo) {
			w.AllowedUpdates, i.AllowedUpdates = append([]string{"chat_member"}, defaultUpdates...), nil
		}, "allowed_updates"},
		{"the default wanted, a list there", func(w *botapi.SetWebhook, _ *botapi.WebhookInfo) { w.AllowedUpdates = []string{} }, "allowed_updates"},
		{"other connections", func(_ *botapi.SetWebhook, i *botapi.WebhookInfo) { i.MaxConnections = 1 }, "max_connections is 1 instead of 40"},
		{"another pinned address", func(_ *botapi.SetWebhook, i *botapi.WebhookInfo) { i.IPAddress = "5.45.72.11" }, "ip_address is 5.45.72.11"},
		{"the address is not looked up yet", func(_ *botapi.SetWebhook, i *botapi.WebhookInfo) { i.IPAddress = "<unknown>" }, ""},
		{"no address pinned", func(w *botapi.SetWebhook, i *botapi.WebhookInfo) { w.IPAddress, i.IPAddress = "", "5.45.72.99" }, ""},
		{"a certificate nobody uploaded", func(_ *botapi.SetWebhook, i *botapi.WebhookInfo) { i.HasCustomCertificate = true }, "certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, i := want, good
			c.change(&w, &i)
			r := driftOf(w, i).read(clock(0))
			if (r.Level == Tripped) != (c.says != "") || !strings.Contains(r.Evidence, c.says) || r.Moves {
				t.Errorf("%+v", r)
			}
		})
	}
}
