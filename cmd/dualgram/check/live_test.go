package check_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"dualgram/cmd/dualgram/check"
	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/host"
	"dualgram/store"
	"dualgram/supervisor/console"
	"dualgram/supervisor/warning"
)

// A store that another process has is named with its holder, and left to it.
func TestStoreInUse(t *testing.T) {
	inWorld(t, func(w *world) {
		s := must(store.Open(store.Options{Path: w.file("dualgram.db"), Holder: "the other dualgram"}))
		defer s.Close()
		r := w.check()
		wants(t, r, check.StoreHolder, check.Fail, "the other dualgram, process", "Stop the other process")
		if h := s.Health(); !h.OK {
			t.Errorf("the store suffered: %+v", h)
		}
	})
}

// Whatever the running dualgram warns of, no check of it passes.
func TestWarningsAreHeeded(t *testing.T) {
	for _, k := range warning.Kinds() {
		t.Run(string(k.Code), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.running()
				severity := k.Severity
				for _, s := range k.Also {
					if severity == warning.Info {
						severity = s
					}
				}
				wa := console.Warning{Code: string(k.Code), Severity: string(severity), Title: k.Title, Text: "Do what helps.", Runbook: k.Runbook()}
				if k.Scope == warning.Process {
					w.live.status.Warnings = append(w.live.status.Warnings, wa)
				}
				w.live.status.Bots[0].Warnings = append(w.live.status.Bots[0].Warnings, wa) // as the status has it
				r := w.check()
				if severity == warning.Info {
					if !r.OK {
						t.Errorf("good to know, and yet: %v", bad(r))
					}
					return
				}
				got := bad(r)
				if r.OK || len(got) != 1 {
					t.Fatalf("want one: %v", got)
				}
				for _, c := range r.Checks {
					if c.Code == check.LiveWarnings && (c.Status == check.Pass || c.Status == check.Skip && !strings.Contains(c.Detail, strings.Fields(got[0])[1])) {
						t.Errorf("%s, and yet the warnings: %s %s", got[0], c.Status, c.Detail)
					}
					if c.Status == check.Pass || c.Status == check.Skip {
						continue
					}
					if want := map[warning.Severity]check.Status{warning.Critical: check.Fail, warning.Warning: check.Warn}[severity]; c.Status != want && c.Code != check.PollerForeign {
						t.Errorf("%s, want %s", got, want)
					}
				}
			})
		})
	}
}

