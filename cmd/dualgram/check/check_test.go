package check_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/pki"
	"dualgram/chaos/telegramsim"
	"dualgram/cmd/dualgram/check"
	"dualgram/cmd/dualgram/config"
	"dualgram/store"
	"dualgram/supervisor/console"
	"dualgram/supervisor/warning"
)

// Before an installation, and while it runs: all is well, and the whole table is as it
// was.
func TestWell(t *testing.T) {
	inWorld(t, func(w *world) {
		r := w.check()
		if !r.OK || r.Mode != check.ModePre {
			t.Errorf("%s %v", r.Mode, bad(r))
		}
		w.golden("pre", r)
		w.running()
		r = w.check()
		if !r.OK || r.Mode != check.ModeLive {
			t.Errorf("%s %v", r.Mode, bad(r))
		}
		w.golden("live", r)
		// The files are as they were.
		for _, e := range must(os.ReadDir(w.dir)) {
			if strings.Contains(e.Name(), "check") || strings.HasPrefix(e.Name(), "dualgram.db") {
				t.Errorf("%s was left", e.Name())
			}
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Everything hangs: each check gives up in its time, and the whole in its own.
func TestHangs(t *testing.T) {
	inWorld(t, func(w *world) {
		w.net.Blackhole("149.154.167.99:443", true)
		w.net.Blackhole(hookIP+":8443", true)
		begin := time.Now()
		r := w.check()
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		wants(t, r, check.APIReached, check.Fail, "https://"+apiHost+": getMe: timeout", "Let this host connect")
		// Nobody knows what Telegram has of the webhook.
		wants(t, r, check.DNSSame, check.Skip, "prerequisite failed: DG-API-002", "")
		wants(t, r, check.APIGetMe, check.Skip, "prerequisite failed: DG-API-002", "")
		wants(t, r, check.WebhookOwner, check.Skip, "prerequisite failed: DG-API-002", "")
		wants(t, r, check.TCPConnect, check.Fail, "no answer from 5.45.72.10:8443: a firewall drops", "Open the port in the firewall")
		wants(t, r, check.HTTPProof, check.Skip, "prerequisite failed: DG-TCP-001", "")
		// What needs neither was looked at all the same.
		wants(t, r, check.TLSChain, check.Pass, "in the files", "")
		wants(t, r, check.StoreSync, check.Pass, "", "")
		// A time that is too short for it is no excuse: nothing passes unseen.
		w.o.Timeout = time.Second
		r = w.check()
		for _, c := range r.Checks {
			if c.Status == check.Pass && (c.Category == "telegram" && c.Code != check.APIToken || c.Category == "http" || c.Category == "webhook") {
				t.Errorf("%s passed: %s", c.Code, c.Detail)
			}
		}
		if r.OK {
			t.Error("it is well after a second of nothing")
		}
	})
}

// Ctrl-C ends it at once.
func TestInterrupted(t *testing.T) {
	inWorld(t, func(w *world) {
		w.net.Blackhole("149.154.167.99:443", true)
		ctx, cancel := context.WithCancel(w.t.Context())
		time.AfterFunc(time.Second, cancel)
		w.o.Config = w.config()
		begin := time.Now()
		r := check.Run(ctx, w.o)
		if took := time.Since(begin); !r.Interrupted || r.OK || took > 1500*time.Millisecond || !strings.Contains(r.Summary(), "broken off") {
			t.Errorf("after %v: %v %s", took, r.Interrupted, r.Summary())
		}
	})
}

// What only this host knows, and what it doesn't.
func TestOfflineOnline(t *testing.T) {
	inWorld(t, func(w *world) {
		w.o.Offline = true
		w.o.Dial = func(_ context.Context, _, addr string) (c netConn, err error) {
			if addr == botAddr { // on this host
				return w.net.Dial(w.t.Context(), "tcp", addr)
			}
			t.Errorf("%s was dialled", addr)
			return nil, errors.New("no")
		}
		w.o.Resolver = nobody{t}
		r := w.check()
		if !r.OK {
			t.Error(bad(r))
		}
		for _, c := range r.Checks {
			if k, _ := check.Lookup(c.Code); k.Online && c.Status != check.Skip {
				t.Errorf("%s was looked at offline: %s", c.Code, c.Detail)
			}
		}
		wants(t, r, check.TLSChain, check.Pass, "in the files", "")
	})
	inWorld(t, func(w *world) {
		w.o.Online = true
		r := w.check()
		if !r.OK || r.Passed < 15 {
			t.Errorf("%d passed, %v", r.Passed, bad(r))
		}
		for _, c := range r.Checks {
			if k, _ := check.Lookup(c.Code); !k.Online {
				t.Errorf("%s was looked at online: %s", c.Code, c.Detail)
			}
		}
		// A prerequisite that failed is shown, or nobody would know.
		w.write("token", "nonsense")
		r = w.check()
		wants(t, r, check.APIToken, check.Fail, "is not shaped like a bot token", "")
		wants(t, r, check.APIGetMe, check.Skip, "prerequisite failed: DG-API-001", "")
	})
}

type nobody struct{ t *testing.T }

func (n nobody) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	n.t.Error("the DNS was asked")
	return nil, nil
}

// What each fault of the set-up is called, and what is to be done.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name        string
		broken      func(w *world)
		code        check.Code
		status      check.Status
		detail, fix string
		others      int // further things that are wrong
	}{
		{"no such name", func(w *world) { w.net.Host(hookHost) }, check.DNSExists, check.Fail, "doesn't exist in the DNS", "Add an A record", 0},
		{"AAAA only", func(w *world) { w.net.Host(hookHost, "2a00:1450::1") }, check.DNSIPv4, check.Fail, "IPv6 addresses only", "Add an A record", 0},
		{"private address", func(w *world) { w.net.Host(hookHost, "10.1.2.3") }, check.DNSPublic, check.Fail, "10.1.2.3 is reserved", "Publish the public address", 0},
		{"two addresses", func(w *world) { w.net.Host(hookHost, hookIP, "5.45.72.11") }, check.DNSSeveral, check.Warn, "several addresses", "Leave one", 0},
		{"AAAA beside A", func(w *world) { w.net.Host(hookHost, hookIP, "2a00:1450::1") }, check.DNSIPv4, check.Pass, "an IPv6 address, too", "", -1},
		{"port closed", func(w *world) { w.net.Refuse(hookIP+":8443", true) }, check.TCPConnect, check.Fail, "nothing listens at", "the port's forwarding", 0},
		{"expires in 10 days", func(w *world) { w.certificate(pki.Leaf{NotAfter: time.Now().Add(10 * 24 * time.Hour)}) },
			check.TLSExpires, check.Pass, "10 days from now", "", -1}, // of a short life it is long
		{"renewed late", func(w *world) {
			w.certificate(pki.Leaf{NotBefore: time.Now().Add(-80 * 24 * time.Hour), NotAfter: time.Now().Add(10 * 24 * time.Hour)})
		}, check.TLSExpires, check.Warn, "10 days from now", "See why it isn't renewed", 0},
		{"nearly expired", func(w *world) {
			w.certificate(pki.Leaf{NotBefore: time.Now().Add(-89 * 24 * time.Hour), NotAfter: time.Now().Add(30 * time.Hour)})
		}, check.TLSExpires, check.Fail, "30 hours from now", "See why it isn't renewed", 0},
		{"not yet valid", func(w *world) { w.certificate(pki.Leaf{NotBefore: time.Now().Add(time.Hour)}) }, check.TLSDates, check.Fail, "not valid before", "the clock of who made it", 0},
		{"expired by Telegram's clock", func(w *world) {
			w.certificate(pki.Leaf{NotBefore: time.Now().Add(-80 * 24 * time.Hour), NotAfter: time.Now().Add(time.Hour)})
			w.skew.Store(int64(2 * time.Hour))
		}, check.TLSDates, check.Fail, "expired on", "Renew it", 1},
		{"wrong host", func(w *world) { w.certificate(pki.Leaf{Hosts: []string{"other.example.com"}}) }, check.TLSName, check.Fail, "not for bot.example.com", "Get one for that name", 0},
		{"self-signed and not uploaded", func(w *world) {
			w.pair(must(pki.SelfSigned(time.Now(), pki.Leaf{Hosts: []string{hookHost}})))
		}, check.TLSUpload, check.Fail, "self-signed", "upload_certificate: true", 1},
		{"uploaded and not self-signed", func(w *world) { w.webhook = "      upload_certificate: true" }, check.TLSUpload, check.Fail, "signed by an authority", "upload_certificate: false", 1},
		{"self-signed and uploaded", func(w *world) {
			w.webhook = "      upload_certificate: true"
			w.pair(must(pki.SelfSigned(time.Now(), pki.Leaf{Hosts: []string{hookHost}})))
		}, check.TLSChain, check.Pass, "as served", "", -1},
		{"another's key", func(w *world) {
			key := must(os.ReadFile(w.file("key.pem")))
			w.certificate(pki.Leaf{})
			w.write("key.pem", string(key))
		}, check.TLSPair, check.Fail, "private key does not match", "the key that belongs to it", 1},
		{"no certificate", func(w *world) { _ = os.Remove(w.file("cert.pem")) }, check.TLSPair, check.Fail, "no such file", "must exist and be readable", 1},
		{"clock an hour slow", func(w *world) { w.skew.Store(int64(time.Hour)) }, check.APIClock, check.Fail, "1h0m0s behind", "timedatectl", 0},
		{"clock ten seconds fast", func(w *world) { w.skew.Store(int64(-10 * time.Second)) }, check.APIClock, check.Warn, "ahead of", "timedatectl", 0},
		{"slow Bot API", func(w *world) { w.sim.SetKnobs(telegramsim.Knobs{Latency: 700 * time.Millisecond}) }, check.APILatency, check.Warn, "700ms", "telegram.proxy", 0},
		{"very slow Bot API", func(w *world) { w.sim.SetKnobs(telegramsim.Knobs{Latency: 1200 * time.Millisecond}) }, check.APILatency, check.Fail, "signals.info.deadline", "", 0},
		{"Bot API refused", func(w *world) { w.net.Refuse("149.154.167.99:443", true) }, check.APIReached, check.Fail, "refused", "Let this host connect", 0},
		{"Bot API unknown", func(w *world) { w.net.Host(apiHost) }, check.APIReached, check.Fail, "dns", "/etc/resolv.conf", 0},
		{"Telegram's own trouble", func(w *world) { _ = w.sim.SetSyncError(w.botID, time.Now().Add(-time.Minute)) }, check.APIHealth, check.Warn, "ago", "Nothing is to be done", 0},
		{"foreign webhook", func(w *world) {
			w.sim.SetHost("other.example.com", hookIP)
			_, _, _ = w.sim.ForeignSetWebhook(w.botID, "https://other.example.com/private-path")
		}, check.WebhookOwner, check.Fail, "https://other.example.com/#", "--take-over", 0},
		{"no bot", func(w *world) { w.net.Refuse(botAddr, true) }, check.DeliveryBot, check.Warn, "nobody takes connections", "Start the bot", 0},
		{"port taken", func(w *world) { w.listen(hookIP + ":8443") }, check.PortListen, check.Fail, "address already in use", "ss -ltnp", 1},
		{"observe taken", func(w *world) { w.listen("127.0.0.1:9464") }, check.ObserveListen, check.Fail, "address already in use", "Free the address", 0},
		{"secret unusable", func(w *world) { w.write("secret", "with spaces, and so none that Telegram takes") }, check.SecretFile, check.Fail, "holds no secret", "Remove the file", 0},
		{"token for all to read", func(w *world) { _ = os.Chmod(w.file("token"), 0o644) }, check.ConfigFiles, check.Warn, "mode 0644", "chmod 600", 0},
		{"key for all to read", func(w *world) { _ = os.Chmod(w.file("key.pem"), 0o644) }, check.ConfigFiles, check.Warn, "mode 0644", "chmod 600", 0},
		{"few files", func(w *world) { w.o.FileLimit = func() uint64 { return 100 } }, check.LimitFiles, check.Fail, "is 100, and 112", "LimitNOFILE", 0},
		{"not many files", func(w *world) { w.o.FileLimit = func() uint64 { return 256 } }, check.LimitFiles, check.Warn, "is 256, and 112", "LimitNOFILE", 0},
		{"no space", func(w *world) {
			w.o.Space = func(string) (check.Space, error) {
				return check.Space{Free: 10 << 20, Total: 1 << 30, Inodes: -1}, nil
			}
		}, check.StoreSpace, check.Fail, "10 MiB free", "Free some space", 0},
		{"little space", func(w *world) {
			w.o.Space = func(string) (check.Space, error) {
				return check.Space{Free: 100 << 20, Total: 1 << 30, Inodes: -1}, nil
			}
		}, check.StoreSpace, check.Warn, "100 MiB free", "Free some space", 0},
		{"no inode", func(w *world) {
			w.o.Space = func(string) (check.Space, error) { return check.Space{Free: 1 << 40, Total: 1 << 40}, nil }
		}, check.StoreSpace, check.Fail, "no inode", "Remove some files", 0},
		{"store damaged", func(w *world) { w.write("dualgram.db", "no store at all") }, check.StoreReadable, check.Fail, "damaged", "move it away", 0},
		{"store open to all", func(w *world) {
			s := must(store.Open(store.Options{Path: w.file("dualgram.db")}))
			_ = s.Close()
			_ = os.Chmod(w.file("dualgram.db"), 0o644)
		}, check.StorePermissions, check.Warn, "others can read", "chmod 600", 0},
		{"directory open to all", func(w *world) { _ = os.Chmod(w.dir, 0o777) }, check.StorePermissions, check.Warn, "others can write", "chmod go-w", 0},
		{"no directory", func(w *world) { w.more = "" }, check.StoreDirectory, check.Pass, "can be written", "", -1},
		{"a proxy that is not used", func(w *world) {
			w.o.Env = []string{"https_proxy=http://10.0.0.1:3128"}
			w.net.Refuse("149.154.167.99:443", true)
		}, check.ConfigProxy, check.Warn, "https_proxy is set", "telegram.proxy", 1},
		{"a proxy that is not needed", func(w *world) { w.o.Env = []string{"HTTPS_PROXY=http://10.0.0.1:3128"} }, check.ConfigProxy, check.Pass, "nor needed", "", -1},
		{"a unit of its own making", func(w *world) {
			w.write("root/etc/systemd/system/dualgram.service", "[Service]\nType=simple\nExecStart=/usr/bin/dualgram run\n")
		}, check.UnitType, check.Warn, "Type=simple", "Type=notify", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				c.broken(w)
				r := w.check()
				wants(t, r, c.code, c.status, c.detail, c.fix)
				if got := bad(r); len(got) != c.others+1 {
					t.Errorf("%d things are wrong, want %d: %v", len(got), c.others+1, got)
				}
				if r.OK != (c.others == -1) {
					t.Errorf("ok: %v", r.OK)
				}
			})
		})
	}
}

