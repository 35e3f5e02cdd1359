package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"dualgram/chaos/pki"
)

// A set-up that is well: everything passes, before the start and while dualgram runs.
func TestCheckHealthy(t *testing.T) {
	w := cloudWorld(t)
	well := func(when string, args ...string) (c checked) {
		t.Helper()
		// The disk and the network of a busy host may be slow for once.
		eventually(t, 30*time.Second, when, func() error {
			c = w.check(args...)
			if bad := c.bad(); len(bad) > 0 || c.code != 0 {
				return fmt.Errorf("exit code %d, %v", c.code, bad)
			}
			return nil
		})
		return c
	}
	pre := well("before the start", "--pre")
	for _, code := range []string{"DG-RUN-001", "DG-STO-001", "DG-STO-003", "DG-STO-004", "DG-STO-005", "DG-LIM-001", "DG-OBS-001",
		"DG-API-001", "DG-API-002", "DG-API-003", "DG-API-004", "DG-API-005", "DG-PORT-001", "DG-PORT-002", "DG-PORT-003",
		"DG-DNS-001", "DG-DNS-002", "DG-DNS-003", "DG-DNS-005", "DG-TCP-001", "DG-TLS-001", "DG-TLS-002", "DG-TLS-003", "DG-TLS-004",
		"DG-TLS-005", "DG-TLS-006", "DG-TLS-007", "DG-HTTP-001", "DG-HTTP-002", "DG-HTTP-003", "DG-SEC-001", "DG-HOOK-001", "DG-CFG-005", "DG-DLV-001"} {
		if r := pre.find(t, code); r.Status != "PASS" {
			t.Errorf("before the start: %v", r)
		}
	}
	if !strings.Contains(pre.table, "ready to start") {
		t.Errorf("before the start:\n%s", pre.table)
	}
	// Nothing is left behind, and nothing was made.
	for _, e := range must(os.ReadDir(w.dir)) {
		if strings.Contains(e.Name(), "check") || strings.Contains(e.Name(), "dualgram.db") {
			t.Errorf("the check has left %s", e.Name())
		}
	}

	p := w.run()
	w.steady(p)
	p.until(60*time.Second, "the trial passed", func(b botStatus) bool { return b.Phase == "webhook" && !b.Trial })
	live := well("while it runs")
	for _, code := range []string{"DG-CFG-003", "DG-RUN-001", "DG-RUN-002", "DG-RUN-003", "DG-RUN-004", "DG-STO-008", "DG-OBS-001", "DG-OBS-002",
		"DG-PORT-001", "DG-TCP-001", "DG-TLS-003", "DG-TLS-005", "DG-HTTP-003", "DG-HTTP-004", "DG-SEC-002",
		"DG-HOOK-001", "DG-HOOK-002", "DG-HOOK-003", "DG-HOOK-004", "DG-HOOK-005", "DG-POLL-001"} {
		if r := live.find(t, code); r.Status != "PASS" {
			t.Errorf("while it runs: %v", r)
		}
	}
	if live.Mode != "live" || !strings.Contains(live.table, "all is well") {
		t.Errorf("while it runs: %s\n%s", live.Mode, live.table)
	}
	// --pre on a live host leaves everything alone, and says why.
	c := w.check("--pre")
	if r := c.find(t, "DG-RUN-001"); r.Status != "FAIL" || !strings.Contains(r.Detail, "runs here already") {
		t.Errorf("--pre on a live host: %v", r)
	}
	for _, code := range []string{"DG-PORT-001", "DG-OBS-001", "DG-STO-004"} {
		if r := c.find(t, code); r.Status == "FAIL" {
			t.Errorf("--pre on a live host: %v", r)
		}
	}
	w.settle(20*time.Second, 0)
	w.quietly(p)
}

