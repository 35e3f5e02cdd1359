package supervisor_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"dualgram/chaos/matrix"
	"dualgram/chaos/memnet"
	"dualgram/chaos/pki"
	"dualgram/chaos/telegramsim"
	"dualgram/supervisor"
	"dualgram/transport"
)

// frontIP is where Telegram finds the webhook if something stands before it.
const frontIP = "5.45.72.99"

// discardLog is for servers that would log what a row breaks on purpose.
var discardLog = log.New(io.Discard, "", 0)

// frontMood is what a front does.
type frontMood int32

const (
	frontPasses      frontMood = iota
	frontBadGateway            // 502, and nothing reaches dualgram
	frontForbids               // 403, likewise
	frontMaintenance           // 200 and a page, likewise
	frontNameless              // the client's address is left out
	frontHangs                 // the request is taken and never answered
	frontDrops                 // dualgram's answer never gets back
)

// front stands before the webhook: a balancer of connections, or a reverse proxy
// that ends TLS.
type front struct {
	r    *matrixRun
	mood atomic.Int32
	// hits narrows what the mood does down to some bodies; nil means all.
	hits atomic.Pointer[func(body []byte) bool]
	// dead tells which connections of a balancer come to a dead backend.
	dead atomic.Pointer[func(n int) bool]
	// rst makes the dead backend refuse instead of swallow.
	rst atomic.Bool

	mu    sync.Mutex
	n     int
	eaten map[int64]time.Time
	links map[int]*link // live connections of a balancer
	lost  []*link       // those to a dead backend
}

func (r *matrixRun) newFront() (*front, net.Listener, memnet.Dialer) {
	f := &front{r: r, eaten: map[int64]time.Time{}, links: map[int]*link{}}
	r.front = f
	r.net.Host(testHost, frontIP)
	r.sim.SetHost(testHost, frontIP)
	p := r.net.Process("front")
	ln, err := p.Listen(frontIP + ":443")
	if err != nil {
		r.t.Fatal(err)
	}
	r.cleanup = append(r.cleanup, p.Kill)
	return f, ln, p.From(frontIP)
}

// balance puts a balancer of connections before the webhook.
func (r *matrixRun) balance() {
	f, ln, out := r.newFront()
	var wg sync.WaitGroup
	r.cleanup = append(r.cleanup, func() { wg.Wait() })
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { f.balance(c, out) })
		}
	})
}

func (f *front) balance(c net.Conn, out memnet.Dialer) {
	defer c.Close()
	f.mu.Lock()
	f.n++
	n := f.n
	f.mu.Unlock()
	if dead := f.dead.Load(); dead != nil && (*dead)(n) {
		f.r.acted()
		f.lose(c)
		return
	}
	b, err := out.Dial(context.Background(), "tcp", testIP+":443")
	if err != nil {
		_ = c.(*memnet.Conn).SetLinger(0)
		return
	}
	defer b.Close()
	l := &link{in: c.(*memnet.Conn)}
	f.mu.Lock()
	f.links[n] = l
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.links, n)
		f.mu.Unlock()
	}()
	done := make(chan struct{})
	go func() { defer close(done); l.pass(b, c) }()
	l.pass(c, b)
	<-done
}

// link is one connection through a balancer. A starved one has lost bytes.
type link struct {
	in      *memnet.Conn
	starved atomic.Bool
}

