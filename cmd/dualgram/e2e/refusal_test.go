package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"dualgram/chaos/pki"
)

// refusal is a start that has to fail: with this exit code, and these words on
// standard error.
type refusal struct {
	name   string
	change func(w *world)
	code   int
	says   []string
}

var refusals = []refusal{
	{"unknown key", func(w *world) { w.conf.More = "stor: {path: /tmp/x}" },
		2, []string{"dualgram.yaml:17:1", "unknown key", `did you mean "store"`}},
	{"misspelt key of a section", func(w *world) { w.conf.Webhook = "max_conections: 40" },
		2, []string{"dualgram.yaml:10:7", "max_conections", `did you mean "max_connections"`}},
	{"duration without a unit", func(w *world) { w.conf.Failover = "hold_down: 60" },
		2, []string{"failover.hold_down", "60"}},
	{"all that is wrong at once", func(w *world) { w.conf.Failover = "hold_down: 60"; w.conf.Networks = "[10.0.0.0/99]" },
		2, []string{"failover.hold_down", "allow_networks"}},
	{"budget that can't be kept", func(w *world) { w.conf.Failover = "budget: 5s" },
		2, []string{"would take longer than the budget", "info_interval", "2s", "confirm", "4s", "delete retry", "first poll", "500ms", "sum", "9.5s", "> 5s (failover.budget)", "raise failover.budget to 9.5s"}},
	{"budget and veto hooks", func(w *world) {
		w.conf.Failover = "info_interval: 2s, hooks: {veto: [[/bin/true], [/bin/true], [/bin/true], [/bin/true]]}"
	}, 2, []string{"veto hooks", "4 × 500ms", "11.5s", "> 10s (failover.budget)"}},
	{"no such configuration", func(w *world) { w.conf.Name = "" },
		2, []string{"bots[0].name"}},

	{"token in the file itself", func(w *world) { w.conf.TokenFile = "x\n    token: " + w.token },
		2, []string{"token"}},
	{"token in place of its file", func(w *world) { w.conf.TokenFile = w.token },
		2, []string{"token_file", "not the path"}},
	{"no token file", func(w *world) { os.Remove(w.file("token")) },
		2, []string{"token", "no such file"}},
	{"empty token file", func(w *world) { w.write("token", "\n") },
		2, []string{"token", "empty"}},
	{"malformed token", func(w *world) { w.write("token", w.token[:20]) },
		2, []string{"token", "not shaped like a bot token"}},
	{"token with the word bot", func(w *world) { w.write("token", "bot"+w.token) },
		2, []string{"token", `the word "bot"`}},
	{"token in quotes", func(w *world) { w.write("token", `"`+w.token+`"`) },
		2, []string{"token", "quotes"}},
	{"two tokens in one file", func(w *world) { w.write("token", w.token+"\n"+w.token) },
		2, []string{"token", "line break"}},

	{"bad secret", func(w *world) { w.write("secret", "has spaces in it") },
		2, []string{"secret_token_file", "openssl rand"}},
	{"no certificate", func(w *world) { os.Remove(w.file("cert.pem")) },
		3, []string{"cert.pem", "no such file", "readable"}},
	{"no key", func(w *world) { os.Remove(w.file("key.pem")) },
		3, []string{"key.pem", "no such file", "readable"}},
	{"certificate that is none", func(w *world) { w.write("cert.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n") },
		3, []string{"cert.pem", "PEM"}},
	{"key of another certificate", func(w *world) {
		other := must(w.ca.Issue(time.Now(), pki.Leaf{Hosts: []string{hookHost}}))
		w.write("key.pem", string(other.KeyPEM))
	}, 3, []string{"cert.pem", "does not match", "key that belongs to it"}},
	{"certificate and key swapped", func(w *world) { w.conf.CertFile, w.conf.KeyFile = w.conf.KeyFile, w.conf.CertFile },
		3, []string{"key.pem"}},

	{"webhook's port in use", func(w *world) { w.occupy(w.conf.Listen) },
		3, []string{"address already in use", "another process listens there", "ss -ltnp"}},
	{"observe's port in use", func(w *world) { w.occupy(w.conf.Observe) },
		3, []string{"observe.listen", "address already in use", "another process listens there"}},
	{"directory of the store missing", func(w *world) { w.conf.Store = w.file("nowhere/dualgram.db") },
		3, []string{"nowhere", "create the directory"}},
	{"store is a directory", func(w *world) { w.conf.Store = w.dir },
		3, []string{"not a regular file"}},
	{"no directory for the control socket", func(w *world) { w.conf.Socket = w.file("nowhere/control.sock") },
		3, []string{"control socket", "nowhere"}},
	{"a file in place of the control socket", func(w *world) { w.conf.Socket = w.write("precious", "data") },
		3, []string{"control socket", "no socket"}},
	{"forward URL of another kind", func(w *world) { w.conf.Deliver = "{forward: {url: \"ftp://127.0.0.1/updates\"}}" },
		2, []string{"deliver.forward.url", "ftp"}},
	{"ndjson into a directory", func(w *world) { w.conf.Deliver = "{ndjson: {path: " + w.dir + "}}" },
		3, []string{"ndjson"}},
	{"CA file that is none", func(w *world) { w.conf.CA = ", ca_file: " + w.write("ca.pem", "hello") },
		3, []string{"ca.pem", "no certificate"}},
}

