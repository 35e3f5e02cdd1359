package e2e_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"dualgram/chaos/pki"
	"dualgram/chaos/telegramsim"
)

// outAndBack breaks the path and heals it, and wants a failover and a failback.
func (w *world) outAndBack(p *process) {
	w.t.Helper()
	w.path.set(pathRefused)
	p.phase("polling", 15*time.Second)
	w.flows(p, "polling")
	w.path.set(pathOpen)
	p.phase("webhook", 20*time.Second)
	w.flows(p, "webhook")
}

// Plain HTTP, as behind something that ends TLS and is no HTTP proxy: the peer is
// the client. A Bot API server of one's own allows http in the URL, too.
func TestPlainHTTP(t *testing.T) {
	w := newWorld(t)
	w.conf.TLS = "off"
	w.conf.PublicURL = strings.Replace(w.conf.PublicURL, "https://", "http://", 1)
	p := w.run()
	w.steady(p)
	w.outAndBack(p)
	w.settle(20*time.Second, 0)
	w.quietly(p)
}

// A bot without a webhook polls, and needs no listener.
func TestPollingOnly(t *testing.T) {
	w := newWorld(t)
	w.conf.Webhook = "off"
	id := w.push(1)
	p := w.run()
	b := p.phase("polling", 15*time.Second)
	if b.Webhook != nil || len(b.Warnings) != 0 || b.Mode != "polling" {
		t.Errorf("webhook %v, warnings %v, mode %s", b.Webhook, b.Warnings, b.Mode)
	}
	w.flowing(20)
	w.flows(p, "polling")
	for _, path := range []string{"/livez", "/readyz"} {
		if code, body, err := p.observe(path); code != 200 || err != nil {
			t.Errorf("%s: %d %v %s", path, code, err, body)
		}
	}
	p.stop()
	// After a clean end it goes on where it was.
	p = w.run()
	p.phase("polling", 15*time.Second)
	w.flows(p, "polling")
	w.settle(20*time.Second, 0)
	truth := must(w.sim.Bot(w.botID))
	if !w.bot.has(id) || len(truth.Webhooks) != 0 || truth.Counters.Methods["setwebhook"] != 0 {
		t.Errorf("webhooks %+v, calls %v", truth.Webhooks, truth.Counters.Methods)
	}
	p.stop()
}

// Another URL in the configuration: the one at Telegram is an old one of ours, be
// it after a clean end or a kill, and is replaced without asking.
func TestURLChanged(t *testing.T) {
	w := newWorld(t)
	w.flowing(20)
	p := w.run()
	p.phase("webhook", 15*time.Second)
	w.flows(p, "webhook")
	p.stop()

	w.conf.PublicURL = w.publicURL("second")
	p = w.host()
	p.phase("webhook", 15*time.Second)
	w.flows(p, "webhook")
	p.kill()

	w.conf.PublicURL = w.publicURL("third")
	p = w.run()
	w.recovered(p)
}

// Two bots share a listener, told apart by path, each with its own secret, store,
// mode. What befalls one is nothing to the other.
func TestTwoBots(t *testing.T) {
	w := newWorld(t)
	token, secret := newToken(), "T"+rand.Text()
	w.vault.token(token)
	w.vault.secret(secret)
	second := must(w.sim.AddBot(token))
	bot := newSampleBot(t)
	w.write("token2", token)
	w.write("secret2", secret)
	w.conf.MoreBots = fmt.Sprintf(`  - name: support
    token_file: %s
    webhook:
      public_url: %s
      listen: %s
      tls: {cert_file: %s, key_file: %s}
      secret_token_file: %s
      allow_networks: [127.0.0.0/8]
    deliver: {forward: {url: %q}}`,
		w.file("token2"), w.publicURL("support"), w.conf.Listen, w.conf.CertFile, w.conf.KeyFile, w.file("secret2"), bot.url)
	p := w.run()
	w.steady(p)
	pushSecond := func(n int) {
		for i := range n {
			text := "Private words " + rand.Text()
			w.vault.text(text)
			must(w.sim.Push(second, telegramsim.Update{User: int64(i%5 + 1), Text: text}))
		}
	}
	pushSecond(30)
	s := stranger{w: w, addr: w.conf.Listen}
	for _, c := range []struct{ path, secret string }{{"/webhook/orders", secret}, {"/webhook/support", w.secret}} {
		if code, err := s.post(c.path, c.secret, []byte(`{"update_id":1}`)); code != 403 || err != nil {
			t.Errorf("%s with the other's secret: %d %v", c.path, code, err)
		}
	}
	// One token is revoked: that bot is held, the other is not.
	must(w.sim.AddBot(strings.SplitN(token, ":", 2)[0] + strings.TrimLeft(newToken(), "0123456789")))
	eventually(t, 15*time.Second, "one held", func() error {
		st, err := p.ask()
		if err != nil {
			return err
		}
		if len(st.Bots) != 2 || st.Bots[0].Phase != "webhook" || st.Bots[1].Phase != "held" {
			return fmt.Errorf("%+v", st.Bots)
		}
		return nil
	})
	must(w.sim.AddBot(token))
	w.outAndBack(p)
	pushSecond(30)
	w.settle(20*time.Second, 0)
	eventually(t, 20*time.Second, "the second bot's updates", func() error { return w.undelivered(second, bot) })
	for _, problem := range w.judge(second, bot, 0).Problems {
		t.Error("second bot:", problem)
	}
	for got := range bot.secrets {
		if got != secret {
			t.Error("the second bot got another secret")
		}
	}
	if !strings.Contains(p.scrape(), `bot="support"`) {
		t.Error("no metrics of the second bot")
	}
	w.quietly(p)
}

