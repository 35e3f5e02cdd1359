package check_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/memnet"
	"dualgram/chaos/pki"
	"dualgram/chaos/telegramsim"
	"dualgram/cmd/dualgram/check"
	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/host"
	"dualgram/supervisor/console"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	token    = "700000001:AAHfakefakefakefakefakefakefakefake0"
	secret   = "Secret_of_the_test-0123456789abcd"
	hookHost = "bot.example.com"
	hookPath = "/webhook/pr1vate-p4th"
	hookURL  = "https://" + hookHost + ":8443" + hookPath
	hookIP   = "5.45.72.10"
	botAddr  = "127.0.0.1:9000"
	apiHost  = "api.telegram.org"
)

// world is a host with a configuration, in a network in memory and in virtual time;
// only the files are real.
type world struct {
	t     *testing.T
	dir   string
	net   *memnet.Network
	sim   *telegramsim.Sim
	ca    *pki.CA
	botID int64
	skew  atomic.Int64 // nanoseconds that the Bot API's Date is ahead
	live  *live

	mu     sync.Mutex
	called []string // methods of the Bot API, by the check

	// The configuration.
	tls     string // instead of the pair
	webhook string // further lines of the webhook, indented by six
	bots    string // further bots
	more    string // further top-level lines

	o check.Options // a test changes what it is about
}

// inWorld runs a test in a set-up that is well.
func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir)
		test(w)
	})
}

func newWorld(t *testing.T, dir string) *world {
	t.Helper()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, net: memnet.New(), live: &live{err: check.ErrNobody}}
	var err error
	if w.ca, err = pki.NewCA(time.Now(), "Test Root"); err != nil {
		t.Fatal(err)
	}
	w.net.Host(hookHost, hookIP)
	w.net.Host(apiHost, "149.154.167.99")
	w.sim = telegramsim.New(telegramsim.Options{Seed: 1, Dial: w.net.From("149.154.167.220").Dial, Roots: w.ca.Pool()})
	w.sim.SetHost(hookHost, hookIP)
	if w.botID, err = w.sim.AddBot(token); err != nil {
		t.Fatal(err)
	}
	pair, err := w.ca.Issue(time.Now(), pki.Leaf{Hosts: []string{apiHost}})
	if err != nil {
		t.Fatal(err)
	}
	api := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if skew := time.Duration(w.skew.Load()); skew != 0 {
			rw.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
		}
		w.mu.Lock()
		w.called = append(w.called, strings.ToLower(path.Base(r.URL.Path)))
		w.mu.Unlock()
		w.sim.ServeHTTP(rw, r)
	})}
	ln := w.listen(apiHost + ":443")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = api.Serve(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{pair.TLS()}}))
	}()
	bot := w.listen(botAddr)
	t.Cleanup(func() {
		_ = api.Close()
		<-done
		_ = bot.Close()
		w.sim.Close()
		time.Sleep(time.Minute) // let net/http's closing timers run out
	})
	w.write("token", token)
	w.write("secret", secret)
	w.write("root.pem", string(w.ca.RootPEM()))
	w.certificate(pki.Leaf{})
	w.o = check.Options{
		Live: w.live, Pre: true, Version: "v1.2.3", Resolver: w.net, Dial: w.net.From(hookIP).Dial,
		Listen: func(_ context.Context, _, addr string) (net.Listener, error) { return w.net.Listen(addr) },
		Root:   dir + "/root", FileLimit: func() uint64 { return 65536 },
		Space: func(string) (check.Space, error) {
			return check.Space{Free: 20 << 30, Total: 40 << 30, Inodes: 1 << 20}, nil
		},
	}
	return w
}

