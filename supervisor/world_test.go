package supervisor_test

import (
	"context"
	"crypto/tls"
	"dualgram/chaos"
	"dualgram/chaos/memnet"
	"dualgram/chaos/pki"
	"dualgram/chaos/telegramsim"
	"dualgram/store"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
	"dualgram/supervisor/failover"
	"dualgram/transport"
	"dualgram/transport/botapi"
	"dualgram/transport/delivery"
	"dualgram/transport/probe"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// The world of a test: Telegram on one side, a bot on the other, a network and
// a disk between them, all in virtual time but the disk.
const (
	testToken = "700000001:AAHfakefakefakefakefakefakefakefake0"
	testHost  = "bot.example.com"
	testIP    = "5.45.72.10"
	testAPI   = "api.telegram.org"
	testURL   = "https://" + testHost + "/webhook"
	secret    = "Secret_of_the_test-0123456789abcd"
)

var errCrashed = errors.New("crashed")

type testWorld struct {
	t     testing.TB
	net   *memnet.Network
	sim   *telegramsim.Sim
	ca    *pki.CA
	bot   *sampleBot
	path  string
	botID int64
	api   *http.Server
	apiWG sync.WaitGroup

	tune   func(*supervisor.BotOptions)
	listen func(*supervisor.ListenerOptions, *chaos.Registry)
	skew   atomic.Int64 // nanoseconds that the Bot API's Date header is ahead
	once   atomic.Int64 // the same, of the next getWebhookInfo only
	log    zerolog.Logger
	reg    prometheus.Registerer

	hosts   []*host
	cleanup []func()
	// injected is what the supervisor is told of faults; nil: nothing.
	injected func() []supervisor.Fault

	mu     sync.Mutex
	events []supervisor.Event
}

func newWorld(t testing.TB, seed uint64) *testWorld {
	w := &testWorld{t: t, net: memnet.New(), path: filepath.Join(t.TempDir(), "dualgram.db"), bot: newSampleBot(), log: zerolog.Nop()}
	ca, err := pki.NewCA(time.Now(), "Test Root")
	if err != nil {
		t.Fatal(err)
	}
	w.ca = ca
	w.net.Host(testHost, testIP)
	w.net.Host(testAPI, "149.154.167.99")
	w.sim = telegramsim.New(telegramsim.Options{Seed: seed, Dial: w.net.From("149.154.167.220").Dial, Roots: ca.Pool()})
	w.sim.SetHost(testHost, testIP)
	if w.botID, err = w.sim.AddBot(testToken); err != nil {
		t.Fatal(err)
	}
	ln, err := w.net.Listen(testAPI + ":80")
	if err != nil {
		t.Fatal(err)
	}
	w.api = &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		skew := time.Duration(w.skew.Load())
		if strings.HasSuffix(r.URL.Path, "/getWebhookInfo") {
			skew += time.Duration(w.once.Swap(0))
		}
		if skew != 0 {
			rw.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
		}
		w.sim.ServeHTTP(rw, r)
	})}
	w.apiWG.Go(func() { _ = w.api.Serve(ln) })
	return w
}

// close ends the world; hosts that a failed test left running are crashed.
func (w *testWorld) close() {
	for _, f := range w.cleanup {
		f()
	}
	for _, h := range w.hosts {
		if h.sup == nil {
			continue
		}
		select {
		case <-h.done:
		default:
			h.crash()
			h.bury()
		}
	}
	_ = w.api.Close()
	w.apiWG.Wait()
	w.sim.Close()
	time.Sleep(time.Minute) // let net/http's closing timers run out
}

// host is one process of dualgram.
type host struct {
	w      *testWorld
	proc   *memnet.Process
	faults *chaos.Registry
	store  *store.Store
	sup    *supervisor.Supervisor
	cancel context.CancelFunc
	done   chan struct{} // closed when Run has returned
	err    error         // of Run
	once   sync.Once
	dead   chan struct{}
}

