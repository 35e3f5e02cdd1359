package e2e_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// served is what whoever connects to the listener sees of the certificate; nil if
// it is good. It asks dualgram nothing.
func (w *world) served() error {
	d := &tls.Dialer{NetDialer: &net.Dialer{Timeout: time.Second}, Config: &tls.Config{RootCAs: w.roots, ServerName: hookHost, MinVersion: tls.VersionTLS12}}
	c, err := d.Dial("tcp", w.conf.Listen)
	if err == nil {
		c.Close()
	}
	return err
}

// healed is how long it takes from now until the certificate is good again.
func (w *world) healed(most time.Duration) time.Duration {
	w.t.Helper()
	began := time.Now()
	eventually(w.t, most, "the fault is gone", w.served)
	return time.Since(began)
}

func (w *world) broken() {
	w.t.Helper()
	eventually(w.t, 5*time.Second, "the fault acts", func() error {
		if w.served() == nil {
			return errors.New("the certificate is good")
		}
		return nil
	})
}

// fault starts `dualgram chaos inject`, and waits until it acts.
func (w *world) fault(kind string, args ...string) *process {
	w.t.Helper()
	args = append([]string{"chaos", "inject", kind, "--config", w.file("dualgram.yaml"), "--reason", "the quarterly rehearsal"}, args...)
	cmd := exec.Command(binary, args...)
	cmd.Env = environment()
	c := w.start(cmd, "inject")
	w.broken()
	return c
}

// chaosList is what `dualgram chaos list` prints.
type chaosList struct {
	Schema  string
	Leashed bool
	Kinds   []struct{ Kind, Doc string }
	Faults  []fault
	Ended   []fault
}

type fault struct {
	ID           uint64
	Kind, State  string
	Reason       string
	Fired, Would uint64
	LeftS        float64 `json:"left_s"`
	By           struct{ User string }
}

func (w *world) chaosList() (l chaosList) {
	w.t.Helper()
	code, out, errs := w.cli("chaos", "list", "--active", "--config", w.file("dualgram.yaml"), "--output", "json")
	if err := json.Unmarshal([]byte(out), &l); err != nil || errs != "" || l.Schema != "dualgram/chaos/v1" || code == 0 != (len(l.Faults) == 0) {
		w.t.Fatalf("chaos list: %d %v %s %s", code, err, out, errs)
	}
	return l
}

