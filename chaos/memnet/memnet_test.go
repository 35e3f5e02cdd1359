package memnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/memnet"
)

type closeWriter interface{ CloseWrite() error }
type resetter interface{ Reset() error }

// pipe returns both ends of a connection to addr.
func pipe(t *testing.T, n *memnet.Network, addr string) (client, server net.Conn) {
	t.Helper()
	ln, err := n.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	client, err = n.Dial(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

func TestDialErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.Host("bot.example.com", "45.1.1.1")
		n.Host("broken.example.com", "45.1.1.9")
		n.HostError("broken.example.com", errors.New("server misbehaving"))

		_, err := n.Dial(t.Context(), "tcp", "bot.example.com:443")
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("nobody listens: %v", err)
		}
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "dial" || op.Addr.String() != "45.1.1.1:443" {
			t.Errorf("error is %#v", err)
		}
		var dns *net.DNSError
		if _, err := n.Dial(t.Context(), "tcp", "nowhere.example.com:443"); !errors.As(err, &dns) || !dns.IsNotFound {
			t.Errorf("unknown host: %v", err)
		}
		if _, err := n.Dial(t.Context(), "tcp", "broken.example.com:443"); !errors.As(err, &dns) || dns.IsNotFound {
			t.Errorf("failing host: %v", err)
		}
		if _, err := n.Dial(t.Context(), "tcp6", "bot.example.com:443"); !errors.As(err, &dns) {
			t.Errorf("tcp6 to an IPv4 host: %v", err)
		}

		n.Blackhole("bot.example.com:443", true)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err = n.Dial(ctx, "tcp", "bot.example.com:443")
		var to interface{ Timeout() bool }
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &to) || !to.Timeout() {
			t.Errorf("blackhole: %v", err)
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("blackhole held the dial for %v", d)
		}
		start = time.Now()
		if _, err = n.Dial(t.Context(), "tcp", "bot.example.com:443"); !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("blackhole without a deadline: %v", err)
		}
		if d := time.Since(start); d != 127*time.Second {
			t.Errorf("the kernel gave up after %v", d)
		}
	})
}

func TestRefuseAndListen(t *testing.T) {
	n := memnet.New()
	client, _ := pipe(t, n, "10.0.0.1:443")
	n.Refuse("10.0.0.1", true)
	if _, err := n.Dial(t.Context(), "tcp", "10.0.0.1:443"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("refused: %v", err)
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Errorf("open connection broke: %v", err)
	}
	n.Heal()
	if _, err := n.Dial(t.Context(), "tcp", "10.0.0.1:443"); err != nil {
		t.Errorf("after Heal: %v", err)
	}
	if _, err := n.Listen("10.0.0.1:443"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v", err)
	}
	ln, err := n.Listen(":8443")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Dial(t.Context(), "tcp", "10.9.9.9:8443"); err != nil {
		t.Errorf("wildcard listener: %v", err)
	}
	waiting, _ := n.Dial(t.Context(), "tcp", "10.9.9.9:8443")
	ln.Close()
	if _, err := waiting.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a connection that nobody accepted: %v", err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept on a closed listener: %v", err)
	}
	if _, err := n.Dial(t.Context(), "tcp", "10.9.9.9:8443"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after Close: %v", err)
	}
}

func TestStream(t *testing.T) {
	n := memnet.New()
	client, server := pipe(t, n, "10.0.0.1:443")
	want := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB: more than the buffer
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := client.Write(want); err != nil {
			t.Error(err)
		}
		client.(closeWriter).CloseWrite()
	})
	got, err := io.ReadAll(server)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes, %v", len(got), err)
	}
	wg.Wait()
	if _, err := client.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write after CloseWrite: %v", err)
	}
	if _, err := server.Write([]byte("back")); err != nil { // half closed: the other way is open
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(client, b); err != nil || string(b) != "back" {
		t.Errorf("%q, %v", b, err)
	}
}

