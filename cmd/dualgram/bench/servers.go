package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"sync"
	"time"

	"dualgram/chaos/pki"
	"dualgram/store"
	"dualgram/supervisor"
	"dualgram/transport/botapi"
	"dualgram/transport/delivery"
	"dualgram/transport/webhook"

	bolt "go.etcd.io/bbolt"
)

// serve is the child process: one contestant, until its standard input ends.
func serve(args []string) error {
	name, secure, dir, profile := args[0], args[1] == "true", args[2], args[3]
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer func() {
			pprof.StopCPUProfile()
			_ = f.Close()
		}()
	}
	var cfg *tls.Config
	if secure {
		pair, err := pki.SelfSigned(time.Now(), pki.Leaf{Hosts: []string{"bench.test"}})
		if err != nil {
			return err
		}
		cfg = &tls.Config{Certificates: []tls.Certificate{pair.TLS()}, MinVersion: tls.VersionTLS13}
	}
	switch name {
	case contestants[0]:
		return bare(ctx, cfg, func(int64, []byte) error { return nil })
	case contestants[1]:
		return intakeOnly(ctx, cfg, dir)
	case contestants[2]:
		g, err := newGroup(filepath.Join(dir, "bare.db"))
		if err != nil {
			return err
		}
		defer g.close()
		return bare(ctx, cfg, g.put)
	case contestants[3]:
		return whole(ctx, cfg, dir)
	}
	return fmt.Errorf("no such server: %q", name)
}

// bare is net/http with as little around it as can be: the body is read, handed
// to put, and answered.
func bare(ctx context.Context, cfg *tls.Config, put func(int64, []byte) error) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	if cfg != nil {
		ln = tls.NewListener(ln, cfg)
	}
	srv := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = put(idOf(body), body)
		}
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	<-ctx.Done()
	_ = srv.Close()
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// idOf reads the update_id that stands first in the body.
func idOf(body []byte) (id int64) {
	for _, c := range body[min(len(body), len(`{"update_id":`)):] {
		if c < '0' || c > '9' {
			break
		}
		id = id*10 + int64(c-'0')
	}
	return id
}

// group is the simplest honest group commit over bbolt: one goroutine takes what
// waits into one transaction. No deduplication, no removal.
type group struct {
	db   *bolt.DB
	in   chan entry
	done chan struct{}
}

type entry struct {
	id   int64
	body []byte
	out  chan error
}

func newGroup(path string) (*group, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	g := &group{db: db, in: make(chan entry, 1024), done: make(chan struct{})}
	go g.run()
	return g, nil
}

func (g *group) run() {
	defer close(g.done)
	for first := range g.in {
		batch := []entry{first}
	more:
		for {
			select {
			case e, ok := <-g.in:
				if !ok {
					break more
				}
				batch = append(batch, e)
			default:
				break more
			}
		}
		err := g.db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("updates"))
			if err != nil {
				return err
			}
			for _, e := range batch {
				var k [8]byte
				for i := range k {
					k[7-i] = byte(e.id >> (8 * i))
				}
				if err := b.Put(k[:], e.body); err != nil {
					return err
				}
			}
			return nil
		})
		for _, e := range batch {
			e.out <- err
		}
	}
}

func (g *group) put(id int64, body []byte) error {
	e := entry{id, body, make(chan error, 1)}
	g.in <- e
	return <-e.out
}

func (g *group) close() {
	close(g.in)
	<-g.done
	_ = g.db.Close()
}

// intakeOnly is dualgram's listener and ledger: authentication, scan, dedup,
// commit, answer. Nothing is delivered.
func intakeOnly(ctx context.Context, cfg *tls.Config, dir string) error {
	st, err := store.Open(store.Options{Path: filepath.Join(dir, "dualgram.db")})
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	ledger, err := st.Ledger(700000001)
	if err != nil {
		return err
	}
	srv, err := webhook.New(webhook.Options{Listen: "127.0.0.1:0", TLS: cfg})
	if err != nil {
		return err
	}
	if err := srv.Handle(webhook.Route{Bot: "bench", Path: "/hook", Secrets: func() []string { return []string{benchSecret} }, Sink: ledger}); err != nil {
		return err
	}
	fmt.Println(srv.Addr())
	return srv.Run(ctx)
}

// whole is all of dualgram but Telegram: metrics, detector and the delivery of
// each update to a bot that does nothing, on the same cores and the same disk.
func whole(ctx context.Context, cfg *tls.Config, dir string) error {
	st, err := store.Open(store.Options{Path: filepath.Join(dir, "dualgram.db")})
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	ledger, err := st.Ledger(700000001)
	if err != nil {
		return err
	}
	params := botapi.SetWebhook{URL: "https://bench.test/hook", SecretToken: benchSecret, MaxConnections: 40}
	sup, err := supervisor.New(ctx, supervisor.Options{
		Health: st.Health, ShutdownTimeout: time.Millisecond,
		Listeners: []supervisor.ListenerOptions{{Address: "127.0.0.1:0", TLS: cfg}},
		Bots: []supervisor.BotOptions{{
			Name: "bench", API: &stubAPI{}, Ledger: ledger,
			Handler: delivery.Func(func(context.Context, delivery.Update) error { return nil }),
			Webhook: &supervisor.WebhookOptions{Listener: "127.0.0.1:0", Params: params},
		}},
	})
	if err != nil {
		return err
	}
	fmt.Println(sup.Addr("127.0.0.1:0"))
	return sup.Run(ctx)
}

// stubAPI is a Bot API that agrees with everything.
type stubAPI struct {
	mu  sync.Mutex
	url string
}

func (s *stubAPI) GetUpdates(ctx context.Context, _ botapi.GetUpdates) (botapi.Page, error) {
	<-ctx.Done()
	return botapi.Page{}, ctx.Err()
}

func (s *stubAPI) SetWebhook(_ context.Context, p botapi.SetWebhook) (botapi.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.url = p.URL
	return botapi.Result{Date: time.Now()}, nil
}

func (s *stubAPI) DeleteWebhook(context.Context, bool) (botapi.Result, error) {
	return botapi.Result{Date: time.Now()}, nil
}

func (s *stubAPI) GetWebhookInfo(context.Context) (botapi.WebhookInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return botapi.WebhookInfo{URL: s.url, MaxConnections: 40, Date: time.Now()}, nil
}

func (s *stubAPI) ResetPool(botapi.Pool) {}
