package chaos

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/memnet"
)

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
		start := time.Now()
		_ = p.ln.Close()
		if err := <-got; !errors.Is(err, net.ErrClosed) || time.Since(start) != 0 {
			t.Errorf("got %v after %v", err, time.Since(start))
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

// A lost socket fails the accept in progress and each one after it, also on a
// socket opened in its place, until the fault ends.
func TestAcceptLost(t *testing.T) {
	bubble(t, "lost", func(t *testing.T) {
		n, reg := memnet.New(), newRegistry(t, Options{})
		listen := func() net.Listener {
			ln, err := n.Listen("5.6.7.8:443")
			if err != nil {
				t.Fatal(err)
			}
			return reg.Listener(ln)
		}
		ln := listen()
		failed := make(chan error, 1)
		go func() { _, err := ln.Accept(); failed <- err }()
		synctest.Wait()
		l, err := reg.Inject(Spec{Kind: "net.accept_error", Params: map[string]string{"error": "lost"}})
		if err != nil {
			t.Fatal(err)
		}
		var in *Injected
		if err := <-failed; !errors.Is(err, syscall.EINVAL) || !errors.As(err, &in) {
			t.Errorf("the accept in progress: %v", err)
		}
		_ = ln.Close()
		again := listen()
		if _, err := again.Accept(); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("the new socket: %v", err)
		}
		_ = again.Close()
		l.End()
		if l.Fired() != 2 {
			t.Errorf("fired %d times", l.Fired())
		}
		last := listen()
		defer last.Close()
		if _, err := n.Dial(t.Context(), "tcp", "5.6.7.8:443"); err != nil {
			t.Fatal(err)
		}
		if c, err := last.Accept(); err != nil {
			t.Error(err)
		} else {
			_ = c.Close()
		}
	})
}

// Accepting without descriptors fails on the same connection again and again,
// and takes it when it can.
func TestAcceptWithoutDescriptors(t *testing.T) {
	bubble(t, "EMFILE", func(t *testing.T) {
		n, reg := memnet.New(), newRegistry(t, Options{})
		raw, err := n.Listen("5.6.7.8:443")
		if err != nil {
			t.Fatal(err)
		}
		ln := reg.Listener(raw)
		defer ln.Close()
		l, err := reg.Inject(Spec{Kind: "net.accept_error"})
		if err != nil {
			t.Fatal(err)
		}
		c, err := n.Dial(t.Context(), "tcp", "5.6.7.8:443")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range 3 {
			if _, err := ln.Accept(); !errors.Is(err, syscall.EMFILE) {
				t.Errorf("accept: %v", err)
			}
		}
		l.End()
		got, err := ln.Accept()
		if err != nil || got.RemoteAddr().String() != c.LocalAddr().String() || l.Fired() != 1 {
			t.Errorf("after the fault: %v, fired %d", err, l.Fired())
		}
		if got != nil {
			_ = got.Close()
		}
	})
}
