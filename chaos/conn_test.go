package chaos

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/memnet"
)

// pair is a client's and a server's end of one connection, and the listener.
type pair struct {
	net            *memnet.Network
	reg            *Registry
	ln             net.Listener
	client, server net.Conn
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{net: memnet.New(), reg: newRegistry(t, Options{})}
	inner, err := p.net.Listen(host + ":80")
	if err != nil {
		t.Fatal(err)
	}
	p.ln = p.reg.Listener(inner)
	t.Cleanup(func() { _ = p.ln.Close() })
	p.client, p.server = p.connect(t)
	return p
}

func (p *pair) connect(t *testing.T) (client, server net.Conn) {
	t.Helper()
	client, err := p.net.Dial(t.Context(), "tcp", host+":80")
	if err != nil {
		t.Fatal(err)
	}
	if server, err = p.ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server
}

func (p *pair) inject(t *testing.T, s Spec) *Lease {
	t.Helper()
	l, err := p.reg.Inject(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

type read struct {
	text string
	err  error
	took time.Duration
}

// reading reads once in the background.
func reading(c net.Conn) <-chan read {
	ch := make(chan read, 1)
	start := time.Now()
	go func() {
		b := make([]byte, 100)
		n, err := c.Read(b)
		ch <- read{string(b[:n]), err, time.Since(start)}
	}()
	synctest.Wait()
	return ch
}

func put(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if n, err := io.WriteString(c, s); n != len(s) || err != nil {
		t.Fatalf("write %q: %d, %v", s, n, err)
	}
}

func wantRead(t *testing.T, got read, text string, err error, took time.Duration) {
	t.Helper()
	if got.text != text || !errors.Is(got.err, err) || (err == nil) != (got.err == nil) || got.took != took {
		t.Errorf("read %q, %v after %v; want %q, %v after %v", got.text, got.err, got.took, text, err, took)
	}
}

func TestBlackhole(t *testing.T) {
	bubble(t, "heals where nothing was lost", func(t *testing.T) {
		p := newPair(t)
		ch := reading(p.server) // blocked since before the fault
		l := p.inject(t, Spec{Kind: "net.blackhole"})
		put(t, p.client, "during")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(ch) > 0 {
			t.Fatalf("read %+v out of a black hole", <-ch)
		}
		put(t, p.client, " more")
		l.End()
		got := <-ch
		wantRead(t, got, "during", nil, 10*time.Second)
		wantRead(t, <-reading(p.server), " more", nil, 0)
		put(t, p.server, "answer")
		wantRead(t, <-reading(p.client), "answer", nil, 0)
	})
	bubble(t, "resets what lost bytes", func(t *testing.T) {
		p := newPair(t)
		l := p.inject(t, Spec{Kind: "net.blackhole"})
		put(t, p.server, "vanishes")
		ch := reading(p.client)
		time.Sleep(time.Minute - 1)
		if len(ch) > 0 {
			t.Fatalf("the client sees %+v", <-ch)
		}
		time.Sleep(1)
		wantRead(t, <-ch, "", syscall.ECONNRESET, time.Minute)
		if _, err := p.server.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("write after the fault: %v", err)
		}
		if l.Fired() != 1 {
			t.Errorf("fired %d times", l.Fired())
		}
	})
	bubble(t, "hides the server's close", func(t *testing.T) {
		p := newPair(t)
		other, served := p.connect(t)
		blocked := reading(p.server)
		l := p.inject(t, Spec{Kind: "net.blackhole"})
		_ = p.server.Close()
		_ = served.Close()
		wantRead(t, <-blocked, "", os.ErrDeadlineExceeded, 0)
		if _, err := p.server.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read after close: %v", err)
		}
		ch, ch2 := reading(p.client), reading(other)
		time.Sleep(30 * time.Second)
		if len(ch)+len(ch2) > 0 {
			t.Fatal("the client sees the close")
		}
		l.End()
		wantRead(t, <-ch, "", syscall.ECONNRESET, 30*time.Second)
		wantRead(t, <-ch2, "", syscall.ECONNRESET, 30*time.Second)
	})
	bubble(t, "ends with the listener", func(t *testing.T) {
		p := newPair(t)
		p.inject(t, Spec{Kind: "net.blackhole"})
		_ = p.server.Close()
		ch := reading(p.client)
		_ = p.ln.Close()
		wantRead(t, <-ch, "", syscall.ECONNRESET, 0)
	})
	bubble(t, "obeys deadlines, also moved ones", func(t *testing.T) {
		p := newPair(t)
		p.inject(t, Spec{Kind: "net.blackhole"})
		put(t, p.client, "x")
		_ = p.server.SetReadDeadline(time.Now().Add(5 * time.Second))
		wantRead(t, <-reading(p.server), "", os.ErrDeadlineExceeded, 5*time.Second)
		_ = p.server.SetDeadline(time.Time{})
		ch := reading(p.server)
		time.Sleep(3 * time.Second)
		_ = p.server.SetReadDeadline(time.Unix(1, 0)) // as net/http aborts a pending read
		wantRead(t, <-ch, "", os.ErrDeadlineExceeded, 3*time.Second)
		_ = p.server.SetReadDeadline(time.Now().Add(time.Hour))
		ch = reading(p.server)
		time.Sleep(2 * time.Second)
		p.reg.Clear()
		wantRead(t, <-ch, "x", nil, 2*time.Second)
	})
	bubble(t, "a share of connections, each as a whole", func(t *testing.T) {
		p := newPair(t)
		l := p.inject(t, Spec{Kind: "net.blackhole", Share: 0.5, Seed: 3, For: MaxLease})
		hit := 0
		for range 40 {
			c, s := p.connect(t)
			var got [3]bool
			for i := range got {
				put(t, c, "x")
				_ = s.SetReadDeadline(time.Now().Add(time.Second))
				got[i] = (<-reading(s)).err == nil
			}
			if got[0] != got[1] || got[1] != got[2] {
				t.Fatalf("a connection was hit and spared by turns: %v", got)
			}
			if !got[0] {
				hit++
			}
		}
		if hit < 12 || hit > 28 || uint64(hit) != l.Fired() {
			t.Errorf("hit %d of 40, fired %d", hit, l.Fired())
		}
	})
}