// NDJSON: each update is one line, over a rotation by SIGHUP and a restart.
func TestNDJSON(t *testing.T) {
	w := newWorld(t)
	file := w.file("updates.ndjson")
	w.conf.Deliver = "{ndjson: {path: " + file + "}}"
	p := w.run()
	p.phase("webhook", 15*time.Second)
	w.flowing(40)
	lines := func() int { return bytes.Count(must(os.ReadFile(file)), []byte("\n")) }
	grow := func(n int) {
		t.Helper()
		eventually(t, 20*time.Second, "lines", func() error {
			if got := lines(); got < n {
				return fmt.Errorf("%d lines", got)
			}
			return p.running()
		})
	}
	grow(30)
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	// Until SIGHUP lines go on to the old file; there is no new one.
	p.signal(syscall.SIGHUP)
	eventually(t, 5*time.Second, "a new file", func() error { _, err := os.Stat(file); return err })
	grow(30)
	p.stop()
	// A line that was torn stands alone.
	f := must(os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0))
	must(f.WriteString(`{"update_id":1,"source":"web`))
	f.Close()
	before := lines()
	w.path.set(pathRefused)
	p = w.run()
	p.phase("polling", 20*time.Second)
	grow(before + 30)
	w.traffic()
	w.flow.Wait()

	var got []taken
	torn := 0
	read := func() {
		got, torn = nil, 0
		for _, name := range []string{file + ".1", file} {
			in := bufio.NewScanner(bytes.NewReader(must(os.ReadFile(name))))
			in.Buffer(nil, 1<<20)
			for in.Scan() {
				var l struct {
					ID       int64           `json:"update_id"`
					Source   string          `json:"source"`
					Received time.Time       `json:"received_at"`
					Update   json.RawMessage `json:"update"`
				}
				if json.Unmarshal(in.Bytes(), &l) != nil {
					torn++
					continue
				}
				if l.Received.IsZero() || l.Source != "webhook" && l.Source != "polling" {
					t.Errorf("a line from %q at %v", l.Source, l.Received)
				}
				// The line break behind update_id became a space.
				got = append(got, taken{ID: l.ID, Source: l.Source, Body: strings.Replace(string(l.Update), ", ", ",\n", 1)})
			}
		}
	}
	eventually(t, 20*time.Second, "all lines", func() error {
		read()
		if n := must(w.sim.Bot(w.botID)).Counters.Pushed; len(got) < n {
			return fmt.Errorf("%d of %d", len(got), n)
		}
		return nil
	})
	if torn != 1 {
		t.Errorf("%d lines don't parse, and one was torn", torn)
	}
	record := &sampleBot{taken: got}
	eventually(t, 10*time.Second, "all confirmed", func() error { return w.undelivered(w.botID, record) })
	v := w.judge(w.botID, record, 0)
	for _, problem := range v.Problems {
		t.Error(problem)
	}
	t.Log(v)
	p.stop()
}

// NDJSON on standard output, for a pipe.
func TestNDJSONToStdout(t *testing.T) {
	w := newWorld(t)
	w.conf.Deliver = `{ndjson: {path: "-"}}`
	w.conf.Webhook = "off"
	cmd := exec.Command(binary, "run", "--config", w.configure())
	cmd.Env = environment()
	p := w.start(cmd, "run")
	p.updates = true
	p.phase("polling", 15*time.Second)
	for user := range int64(20) {
		w.push(user)
	}
	eventually(t, 10*time.Second, "lines", func() error {
		if n := strings.Count(p.stdout.String(), "\n"); n != 20 {
			return fmt.Errorf("%d lines", n)
		}
		return nil
	})
	p.stop()
	for line := range strings.Lines(p.stdout.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %.80s", line)
		}
	}
}

// The Bot API over TLS, with an authority of one's own.
func TestBotAPIOverTLS(t *testing.T) {
	w := newWorld(t)
	pair := must(w.ca.Issue(time.Now(), pki.Leaf{Hosts: []string{"127.0.0.1"}}))
	addr := freeAddr(t)
	ln := tls.NewListener(must(listenAt(addr)), &tls.Config{Certificates: []tls.Certificate{pair.TLS()}})
	serve(t, ln, http.HandlerFunc(w.sim.ServeHTTP))
	w.conf.API = "https://" + addr
	w.conf.CA = ", ca_file: " + w.write("ca.pem", string(w.ca.RootPEM()))
	p := w.run()
	w.steady(p)
	w.outAndBack(p)
	w.settle(20*time.Second, 0)
	w.quietly(p)

	// Without that authority nothing is sent, the token least of all.
	w.conf.CA = ""
	p = w.run()
	p.until(15*time.Second, "unreachable", func(b botStatus) bool { return b.warning("bot_api_unreachable") })
	p.logged(15*time.Second, "certificate")
	p.stop()
}