// TestEnds is the table of how a connection can end and what the peer sees.
func TestEnds(t *testing.T) {
	tests := []struct {
		name   string
		unread bool // the closing end has bytes that it has not read
		end    func(net.Conn)
		read   error // nil: a clean end
		write  error // nil: succeeds (and provokes a RST)
	}{
		{"close", false, func(c net.Conn) { c.Close() }, nil, nil},
		{"close with unread bytes", true, func(c net.Conn) { c.Close() }, syscall.ECONNRESET, syscall.EPIPE},
		{"reset", false, func(c net.Conn) { c.(resetter).Reset() }, syscall.ECONNRESET, syscall.EPIPE},
		{"linger 0", false, func(c net.Conn) {
			c.(interface{ SetLinger(int) error }).SetLinger(0)
			c.Close()
		}, syscall.ECONNRESET, syscall.EPIPE},
		{"half close", false, func(c net.Conn) { c.(closeWriter).CloseWrite() }, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := memnet.New()
			client, server := pipe(t, n, "10.0.0.1:443")
			if tt.unread {
				client.Write([]byte("not read"))
			}
			server.Write([]byte("before"))
			tt.end(server)
			got, err := io.ReadAll(client)
			if string(got) != "before" {
				t.Errorf("bytes sent before the end: %q", got)
			}
			if !errors.Is(err, tt.read) {
				t.Errorf("read: %v, want %v", err, tt.read)
			}
			if _, err := client.Write([]byte("x")); !errors.Is(err, tt.write) {
				t.Errorf("write: %v, want %v", err, tt.write)
			}
			if tt.name == "close" {
				if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("read after writing to a closed peer: %v", err)
				}
				if _, err := client.Write([]byte("y")); !errors.Is(err, syscall.EPIPE) {
					t.Errorf("second write to a closed peer: %v", err)
				}
			}
			client.Close()
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("read of an own closed connection: %v", err)
			}
		})
	}
}

func TestResetWithoutReading(t *testing.T) {
	n := memnet.New()
	client, server := pipe(t, n, "10.0.0.1:443")
	server.(resetter).Reset()
	if _, err := client.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("first write: %v", err)
	}
	if _, err := client.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("second write: %v", err)
	}
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		client, _ := pipe(t, n, "10.0.0.1:443")
		start := time.Now()
		client.SetReadDeadline(start.Add(time.Second))
		_, err := client.Read(make([]byte, 1))
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("read: %v", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("read waited %v", d)
		}
		client.SetWriteDeadline(time.Now().Add(time.Second))
		k, err := client.Write(make([]byte, 1<<20))
		if k != 64<<10 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write of more than the buffer: %d, %v", k, err)
		}
		// A deadline moved into the past wakes who waits already.
		client.SetReadDeadline(time.Time{})
		done := make(chan error, 1)
		go func() { _, err := client.Read(make([]byte, 1)); done <- err }()
		synctest.Wait()
		client.SetReadDeadline(time.Now().Add(-time.Second))
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("deadline in the past: %v", err)
		}
	})
}

func TestLatencyKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.SetLatency("10.0.0.1", 100*time.Millisecond)
		start := time.Now()
		client, server := pipe(t, n, "10.0.0.1:443")
		if d := time.Since(start).Truncate(time.Millisecond); d != 200*time.Millisecond {
			t.Errorf("handshake took %v", d)
		}
		start = time.Now()
		client.Write([]byte("a"))
		n.SetLatency("10.0.0.1", 0) // what is sent now must not overtake
		client.Write([]byte("b"))
		client.(closeWriter).CloseWrite()
		got, err := io.ReadAll(server)
		if string(got) != "ab" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if d := time.Since(start).Truncate(time.Millisecond); d != 100*time.Millisecond {
			t.Errorf("delivery took %v", d)
		}
	})
}