// What a running dualgram tells of itself.
func TestLive(t *testing.T) {
	for _, c := range []struct {
		name        string
		so          func(w *world)
		code        check.Code
		status      check.Status
		detail, fix string
	}{
		{"another version", func(w *world) { w.live.status.Version = "v1.0.0" }, check.LiveVersion, check.Warn, "v1.0.0 runs, and this is v1.2.3", "Restart"},
		{"a foreign webhook", func(w *world) {
			w.live.status.Bots[0].ForeignWebhook = "https://other.example.com/#01234567"
		}, check.WebhookOwner, check.Fail, "Telegram delivers to", "dualgram switch auto --take-over"},
		{"an earlier webhook of its own", func(w *world) {
			w.sim.SetHost("old.example.com", hookIP)
			time.Sleep(2 * time.Second)
			_, _, _ = w.sim.ForeignSetWebhook(w.botID, "https://old.example.com:8443/earlier")
		}, check.WebhookSame, check.Warn, "an earlier URL", "Restart dualgram"},
		{"another configuration", func(w *world) { w.live.vitals.ConfigHash = "0123456789ab" }, check.ConfigOther, check.Warn, "0123456789ab", "Restart"},
		{"no standby", func(w *world) {
			w.live.status.Bots[0].StandbyReady, w.live.status.Bots[0].StandbyError = false, "the Bot API times out"
		}, check.LiveStandby, check.Warn, "the Bot API times out", "Restore the way"},
		{"commits fail", func(w *world) {
			w.live.vitals.Store = console.StoreVitals{Error: "no space left on device", Full: true}
		}, check.StoreCommits, check.Fail, "no space left", "Free some space"},
		{"a commit hangs", func(w *world) { w.live.vitals.Store.InProgressS = 9 }, check.StoreCommits, check.Fail, "for 9.0 s", "iostat"},
		{"slow commits", func(w *world) { w.live.vitals.Store.LastCommitMS = 1500 }, check.StoreSync, check.Warn, "1.5s", "faster"},
		{"not listening", func(w *world) { w.live.status.Bots[0].Webhook.Listening = false }, check.PortListen, check.Fail, "doesn't accept", "opens the address again"},
		{"few files", func(w *world) { w.live.vitals.FileLimit = 64 }, check.LimitFiles, check.Fail, "of the running dualgram is 64", "LimitNOFILE"},
		{"somebody else answers", func(w *world) {
			*w.live.vitals.Bots[0].Probe = console.ProbeVitals{Stage: "proof", Reason: "no_proof", Status: 200, Impostor: true, Address: hookIP + ":8443",
				Detail: "somebody else answers 200: lead this host and path to dualgram's listener", NotAfter: time.Now().Add(80 * 24 * time.Hour)}
		}, check.HTTPProof, check.Fail, "somebody else answers", "Lead this host"},
		{"a proxy without a backend", func(w *world) {
			*w.live.vitals.Bots[0].Probe = console.ProbeVitals{Stage: "http", Reason: "http_status", Status: 502, Address: hookIP + ":8443",
				Detail: "the answer is 502 (Bad Gateway): see where the proxy leads", NotAfter: time.Now().Add(80 * 24 * time.Hour)}
		}, check.HTTPStatus, check.Fail, "502", "where the proxy leads"},
		{"by polling", func(w *world) {
			b := &w.live.status.Bots[0]
			b.Mode, b.Phase, b.Reason, b.Evidence = "polling", "polling", "stall", "7 pending"
			_, _, _ = w.sim.ForeignDeleteWebhook(w.botID)
		}, check.WebhookRegistered, check.Warn, "by polling: stall: 7 pending", "dualgram status"},
		{"many pending", func(w *world) { w.push(60) }, check.WebhookPending, check.Warn, "60", "what keeps them"},
		{"too many pending", func(w *world) { w.push(110) }, check.WebhookPending, check.Fail, "110", "what keeps them"},
		{"not ready", func(w *world) { w.more = "" }, check.ObserveListen, check.Pass, "ready", ""},
		{"a drill is overdue", func(w *world) {
			w.more = "chaos: {enabled: true}\ndrills: {schedules: [{experiment: black-hole, cron: \"0 10 * * 1\"}]}"
			w.live.vitals.ConfigHash = config.Hash(w.config())
			w.live.drills.Bots[0].Plans = []host.DrillPlan{{Experiment: "black-hole", OverdueSince: time.Now().AddDate(0, 0, -30)}}
		}, check.DrillsFresh, check.Warn, "black-hole since 1999-12-02", "dualgram drill run"},
		{"a drill was run", func(w *world) {
			w.more = "chaos: {enabled: true}\ndrills: {schedules: [{experiment: black-hole, cron: \"0 10 * * 1\"}]}"
			w.live.vitals.ConfigHash = config.Hash(w.config())
			w.live.drills.Bots[0].Plans = []host.DrillPlan{{Experiment: "black-hole"}}
		}, check.DrillsFresh, check.Pass, "none is overdue", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.running()
				c.so(w)
				r := w.check()
				wants(t, r, c.code, c.status, c.detail, c.fix)
				if r.OK != (c.status == check.Pass) {
					t.Errorf("%v", bad(r))
				}
			})
		})
	}
}

// One that runs is left alone by --pre, and one that may run, too.
func TestPreLeavesAlone(t *testing.T) {
	for _, err := range []error{nil, errors.New("permission denied")} {
		t.Run(fmt.Sprint(err), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.running()
				w.o.Pre, w.o.Poll = true, true
				w.live.err = err
				var mu sync.Mutex
				taken := 0
				listen := w.o.Listen
				w.o.Listen = func(ctx context.Context, network, addr string) (netListener, error) {
					mu.Lock()
					defer mu.Unlock()
					taken++
					return listen(ctx, network, addr)
				}
				_, _, _ = w.sim.ForeignDeleteWebhook(w.botID) // so that a poll would be possible
				r := w.check()
				if c := of(t, r, check.LiveAnswers); c.Status != check.Fail {
					t.Errorf("%+v", c)
				}
				if err != nil {
					wants(t, r, check.StoreReadable, check.Skip, "may have it", "")
				}
				if taken != 0 {
					t.Errorf("%d addresses were taken", taken)
				}
			})
		})
	}
}