// push queues updates that are delivered to nobody.
func (w *world) push(n int) {
	w.t.Helper()
	for i := range n {
		if _, err := w.sim.Push(w.botID, telegramsim.Update{User: int64(i + 1), Text: "x"}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// Progress is told, and ends with everything done.
func TestProgress(t *testing.T) {
	inWorld(t, func(w *world) {
		var last, total, calls int
		w.o.Progress = func(done, all int, code check.Code) {
			if _, known := check.Lookup(code); !known || done < last || done > all {
				t.Errorf("%d of %d: %s", done, all, code)
			}
			last, total = done, all
			calls++
		}
		w.check()
		if last != total || total < 20 || calls < total {
			t.Errorf("%d of %d, told %d times", last, total, calls)
		}
	})
}

// Another poller shows by a poll of our own, which takes nothing away.
func TestPoll(t *testing.T) {
	inWorld(t, func(w *world) {
		w.o.Poll = true
		wants(t, w.check(), check.PollerForeign, check.Pass, "nobody else polled within 4s", "")
		stop, err := w.sim.ForeignPoller(w.botID, 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		wants(t, w.check(), check.PollerForeign, check.Fail, "another getUpdates", "Stop that program")
		stop()
		w.push(3)
		wants(t, w.check(), check.PollerForeign, check.Skip, "updates are pending", "")
		if n := w.sim.Pending(w.botID); n != 3 {
			t.Errorf("%d of 3 are left", n)
		}
		synctest.Wait()
	})
}

// The ways in which a certificate comes to be, before it does.
func TestCertificatesToCome(t *testing.T) {
	inWorld(t, func(w *world) {
		w.tls = "{self_signed: true}"
		r := w.check()
		if !r.OK {
			t.Error(bad(r))
		}
		wants(t, r, check.TLSPair, check.Pass, "made at the first start", "")
		wants(t, r, check.HTTPProof, check.Pass, "proven to this check", "")
		if _, err := os.Stat(w.file("certificates")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the check has made certificates: %v", err)
		}
	})
	inWorld(t, func(w *world) {
		w.tls = "{acme: {email: ops@example.com, http_listen: \"" + hookIP + ":80\"}}"
		r := w.check()
		if !r.OK {
			t.Error(bad(r))
		}
		wants(t, r, check.PortListen, check.Pass, "is free", "")
		wants(t, r, check.PortACME, check.Pass, "is free", "")
		wants(t, r, check.TLSChain, check.Skip, "before the authority has signed", "")
		w.listen(hookIP + ":80")
		wants(t, w.check(), check.PortACME, check.Fail, "address already in use", "http_listen")
	})
	inWorld(t, func(w *world) {
		w.tls = "off\n      trusted_proxies: [5.45.72.0/24]"
		w.net.Host(hookHost, "5.45.72.99") // the proxy, which isn't there
		r := w.check()
		wants(t, r, check.TLSPair, check.Skip, "tls is off", "")
		wants(t, r, check.TCPConnect, check.Fail, "nothing listens", "the proxy")
		if r.Failed != 1 {
			t.Error(bad(r))
		}
	})
}

// Two bots share a listener, and one only polls.
func TestSeveralBots(t *testing.T) {
	inWorld(t, func(w *world) {
		other, third := "700000002:AAHfakefakefakefakefakefakefakefake1", "700000003:AAHfakefakefakefakefakefakefakefake2"
		w.write("token2", other)
		w.write("token3", third)
		must(w.sim.AddBot(other))
		must(w.sim.AddBot(third))
		w.bots = `  - name: shop
    token_file: DIR/token2
    webhook:
      public_url: https://` + hookHost + `:8443/webhook/shop
      listen: ` + hookIP + `:8443
      tls: {cert_file: DIR/cert.pem, key_file: DIR/key.pem}
      probe: {ca_file: DIR/root.pem}
    deliver: {forward: {url: http://` + botAddr + `/updates}}
  - name: poll
    token_file: DIR/token3
    webhook: off
    deliver: {ndjson: {path: "-"}}`
		r := w.check()
		if !r.OK {
			t.Error(bad(r))
		}
		proven := 0
		for _, c := range r.Checks {
			if c.Code == check.HTTPProof && c.Status == check.Pass {
				proven++
			}
			if c.Bot == "poll" && (c.Category == "dns" || c.Category == "tls" || c.Category == "http") && (c.Status != check.Skip || c.Detail != "the bot only polls") {
				t.Errorf("%+v", c)
			}
		}
		if proven != 2 {
			t.Errorf("%d of 2 are proven", proven)
		}
		w.o.Bot = "shop"
		for _, c := range w.check().Checks {
			if c.Bot != "" && c.Bot != "shop" {
				t.Errorf("not asked for: %+v", c)
			}
		}
	})
}

// What is left out by request doesn't make the rest ready.
func TestPartial(t *testing.T) {
	inWorld(t, func(w *world) {
		w.o.Only = []string{"TLS", "dg-dns-002"}
		r := w.check()
		if !r.OK || !r.Partial || !strings.HasSuffix(r.Summary(), "what was looked at is well") || len(r.Checks) != 8 {
			t.Errorf("%d: %s", len(r.Checks), r.Summary())
		}
		// What the running dualgram says counts all the same.
		w.o.Only = []string{"delivery"}
		w.running()
		w.live.status.Bots[0].Warnings = []console.Warning{{Code: string(warning.BotDown), Severity: console.SeverityCritical, Title: "The bot takes nothing", Text: "Repair it", Runbook: "bot_down"}}
		r = w.check()
		wants(t, r, check.DeliveryBot, check.Fail, "The bot takes nothing", "Repair it")
		if len(r.Checks) != 1 || r.Mode != check.ModeLive {
			t.Errorf("%s %v", r.Mode, r.Checks)
		}
	})
	wrong := check.Options{Config: config.Defaults(), Only: []string{"tls", "tsl"}}
	if w, known := wrong.Validate(); w != "tsl" || len(known) < 60 {
		t.Errorf("%q, %d known", w, len(known))
	}
}
