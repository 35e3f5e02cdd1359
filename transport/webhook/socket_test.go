package webhook

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"dualgram/transport"
)

type noop struct{}

func (noop) Accept(context.Context, transport.Batch) (transport.Receipt, error) {
	return transport.Receipt{}, nil
}

func plainRoute(s transport.Sink) Route {
	secrets := []string{secret}
	return Route{Bot: "orders", Path: hookPath, Secrets: func() []string { return secrets }, Sink: s}
}

func TestRealSockets(t *testing.T) {
	defer goleak.VerifyNone(t)
	s, err := New(Options{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Handle(plainRoute(noop{})); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	nc, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	p := &peer{t: t, Conn: nc, r: bufio.NewReader(nc)}
	p.open()
	p.open()
	// A refused large body: the answer gets through although bytes are left unread.
	p.send(request1("POST", hookPath, strings.Repeat("x", 100<<10)))
	if resp := p.answer(); resp.StatusCode != 403 {
		t.Errorf("status %d", resp.StatusCode)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if s := s.ConnStats(); s != (ConnStats{}) {
		t.Errorf("connections left: %+v", s)
	}
}

func TestListenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for addr, want := range map[string]struct {
		err  error
		hint string
	}{
		taken.Addr().String(): {syscall.EADDRINUSE, "ss -ltnp"},
		"192.0.2.1:8443":      {syscall.EADDRNOTAVAIL, "0.0.0.0"},
		"nonsense":            {nil, "IP:port"},
		"127.0.0.1:x":         {nil, "IP:port"},
	} {
		s, err := New(Options{Listen: addr})
		var e *Error
		if s != nil || !errors.As(err, &e) || e.Op != "listen" || e.Addr != addr || !strings.Contains(e.Hint, want.hint) || strings.Count(err.Error(), addr) != 1 {
			t.Errorf("%s: %v", addr, err)
		}
		if want.err != nil && !errors.Is(err, want.err) {
			t.Errorf("%s: %v", addr, err)
		}
	}
	denied := listenError("0.0.0.0:443", &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EACCES)})
	if !strings.Contains(denied.Error(), "CAP_NET_BIND_SERVICE") {
		t.Error(denied)
	}
	for _, o := range []Options{{}, {Listen: "127.0.0.1:0", MaxBody: -1}, {Listen: "127.0.0.1:0", BodyTimeout: -1}} {
		if _, err := New(o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// brittle fails to accept now and then.
type brittle struct {
	net.Listener
	errs chan error
}

func (b *brittle) Accept() (net.Conn, error) {
	select {
	case err := <-b.errs:
		return nil, err
	default:
		return b.Listener.Accept()
	}
}

func TestAcceptErrorsOfTheMoment(t *testing.T) {
	b := &brittle{}
	wrap := func(l net.Listener) net.Listener {
		b.Listener, b.errs = l, make(chan error, 3)
		for range 3 {
			b.errs <- &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
		}
		return b
	}
	inBubble(t, Options{WrapListener: wrap}, nil, func(g *rig) {
		start := time.Now()
		g.dial(telegram).open()
		if d := time.Since(start); d != 35*time.Millisecond {
			t.Errorf("after %v", d)
		}
		if ev := g.events(); len(ev) != 3 || ev[0].Kind != ConnAccept || !errors.Is(ev[0].Err, syscall.EMFILE) {
			t.Errorf("events %+v", ev)
		}
	})
}

func TestForwardedFor(t *testing.T) {
	rt := &route{Route: Route{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
	for _, c := range []struct {
		peer   string
		header []string
		want   string // "" = unknown
	}{
		{"1.1.1.1", nil, "1.1.1.1"},
		{"1.1.1.1", []string{"2.2.2.2"}, "1.1.1.1"},
		{"10.0.0.1", []string{"2.2.2.2"}, "2.2.2.2"},
		{"10.0.0.1", []string{"3.3.3.3,2.2.2.2"}, "2.2.2.2"},
		{"10.0.0.1", []string{"3.3.3.3 , 2.2.2.2 ,10.0.0.2"}, "2.2.2.2"},
		{"10.0.0.1", []string{"2.2.2.2, fd00::1"}, "2.2.2.2"},
		{"10.0.0.1", []string{"3.3.3.3", "2.2.2.2"}, "2.2.2.2"},
		{"10.0.0.1", []string{"2.2.2.2", "10.0.0.3"}, "2.2.2.2"},
		{"10.0.0.1", []string{"garbage, 2.2.2.2"}, "2.2.2.2"},
		{"10.0.0.1", []string{"2.2.2.2:1234"}, "2.2.2.2"},
		{"10.0.0.1", []string{"[2001:db8::1]:1234"}, "2001:db8::1"},
		{"10.0.0.1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"10.0.0.1", []string{"::ffff:2.2.2.2"}, "2.2.2.2"},
		{"fd00::9", []string{"2.2.2.2"}, "2.2.2.2"},
		{"10.0.0.1", []string{"10.0.0.4, 10.0.0.3"}, "10.0.0.4"},
		{"10.0.0.1", nil, ""},
		{"10.0.0.1", []string{""}, ""},
		{"10.0.0.1", []string{"unknown"}, ""},
		{"10.0.0.1", []string{"2.2.2.2, unknown"}, ""},
		{"10.0.0.1", []string{"2.2.2.2,"}, ""},
		{"10.0.0.1", []string{"2.2.2.2, unknown, 10.0.0.3"}, ""},
	} {
		r := &http.Request{Header: http.Header{}}
		if c.header != nil {
			r.Header["X-Forwarded-For"] = c.header
		}
		a, ok := rt.client(r, netip.MustParseAddr(c.peer))
		if ok != (c.want != "") || (ok && a.String() != c.want) {
			t.Errorf("%s %q: %v, %v, want %q", c.peer, c.header, a, ok, c.want)
		}
	}
}

// FuzzRequest sends bytes and asks that the server lives on, reports at most one
// outcome for each answer and accepts nothing without the secret.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{post(body), request1("POST", hookPath, body), half(), "GET / HTTP/1.0\r\n\r\n", "\x16\x03\x01",
		"POST " + hookPath + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		inBubble(t, Options{}, nil, func(g *rig) {
			p := g.dial(telegram)
			go func() {
				p.Write(raw)
				p.Conn.(interface{ CloseWrite() error }).CloseWrite()
			}()
			io.Copy(io.Discard, p)
			if len(g.sink.got()) > 0 && !bytes.Contains(raw, []byte(secret)) {
				t.Error("accepted without the secret")
			}
			g.dial(telegram).open()
		})
	})
}

// BenchmarkIntake compares the server, with a sink that does nothing, with a bare
// net/http handler that reads the body and answers, over loopback. The two take
// turns, so that the ratio doesn't depend on what else the machine does.
func BenchmarkIntake(b *testing.B) {
	s, err := New(Options{Listen: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Handle(plainRoute(noop{})); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	defer func() { cancel(); <-ended }()

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	bare := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(200)
	})}
	go bare.Serve(ln)
	defer bare.Close()

	request := []byte(post(`{"update_id":811,` + "\n" + `"message":{"message_id":1,"from":{"id":5},"chat":{"id":5},"text":"` + strings.Repeat("x", 600) + `"}}`))
	const conns = 16
	dial := func(addr string) []net.Conn {
		out := make([]net.Conn, conns)
		for i := range out {
			if out[i], err = net.Dial("tcp", addr); err != nil {
				b.Fatal(err)
			}
		}
		return out
	}
	ours, theirs := dial(s.Addr().String()), dial(ln.Addr().String())
	round := func(cs []net.Conn, n int) time.Duration {
		start := time.Now()
		var left atomic.Int64
		left.Store(int64(n))
		done := make(chan struct{}, conns)
		for _, c := range cs {
			go func() {
				buf := make([]byte, 4096)
				for left.Add(-1) >= 0 {
					c.Write(request)
					if n, err := c.Read(buf); err != nil || !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 200")) {
						b.Errorf("%q, %v", buf[:n], err)
						break
					}
				}
				done <- struct{}{}
			}()
		}
		for range cs {
			<-done
		}
		return time.Since(start)
	}
	round(ours, 500)
	round(theirs, 500)
	b.ReportAllocs()
	b.ResetTimer()
	var a, t time.Duration
	for left := b.N; left > 0; {
		n := min(left, 1000)
		a += round(ours, n)
		t += round(theirs, n)
		left -= n
	}
	b.ReportMetric(float64(a.Nanoseconds())/float64(b.N), "ns/intake")
	b.ReportMetric(float64(t.Nanoseconds())/float64(b.N), "ns/bare")
	b.ReportMetric(float64(a)/float64(t), "ratio")
	for _, c := range append(ours, theirs...) {
		c.Close()
	}
}

// BenchmarkHandler measures the handler alone, without net/http and sockets.
func BenchmarkHandler(b *testing.B) {
	s, err := New(Options{Listen: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := s.Handle(plainRoute(noop{})); err != nil {
		b.Fatal(err)
	}
	c := &conn{set: s.conns, peer: netip.MustParseAddr(telegram), remote: telegram}
	ctx := context.WithValue(context.Background(), connKey{}, c)
	raw := []byte(body)
	rd := bytes.NewReader(raw)
	r, _ := http.NewRequestWithContext(ctx, "POST", hookPath, io.NopCloser(rd))
	r.ContentLength = int64(len(raw))
	r.Header.Set(SecretHeader, secret)
	w := &nullWriter{h: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		rd.Reset(raw)
		s.serve(w, r)
	}
	if w.status != 200 {
		b.Fatalf("status %d", w.status)
	}
}

type nullWriter struct {
	h      http.Header
	status int
}

func (w *nullWriter) Header() http.Header             { return w.h }
func (w *nullWriter) WriteHeader(s int)               { w.status = s }
func (w *nullWriter) Write(b []byte) (int, error)     { return len(b), nil }
func (w *nullWriter) FlushError() error               { return nil }
func (w *nullWriter) SetReadDeadline(time.Time) error { return nil }
