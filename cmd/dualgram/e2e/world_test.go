package e2e_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dualgram/chaos/pki"
	"dualgram/chaos/telegramsim"
)

// hookHost is the name by which Telegram knows the webhook.
const hookHost = "bot.example.test"

// world is one test's surroundings: Telegram on one side, a bot on the other,
// and what dualgram needs on disk. dualgram itself comes with [world.run].
type world struct {
	t   *testing.T
	dir string
	sim *telegramsim.Sim
	api *apiServer
	ca  *pki.CA
	// roots are those that Telegram trusts. They don't change once a process runs.
	roots *x509.CertPool
	path  *relay // from Telegram to the listener
	conf  *conf

	// The first bot; most tests have no other.
	botID  int64
	token  string
	secret string
	bot    *sampleBot

	vault   *vault
	procs   []*process
	traffic context.CancelFunc
	flow    sync.WaitGroup
}

// conf is the configuration file; a test changes what it is about.
type conf struct {
	Name, TokenFile, PublicURL, Listen, CertFile, KeyFile, SecretFile string

	TLS      string // instead of the pair
	Webhook  string // further lines of webhook, or "off" instead of all
	Networks string
	Deliver  string
	MoreBots string
	API, CA  string
	Store    string
	Failover string
	Socket   string
	Control  string // further keys of control, with a comma before
	Observe  string
	Log      string
	More     string // further top-level keys
}

func (c *conf) yaml() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("bots:")
	line("  - name: %s", c.Name)
	line("    token_file: %s", c.TokenFile)
	if c.Webhook == "off" {
		line("    webhook: off")
	} else {
		line("    webhook:")
		line("      public_url: %s", c.PublicURL)
		line("      listen: %s", c.Listen)
		if c.TLS != "" {
			line("      tls: %s", c.TLS)
		} else {
			line("      tls: {cert_file: %s, key_file: %s}", c.CertFile, c.KeyFile)
		}
		if c.SecretFile != "" {
			line("      secret_token_file: %s", c.SecretFile)
		}
		line("      allow_networks: %s", c.Networks)
		if c.Webhook != "" {
			line("      %s", c.Webhook)
		}
	}
	line("    deliver: %s", c.Deliver)
	if c.MoreBots != "" {
		line("%s", strings.TrimRight(c.MoreBots, "\n"))
	}
	line("telegram: {api_url: %s%s}", c.API, c.CA)
	line("store: {path: %s}", c.Store)
	line("failover: {%s}", c.Failover)
	line("control: {socket: %s%s}", c.Socket, c.Control)
	line("observe: {listen: %s}", c.Observe)
	line("log: %s", c.Log)
	if c.More != "" {
		line("%s", c.More)
	}
	return b.String()
}

// tokens of all worlds differ, so that one found in a log tells whose it is.
var botNumber atomic.Int64

// newToken makes a token that nothing else in the world holds.
func newToken() string {
	return fmt.Sprintf("7%08d:AA%s", botNumber.Add(1), (rand.Text() + rand.Text())[:33])
}

// newWorld builds everything but dualgram.
func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldFrom(t, nil)
}

// newWorldFrom is newWorld with webhook connections opened by dial, if it is not
// nil.
func newWorldFrom(t *testing.T, dial func(ctx context.Context, network, addr string) (net.Conn, error)) *world {
	t.Helper()
	t.Parallel()
	// Short, because a unix socket's path has to be.
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, token: newToken(), secret: "S" + rand.Text(), vault: &vault{}}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w.ca = must(pki.NewCA(time.Now(), "E2E Root"))
	w.roots = w.ca.Pool()
	w.sim = telegramsim.New(telegramsim.Options{Seed: uint64(botNumber.Load()), Local: true, Roots: w.roots, Dial: dial})
	t.Cleanup(w.sim.Close)
	w.sim.SetHost(hookHost, "127.0.0.1")
	w.sim.SetKnobs(telegramsim.Knobs{Local: true, Latency: 10 * time.Millisecond, LatencyMax: 60 * time.Millisecond})
	w.botID = must(w.sim.AddBot(w.token))
	w.api = serveAPI(t, w.sim)
	w.bot = newSampleBot(t)
	listen := freeAddr(t)
	w.path = newRelay(t, listen)
	w.vault.token(w.token)
	w.vault.secret(w.secret)
	w.write("token", w.token+"\n")
	w.write("secret", w.secret+"\n")
	w.conf = &conf{
		Name: "orders", TokenFile: w.file("token"), PublicURL: w.publicURL("orders"), Listen: listen,
		CertFile: w.file("cert.pem"), KeyFile: w.file("key.pem"), SecretFile: w.file("secret"),
		Networks: "[127.0.0.0/8]",
		Deliver:  "{forward: {url: " + w.bot.url + ", timeout: 3s}}",
		API:      "http://" + w.api.addr, Store: w.file("dualgram.db"), Socket: w.file("control.sock"),
		Failover: "hold_down: 1s, info_interval: 500ms",
		Observe:  freeAddr(t), Log: "{level: debug}",
	}
	w.certificate(pki.Leaf{})
	return w
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

