//go:build runbooks && linux

package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"dualgram/chaos/pki"
	"dualgram/chaos/telegramsim"
	"dualgram/transport/acme/acmetest"
)

// states are those of the pages: how a host gets there, and the part of the repair
// that happens elsewhere.
var states = []state{
	{page: "store_failing", begin: func(b *book) { b.limitFiles(0) }, mend: func(b *book) { b.limitFiles(1 << 62) }},
	{page: "store_slow", begin: func(b *book) { b.inject("store.slow", "--delay", "5s") }, mend: (*book).clear},
	{page: "fault_active", begin: func(b *book) { b.inject("probe.fail") }},

	{page: "token_refused", begin: func(b *book) {
		// BotFather's revoke: another token, the same bot.
		b.fresh = strings.SplitN(b.token, ":", 2)[0] + strings.TrimLeft(newToken(), "0123456789")
		b.vault.token(b.fresh)
		must(b.sim.AddBot(b.fresh))
	}, mend: func(b *book) {
		b.write("token", b.fresh+"\n")
		b.restart()
	}},
	{page: "foreign_webhook", begin: func(b *book) {
		b.sim.SetHost("other.example.test", "127.0.0.1")
		b.foreignSet("https://other.example.test:8443/elsewhere")
	}},
	{page: "bot_api_unreachable", begin: func(b *book) {
		b.p.stop()
		b.api.set(pathRefused)
		b.p = b.run()
	}, mend: func(b *book) { b.api.set(pathOpen) }},
	{page: "failover_withheld", begin: func(b *book) {
		b.do("hold", "--reason", "moving the proxy")
		b.path.set(pathRefused)
	}},
	{page: "blind", begin: func(b *book) { b.api.set(pathSilent) }, mend: func(b *book) { b.api.set(pathOpen) }},
	{page: "foreign_poller", conf: func(w *world) { w.conf.Webhook = "off" }, begin: func(b *book) {
		b.stop = must(b.sim.ForeignPoller(b.botID, 2*time.Second))
	}, mend: func(b *book) { b.stop() }, patience: 2 * time.Minute}, // it is believed gone after a minute
	{page: "impostor", conf: (*world).seen, front: true,
		begin: func(b *book) {
			b.proven()
			b.do("hold", "--reason", "moving the proxy")
			b.front.mood.Store(int32(proxyImpostor))
		},
		mend: func(b *book) { b.front.mood.Store(int32(proxyPasses)) }},
	{page: "listener_lost", begin: func(b *book) { b.inject("net.accept_error", "--param", "error=lost") }, mend: (*book).clear},
	{page: "certificate_refused", begin: func(b *book) {
		other := must(must(pki.NewCA(time.Now(), "Another Root")).Issue(time.Now(), pki.Leaf{Hosts: []string{hookHost}}))
		if err := other.WriteFiles(b.file("other.pem"), b.file("key.pem")); err != nil {
			b.t.Fatal(err)
		}
	}, mend: func(b *book) { b.certificate(pki.Leaf{}) }},
	renewalFailed(),
	{page: "certificate_expires", conf: func(w *world) {
		w.certificate(pki.Leaf{NotBefore: time.Now().Add(-80 * 24 * time.Hour), NotAfter: time.Now().Add(40 * time.Hour)})
	}, mend: func(b *book) { b.certificate(pki.Leaf{}) }},

	{page: "frozen", conf: func(w *world) { w.conf.Failover += ", max_failovers: 1" },
		begin: func(b *book) { b.path.set(pathRefused) }, mend: func(b *book) { b.path.set(pathOpen) }},
	{page: "on_standby", begin: func(b *book) { b.path.set(pathRefused) }, mend: func(b *book) { b.path.set(pathOpen) }},
	{page: "hole", front: true, begin: func(b *book) {
		b.eaten(1) // by dualgram: what comes before the first update of all is missed by nobody
		b.do("hold", "--reason", "moving the proxy")
		stuck := func(body []byte) bool { return bytes.Contains(body, []byte(`"id":424242,`)) }
		b.front.stuck.Store(&stuck)
		b.push(424242)
		b.push(424242)
	}, mend: func(b *book) { b.front.stuck.Store(nil) }},
	{page: "redelivery", front: true, begin: func(b *book) {
		b.started()
		b.do("hold", "--reason", "moving the proxy")
		// With all of them lost Telegram dials but once in two seconds, and new chats
		// come first: hardly anything is repeated.
		b.front.mood.Store(int32(proxyLossy))
	}, mend: func(b *book) { b.front.mood.Store(int32(proxyPasses)) }},
	{page: "telegram_errors", front: true, begin: func(b *book) {
		b.do("hold", "--reason", "moving the proxy")
		b.front.mood.Store(int32(proxyBadGate))
	}, mend: func(b *book) { b.front.mood.Store(int32(proxyPasses)) }},
	{page: "probe_bad", conf: (*world).seen, begin: func(b *book) {
		b.proven()
		b.inject("probe.fail")
	}, mend: (*book).clear},
	{page: "probe_unproven", mend: func(b *book) {
		b.conf.Webhook = "probe: {enabled: false}"
		b.restart()
	}},
	{page: "drift", conf: func(w *world) { w.conf.Webhook = "max_connections: 10" }, begin: func(b *book) {
		b.foreignSet(b.conf.PublicURL)
	}},
	{page: "secret_migration", conf: func(w *world) { w.conf.Webhook = "secret_migration: 48h" }, mend: func(b *book) {
		b.conf.Webhook = ""
		b.restart()
	}},
	{page: "secret_rotation", begin: func(b *book) {
		b.path.set(pathRefused)
		b.p.phase("polling", 20*time.Second)
		next := "N" + strings.Repeat("ew", 12)
		b.vault.secret(next)
		b.write("secret", next+"\n")
		b.p.signal(syscall.SIGHUP)
	}, mend: func(b *book) { b.path.set(pathOpen) }},
	{page: "info_rate_limited", begin: func(b *book) {
		b.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultTooMany, Method: "getWebhookInfo", RetryAfter: 8, Count: 2})
	}, mend: func(b *book) { b.sim.ClearFaults() }},
	{page: "bot_down", begin: func(b *book) { b.bot.become(botRefuses) }, mend: func(b *book) { b.bot.become(botTakes) }},
	{page: "automation_held", begin: func(b *book) { b.do("hold", "--reason", "moving the proxy") }},
	{page: "pinned_webhook", begin: func(b *book) { b.do("switch", "webhook", "--reason", "moving the proxy") }},
	{page: "pinned_polling", begin: func(b *book) { b.do("switch", "polling", "--reason", "moving the proxy") }},
	{page: "dry_run", conf: func(w *world) { w.conf.Failover += ", dry_run: true" }, mend: func(b *book) {
		b.conf.Failover = strings.TrimSuffix(b.conf.Failover, ", dry_run: true")
		b.restart()
	}},
	{page: "drill_halted", begin: func(b *book) { b.do("drill", "halt", "--reason", "an incident") }},

	{page: "down", begin: func(b *book) { b.p.stop() }, mend: func(b *book) { b.p = b.run() }},
	{page: "updates_lost", front: true, begin: func(b *book) {
		b.started() // nobody can tell what came before the first that ever arrived
		b.front.mood.Store(int32(proxyImpostor))
		b.eaten(5)
		b.front.mood.Store(int32(proxyPasses))
		b.p.until(20*time.Second, "their absence is noticed", func(s botStatus) bool { return s.OpenHoles+s.Lost > 0 })
		b.do("switch", "polling", "--reason", "updates are lost")
	}, mend: func(*book) { time.Sleep(6 * time.Second) /* the page asks for the last five seconds */ }},
	{page: "intake_stalled", begin: func(b *book) {
		b.do("hold", "--reason", "moving the proxy")
		b.path.set(pathRefused)
	}, mend: func(b *book) { b.path.set(pathOpen) }},
	{page: "switch_slow", begin: func(b *book) { b.path.set(pathSilent) }, mend: func(b *book) { b.path.set(pathOpen) }},
	{page: "switch_failed", begin: func(b *book) {
		b.sim.SetFault(telegramsim.Fault{Kind: telegramsim.FaultError, Method: "getUpdates"})
		b.path.set(pathRefused)
	}, mend: func(b *book) { b.sim.ClearFaults() }},
	{page: "flapping", begin: func(b *book) {
		b.path.set(pathRefused)
		b.p.phase("polling", 20*time.Second)
		b.path.set(pathOpen)
		b.p.phase("webhook", 20*time.Second)
	}},
	{page: "fail_rate_high", front: true,
		begin: func(b *book) { b.front.mood.Store(int32(proxyNameless)) },
		mend:  func(b *book) { b.front.mood.Store(int32(proxyPasses)) }},
	{page: "webhook_error_burn", front: true,
		begin: func(b *book) { b.front.mood.Store(int32(proxyNameless)) },
		mend:  func(b *book) { b.front.mood.Store(int32(proxyPasses)) }},
	{page: "intake_slow", begin: func(b *book) { b.inject("store.slow", "--delay", "1s") }, mend: (*book).clear},
	{page: "pending_high", begin: func(b *book) {
		b.do("hold", "--reason", "moving the proxy")
		b.path.set(pathRefused)
	}, mend: func(b *book) { b.path.set(pathOpen) }},
	{page: "delivery_lag", begin: func(b *book) {
		poison := b.push(666)
		b.bot.refusing(func(id int64) bool { return id == poison })
	}, mend: func(b *book) { b.bot.refusing(nil) }},
	{page: "store_filling", disk: "320m", begin: (*book).fill, mend: (*book).free},
	// Other processes make real pressure, and a test can't. It is played as the page's
	// drill makes it: with commits that wait for the disk.
	{page: "io_pressure", begin: func(b *book) { b.inject("store.slow", "--delay", "2s") }, mend: (*book).clear},
	{page: "dead_letters", conf: func(w *world) {
		w.conf.Deliver = "{forward: {url: " + w.bot.url + ", timeout: 3s}, max_attempts: 2, bury_after: 1s}"
	}, begin: func(b *book) {
		poison := b.push(666)
		b.bot.refusing(func(id int64) bool { return id == poison })
	}, mend: func(b *book) { b.bot.refusing(nil) }},
	{page: "quarantine", begin: func(b *book) {
		if code, err := (stranger{w: b.world, addr: b.conf.Listen}).post(goodPath, b.secret, []byte(`{"no": "id"}`)); code != 200 || err != nil {
			b.t.Fatalf("a delivery without an id: %d %v", code, err)
		}
	}},
	{page: "drill_stuck", begin: func(b *book) { b.inject("probe.fail") }},
	deviated(),
	overdue(),
	{page: "notify_failing", begin: func(b *book) { b.do("hold", "--reason", "moving the proxy") }, conf: func(w *world) {
		w.conf.More += "\nnotify: {webhook: {url_file: " + w.write("hook", "http://"+freeAddr(w.t)+"/hook\n") + "}}"
	}, mend: func(b *book) {
		raw := must(os.ReadFile(b.file("hook")))
		addr, _, _ := strings.Cut(strings.TrimPrefix(string(raw), "http://"), "/")
		serve(b.t, must(listenAt(addr)), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	}},
	{page: "watchdog", mend: func(b *book) { b.watch(b.prom, b.itself()) }},
}