// However a fault's life ends, the fault is gone, and how soon is measured from
// outside: by a client of the listener. All of them together are more failovers
// than freeze a bot, and none of them counts.
func TestFaultEnds(t *testing.T) {
	w := newWorld(t)
	w.conf.More = "chaos: {enabled: true, leashed: false}"
	p := w.run()
	w.steady(p)
	for _, c := range []struct {
		name string
		args []string
		end  func(cli *process)
		most time.Duration
		code int // of the command; -1: by a signal
		says string
	}{
		{"Ctrl-C", []string{"--for", "5m"}, func(c *process) { c.signal(syscall.SIGINT) }, 500 * time.Millisecond, 130, "ended after"},
		{"its terminal is closed", []string{"--for", "5m"}, func(c *process) { c.signal(syscall.SIGHUP) }, 500 * time.Millisecond, 130, "ended after"},
		{"kill -9 of the command", []string{"--for", "5m"}, func(c *process) { c.kill() }, 6500 * time.Millisecond, -1, ""},
		{"the command hangs", []string{"--for", "5m"}, func(c *process) { c.signal(syscall.SIGSTOP) }, 6500 * time.Millisecond, -1, ""},
		{"its time is over", []string{"--for", "4s"}, func(*process) {}, 4500 * time.Millisecond, 0, "ended by itself"},
		{"its time is over, detached", []string{"--for", "4s", "--detach"}, func(*process) {}, 4500 * time.Millisecond, 0, "To end it now"},
		{"cleared by another", []string{"--for", "5m"}, func(*process) {
			if code, out, errs := w.cli("chaos", "clear", "--config", w.file("dualgram.yaml")); code != 0 || !strings.Contains(out, "tls.expired") {
				t.Errorf("clear: %d %s %s", code, out, errs)
			}
		}, 500 * time.Millisecond, 0, "ended by somebody else"},
	} {
		p.phase("webhook", 30*time.Second)
		cli := w.fault("tls.expired", c.args...)
		p.phase("polling", 10*time.Second)
		if c.name == "Ctrl-C" {
			w.whileItActs(p)
		}
		c.end(cli)
		took := w.healed(c.most)
		t.Logf("%s: gone after %v", c.name, took.Round(time.Millisecond))
		if c.name == "the command hangs" {
			cli.kill()
		}
		if code := cli.wait(5 * time.Second); code != c.code || !cli.stdout.contains(c.says) {
			t.Errorf("%s: exit code %d, want %d: %s %s", c.name, code, c.code, cli.stdout, cli.stderr)
		}
		if l := w.chaosList(); len(l.Faults) != 0 || l.Ended[0].Fired == 0 {
			t.Errorf("%s: %+v", c.name, l)
		}
	}
	b := p.phase("webhook", 30*time.Second)
	if b.warning("frozen") || b.warning("fault_active") {
		t.Errorf("after the faults: %+v", b.Warnings)
	}
	code, out, _ := w.cli("events", "--config", w.file("dualgram.yaml"), "--kind", "fault", "--limit", "1000")
	for _, text := range []string{"tls.expired injected for 5m", "tls.expired ended after", "tls.expired expired after", "tls.expired cleared after", "the quarterly rehearsal"} {
		if code != 0 || !strings.Contains(out, text) {
			t.Errorf("the journal does not say %q:\n%s", text, out)
		}
	}

	// What is under way when dualgram itself dies ends with it, and a start
	// remembers nothing; neither does one that is stopped properly.
	cli := w.fault("tls.expired", "--for", "5m")
	p.kill()
	p = w.run()
	eventually(t, 10*time.Second, "the restart serves a good certificate", w.served)
	if code := cli.wait(15 * time.Second); code != 3 {
		t.Errorf("the command whose dualgram died: %d %s", code, cli.stderr)
	}
	if l := w.chaosList(); len(l.Faults)+len(l.Ended) != 0 {
		t.Errorf("after the restart: %+v", l)
	}
	p.phase("webhook", 30*time.Second)
	w.fault("tls.expired", "--for", "5m", "--detach")
	p.stop()
	p = w.run()
	eventually(t, 10*time.Second, "the restart serves a good certificate", w.served)
	w.recovered(p)
}

// whileItActs looks at everything that says so.
func (w *world) whileItActs(p *process) {
	w.t.Helper()
	b := w.statusOf(1, "*** FAULT INJECTED: tls.expired", "(the quarterly rehearsal)", "dualgram chaos clear 1", "webhook to polling (drill)")
	if !b.warning("fault_active") {
		w.t.Errorf("warnings: %+v", b.Warnings)
	}
	l := w.chaosList()
	if len(l.Faults) != 1 || l.Faults[0].State != "active" || l.Faults[0].Fired == 0 || l.Faults[0].By.User == "" || l.Faults[0].LeftS > 6 {
		w.t.Errorf("chaos list: %+v", l)
	}
	metrics := p.scrape()
	for _, line := range []string{`dualgram_chaos_fault_active{kind="tls.expired"} 1`, `dualgram_chaos_fault_active{kind="net.refuse"} 0`,
		`dualgram_chaos_fault_fired_total{kind="net.refuse"} 0`, `code="fault_active",severity="warning"} 1`} {
		if !strings.Contains(metrics, line) {
			w.t.Errorf("the metrics don't say %s", line)
		}
	}
	p.logged(5*time.Second, `"event":"phase"`, `"fault":"tls.expired"`, `"to":"polling"`, `"drill":true`)
}