func (w *world) occupy(addr string) {
	w.t.Helper()
	ln, err := listenAt(addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { ln.Close() })
}

// What can be found wrong without Telegram's help ends the start with a clear
// error, before Telegram is told anything.
func TestRefusedAtStart(t *testing.T) {
	t.Parallel()
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			w := newWorld(t)
			r.change(w)
			w.refusal(r.code, r.says...)
			if calls := must(w.sim.Bot(w.botID)).Calls; len(calls) != 0 {
				t.Errorf("Telegram was called: %+v", calls)
			}
			if raw, err := os.ReadFile(w.file("precious")); err == nil && string(raw) != "data" {
				t.Error("a file was overwritten")
			}
		})
	}
}

// Two of a kind: the second instance is told so, whichever of its resources is
// taken first, and the first goes on undisturbed.
func TestSecondInstance(t *testing.T) {
	w := newWorld(t)
	p := w.run()
	w.steady(p)
	epoch := must(p.first()).Epoch
	old := *w.conf
	t.Run("same configuration", func(t *testing.T) {
		w.refusalIn(t, 3, "control socket", "another process answers on it")
	})
	t.Run("other socket, same store", func(t *testing.T) {
		w.conf.Socket = w.file("other.sock")
		w.refusalIn(t, 3, "the store is in use", "by dualgram run, process "+strconv.Itoa(p.cmd.Process.Pid), "only one may use a store")
	})
	t.Run("other socket and store, same port", func(t *testing.T) {
		w.conf.Store = w.file("other.db")
		w.refusalIn(t, 3, "address already in use", "another process listens there")
	})
	*w.conf = old
	b := must(p.first())
	if b.Epoch != epoch || b.Phase != "webhook" {
		t.Errorf("the first instance is in %s, epoch %d, was %d", b.Phase, b.Epoch, epoch)
	}
	w.settle(20*time.Second, 0)
	w.quietly(p)
}

// refusalIn is refusal for a subtest that shares its world.
func (w *world) refusalIn(t *testing.T, code int, texts ...string) {
	t.Helper()
	outer := w.t
	w.t = t
	defer func() { w.t = outer }()
	w.refusal(code, texts...)
}