func TestSlow(t *testing.T) {
	bubble(t, "reads, writes, deadlines", func(t *testing.T) {
		p := newPair(t)
		ch := reading(p.server)
		l := p.inject(t, Spec{Kind: "net.slow", Delay: 2 * time.Second})
		time.Sleep(10 * time.Second)
		put(t, p.client, "a")
		wantRead(t, <-ch, "a", nil, 12*time.Second)
		ch = reading(p.client)
		put(t, p.server, "b")
		wantRead(t, <-ch, "b", nil, 2*time.Second)
		_ = p.server.SetDeadline(time.Now().Add(time.Second))
		if _, err := p.server.Write([]byte("c")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write over its deadline: %v", err)
		}
		put(t, p.client, "d")
		_ = p.server.SetDeadline(time.Now().Add(time.Second))
		wantRead(t, <-reading(p.server), "", os.ErrDeadlineExceeded, time.Second)
		_ = p.server.SetDeadline(time.Time{})
		wantRead(t, <-reading(p.server), "d", nil, time.Second)
		put(t, p.client, "e")
		ch = reading(p.server)
		l.End()
		wantRead(t, <-ch, "e", nil, 0)
	})
}

func TestReset(t *testing.T) {
	bubble(t, "at a byte", func(t *testing.T) {
		p := newPair(t)
		put(t, p.client, "before the fault")
		wantRead(t, <-reading(p.server), "before the fault", nil, 0)
		l := p.inject(t, Spec{Kind: "net.reset", Params: map[string]string{"bytes": "10"}})
		put(t, p.client, "123456789")
		wantRead(t, <-reading(p.server), "123456789", nil, 0)
		ch := reading(p.client)
		put(t, p.client, "0")
		wantRead(t, <-reading(p.server), "", syscall.ECONNRESET, 0)
		wantRead(t, <-ch, "", syscall.ECONNRESET, 0)
		if l.Fired() != 1 {
			t.Errorf("fired %d times", l.Fired())
		}
	})
	bubble(t, "HTTP/2 after the handler", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		c := r.client()
		c.tr.ForceAttemptHTTP2 = true
		wantOK(t, c, "before")
		if c.last.NegotiatedProtocol != "h2" {
			t.Fatalf("protocol is %q", c.last.NegotiatedProtocol)
		}
		l := r.inject(Spec{Kind: "net.reset", Params: map[string]string{"at": "handler"}, Count: 1})
		if code, err := c.post(); err == nil || r.handled.Load() != 2 || l.Fired() != 1 {
			t.Errorf("status %d, %v, handled %d", code, err, r.handled.Load())
		}
		wantOK(t, c, "after")
	})
}