func TestUniqueInstants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		ln, _ := n.Listen("10.0.0.1:443")
		defer ln.Close()
		var clients, servers []net.Conn
		for range 8 {
			c, _ := n.Dial(t.Context(), "tcp", "10.0.0.1:443")
			s, _ := ln.Accept()
			clients, servers = append(clients, c), append(servers, s)
		}
		n.SetLatency("", time.Second)
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i, s := range servers {
			wg.Go(func() {
				s.Read(make([]byte, 1))
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
			})
		}
		for _, c := range clients {
			c.Write([]byte("x"))
		}
		wg.Wait()
		for i := range order {
			if order[i] != i {
				t.Fatalf("delivered in order %v", order)
			}
		}
		for i := range clients {
			clients[i].Close()
			servers[i].Close()
		}
	})
}

func TestBlackholeOfOpenConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		client, server := pipe(t, n, "10.0.0.1:443")
		n.Blackhole("10.0.0.1:443", true)
		client.Write([]byte("hello"))
		server.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := server.Read(make([]byte, 8)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("bytes came through a blackhole: %v", err)
		}
		server.SetReadDeadline(time.Time{})
		dialed := make(chan error, 1)
		go func() {
			_, err := n.Dial(t.Context(), "tcp", "10.0.0.1:443")
			dialed <- err
		}()
		time.Sleep(10 * time.Second)
		n.Blackhole("10.0.0.1:443", false)
		if err := <-dialed; err != nil {
			t.Errorf("the dial that waited: %v", err)
		}
		b := make([]byte, 8)
		if k, err := server.Read(b); string(b[:k]) != "hello" || err != nil {
			t.Errorf("retransmitted %q, %v", b[:k], err)
		}
	})
}

func TestCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		client, server := pipe(t, n, "10.0.0.1:443")
		other, _ := pipe(t, n, "10.0.0.2:443")
		done := make(chan error, 1)
		go func() { _, err := client.Read(make([]byte, 1)); done <- err }()
		synctest.Wait()
		if k := n.Cut("10.0.0.1:443"); k != 1 {
			t.Errorf("cut %d connections", k)
		}
		if err := <-done; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("blocked read: %v", err)
		}
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("server read: %v", err)
		}
		if _, err := other.Write([]byte("x")); err != nil {
			t.Errorf("a connection elsewhere broke: %v", err)
		}
	})
}

func TestProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		p := n.Process("dualgram")
		ln, err := p.Listen("10.0.0.1:443")
		if err != nil {
			t.Fatal(err)
		}
		client, err := n.From("149.154.167.220").Dial(t.Context(), "tcp", "10.0.0.1:443")
		if err != nil {
			t.Fatal(err)
		}
		server, _ := ln.Accept()
		if a := server.RemoteAddr().String(); !strings.HasPrefix(a, "149.154.167.220:") {
			t.Errorf("the server sees %s", a)
		}
		if server.LocalAddr().String() != "10.0.0.1:443" || client.RemoteAddr().String() != "10.0.0.1:443" {
			t.Errorf("addresses %v %v", server.LocalAddr(), client.RemoteAddr())
		}
		accept, read := make(chan error, 1), make(chan error, 1)
		go func() { _, err := ln.Accept(); accept <- err }()
		go func() { _, err := server.Read(make([]byte, 1)); read <- err }()
		synctest.Wait()
		p.Kill()
		if err := <-accept; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: %v", err)
		}
		if err := <-read; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read: %v", err)
		}
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the peer read: %v", err)
		}
		if _, err := p.Dial(t.Context(), "tcp", "10.0.0.1:443"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Dial of a dead process: %v", err)
		}
		if _, err := p.Listen("10.0.0.1:444"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Listen of a dead process: %v", err)
		}
		if _, err := n.Dial(t.Context(), "tcp", "10.0.0.1:443"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialing a dead process: %v", err)
		}
		if _, err := n.Process("again").Listen("10.0.0.1:443"); err != nil {
			t.Errorf("its successor can't listen: %v", err)
		}
	})
}

func TestPowerOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		p := n.Process("dualgram")
		ln, _ := p.Listen("10.0.0.1:443")
		client, _ := n.Dial(t.Context(), "tcp", "10.0.0.1:443")
		ln.Accept()
		p.PowerOff()
		client.SetDeadline(time.Now().Add(time.Minute))
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
	})
}