func (w *world) listen(addr string) net.Listener {
	w.t.Helper()
	ln, err := w.net.Listen(addr)
	if err != nil {
		w.t.Fatal(err)
	}
	return ln
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, content string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(w.file(name)), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.file(name), []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// certificate puts a pair of the world's authority into the files.
func (w *world) certificate(l pki.Leaf) {
	w.t.Helper()
	if l.Hosts == nil {
		l.Hosts = []string{hookHost}
	}
	p, err := w.ca.Issue(time.Now(), l)
	if err != nil {
		w.t.Fatal(err)
	}
	w.pair(p)
}

func (w *world) pair(p *pki.Pair) {
	w.t.Helper()
	if err := p.WriteFiles(w.file("cert.pem"), w.file("key.pem")); err != nil {
		w.t.Fatal(err)
	}
}

// config is the configuration as dualgram reads it.
func (w *world) config() *config.Config {
	w.t.Helper()
	pair := "{cert_file: DIR/cert.pem, key_file: DIR/key.pem}"
	if w.tls != "" {
		pair = w.tls
	}
	text := strings.NewReplacer("PAIR", pair, "WEBHOOK", w.webhook, "BOTS", w.bots, "MORE", w.more)
	w.write("dualgram.yaml", strings.ReplaceAll(text.Replace(`
bots:
  - name: orders
    token_file: DIR/token
    webhook:
      public_url: `+hookURL+`
      listen: `+hookIP+`:8443
      tls: PAIR
      secret_token_file: DIR/secret
      probe: {ca_file: DIR/root.pem}
WEBHOOK
    deliver: {forward: {url: http://`+botAddr+`/updates}}
BOTS
telegram: {ca_file: DIR/root.pem}
store: {path: DIR/dualgram.db}
control: {socket: DIR/control.sock}
observe: {listen: 127.0.0.1:9464}
MORE
`), "DIR", w.dir))
	cfg, err := config.Load(w.file("dualgram.yaml"), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return cfg
}

// check runs it, and holds what is true of every report.
func (w *world) check() check.Report {
	w.t.Helper()
	if w.o.Config == nil {
		w.o.Config = w.config()
		defer func() { w.o.Config = nil }()
	}
	begin := time.Now()
	r := check.Run(w.t.Context(), w.o)
	limit := check.DefaultTimeout
	if w.o.Timeout > 0 {
		limit = w.o.Timeout
	}
	if took := time.Since(begin); took > limit+time.Second {
		w.t.Errorf("it took %v, and %v were given", took, limit)
	}
	raw, err := json.Marshal(r)
	if err != nil {
		w.t.Fatal(err)
	}
	// Whatever it asks Telegram for changes nothing, and no poll is sent unasked.
	w.mu.Lock()
	for _, m := range w.called {
		if m != "getme" && m != "getwebhookinfo" && (m != "getupdates" || !w.o.Poll || !w.o.Pre || w.live.err != check.ErrNobody) {
			w.t.Errorf("%s was called", m)
		}
	}
	w.mu.Unlock()
	for _, private := range []string{token, token[10:], secret, hookPath[1:], "pr1vate"} {
		if strings.Contains(string(raw), private) {
			w.t.Errorf("%q is in the report: %s", private, raw)
		}
	}
	passed, bad := 0, 0
	for _, c := range r.Checks {
		if c.Detail == "" || c.Name == "" || c.Category == "" {
			w.t.Errorf("%s says nothing: %+v", c.Code, c)
		}
		switch c.Status {
		case check.Warn, check.Fail:
			bad++
			if c.Fix == "" || c.Runbook == "" || !strings.HasSuffix(c.Fix, ".") {
				w.t.Errorf("%s without a way out: %+v", c.Code, c)
			}
		case check.Pass:
			passed++
		}
	}
	if r.OK != (bad == 0 && !r.Refused && !r.Interrupted) || r.Passed != passed || r.Warned+r.Failed != bad {
		w.t.Errorf("the sums are wrong: %+v", r)
	}
	return r
}

// live is the running dualgram, or that there is none.
type live struct {
	err    error
	status console.Status
	vitals console.Vitals
	drills host.DrillsStatus
}

func (l *live) Status(context.Context) (console.Status, error) { return l.status, l.err }
func (l *live) Vitals(context.Context) (console.Vitals, error) { return l.vitals, l.err }
func (l *live) Drills(context.Context) (host.DrillsStatus, error) {
	return l.drills, l.err
}

// running makes it run, with everything well, and the webhook registered.
func (w *world) running() {
	w.t.Helper()
	w.o.Pre = false
	cfg := w.config()
	*w.live = live{
		status: console.Status{Schema: console.SchemaStatus, Version: "v1.2.3", Warnings: []console.Warning{}, Bots: []console.Bot{{
			Name: "orders", Mode: "webhook", Phase: "webhook", StandbyReady: true, Warnings: []console.Warning{},
			Webhook: &console.Webhook{Listen: hookIP + ":8443", Listening: true, Registered: true, LastArrivalAt: time.Now()}}}},
		vitals: console.Vitals{Schema: console.SchemaVitals, PID: 4711, UID: os.Geteuid(), ConfigHash: config.Hash(cfg), FileLimit: 65536,
			Observe: "127.0.0.1:9464", Store: console.StoreVitals{OK: true, Commits: 12, LastCommitMS: 3, MaxCommitMS: 21},
			Bots: []console.BotVitals{{Name: "orders", Connections: 512, Probe: &console.ProbeVitals{OK: true, Status: 200,
				Address: hookIP + ":8443", NotBefore: time.Now(), NotAfter: time.Now().Add(89 * 24 * time.Hour), TookMS: 12}}}},
		drills: host.DrillsStatus{Bots: []host.BotDrill{{Bot: "orders"}}},
	}
	ln := w.listen("127.0.0.1:9464")
	srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			fmt.Fprint(rw, "# HELP\ndualgram_build_info 1\n")
		}
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	hook := w.listen(hookIP + ":8443")
	pair, err := tls.LoadX509KeyPair(w.file("cert.pem"), w.file("key.pem"))
	if err != nil {
		w.t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := hook.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				if strings.HasPrefix(c.RemoteAddr().String(), "149.154.167.220:") { // others are turned away
					_, _ = io.Copy(io.Discard, tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}}))
				}
			})
		}
	})
	w.t.Cleanup(func() { _ = srv.Close(); <-done; _ = hook.Close(); w.sim.Close(); conns.Wait() })
	if code, text, err := w.sim.ForeignSetWebhook(w.botID, hookURL); err != nil || code != 200 {
		w.t.Fatal(code, text, err)
	}
	time.Sleep(2 * time.Second)
}