func TestHandshakeStall(t *testing.T) {
	bubble(t, "the server's handshake deadline sheds it", func(t *testing.T) {
		r := newRig(t, rigOptions{setup: func(r *rig) { r.srv.ReadHeaderTimeout = 5 * time.Second }})
		r.inject(Spec{Kind: "tls.handshake_stall"})
		start := time.Now()
		_, err := r.client().post()
		if err == nil || time.Since(start) != 5*time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
	bubble(t, "goes on when the fault ends", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		r.inject(Spec{Kind: "tls.handshake_stall", For: 4 * time.Second})
		start := time.Now()
		wantOK(t, r.client(), "stalled")
		if took := time.Since(start); took != 4*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestStopAccept(t *testing.T) {
	bubble(t, "what waited is served", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		r.inject(Spec{Kind: "net.stop_accept", For: 6 * time.Second})
		var wg sync.WaitGroup
		start := time.Now()
		for range 3 {
			wg.Go(func() {
				if code, err := r.client().post1(); code != 200 || time.Since(start) != 6*time.Second {
					t.Errorf("status %d, %v after %v", code, err, time.Since(start))
				}
			})
		}
		wg.Wait()
	})
	bubble(t, "close frees Accept", func(t *testing.T) {
		p := newPair(t)
		p.inject(t, Spec{Kind: "net.stop_accept"})
		c, err := p.net.Dial(t.Context(), "tcp", host+":80")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		got := make(chan error)
		go func() { _, err := p.ln.Accept(); got <- err }()
		synctest.Wait()
		_ = p.ln.Close()
		if err := <-got; !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

func TestRefuse(t *testing.T) {
	bubble(t, "keep what is open", func(t *testing.T) {
		r := newRig(t, rigOptions{reopen: true})
		c := r.client()
		wantOK(t, c, "before")
		l := r.inject(Spec{Kind: "net.refuse", Params: map[string]string{"existing": "keep"}})
		wantOK(t, c, "a kept connection")
		if _, err := r.client().post(); !errors.Is(err, syscall.ECONNREFUSED) || l.Fired() != 1 {
			t.Errorf("a new one: %v, fired %d", err, l.Fired())
		}
	})
	bubble(t, "a fault older than the listener", func(t *testing.T) {
		r := newRig(t, rigOptions{reopen: true, setup: func(r *rig) { r.inject(Spec{Kind: "net.refuse", For: 3 * time.Second}) }})
		if _, err := r.client().post(); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v", err)
		}
		time.Sleep(3 * time.Second)
		wantOK(t, r.client(), "after")
	})
	bubble(t, "two at once", func(t *testing.T) {
		r := newRig(t, rigOptions{reopen: true})
		r.inject(Spec{Kind: "net.refuse", For: 3 * time.Second})
		r.inject(Spec{Kind: "net.refuse", For: 5 * time.Second})
		time.Sleep(4 * time.Second)
		if _, err := r.client().post(); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v", err)
		}
		time.Sleep(2 * time.Second)
		wantOK(t, r.client(), "after")
	})
	for _, frees := range []bool{true, false} {
		bubble(t, "the address was taken meanwhile", func(t *testing.T) {
			n, reg := memnet.New(), newRegistry(t, Options{})
			inner, err := n.Listen(host + ":80")
			if err != nil {
				t.Fatal(err)
			}
			ln := reg.ReopenListener(inner, func() (net.Listener, error) { return n.Listen(host + ":80") })
			defer ln.Close()
			got := make(chan error, 1)
			go func() {
				c, err := ln.Accept()
				if c != nil {
					_ = c.Close()
				}
				got <- err
			}()
			l, err := reg.Inject(Spec{Kind: "net.refuse"})
			if err != nil {
				t.Fatal(err)
			}
			thief, err := n.Listen(host + ":80")
			if err != nil {
				t.Fatal(err)
			}
			defer thief.Close()
			l.End()
			time.Sleep(time.Second)
			if frees {
				_ = thief.Close()
				time.Sleep(2 * time.Second)
				c, err := n.Dial(t.Context(), "tcp", host+":80")
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
			}
			if err := <-got; frees != (err == nil) || !frees && !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("Accept: %v", err)
			}
		})
	}
	bubble(t, "close frees Accept", func(t *testing.T) {
		r := newRig(t, rigOptions{reopen: true})
		r.inject(Spec{Kind: "net.refuse"})
		synctest.Wait() // the clean-up waits for Serve
	})
}

func TestHangNoticesThatTheClientLeft(t *testing.T) {
	bubble(t, "http.hang", func(t *testing.T) {
		var before, after time.Time
		r := newRig(t, rigOptions{setup: func(r *rig) {
			h := r.srv.Handler
			r.srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				before = time.Now()
				defer func() { after = time.Now() }()
				h.ServeHTTP(w, req)
			})
		}})
		r.inject(Spec{Kind: "http.hang", For: MaxLease})
		c := r.client()
		c.http.Timeout = 3 * time.Second
		if _, err := c.post(); !timesOut(0, err) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if after.Sub(before) != 3*time.Second || r.handled.Load() != 0 {
			t.Errorf("the handler stayed %v and handled %d", after.Sub(before), r.handled.Load())
		}
	})
}

func TestPathAndCombination(t *testing.T) {
	bubble(t, "path", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		r.inject(Spec{Kind: "http.status", Params: map[string]string{"path": "/webhook/other"}})
		r.inject(Spec{Kind: "http.slow", Delay: 2 * time.Second, Params: map[string]string{"path": "/webhook/orders"}})
		r.inject(Spec{Kind: "http.slow", Delay: 3 * time.Second})
		start := time.Now()
		wantOK(t, r.client(), "slowed twice")
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
		r.inject(Spec{Kind: "http.status", Params: map[string]string{"code": "502"}})
		if code, err := r.client().post(); code != 502 {
			t.Errorf("status %d, %v", code, err)
		}
	})
}