// started waits until updates arrive.
func (b *book) started() {
	b.t.Helper()
	eventually(b.t, 20*time.Second, "the first update", func() error {
		if b.bot.count() == 0 {
			return errors.New("none came")
		}
		return b.p.running()
	})
}

// eaten waits until that many updates more are acknowledged, by whoever answers.
func (b *book) eaten(n int) {
	b.t.Helper()
	before := acknowledged(b.world)
	eventually(b.t, 15*time.Second, "updates eaten", func() error {
		if got := acknowledged(b.world) - before; got < n {
			return fmt.Errorf("%d", got)
		}
		return nil
	})
}

// filler takes most of a disk.
const filler = "filler"

// onDisk starts the host with its store on a file system of its own.
func (b *book) onDisk(size string) {
	b.t.Helper()
	if err := tryOwnMounts(); err != nil {
		b.t.Fatalf("this system lets nobody mount a file system of his own: %v", err)
	}
	b.data = b.file("disk")
	if err := os.Mkdir(b.data, 0o700); err != nil {
		b.t.Fatal(err)
	}
	b.conf.Store = b.data + "/dualgram.db"
	b.p, b.inside = b.runOnTmpfs(b.data, size)
}

// fill leaves less than 256 MiB of 320.
func (b *book) fill() {
	b.t.Helper()
	if err := os.WriteFile(b.inside+"/"+filler, make([]byte, 128<<20), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *book) free() {
	b.t.Helper()
	if err := os.Remove(b.inside + "/" + filler); err != nil {
		b.t.Fatal(err)
	}
}

// renewalFailed is an authority that is away.
func renewalFailed() state {
	var authority *acmetest.Authority
	return state{page: "certificate_renewal_failed", fresh: true, conf: func(w *world) {
		challenge := freeAddr(w.t)
		_, port, _ := net.SplitHostPort(challenge)
		authority = acmetest.Start(w.t, must(strconv.Atoi(port)), 1)
		if !w.roots.AppendCertsFromPEM(authority.Root) {
			w.t.Fatal("no root")
		}
		w.conf.TLS = fmt.Sprintf("{acme: {email: ops@example.com, directory: %q, ca_file: %s, http_listen: %s}}", authority.Directory, authority.CAFile, challenge)
		authority.Away(true)
	}, mend: func(b *book) {
		authority.Away(false)
		b.p.signal(syscall.SIGHUP)
	}}
}

// seen lets the probe reach the webhook, which it can't by its name.
func (w *world) seen() {
	w.conf.Webhook = fmt.Sprintf("probe: {dial: %q, ca_file: %s}", w.path.addr, w.write("root.pem", string(w.ca.RootPEM())))
}

// proven waits until a probe has reached the webhook.
func (b *book) proven() {
	b.t.Helper()
	eventually(b.t, 20*time.Second, "a good probe", func() error {
		if strings.Contains(b.p.scrape(), `dualgram_probes_total{bot="orders",stage="ok"} 0`) {
			return errors.New("none")
		}
		return nil
	})
}

// restart is what systemctl restart does.
func (b *book) restart() {
	b.t.Helper()
	b.p.stop()
	b.p = b.run()
}

// do runs a command of dualgram that has to succeed.
func (b *book) do(args ...string) {
	b.t.Helper()
	code, out, errs := b.cli(append(args, "--config", b.file("dualgram.yaml"))...)
	if code != 0 {
		b.t.Fatalf("dualgram %s: %d %s%s", strings.Join(args, " "), code, out, errs)
	}
}

// inject injects a fault that lasts.
func (b *book) inject(kind string, more ...string) {
	b.t.Helper()
	b.do(append([]string{"chaos", "inject", kind, "--for", "5m", "--detach", "--reason", "a page is tried"}, more...)...)
}

func (b *book) clear() {
	b.t.Helper()
	b.do("chaos", "clear")
}

func (b *book) limitFiles(n uint64) {
	b.t.Helper()
	if err := fileLimit(b.p.cmd.Process.Pid, n); err != nil {
		b.t.Fatal(err)
	}
}