// What the locks of the configuration refuse, and a leashed fault, break nothing,
// and the refusal says what to do.
func TestFaultRefused(t *testing.T) {
	w := newWorld(t)
	p := w.run()
	w.steady(p)
	config := w.file("dualgram.yaml")
	inject := func(want int, texts []string, args ...string) {
		t.Helper()
		code, out, errs := w.cli(append([]string{"chaos", "inject", "--config", config, "--reason", "x"}, args...)...)
		if code != want {
			t.Errorf("%q: exit code %d, want %d: %s %s", args, code, want, out, errs)
		}
		for _, text := range texts {
			if !strings.Contains(out+errs, text) {
				t.Errorf("%q does not say %q: %s %s", args, text, out, errs)
			}
		}
		if err := w.served(); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
	inject(1, []string{"faults are disabled", "chaos: {enabled: true, leashed: false}"}, "tls.expired", "--for", "1m")
	inject(1, []string{"faults are disabled"}, "tls.expired", "--for", "1m", "--dry-run")
	p.stop()

	w.conf.More = "chaos: {enabled: true}"
	p = w.run()
	p.phase("webhook", 15*time.Second)
	inject(0, []string{"leashed", "it would have hit"}, "http.status", "--for", "2s", "--param", "code=503")
	inject(1, []string{"is destructive", "chaos.destructive: true"}, "crash.at", "--for", "1m", "--param", "point=commit")
	p.phase("webhook", time.Second)
	p.stop()

	w.conf.More = "chaos: {enabled: true, leashed: false}"
	p = w.run()
	p.phase("webhook", 15*time.Second)
	inject(0, []string{"Dry run: tls.expired would be injected"}, "tls.expired", "--for", "1m", "--dry-run")
	inject(2, []string{`there is no fault "tls.expird"`, "did you mean tls.expired?"}, "tls.expird", "--for", "1m")
	inject(2, []string{"unknown parameter", "dualgram chaos list http.status"}, "http.status", "--for", "1m", "--param", "kode=3")
	inject(2, []string{`there is no bot "billing"`, "the bots are: orders"}, "http.status", "--for", "1m", "--bot", "billing")
	inject(1, []string{"never hit anything"}, "botapi.conflict", "--for", "1s", "--param", "methods=logOut")
	if l := w.chaosList(); len(l.Faults) != 0 {
		t.Errorf("%+v", l)
	}
	w.recovered(p)
}

// A destructive fault that is allowed ends the process, and nothing is lost.
func TestFaultCrash(t *testing.T) {
	w := newWorld(t)
	w.conf.More = "chaos: {enabled: true, leashed: false, destructive: true}"
	p := w.run()
	w.steady(p)
	code, out, errs := w.cli("chaos", "inject", "crash.at", "--for", "1m", "--param", "point=store:commit", "--param", "nth=5", "--detach", "--reason", "crash", "--config", w.file("dualgram.yaml"))
	if code != 0 && !strings.Contains(errs, "nobody answers") {
		t.Fatal(code, out, errs)
	}
	p.died(10 * time.Second)
	w.recovered(w.run())
}

// Of two bots behind one listener only the one that is meant is hit, and faults
// that can't tell them apart are refused.
func TestFaultOfOneBot(t *testing.T) {
	w := newWorld(t)
	other := newToken()
	w.vault.token(other)
	otherID := must(w.sim.AddBot(other))
	w.write("token2", other+"\n")
	w.conf.MoreBots = fmt.Sprintf("  - name: billing\n    token_file: %s\n    webhook:\n      public_url: %s\n      listen: %s\n      tls: {cert_file: %s, key_file: %s}\n      allow_networks: %s\n    deliver: %s\n",
		w.file("token2"), w.publicURL("billing"), w.conf.Listen, w.conf.CertFile, w.conf.KeyFile, w.conf.Networks, w.conf.Deliver)
	w.conf.More = "chaos: {enabled: true, leashed: false}"
	p := w.run()
	w.steady(p)
	inject := func(want int, text string, args ...string) {
		t.Helper()
		code, out, errs := w.cli(append([]string{"chaos", "inject", "--config", w.file("dualgram.yaml"), "--reason", "x", "--for", "1m", "--detach", "--bot", "orders"}, args...)...)
		if code != want || !strings.Contains(out+errs, text) {
			t.Errorf("%q: %d %s %s", args, code, out, errs)
		}
	}
	inject(1, "shares the listener", "tls.expired")
	inject(1, "share what it breaks", "store.fail")
	inject(0, "http.status on bot orders is injected", "http.status")
	p.phase("polling", 10*time.Second)
	if truth := must(w.sim.Bot(otherID)); truth.URL != w.publicURL("billing") {
		t.Errorf("the other bot's webhook at Telegram is %q", truth.URL)
	}
	if code, _, errs := w.cli("chaos", "clear", "--config", w.file("dualgram.yaml")); code != 0 {
		t.Error(errs)
	}
	w.recovered(p)
}
