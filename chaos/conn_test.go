package chaos

import (
	"errors"
	"io"
	"net"
	"os"
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
		time.Sleep(time.Nanosecond)
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
	bubble(t, "does not keep what closes after the listener", func(t *testing.T) {
		p := newPair(t)
		p.inject(t, Spec{Kind: "net.blackhole"})
		_ = p.ln.Close()
		_ = p.server.Close()
		wantRead(t, <-reading(p.client), "", io.EOF, 0)
	})
	bubble(t, "keeps so many and no more", func(t *testing.T) {
		p := newPair(t)
		p.inject(t, Spec{Kind: "net.blackhole"})
		_ = p.server.Close()
		var last net.Conn
		for range maxParked {
			c, s := p.connect(t)
			_ = s.Close()
			last = c
		}
		first := reading(p.client)
		wantRead(t, <-reading(last), "", io.EOF, 0)
		if len(first) > 0 {
			t.Error("the first was really closed")
		}
		p.reg.Clear()
	})
	bubble(t, "a connection that comes too late to be reset at its end", func(t *testing.T) {
		p := newPair(t)
		l := p.inject(t, Spec{Kind: "net.blackhole"})
		l.End()
		if l.f.adopt(p.server.(*conn)) {
			t.Error("a fault that is over took a connection")
		}
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
