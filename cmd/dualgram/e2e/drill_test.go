package e2e_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// drillHistory is what `dualgram drill history` prints.
type drillHistory struct {
	Verify string
	Head   string
	Runs   []struct {
		ID, Outcome, By string
		Fired           uint64
	}
}

func (w *world) drillHistory() drillHistory {
	w.t.Helper()
	h, err := w.drillRuns()
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// drillRuns is drillHistory while the host may be starting.
func (w *world) drillRuns() (h drillHistory, err error) {
	w.t.Helper()
	code, out, errs := w.cli("drill", "history", "--verify", "--config", w.file("dualgram.yaml"), "--output", "json")
	if err := json.Unmarshal([]byte(out), &h); err != nil || code != 0 || h.Verify != "ok" {
		return h, fmt.Errorf("drill history: %d %v %s %s", code, err, out, errs)
	}
	return h, nil
}

// drill starts `dualgram drill run`, and waits until its fault acts.
func (w *world) drill(p *process) *process {
	w.t.Helper()
	// Proven: a drill doesn't begin in a trial.
	p.until(60*time.Second, "a proven webhook", func(b botStatus) bool { return b.Phase == "webhook" && !b.Trial })
	cmd := exec.Command(binary, "drill", "run", w.file("rehearsal.yaml"), "--config", w.file("dualgram.yaml"), "--reason", "the quarterly rehearsal")
	cmd.Env = environment()
	c := w.start(cmd, "drill")
	eventually(w.t, 20*time.Second, "the fault acts", func() error {
		if w.served() == nil {
			return fmt.Errorf("the certificate is good: %s%s", c.stdout, c.stderr)
		}
		return nil
	})
	return c
}

// A drill against the live host: one that holds, and its evidence; and however one
// is ended, its fault is gone at once, measured from outside, and the history says
// what became of it, across the death of the host.
func TestDrill(t *testing.T) {
	w := newWorld(t)
	w.conf.More = "chaos: {enabled: true, leashed: false}\ndrills: {quiet_after_start: 0s, quiet_after_error: 0s, halt_file: " + w.file("no-drills") + "}"
	p := w.run()
	w.steady(p)
	code, out, errs := w.cli("drill", "new", "certificate-expired")
	if code != 0 {
		t.Fatal(errs)
	}
	w.write("rehearsal.yaml", strings.NewReplacer("hold: 10s", "hold: 2s", "for: 45s", "for: 14s").Replace(out))
	if code, _, errs := w.cli("drill", "validate", w.file("rehearsal.yaml")); code != 0 {
		t.Fatal(errs)
	}
	if code, _, errs := w.cli("drill", "run", "certificate-expired", "--config", w.file("dualgram.yaml"), "--reason", "in its trial"); code != 3 {
		t.Errorf("in its trial: %d %s", code, errs)
	}

	// To its end.
	cli := w.drill(p)
	p.phase("polling", 10*time.Second)
	if code := cli.wait(90 * time.Second); code != 0 || !cli.stdout.contains("held") {
		t.Errorf("to its end: %d %s %s", code, cli.stdout, cli.stderr)
	}
	h := w.drillHistory()
	run := h.Runs[len(h.Runs)-1]
	if run.Outcome != "held" || run.Fired == 0 {
		t.Errorf("to its end: %+v", run)
	}
	for format, want := range map[string]string{"markdown": run.ID, "html": "<svg", "junit": "<testsuite", "json": `"outcome": "held"`} {
		code, out, errs := w.cli("drill", "report", run.ID, "--format", format, "--config", w.file("dualgram.yaml"))
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("report as %s: %d %s %.300s", format, code, errs, out)
		}
	}

	// Ended early by a signal; TestDrillEnds has the other ways.
	cli = w.drill(p)
	p.signal(syscall.SIGUSR2)
	t.Logf("SIGUSR2: gone after %v", w.healed(2500*time.Millisecond).Round(time.Millisecond))
	eventually(t, 60*time.Second, "the record", func() error {
		h := w.drillHistory()
		if last := h.Runs[len(h.Runs)-1]; last.Outcome != "aborted" {
			return fmt.Errorf("the last is %+v", last)
		}
		return nil
	})
	cli.wait(60 * time.Second)
	if code, _, errs := w.cli("drill", "resume", "--reason", "go on", "--config", w.file("dualgram.yaml")); code != 0 {
		t.Error(errs)
	}
	if _, out, _ := w.cli("events", "--kind", "operator", "--config", w.file("dualgram.yaml")); !strings.Contains(out, "drills resume by ") || !strings.Contains(out, ": go on") {
		t.Errorf("the journal does not say who let drills run:\n%s", out)
	}
	if code, out, errs := w.cli("drill", "history", "--head", h.Head, "--config", w.file("dualgram.yaml")); code != 0 {
		t.Errorf("the head of the first report: %d %s %s", code, out, errs)
	}
	w.recovered(p)
}