// The ten set-ups that are broken in one thing each: the right code, the right fix,
// and nothing else is wrong.
func TestCheckBroken(t *testing.T) {
	t.Parallel()
	t.Run("expired chain", func(t *testing.T) {
		w := cloudWorld(t)
		// The certificate itself is good; the one that signed it is not.
		old := must(w.ca.Intermediate(time.Now().AddDate(-11, 0, 0), "E2E Old Intermediate"))
		pair := must(old.Issue(time.Now(), pki.Leaf{Hosts: []string{hookHost}}))
		if err := pair.WriteFiles(w.file("cert.pem"), w.file("key.pem")); err != nil {
			t.Fatal(err)
		}
		w.check("--pre").only(t, "DG-TLS-005", "FAIL", "E2E Old Intermediate", "Renew it")
	})
	t.Run("expired", func(t *testing.T) {
		w := cloudWorld(t)
		w.certificate(pki.Leaf{NotBefore: time.Now().AddDate(0, -3, 0), NotAfter: time.Now().Add(-time.Hour)})
		w.check("--pre").only(t, "DG-TLS-005", "FAIL", "expired on", "Renew it")
		if r := w.check("--pre", "--offline").find(t, "DG-TLS-005"); r.Status != "FAIL" || !strings.Contains(r.Detail, "in the files") {
			t.Errorf("offline: %v", r)
		}
	})
	t.Run("missing intermediate", func(t *testing.T) {
		w := cloudWorld(t)
		between := must(w.ca.Intermediate(time.Now(), "E2E Intermediate"))
		pair := must(between.Issue(time.Now(), pki.Leaf{Hosts: []string{hookHost}, OmitChain: true}))
		if err := pair.WriteFiles(w.file("cert.pem"), w.file("key.pem")); err != nil {
			t.Fatal(err)
		}
		w.check("--pre").only(t, "DG-TLS-003", "FAIL", "E2E Intermediate", "Serve the full chain")
	})
	t.Run("AAAA only", func(t *testing.T) {
		w := cloudWorld(t)
		for _, dial := range []string{"", w.path.addr} {
			w.conf.Webhook = w.probing(dial, "2a00:1450::1")
			w.check("--pre").only(t, "DG-DNS-002", "FAIL", "IPv6 addresses only", "Add an A record")
		}
	})
	t.Run("reserved address", func(t *testing.T) {
		w := cloudWorld(t)
		w.conf.Webhook = w.probing("", "192.168.7.7")
		w.check("--pre").only(t, "DG-DNS-003", "FAIL", "192.168.7.7 is reserved", "Publish the public address")
	})
	t.Run("port closed", func(t *testing.T) {
		w := cloudWorld(t)
		w.path.set(pathRefused)
		w.check("--pre").only(t, "DG-TCP-001", "FAIL", "nothing listens at", "the port's forwarding")
	})
	t.Run("wrong secret", func(t *testing.T) {
		w := cloudWorld(t)
		w.conf.Failover = "hold_down: 1s, info_interval: 500ms" // which is odd, and said so
		p := w.run()
		w.steady(p)
		w.settle(20*time.Second, 0)
		if code, _, errs := w.cli("switch", "webhook", "--config", w.file("dualgram.yaml"), "--for", "10m", "--reason", "so that it stays broken"); code != 0 {
			t.Fatal(errs)
		}
		w.foreignSet(w.conf.PublicURL) // the same, but without the secret
		w.push(77)
		var c checked
		eventually(t, 20*time.Second, "refused deliveries", func() error {
			if c = w.check(); c.find(t, "DG-SEC-002").Status != "FAIL" {
				return fmt.Errorf("%v", c.find(t, "DG-SEC-002"))
			}
			return nil
		})
		r := c.find(t, "DG-SEC-002")
		if c.code != 1 || !strings.Contains(r.Detail, "status 403") || !strings.Contains(r.Fix, "X-Telegram-Bot-Api-Secret-Token") || !strings.Contains(r.Fix, "dualgram switch polling") {
			t.Errorf("%v", r)
		}
		for _, r := range c.bad() {
			// It is pinned, and knows that something is wrong.
			if r.Code != "DG-SEC-002" && r.Code != "DG-RUN-003" && r.Code != "DG-HOOK-005" && r.Code != "DG-CFG-002" {
				t.Errorf("besides: %v", r)
			}
		}
		transcript(t, c, "DG-SEC-002")
		// The fix helps.
		for _, to := range []string{"polling", "auto"} {
			if code, _, errs := w.cli("switch", to, "--config", w.file("dualgram.yaml"), "--reason", "as the check says"); code != 0 {
				t.Fatal(errs)
			}
		}
		p.phase("webhook", 20*time.Second)
		eventually(t, 20*time.Second, "accepted deliveries", func() error {
			if r := w.check().find(t, "DG-SEC-002"); r.Status != "PASS" {
				return fmt.Errorf("%v", r)
			}
			return nil
		})
	})
	t.Run("foreign poller", func(t *testing.T) {
		w := cloudWorld(t)
		w.conf.Webhook = "off"
		p := w.run()
		p.phase("polling", 15*time.Second)
		stop := must(w.sim.ForeignPoller(w.botID, 30*time.Second))
		defer stop()
		p.until(30*time.Second, "the other poller seen", func(b botStatus) bool { return b.warning("foreign_poller") })
		w.check().only(t, "DG-POLL-001", "FAIL", "another poller", "revoke the token")
	})
	t.Run("foreign poller, before", func(t *testing.T) {
		w := cloudWorld(t)
		// What waits at Telegram goes on waiting.
		for user := range int64(3) {
			w.push(user + 1)
		}
		if r := w.check("--pre", "--poll").find(t, "DG-POLL-001"); r.Status != "SKIP" || !strings.Contains(r.Detail, "updates are pending") {
			t.Errorf("with updates pending: %v", r)
		}
		if n := w.sim.Pending(w.botID); n != 3 {
			t.Errorf("%d of 3 updates are left after a check", n)
		}
		stop := must(w.sim.ForeignPoller(w.botID, 30*time.Second))
		defer stop()
		eventually(t, 10*time.Second, "the other poller has them", func() error {
			if n := w.sim.Pending(w.botID); n != 0 {
				return fmt.Errorf("%d pending", n)
			}
			return nil
		})
		if r := w.check("--pre").find(t, "DG-POLL-001"); r.Status != "SKIP" || !strings.Contains(r.Detail, "--poll") {
			t.Errorf("without --poll: %v", r)
		}
		w.check("--pre", "--poll").only(t, "DG-POLL-001", "FAIL", "another getUpdates", "Stop that program")
	})
	t.Run("foreign webhook", func(t *testing.T) {
		w := cloudWorld(t)
		w.sim.SetHost("other.example.test", hookIP)
		w.foreignSet("https://other.example.test:8443/somebody/s3cr3t-path")
		w.push(5)
		c := w.check("--pre")
		c.only(t, "DG-HOOK-001", "FAIL", "https://other.example.test:8443/#", "--take-over")
		if strings.Contains(c.table, "s3cr3t") {
			t.Error("the table shows the path of somebody's webhook")
		}
	})
	t.Run("clock off", func(t *testing.T) {
		w := cloudWorld(t)
		w.api.skew.Store(int64(2 * time.Hour))
		w.check("--pre").only(t, "DG-API-005", "FAIL", "behind the Bot API's", "timedatectl set-ntp true")
	})
	t.Run("disk full", func(t *testing.T) {
		w := cloudWorld(t)
		dir := w.file("disk")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		w.conf.Store = dir + "/dualgram.db"
		w.checkOnTmpfs(dir, "1m", "--pre").only(t, "DG-STO-003", "FAIL", "no space left on device", "Free some space")
	})
	t.Run("file limit", func(t *testing.T) {
		if runtime.GOOS != "linux" {
			t.Skip("needs a shell whose ulimit -f limits what is written")
		}
		w := cloudWorld(t)
		cmd := exec.Command("/bin/sh", "-c", `ulimit -f 0; exec "$0" "$@"`, binary, "check", "--config", w.configure(), "--pre", "-o", "json")
		cmd.Env = environment()
		out, _ := cmd.Output()
		var c checked
		if err := json.Unmarshal(out, &c); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if r := c.find(t, "DG-STO-003"); r.Status != "FAIL" || !strings.Contains(r.Detail, "file too large") || !strings.Contains(r.Fix, "ulimit -f") {
			t.Errorf("%v", r)
		}
	})
	t.Run("store unreadable", func(t *testing.T) {
		w := cloudWorld(t)
		w.write("dualgram.db", "this was a store once\n")
		w.check("--pre").only(t, "DG-STO-005", "FAIL", "damaged", "move it away")
		if got := string(must(os.ReadFile(w.file("dualgram.db")))); got != "this was a store once\n" {
			t.Errorf("the check has written to the store: %q", got)
		}
	})
}

