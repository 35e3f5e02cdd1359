package webhook

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/memnet"
	"dualgram/transport"
)

const (
	secret   = "s3cret-TOKEN_of-the-bot"
	hookPath = "/webhook/orders"
	body     = `{"update_id":811,"message":{"chat":{"id":5},"text":"private words"}}`
	telegram = "149.154.167.220"
)

var telegramNets = []netip.Prefix{netip.MustParsePrefix("149.154.160.0/20"), netip.MustParsePrefix("91.108.4.0/22")}

// sink counts calls and does what accept says.
type sink struct {
	mu     sync.Mutex
	bodies []string
	accept func(context.Context, transport.Batch) (transport.Receipt, error)
}

func (s *sink) Accept(ctx context.Context, b transport.Batch) (transport.Receipt, error) {
	s.mu.Lock()
	for _, u := range b.Updates {
		s.bodies = append(s.bodies, string(u.Raw))
	}
	s.mu.Unlock()
	if s.accept != nil {
		return s.accept(ctx, b)
	}
	return transport.Receipt{Items: make([]transport.Item, len(b.Updates))}, nil
}

func (s *sink) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.bodies...)
}

// rig is a server in a bubble, with what it reported.
type rig struct {
	t    *testing.T
	net  *memnet.Network
	s    *Server
	sink *sink
	addr string
	tls  *tls.Config // the client's, if the server speaks TLS
	stop func() error

	mu    sync.Mutex
	outs  []Outcome
	conns []ConnEvent
}

func (g *rig) observe(o Outcome) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.outs = append(g.outs, o)
}

func (g *rig) outcomes() []Outcome {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]Outcome(nil), g.outs...)
}

func (g *rig) events() []ConnEvent {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]ConnEvent(nil), g.conns...)
}

// only returns the one outcome there must be.
func (g *rig) only() Outcome {
	g.t.Helper()
	synctest.Wait()
	outs := g.outcomes()
	if len(outs) != 1 {
		g.t.Fatalf("%d outcomes, want 1: %+v", len(outs), outs)
	}
	return outs[0]
}

// inBubble runs test against a server with one route.
func inBubble(t *testing.T, o Options, edit func(*Route), test func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { startRig(t, o, edit, test) })
}

func startRig(t *testing.T, o Options, edit func(*Route), test func(*rig)) {
	t.Helper()
	g := &rig{t: t, net: memnet.New(), sink: new(sink), addr: "203.0.113.7:8443"}
	ln, err := g.net.Listen(g.addr)
	if err != nil {
		t.Fatal(err)
	}
	o.Listener = ln
	o.Observe = g.observe
	o.ObserveConn = func(e ConnEvent) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.conns = append(g.conns, e)
	}
	if o.TLS != nil && o.TLS.GetCertificate == nil {
		cert := mint(t, certSpec{names: []string{"bot.example.com"}})
		o.TLS.Certificates = []tls.Certificate{cert}
		pool := x509.NewCertPool()
		pool.AddCert(cert.Leaf)
		g.tls = &tls.Config{RootCAs: pool, ServerName: "bot.example.com"}
	}
	g.s, err = New(o)
	if err != nil {
		t.Fatal(err)
	}
	rt := Route{Bot: "orders", Path: hookPath, Secrets: func() []string { return []string{secret} }, Sink: g.sink, Observe: g.observe}
	if edit != nil {
		edit(&rt)
	}
	if err := g.s.Handle(rt); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.s.Run(ctx) }()
	g.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	test(g)
	if err := g.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// peer is a client's connection.
type peer struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

// dial connects from an address, without TLS.
func (g *rig) dial(from string) *peer {
	g.t.Helper()
	nc, err := g.net.From(from).Dial(g.t.Context(), "tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { nc.Close() })
	return &peer{t: g.t, Conn: nc, r: bufio.NewReader(nc)}
}

// dialTLS connects and does the handshake.
func (g *rig) dialTLS(from string) *peer {
	g.t.Helper()
	raw := g.dial(from)
	tc := tls.Client(raw.Conn, g.tls)
	if err := tc.HandshakeContext(g.t.Context()); err != nil {
		g.t.Fatal(err)
	}
	return &peer{t: g.t, Conn: tc, r: bufio.NewReader(tc)}
}

func (p *peer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

// answer reads one response, whose body must be empty.
func (p *peer) answer() *http.Response {
	p.t.Helper()
	resp, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.t.Fatalf("no answer: %v", err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil || len(b) > 0 {
		p.t.Errorf("answer body %q, %v", b, err)
	}
	return resp
}

// closed asserts that the server hangs up without sending more.
func (p *peer) closed() {
	p.t.Helper()
	if n, err := p.r.Read(make([]byte, 1)); err == nil {
		p.t.Errorf("read %d more bytes, want the connection closed", n)
	}
}

// open asserts that the connection still carries requests.
func (p *peer) open() {
	p.t.Helper()
	p.send(post(body))
	if resp := p.answer(); resp.StatusCode != 200 {
		p.t.Errorf("next request: status %d", resp.StatusCode)
	}
}

// post is a request as Telegram makes it.
func post(b string, lines ...string) string {
	return request1("POST", hookPath, b, append([]string{SecretHeader + ": " + secret}, lines...)...)
}

func request1(method, path, b string, lines ...string) string {
	var w bytes.Buffer
	fmt.Fprintf(&w, "%s %s HTTP/1.1\r\nHost: bot.example.com:8443\r\n", method, path)
	for _, l := range lines {
		fmt.Fprintf(&w, "%s\r\n", l)
	}
	fmt.Fprintf(&w, "Content-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\nAccept-Encoding: gzip, deflate\r\n\r\n%s", len(b), b)
	return w.String()
}

// certSpec says what mint makes; zero values give a good self-signed leaf.
type certSpec struct {
	names             []string
	ips               []net.IP
	cn                string
	notBefore, expire time.Time
	ca                bool
	parent            *tls.Certificate
}

var serial int64

func mint(t testing.TB, c certSpec) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if c.notBefore.IsZero() {
		c.notBefore = time.Now().Add(-time.Hour)
	}
	if c.expire.IsZero() {
		c.expire = time.Now().Add(90 * 24 * time.Hour)
	}
	serial++
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: c.cn}, NotBefore: c.notBefore, NotAfter: c.expire,
		DNSNames: c.names, IPAddresses: c.ips, IsCA: c.ca, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	parent, signer := tmpl, any(key)
	if c.parent != nil {
		parent, signer = c.parent.Leaf, c.parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func certPEM(certs ...tls.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})...)
	}
	return out
}

func keyPEM(t testing.TB, c tls.Certificate) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