// of returns the one result of a code.
func of(t testing.TB, r check.Report, code check.Code) check.Result {
	t.Helper()
	var found []check.Result
	for _, c := range r.Checks {
		if c.Code == code {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d results of %s: %v", len(found), code, found)
	}
	return found[0]
}

// bad lists what isn't well.
func bad(r check.Report) (out []string) {
	for _, c := range r.Checks {
		if c.Status == check.Warn || c.Status == check.Fail {
			out = append(out, fmt.Sprintf("%s %s %s", c.Status, c.Code, c.Detail))
		}
	}
	return out
}

// wants wants a code to have ended so, with the words in detail and fix.
func wants(t testing.TB, r check.Report, code check.Code, status check.Status, detail, fix string) {
	t.Helper()
	c := of(t, r, code)
	if c.Status != status || !strings.Contains(c.Detail, detail) || !strings.Contains(c.Fix, fix) {
		t.Errorf("%s %s: %s | %s\nwant %s with %q and the fix %q", c.Status, c.Code, c.Detail, c.Fix, status, detail, fix)
	}
}

var hash = regexp.MustCompile(`hash [0-9a-f]{12}`)

// golden compares a report, line by line, with a file.
func (w *world) golden(name string, r check.Report) {
	w.t.Helper()
	var b strings.Builder
	for _, c := range r.Checks {
		line := fmt.Sprintf("%-4s %-11s %-16s %s", c.Status, c.Code, c.Component(), c.Detail)
		if c.Fix != "" {
			line += "\n     " + c.Fix + " [" + c.Runbook + "]"
		}
		b.WriteString(line + "\n")
	}
	got := b.String() + "SUMMARY: " + r.Summary() + "\n"
	got = hash.ReplaceAllString(strings.ReplaceAll(got, w.dir, "DIR"), "hash HASH")
	file := "testdata/" + name + ".golden"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	if got != string(want) {
		w.t.Errorf("%s differs (go test -update writes it)\n--- got\n%s\n--- want\n%s", file, got, want)
	}
}