// A store that is damaged is refused and left as it is; the one that was not
// damaged works.
func TestDamagedStore(t *testing.T) {
	w := newWorld(t)
	w.bot.become(botRefuses)
	p := w.run()
	p.phase("webhook", 15*time.Second)
	for user := range int64(40) {
		w.push(user + 1)
	}
	p.until(20*time.Second, "all in the store", func(b botStatus) bool { return b.Waiting == 40 })
	p.stop()
	whole, err := os.ReadFile(w.conf.Store)
	if err != nil {
		t.Fatal(err)
	}
	good := w.conf.Store
	for _, d := range []struct {
		name   string
		damage func(b []byte) []byte
	}{
		{"zero length", func([]byte) []byte { return nil }},
		{"cut in half", func(b []byte) []byte { return b[:len(b)/2] }},
		{"a hundred bytes", func(b []byte) []byte { return b[:100] }},
		{"zeros in the middle", func(b []byte) []byte { clear(b[2*4096:]); return b }},
		{"other bytes in the middle", func(b []byte) []byte {
			for i := 2 * 4096; i < len(b); i += 61 {
				b[i] ^= 0x5a
			}
			return b
		}},
		{"both first pages", func(b []byte) []byte { clear(b[:2*4096]); return b }},
		{"something else", func([]byte) []byte { return bytes.Repeat([]byte("not a store\n"), 4000) }},
	} {
		t.Run(d.name, func(t *testing.T) {
			damaged := d.damage(bytes.Clone(whole))
			w.conf.Store = w.write("damaged.db", string(damaged))
			w.refusalIn(t, 3, "damaged", "damaged.db", "nothing was changed", "restore the file from a copy", "move it away")
			if now, err := os.ReadFile(w.conf.Store); err != nil || !bytes.Equal(now, damaged) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
	w.conf.Store = good
	if now, err := os.ReadFile(good); err != nil || !bytes.Equal(now, whole) {
		t.Fatal("the good store was touched", err)
	}
	w.bot.become(botTakes)
	p = w.run()
	w.settle(20*time.Second, 0)
	p.stop()
}

// The configuration can come from the environment alone, secrets too; hooks see
// nothing of it.
func TestEnvironmentOnly(t *testing.T) {
	w := newWorld(t)
	w.write("hook.sh", "#!/bin/sh\n(env; cat) > "+w.file("seen")+".tmp && mv "+w.file("seen")+".tmp "+w.file("seen")+"\n")
	if err := os.Chmod(w.file("hook.sh"), 0o700); err != nil {
		t.Fatal(err)
	}
	env := environment(
		"DUALGRAM_TOKEN="+w.token,
		"DUALGRAM_WEBHOOK_PUBLIC_URL="+w.conf.PublicURL,
		"DUALGRAM_WEBHOOK_LISTEN="+w.conf.Listen,
		"DUALGRAM_WEBHOOK_TLS_CERT_FILE="+w.conf.CertFile,
		"DUALGRAM_WEBHOOK_TLS_KEY_FILE="+w.conf.KeyFile,
		"DUALGRAM_WEBHOOK_SECRET_TOKEN="+w.secret,
		"DUALGRAM_WEBHOOK_ALLOW_NETWORKS=127.0.0.0/8",
		"DUALGRAM_DELIVER_FORWARD_URL="+w.bot.url,
		"DUALGRAM_TELEGRAM_API_URL="+w.conf.API,
		"DUALGRAM_STORE_PATH="+w.conf.Store,
		"DUALGRAM_CONTROL_SOCKET="+w.conf.Socket,
		"DUALGRAM_OBSERVE_LISTEN=off",
		"DUALGRAM_LOG_LEVEL=debug",
		"DUALGRAM_FAILOVER_HOOKS_NOTIFY="+w.file("hook.sh"),
		"UNRELATED=kept",
	)
	w.refusalEnv(env, 2, "DUALGRAM_FAILOVER_BUDGETT=10s", "DUALGRAM_FAILOVER_BUDGETT", "did you mean DUALGRAM_FAILOVER_BUDGET")
	p := w.runEnv(env)
	w.steady(p)
	eventually(t, 10*time.Second, "the notify hook", func() error {
		raw, err := os.ReadFile(w.file("seen"))
		if err != nil {
			return err
		}
		seen := string(raw)
		w.vault.search(t, "the hook's surroundings", seen)
		if strings.Contains(seen, "DUALGRAM_") || !strings.Contains(seen, "UNRELATED=kept") || !strings.Contains(seen, `"dualgram/handover/v1"`) {
			return fmt.Errorf("the hook saw: %s", seen)
		}
		return nil
	})
	code, stdout, stderr := w.command(env, "config", "print")
	if code != 0 || strings.Contains(stdout, w.token) {
		t.Errorf("config print: %d %s", code, stderr)
	}
	w.settle(20*time.Second, 0)
	p.stop()
}