func TestAnswerLostHoldsBackFlushes(t *testing.T) {
	bubble(t, "flush", func(t *testing.T) {
		r := newRig(t, rigOptions{setup: func(r *rig) {
			r.srv.Handler = r.reg.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				rc := http.NewResponseController(w)
				if err := rc.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Errorf("deadline: %v", err)
				}
				w.WriteHeader(200)
				if err := rc.Flush(); err != nil {
					t.Errorf("flush: %v", err)
				}
			}))
		}})
		r.inject(Spec{Kind: "http.answer_lost"})
		if code, err := r.client().post(); err == nil {
			t.Errorf("an answer came through: %d", code)
		}
	})
}

// A body is handed to the handler whole after the fault has held it.
func TestHeldBody(t *testing.T) {
	for _, size := range []int{0, 1, maxHeldBody - 1, maxHeldBody, maxHeldBody + 1, 3 * maxHeldBody} {
		body := bytes.Repeat([]byte("x"), size)
		req, _ := http.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		holdBody(req)
		if got, err := io.ReadAll(req.Body); len(got) != size || err != nil {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
	torn := errors.New("torn")
	req, _ := http.NewRequest(http.MethodPost, "/", io.MultiReader(bytes.NewReader([]byte("half")), errReader{torn}))
	holdBody(req)
	if got, err := io.ReadAll(req.Body); string(got) != "half" || !errors.Is(err, torn) {
		t.Errorf("got %q, %v", got, err)
	}
}

// Everything at once under the race detector: faults come and go while clients
// post; afterwards the server is as good as new.
func TestStorm(t *testing.T) {
	bubble(t, "storm", func(t *testing.T) {
		r := newRig(t, rigOptions{reopen: true})
		var wg sync.WaitGroup
		ctx, stop := context.WithCancel(t.Context())
		for range 8 {
			wg.Go(func() {
				c := r.client()
				c.http.Timeout = 2 * time.Second
				for ctx.Err() == nil {
					_, _ = c.post1()
					time.Sleep(70 * time.Millisecond)
				}
			})
		}
		for i, e := range serverEffects() {
			wg.Go(func() {
				for n := range 4 {
					time.Sleep(time.Duration(i*37+n*11) * time.Millisecond)
					s := e.spec
					s.For = time.Duration(i%3+1) * 400 * time.Millisecond
					if !lookupWhole(s.Kind) {
						s.Share, s.Seed = 0.7, uint64(i)
					}
					l, err := r.reg.Inject(s)
					if err != nil {
						t.Error(err)
						return
					}
					switch n {
					case 0:
						l.End()
					case 1:
						_ = l.Renew(time.Second)
					case 2:
						r.reg.Clear()
					}
					r.reg.List()
				}
			})
		}
		time.Sleep(20 * time.Second)
		stop()
		wg.Wait()
		if n := r.reg.List(); len(n) != 0 || r.reg.load() != nil {
			t.Errorf("left over: %v", n)
		}
		for range 3 {
			wantOK(t, r.client(), "after the storm")
		}
	})
}

func lookupWhole(k Kind) bool { i, _ := lookup(k); return i.Whole }

// Over real sockets, where RST and refusal are the kernel's.
func TestRealSockets(t *testing.T) {
	reg := newRegistry(t, Options{})
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := inner.Addr().String()
	ln := reg.ReopenListener(inner, func() (net.Listener, error) { return net.Listen("tcp", addr) })
	srv := &http.Server{Handler: okHandler()}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	defer func() { _ = srv.Close(); <-done }()
	post := func() error {
		tr := &http.Transport{}
		defer tr.CloseIdleConnections()
		resp, err := (&http.Client{Transport: tr, Timeout: 10 * time.Second}).Post("http://"+addr+"/", "text/plain", bytes.NewReader([]byte("x")))
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	for _, tt := range []struct {
		spec Spec
		want error
	}{
		{Spec{Kind: "net.refuse"}, syscall.ECONNREFUSED},
		{Spec{Kind: "net.refuse", Count: 1}, syscall.ECONNRESET},
		{Spec{Kind: "net.reset"}, syscall.ECONNRESET},
	} {
		l, err := reg.Inject(tt.spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := post(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.spec.Kind, err, tt.want)
		}
		l.End()
		// The address is back when Accept has run again, a moment later.
		for err = post(); errors.Is(err, syscall.ECONNREFUSED); err = post() {
		}
		if err != nil {
			t.Errorf("%s: afterwards: %v", tt.spec.Kind, err)
		}
	}
}