// publicURL is the webhook's URL for a path of its own.
func (w *world) publicURL(name string) string {
	_, port, _ := net.SplitHostPort(w.path.addr)
	return "https://" + hookHost + ":" + port + "/webhook/" + name
}

func (w *world) write(name, content string) string {
	w.t.Helper()
	path := w.file(name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// certificate puts a new pair of the world's authority into the files.
func (w *world) certificate(l pki.Leaf) {
	w.t.Helper()
	if l.Hosts == nil {
		l.Hosts = []string{hookHost}
	}
	if err := must(w.ca.Issue(time.Now(), l)).WriteFiles(w.file("cert.pem"), w.file("key.pem")); err != nil {
		w.t.Fatal(err)
	}
}

// push queues a message from a user whose text must not be seen anywhere.
func (w *world) push(user int64) int64 {
	w.t.Helper()
	text := "Private words " + rand.Text()
	w.vault.text(text)
	id, err := w.sim.Push(w.botID, telegramsim.Update{User: user, Text: text})
	if err != nil {
		w.t.Fatalf("push: %v", err)
	}
	return id
}

// flowing pushes realistic updates at the rate until [world.settle] or the end.
func (w *world) flowing(rate float64) {
	ctx, cancel := context.WithCancel(context.Background())
	w.traffic = cancel
	w.t.Cleanup(func() { cancel(); w.flow.Wait() })
	tr := telegramsim.Traffic{Seed: uint64(w.botID), Bot: w.botID, Rate: rate, Chats: 12,
		Pushed: func(_ int64, u telegramsim.Update) { w.vault.text(u.Text) }}
	w.flow.Go(func() {
		if err := tr.Run(ctx, w.sim); err != nil {
			w.t.Errorf("traffic: %v", err)
		}
	})
}

// apiServer is the Bot API's front: the simulator on a socket of its own, with a
// clock that can be wrong.
type apiServer struct {
	addr string
	skew atomic.Int64 // nanoseconds that its Date header is ahead

	mu   sync.Mutex
	held chan struct{} // calls wait until it is closed; nil: they don't
}

// hold lets calls wait, or lets them go on.
func (a *apiServer) hold(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held != nil {
		close(a.held)
		a.held = nil
	}
	if on {
		a.held = make(chan struct{})
	}
}

func serveAPI(t testing.TB, sim *telegramsim.Sim) *apiServer {
	t.Helper()
	a := &apiServer{}
	ln, err := listenAt(freeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	a.addr = ln.Addr().String()
	srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		held := a.held
		a.mu.Unlock()
		if held != nil {
			select {
			case <-held:
			case <-r.Context().Done():
				return
			}
		}
		if skew := time.Duration(a.skew.Load()); skew != 0 {
			rw.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
		}
		sim.ServeHTTP(rw, r)
	})}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(ln) })
	t.Cleanup(func() { srv.Close(); wg.Wait() })
	return a
}

// eventually waits until the condition holds, and fails the test with what it
// last said if that takes too long.
func eventually(t testing.TB, most time.Duration, what string, cond func() error) {
	t.Helper()
	deadline := time.Now().Add(most)
	pause := 5 * time.Millisecond
	for {
		err := cond()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, most, err)
		}
		time.Sleep(pause)
		pause = min(2*pause, 50*time.Millisecond)
	}
}

// holds fails the test if the condition stops holding within the time.
func holds(t testing.TB, d time.Duration, what string, cond func() error) {
	t.Helper()
	for deadline := time.Now().Add(d); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err := cond(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
}
