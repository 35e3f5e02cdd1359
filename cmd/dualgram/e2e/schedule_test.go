package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// shortDrill is a failover that is over soon: where traffic flows, a black hole
// of eight seconds is enough for one, and what comes after the failback is left to
// the trial.
const shortDrill = `version: 1
name: short
title: A black hole, shortly
steady-state-hypothesis:
  hold: 1s
  probes:
    - {name: on-webhook, expr: mode == "webhook", phase: [before, after]}
    - {name: nothing-lost, expr: lost == 0 and dead == 0}
method: [{name: swallow all bytes, fault: net.blackhole, for: 8s}]
expect: {mode: polling, within: 10s, warnings: [on_standby], forbid_warnings: [blind]}
recover_within: 1m
`

// TestScheduledDrill: a host runs a drill by itself when it is due, with traffic,
// and the evidence says who: the schedule. Nothing is lost by it.
func TestScheduledDrill(t *testing.T) {
	w := newWorld(t)
	if err := os.Mkdir(w.file("drills"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.write("drills/short.yaml", shortDrill)
	w.conf.More = "chaos: {enabled: true, leashed: false}\n" +
		"drills: {experiments: " + w.file("drills") + ", quiet_after_start: 0s, quiet_after_error: 0s, min_interval: 1h, schedules: [{experiment: short, cron: \"* * * * *\", zone: Europe/Berlin}]}"
	p := w.run()
	w.steady(p)
	config := w.file("dualgram.yaml")
	if code, out, errs := w.cli("drill", "schedule", "--config", config); code != 0 || !strings.Contains(out, "* * * * * Europe/Berlin") {
		t.Errorf("schedule: %d %s %s", code, out, errs)
	}
	// What falls into the first trial is refused; the next one runs.
	p.logged(100*time.Second, `"event":"drill"`, `"drill_id":`, `net.blackhole begins, for 8s`)
	p.phase("polling", 10*time.Second)
	p.logged(5*time.Second, `"event":"phase"`, `"to":"polling"`, `"drill":true`, `"drill_id":"`, `"fault":"net.blackhole"`)
	p.logged(time.Second, `"event":"fault"`, `"state":"injected"`, `"by":"schedule"`, `"seconds":8,`)
	if m := p.scrape(); !strings.Contains(m, `dualgram_drill_active{bot="orders",drill="short"} 1`) {
		t.Error("the metrics don't say that a drill is under way")
	}
	var run string
	eventually(t, 60*time.Second, "the evidence", func() error {
		for _, r := range w.drillHistory().Runs {
			switch {
			case r.Outcome == "held" && r.Fired > 0:
				run = r.ID
				return nil
			case r.Outcome != "not_started":
				t.Fatalf("%+v", r)
			}
		}
		return fmt.Errorf("no run yet")
	})
	code, out, errs := w.cli("drill", "report", run, "--format", "json", "--config", config)
	var report struct {
		Run struct {
			Trigger string
			Planned time.Time
			Start   time.Time
			Who     struct{ User string }
			Timings struct{ Switch float64 }
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 {
		t.Fatalf("report: %d %v %s", code, err, errs)
	}
	j := report.Run
	if late := j.Start.Sub(j.Planned); j.Trigger != "schedule" || j.Who.User != "schedule" || j.Planned.Second() != 0 || late < 0 || late > 2*time.Second || j.Timings.Switch <= 0 || j.Timings.Switch > 10 {
		t.Errorf("report: %+v", j)
	}
	t.Logf("began %v after its time, switched in %.1f s", j.Start.Sub(j.Planned).Round(time.Millisecond), j.Timings.Switch)
	code, out, errs = w.cli("drill", "schedule", "--config", config, "--output", "json")
	var plans struct {
		Bots []struct {
			Plans []struct {
				LastSuccess  time.Time `json:"last_success"`
				LastOutcome  string    `json:"last_outcome"`
				OverdueSince time.Time `json:"overdue_since"`
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &plans); err != nil || code != 0 || !plans.Bots[0].Plans[0].LastSuccess.Equal(j.Start) || !plans.Bots[0].Plans[0].OverdueSince.IsZero() {
		t.Errorf("schedule: %d %v %s %s", code, err, out, errs)
	}
	m := p.scrape()
	for _, line := range []string{`dualgram_drill_runs_total{bot="orders",drill="short",outcome="held"} 1`, `dualgram_drill_overdue{bot="orders",schedule="short"} 0`,
		`by="drill",cause=`, `dualgram_drill_last_success_timestamp_seconds{bot="orders",drill="short"} 1.`} {
		if !strings.Contains(m, line) {
			t.Errorf("the metrics don't say %s", line)
		}
	}
	w.recovered(p)
}
