package e2e_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// notRefused fails the test if a delivery was ever answered 403.
func (w *world) notRefused() {
	w.t.Helper()
	for _, r := range must(w.sim.Bot(w.botID)).Updates {
		for _, a := range r.Attempts {
			if a.Status == http.StatusForbidden {
				w.t.Errorf("update %d was refused at %v", r.ID, a.Start)
			}
		}
	}
}

// forwarded waits until the bot is given the secret.
func (b *sampleBot) forwarded(t *testing.T, secret string) {
	t.Helper()
	eventually(t, 10*time.Second, "the bot gets the new secret", func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !b.secrets[secret] {
			return fmt.Errorf("not yet")
		}
		return nil
	})
}

// A secret token file that gets new content is rotated under traffic, by itself
// and on SIGHUP, in place and by a rename; half a file is not.
func TestSecretFileRotation(t *testing.T) {
	w := newWorld(t)
	p := w.run()
	w.steady(p)
	sets := func() int {
		return len(must(w.sim.Bot(w.botID)).Webhooks)
	}
	before := sets()
	change := func(put func(content string)) {
		t.Helper()
		fresh := "N" + rand.Text()
		w.vault.secret(fresh)
		put(fresh + "\n")
		eventually(t, 20*time.Second, "set with the new secret", func() error {
			if sets() == before {
				return fmt.Errorf("not yet")
			}
			return p.running()
		})
		before = sets()
		w.bot.forwarded(t, fresh)
		p.until(5*time.Second, "the warning", func(b botStatus) bool { return b.warning("secret_rotation") && b.Phase == "webhook" })
		w.flows(p, "webhook")
	}
	change(func(s string) { w.write("secret", s) })
	change(func(s string) {
		if err := os.Rename(w.write("secret.new", s), w.file("secret")); err != nil {
			t.Fatal(err)
		}
		p.signal(syscall.SIGHUP)
	})
	for _, bad := range []string{"", "no secret at all\n", strings.Repeat("x", 300)} {
		w.write("secret", bad)
		p.signal(syscall.SIGHUP)
	}
	os.Remove(w.file("secret"))
	p.logged(10*time.Second, "the secret token was not read again", "no such file")
	if _, err := os.Stat(w.file("secret")); err == nil {
		t.Error("a file that was being replaced was made anew")
	}
	if sets() != before {
		t.Error("bad content was rotated to")
	}
	w.settle(20*time.Second, 0)
	w.notRefused()
	if metrics := p.scrape(); !strings.Contains(metrics, `dualgram_webhook_secret_accepted_total{bot="orders",which="current"}`) ||
		!strings.Contains(metrics, `dualgram_webhook_requests_total{bot="orders",cause="bad_secret"} 0`) {
		t.Errorf("metrics: %s", metrics)
	}
	w.quietly(p)
}

// A secret in the store is replaced by a command, which is in the journal; one in
// a file is not dualgram's to write.
func TestRotateSecretCommand(t *testing.T) {
	w := newWorld(t)
	file := w.conf.SecretFile
	w.conf.SecretFile = ""
	p := w.run()
	w.steady(p)
	before := len(must(w.sim.Bot(w.botID)).Webhooks)
	config := filepath.Join(w.dir, "dualgram.yaml")
	code, out, errs := w.cli("config", "rotate-secret", "--config", config)
	if code != 0 || !strings.Contains(out, "orders has a new secret") || errs != "" {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	eventually(t, 10*time.Second, "set with the new secret", func() error {
		if len(must(w.sim.Bot(w.botID)).Webhooks) == before {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	w.flows(p, "webhook")
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"--bot", "orders", "--output", "json"}, 0, "dualgram/rotate-secret/v1"},
		{[]string{"--bot", "nobody"}, 2, "there is no bot"},
	} {
		code, out, errs := w.cli(append([]string{"config", "rotate-secret", "--config", config}, c.args...)...)
		if code != c.code || !strings.Contains(out+errs, c.text) {
			t.Errorf("%v: %d %s %s", c.args, code, out, errs)
		}
	}
	resp, err := unixClient(w.conf.Socket).Get("http://dualgram/v1/events?limit=1000")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	journal := string(raw)
	for _, text := range []string{`"rotate_secret"`, `"rotation_begun"`, `"rotation_done"`, `"secret_rotation"`} {
		if !strings.Contains(journal, text) {
			t.Errorf("the journal does not have %s: %s", text, journal)
		}
	}
	w.vault.search(t, "the journal", journal)
	p.kill() // and the new one outlives it
	p = w.run()
	p.phase("webhook", 15*time.Second)
	w.flows(p, "webhook")
	p.stop()

	w.conf.SecretFile = file
	p = w.run()
	p.phase("webhook", 15*time.Second)
	code, _, errs = w.cli("config", "rotate-secret", "--config", config)
	if code != 1 || !strings.Contains(errs, "which is yours to write") || !strings.Contains(errs, "openssl rand") {
		t.Errorf("%d %s", code, errs)
	}
	w.bot.forwarded(t, w.secret)
	w.settle(20*time.Second, 1)
	w.notRefused()
	w.quietly(p)
}

// A secret that comes from a variable is the one that is used.
func TestSecretFromVariable(t *testing.T) {
	w := newWorld(t)
	w.conf.SecretFile, w.conf.Webhook = "", "secret_token: ${HOOK_SECRET}"
	cmd := exec.Command(binary, "run", "--config", w.configure())
	cmd.Env = environment("HOOK_SECRET=" + w.secret)
	p := w.start(cmd, "run")
	w.steady(p)
	w.flows(p, "webhook")
	w.bot.mu.Lock()
	got := len(w.bot.secrets) == 1 && w.bot.secrets[w.secret]
	w.bot.mu.Unlock()
	if !got {
		t.Error("another secret is used")
	}
	w.settle(20*time.Second, 0)
	w.quietly(p)
}