// What else a check must find, with one world.
func TestCheckFindings(t *testing.T) {
	w := cloudWorld(t)
	// A configuration that is refused.
	listen := w.conf.Listen
	w.conf.Listen = "nowhere"
	if code, out, errs := w.cli("check", "--config", w.configure(), "-o", "short"); code != 2 || !strings.Contains(out, "FAIL DG-CFG-001") || !strings.Contains(out, "SUMMARY: 1 failed") || errs != "" {
		t.Errorf("refused: %d\n%s%s", code, out, errs)
	}
	w.conf.Listen = listen
	// An address that is taken, by somebody who answers 2xx to everybody.
	squatter := serveSquatter(t, w)
	c := w.check("--pre")
	if r := c.find(t, "DG-PORT-001"); r.Status != "FAIL" || !strings.Contains(r.Detail, "address already in use") || !strings.Contains(r.Fix, "ss -ltnp") {
		t.Errorf("%v", r)
	}
	for _, code := range []string{"DG-HTTP-003", "DG-HTTP-004"} {
		if r := c.find(t, code); r.Status != "FAIL" {
			t.Errorf("somebody else answers: %v", r)
		}
	}
	squatter()
	// A token that is refused.
	wrong := strings.SplitN(w.token, ":", 2)[0] + strings.TrimLeft(newToken(), "0123456789")
	w.vault.token(wrong)
	w.write("token", wrong)
	w.check("--pre").only(t, "DG-API-003", "FAIL", "401", "@BotFather")
	w.write("token", w.token)
	// A file that others can read.
	if err := os.Chmod(w.file("token"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.check("--pre").only(t, "DG-CFG-005", "WARN", "mode 0644", "chmod 600")
	if err := os.Chmod(w.file("token"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Nobody answers, and it isn't said that nobody should.
	c = w.check()
	if r := c.find(t, "DG-RUN-001"); r.Status != "FAIL" || !strings.Contains(r.Fix, "--pre") || c.Mode != "down" {
		t.Errorf("nobody answers: %s %v", c.Mode, r)
	}
	// A part of it.
	c = w.check("--pre", "--only", "tls,DG-DNS-002")
	for _, r := range c.Checks {
		if r.Category != "tls" && r.Code != "DG-DNS-002" {
			t.Errorf("not asked for: %v", r)
		}
	}
	if len(c.Checks) != 8 || c.code != 0 {
		t.Errorf("%d checks, exit code %d\n%s", len(c.Checks), c.code, c.table)
	}
	for _, args := range [][]string{{"--only", "tsl"}, {"--bot", "nobody"}, {"--offline", "--online"}, {"--poll"}, {"--timeout", "1ms"}, {"-o", "yaml"}, {"more"}} {
		if code, _, errs := w.cli(append([]string{"check", "--config", w.file("dualgram.yaml")}, args...)...); code != 2 || !strings.Contains(errs, "fix: ") {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
}

// Checks, many at once, while updates flow, the store commits and even while
// strangers' requests without a secret are taken: nothing changes for it.
func TestCheckDisturbsNothing(t *testing.T) {
	w := cloudWorld(t)
	w.conf.Webhook += "\n      secret_migration: 1h"
	p := w.run()
	w.steady(p)
	epoch := must(p.first()).Epoch
	calls := len(must(w.sim.Bot(w.botID)).Calls)
	var checks sync.WaitGroup
	for range 4 {
		checks.Go(func() {
			for range 5 {
				w.cli("check", "--config", w.file("dualgram.yaml"), "-o", "short")
				w.cli("check", "--config", w.file("dualgram.yaml"), "--pre", "-o", "short")
			}
		})
	}
	checks.Wait()
	b := must(p.first())
	if b.Epoch != epoch || b.Phase != "webhook" || b.Quarantined != 0 || b.Dead != 0 || b.Lost != 0 {
		t.Errorf("phase %s, epoch %d (was %d), %d in quarantine", b.Phase, b.Epoch, epoch, b.Quarantined)
	}
	for _, s := range b.Signals {
		if s.State == "tripped" {
			t.Errorf("%s has tripped: %s", s.Name, s.Detail)
		}
	}
	for _, wa := range b.Warnings {
		if wa.Severity != "info" && wa.Code != "secret_migration" {
			t.Errorf("it warns of %s: %s", wa.Code, wa.Text)
		}
	}
	for _, c := range must(w.sim.Bot(w.botID)).Calls[calls:] {
		t.Errorf("%s was called", c.Method)
	}
	w.settle(20*time.Second, 0)
	p.stop()

	// A start that meets checks at work on the store.
	var stop = make(chan struct{})
	checks.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				w.cli("check", "--config", w.file("dualgram.yaml"), "--only", "store", "-o", "short")
			}
		}
	})
	for range 3 {
		p = w.run()
		p.phase("webhook", 15*time.Second)
		p.stop()
	}
	close(stop)
	checks.Wait()
}