// start runs a host on the world's store. hook is called at the named steps.
func (w *testWorld) start(hook func(h *host, point string) error) *host {
	w.t.Helper()
	h := &host{w: w, proc: w.net.Process("dualgram"), dead: make(chan struct{}), done: make(chan struct{})}
	w.hosts = append(w.hosts, h)
	h.faults = chaos.New(chaos.Options{Enabled: true})
	var err error
	h.store, err = store.Open(store.Options{Path: w.path, Hook: h.faults.Hook(chaos.SeamStore)})
	if err != nil {
		w.t.Fatal(err)
	}
	ledger, err := h.store.Ledger(w.botID)
	if err != nil {
		w.t.Fatal(err)
	}
	api, err := botapi.New(botapi.Options{Token: testToken, BaseURL: "http://" + testAPI, Dial: h.proc.Dial, Wrap: h.faults.RoundTripper})
	if err != nil {
		w.t.Fatal(err)
	}
	pair, err := w.ca.Issue(time.Now(), pki.Leaf{Hosts: []string{testHost}})
	if err != nil {
		w.t.Fatal(err)
	}
	// Our own probe sees the webhook from somewhere else than this host.
	responder := &probe.Responder{}
	outside := w.net.From("203.0.113.7")
	prober := func(now func() time.Time) (supervisor.Prober, error) {
		return probe.New(probe.Options{URL: testURL, Roots: w.ca.Pool(), Responder: responder, Now: now, Dial: outside.Dial, Resolver: w.net})
	}
	var point transport.Hook
	if hook != nil {
		point = func(_ context.Context, p string) error { return hook(h, p) }
	}
	bo := supervisor.BotOptions{
		Name: "test", BotID: w.botID, API: api, Ledger: ledger,
		Webhook: &supervisor.WebhookOptions{Listener: testIP + ":443",
			Params: botapi.SetWebhook{URL: testURL, SecretToken: secret, MaxConnections: 40}, Prober: prober},
		Handler: w.bot,
		Policy:  failover.Policy{HoldDown: 10 * time.Second, MaxHoldDown: 10 * time.Second},
		Hook:    point,
		Observe: w.observe,
	}
	if w.tune != nil {
		w.tune(&bo)
	}
	lo := supervisor.ListenerOptions{
		Address: testIP + ":443",
		TLS:     h.faults.TLSConfig(&tls.Config{Certificates: []tls.Certificate{pair.TLS()}, MinVersion: tls.VersionTLS12}),
		Listen: func(_ context.Context, a string) (net.Listener, error) {
			ln, err := h.proc.Listen(a)
			if err != nil {
				return nil, err
			}
			return h.faults.ReopenListener(ln, func() (net.Listener, error) { return h.proc.Listen(a) }), nil
		},
		WrapHandler: h.faults.Handler,
		MaxConns:    512,
		Responder:   responder,
	}
	if w.listen != nil {
		w.listen(&lo, h.faults)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	h.sup, err = supervisor.New(ctx, supervisor.Options{
		Bots: []supervisor.BotOptions{bo}, Health: h.store.Health, Logger: w.log, Registry: w.reg,
		Listeners: []supervisor.ListenerOptions{lo}, Faults: w.injected,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(h.done)
		h.err = h.sup.Run(ctx)
	}()
	return h
}

// crash cuts every handle on network and store at this point, as kill -9 does.
// Only what is on disk, and what the others have, is left.
func (h *host) crash() {
	h.once.Do(func() {
		h.proc.Kill()
		_ = h.store.Abandon()
		h.cancel()
		close(h.dead)
	})
}

// bury waits until what is left of a crashed host has ended.
func (h *host) bury() {
	<-h.dead
	<-h.done
	_ = h.faults.Close()
}

// stop ends the host as SIGTERM does.
func (h *host) stop() error {
	h.cancel()
	<-h.done
	_ = h.faults.Close()
	return errors.Join(h.err, h.store.Close())
}

func (w *testWorld) observe(e supervisor.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// story returns the events so far.
func (w *testWorld) story() []supervisor.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]supervisor.Event(nil), w.events...)
}

