package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// slowDrill is a drill that moves nothing, so that one can follow another: the
// listener is slow, which a client sees and Telegram puts up with.
const slowDrill = `version: 1
name: slow
title: The network is slow
steady-state-hypothesis:
  hold: 1s
  probes: [{name: on-webhook, expr: 'mode == "webhook" and not trial'}]
method: [{name: slow down, fault: net.slow, delay: 400ms, for: 60s}]
stop_when: [oldest_waiting_age > 1s]
expect: {mode: webhook}
recover_within: 1m
`

// slowed tells whether the fault of [slowDrill] acts, by how long a client of the
// listener waits for its handshake.
func (w *world) slowed() bool {
	began := time.Now()
	_ = w.served()
	return time.Since(began) >= 400*time.Millisecond
}

// TestDrillEnds: whatever ends a drill in its middle, its fault is gone, and how
// soon is measured from outside, by a client of the listener.
func TestDrillEnds(t *testing.T) {
	w := newWorld(t)
	w.conf.More = "chaos: {enabled: true, leashed: false}\ndrills: {quiet_after_start: 0s, quiet_after_error: 0s, halt_file: " + w.file("no-drills") + "}"
	p := w.run()
	w.steady(p)
	w.write("slow.yaml", slowDrill)
	config := w.file("dualgram.yaml")
	must0 := func(args ...string) {
		t.Helper()
		if code, out, errs := w.cli(append(args, "--config", config)...); code != 0 {
			t.Errorf("%q: %d %s %s", args, code, out, errs)
		}
	}
	var table strings.Builder
	for _, c := range []struct {
		name    string
		end     func(cli *process)
		most    time.Duration
		outcome string
		after   func()
	}{
		{"Ctrl-C", func(c *process) { c.signal(syscall.SIGINT) }, 500 * time.Millisecond, "interrupted", nil},
		{"the terminal is closed", func(c *process) { c.signal(syscall.SIGHUP) }, 500 * time.Millisecond, "interrupted", nil},
		{"kill -9 of the command", func(c *process) { c.kill() }, 500 * time.Millisecond, "interrupted", nil},
		{"dualgram drill halt", func(*process) { must0("drill", "halt", "--reason", "a sale") }, time.Second, "aborted",
			func() { must0("drill", "resume", "--reason", "it is over") }},
		{"SIGUSR2", func(*process) { p.signal(syscall.SIGUSR2) }, 500 * time.Millisecond, "aborted",
			func() { must0("drill", "resume", "--reason", "it is over") }},
		{"a halt file", func(*process) { w.write("no-drills", "") }, 2500 * time.Millisecond, "aborted", func() { os.Remove(w.file("no-drills")) }},
		{"dualgram chaos clear", func(*process) { must0("chaos", "clear") }, time.Second, "aborted", nil},
		// It is true a second after the bot hangs, and looked at once a second.
		{"a stop condition", func(*process) { w.bot.become(botHangs) }, 3500 * time.Millisecond, "aborted", func() { w.bot.become(botTakes) }},
		{"SIGTERM of the host", func(*process) { p.term() }, 500 * time.Millisecond, "interrupted", func() { p.wait(20 * time.Second); p = w.run() }},
		{"kill -9 of the host", func(*process) { p.kill() }, 500 * time.Millisecond, "interrupted", func() { p = w.run() }},
	} {
		p.until(60*time.Second, "a proven webhook", func(b botStatus) bool { return b.Phase == "webhook" && !b.Trial && b.Waiting < 50 })
		cmd := exec.Command(binary, "drill", "run", w.file("slow.yaml"), "--config", config, "--reason", "the quarterly rehearsal")
		cmd.Env = environment()
		cli := w.start(cmd, "drill")
		eventually(t, 20*time.Second, c.name+": the fault acts", func() error {
			if !w.slowed() {
				return fmt.Errorf("it doesn't: %s%s", cli.stdout, cli.stderr)
			}
			return nil
		})
		p.logged(5*time.Second, `"drill_id":`, `"fault":"net.slow"`)
		began := time.Now()
		c.end(cli)
		eventually(t, c.most, c.name+": the fault is gone", func() error {
			if w.slowed() {
				return errors.New("it acts")
			}
			return nil
		})
		fmt.Fprintf(&table, "\n  %-24s %8v (at most %v)", c.name, time.Since(began).Round(time.Millisecond), c.most)
		if c.after != nil {
			c.after()
		}
		cli.wait(60 * time.Second)
		eventually(t, 30*time.Second, "the record of "+c.name, func() error {
			h, err := w.drillRuns()
			if err != nil {
				return err
			}
			if last := h.Runs[len(h.Runs)-1]; last.Outcome != c.outcome || c.name != "kill -9 of the host" && last.Fired == 0 {
				return fmt.Errorf("the last is %+v", last)
			}
			return nil
		})
		if w.slowed() {
			t.Errorf("%s: the fault acts again", c.name)
		}
	}
	t.Logf("a drill's fault is gone after%s", table.String())
	w.recovered(p)
}