func (l *link) pass(to, from net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !l.starved.Load() {
			if _, werr := to.Write(buf[:n]); werr != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	if l.starved.Load() && from != net.Conn(l.in) {
		return // whoever is at the other end is not told
	}
	_ = to.Close()
	_ = from.Close()
}

// lose is what becomes of a new connection to a dead backend.
func (f *front) lose(c net.Conn) {
	if f.rst.Load() {
		_ = c.(*memnet.Conn).SetLinger(0)
		return
	}
	l := &link{in: c.(*memnet.Conn)}
	f.mu.Lock()
	f.lost = append(f.lost, l)
	f.mu.Unlock()
	_, _ = io.Copy(io.Discard, c) // until the peer gives up, or it is over
}

// half kills every second backend. Where it refuses, its connections are reset
// and new ones, too; else what is sent to it vanishes.
func (f *front) half(rst bool) (heal func()) {
	f.rst.Store(rst)
	dead := func(n int) bool { return n%2 == 0 }
	f.dead.Store(&dead)
	f.mu.Lock()
	var mine []*link
	for n, l := range f.links {
		if dead(n) {
			mine = append(mine, l)
		}
	}
	f.mu.Unlock()
	for _, l := range mine {
		f.r.acted()
		if rst {
			_ = l.in.Reset()
		} else {
			l.starved.Store(true)
		}
	}
	return func() {
		f.dead.Store(nil)
		f.mu.Lock()
		mine = append(mine, f.lost...)
		f.lost = nil
		f.mu.Unlock()
		for _, l := range mine {
			_ = l.in.Reset()
		}
	}
}

// proxy puts a reverse proxy before the webhook, which trusts it to name the
// client.
func (r *matrixRun) proxy() {
	f, ln, out := r.newFront()
	pair, err := r.ca.Issue(time.Now(), pki.Leaf{Hosts: []string{testHost}})
	if err != nil {
		r.t.Fatal(err)
	}
	tr := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return out.Dial(ctx, network, testIP+":443")
		},
		TLSClientConfig: r.clientTLS(), MaxIdleConnsPerHost: 64,
	}
	rp := &httputil.ReverseProxy{Transport: tr, ErrorLog: discardLog, Rewrite: func(pr *httputil.ProxyRequest) {
		pr.SetURL(&url.URL{Scheme: "https", Host: testHost})
		pr.Out.Host = pr.In.Host
		if frontMood(f.mood.Load()) != frontNameless {
			pr.SetXForwarded()
		} else {
			f.r.acted()
		}
	}}
	srv := &http.Server{ErrorLog: discardLog, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { f.serve(w, req, rp) })}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{pair.TLS()}})) })
	r.cleanup = append(r.cleanup, func() { _ = srv.Close(); tr.CloseIdleConnections(); wg.Wait() })
	tune := r.tune
	r.tune = func(o *supervisor.BotOptions) {
		tune(o)
		o.Webhook.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(frontIP + "/32")}
		o.Webhook.Networks = telegramNetworks()
	}
}

func telegramNetworks() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("149.154.160.0/20"), netip.MustParsePrefix("91.108.4.0/22")}
}

func (f *front) serve(w http.ResponseWriter, req *http.Request, rp http.Handler) {
	mood := frontMood(f.mood.Load())
	if mood == frontPasses || mood == frontNameless {
		rp.ServeHTTP(w, req)
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	if hits := f.hits.Load(); hits != nil && !(*hits)(body) {
		rp.ServeHTTP(w, req)
		return
	}
	f.r.acted()
	switch mood {
	case frontBadGateway:
		http.Error(w, "bad gateway", http.StatusBadGateway)
	case frontForbids:
		http.Error(w, "forbidden", http.StatusForbidden)
	case frontMaintenance:
		if u := transport.Scan(body); u.HasID && req.Method == http.MethodPost {
			f.mu.Lock()
			f.eaten[u.ID] = time.Now()
			f.mu.Unlock()
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html><body>We will be back soon.</body></html>")
	case frontHangs:
		<-req.Context().Done()
		panic(http.ErrAbortHandler)
	case frontDrops:
		rp.ServeHTTP(&unsentAnswer{http.Header{}}, req)
		panic(http.ErrAbortHandler)
	}
}

type unsentAnswer struct{ h http.Header }

func (u *unsentAnswer) Header() http.Header         { return u.h }
func (u *unsentAnswer) Write(p []byte) (int, error) { return len(p), nil }
func (u *unsentAnswer) WriteHeader(int)             {}

// turns puts the front into a mood, for all bodies or some.
func (f *front) turns(m frontMood, hits func([]byte) bool) (heal func()) {
	if hits != nil {
		f.hits.Store(&hits)
	}
	f.mood.Store(int32(m))
	return func() {
		f.mood.Store(int32(frontPasses))
		f.hits.Store(nil)
	}
}

// ofChat finds the updates of one chat.
func ofChat(chat int64) func([]byte) bool {
	needle := fmt.Appendf(nil, `"id":%d,`, chat)
	return func(body []byte) bool { return bytes.Contains(body, needle) }
}

func (f *front) firstEaten() (first time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, at := range f.eaten {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// judge sets apart what the front has acknowledged in the webhook's place: it is
// gone before dualgram can know, and only what is eaten after the switch is its
// fault. The other problems are the verdict's.
func (f *front) judge(r *matrixRun, s *matrix.Sample, truth telegramsim.BotTruth) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var deleted time.Time
	for _, g := range truth.Webhooks {
		if g.To.After(r.onset) && deleted.IsZero() {
			deleted = g.To
		}
	}
	for _, at := range f.eaten {
		s.Eaten++
		s.Lost--
		if !deleted.IsZero() && at.After(deleted.Add(time.Second)) {
			s.Late++
		}
	}
	v := judge(r.testWorld, r.onset)
	if s.Lost > 0 || s.Reordered > 0 || s.Doubled > 0 || s.Eaten == 0 {
		s.Problems = append(s.Problems, v.Problems...)
	}
	if s.Eaten > 0 && !r.told(supervisor.EventLoss) {
		r.problem("%d updates were eaten in front of the webhook, and nothing tells of it", s.Eaten)
	}
}