// phase is the bot's phase as the status tells it.
func (h *host) phase() (phase string, trial bool) {
	s, err := h.sup.Status(context.Background())
	if err != nil || len(s.Bots) != 1 {
		return fmt.Sprint("unknown: ", err), false
	}
	return s.Bots[0].Phase, s.Bots[0].Trial
}

// await waits until the host is in the phase, for at most so long.
func (h *host) await(phase string, trial bool, most time.Duration) error {
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		select {
		case <-h.dead:
			return errCrashed
		default:
		}
		if p, tr := h.phase(); p == phase && tr == trial {
			return nil
		}
	}
	p, tr := h.phase()
	return fmt.Errorf("after %v the bot is in %s (trial %v), not in %s (trial %v)", most, p, tr, phase, trial)
}

// clientTLS is what a client needs to trust the listener.
func (w *testWorld) clientTLS() *tls.Config {
	return &tls.Config{RootCAs: w.ca.Pool(), ServerName: testHost, Time: time.Now}
}

func hasWarning(ws []console.Warning, code string) bool {
	for _, w := range ws {
		if w.Code == code {
			return true
		}
	}
	return false
}

// sampleBot is the bot behind dualgram. It keeps a record of its own.
type sampleBot struct {
	mu    sync.Mutex
	taken []take
	delay time.Duration
	plant func(u delivery.Update) bool // true: pretend not to have seen it
}

type take struct {
	ID      int64
	Attempt int
	Source  transport.Source
	At      time.Time
}

func newSampleBot() *sampleBot { return &sampleBot{delay: 5 * time.Millisecond} }

// Deliver implements delivery.Handler.
func (b *sampleBot) Deliver(ctx context.Context, u delivery.Update) error {
	b.mu.Lock()
	if b.plant == nil || !b.plant(u) {
		b.taken = append(b.taken, take{u.ID, u.Attempt, u.Source, time.Now()})
	}
	b.mu.Unlock()
	select {
	case <-time.After(b.delay):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *sampleBot) record() []take {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]take(nil), b.taken...)
}

// inWorld runs f in a bubble with a world whose Bot API takes 20 to 200 ms.
func inWorld(t *testing.T, f func(t *testing.T, w *testWorld)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.sim.SetKnobs(telegramsim.Knobs{Latency: 20 * time.Millisecond, LatencyMax: 200 * time.Millisecond})
		defer w.close()
		f(t, w)
	})
}

// proven starts a host and waits until its webhook is proven. Traffic runs until
// the returned function is called, which waits for it.
func (w *testWorld) proven(t *testing.T, rate float64) (*host, func()) {
	t.Helper()
	h := w.start(nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- telegramsim.Traffic{Seed: 3, Bot: w.botID, Rate: rate, Chats: 8}.Run(ctx, w.sim) }()
	w.cleanup = append(w.cleanup, cancel)
	must0(t, h.await("webhook", true, 10*time.Second))
	must0(t, h.await("webhook", false, 90*time.Second))
	return h, func() {
		cancel()
		<-done
	}
}

func must0(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *testWorld) push(t *testing.T, n int, chat int64) (ids []int64) {
	t.Helper()
	for i := range n {
		id, err := w.sim.Push(w.botID, telegramsim.Update{Chat: chat, User: chat, Text: fmt.Sprint("text ", i)})
		must0(t, err)
		ids = append(ids, id)
	}
	return ids
}

// settle stops traffic and host once Telegram's queue is empty, and judges.
func (w *testWorld) settle(t *testing.T, h *host, stop func(), onset time.Time) verdict {
	t.Helper()
	stop()
	for i := 0; i < 1800 && w.sim.Pending(w.botID) > 0; i++ {
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(2 * time.Second)
	must0(t, h.stop())
	v := judge(w, onset)
	for _, p := range v.Problems {
		t.Error(p)
	}
	return v
}

// moves lists the phases that the bot entered after the given time.
func (w *testWorld) moves(after time.Time) (to []string) {
	for _, e := range w.story() {
		if e.Kind == supervisor.EventPhase && e.At.After(after) {
			to = append(to, e.To+" by "+e.Cause)
		}
	}
	return to
}
