package acme

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	protocol "github.com/mholt/acmez/v3/acme"
)

// Challenge is how the authority is shown that a host is ours.
type Challenge string

// The challenges.
const (
	// HTTP01 answers on port 80, on a listener that is open only while it is needed
	// (RFC 8555 section 8.3).
	HTTP01 Challenge = "http-01"
	// TLSALPN01 answers within the handshake on port 443 (RFC 8737).
	TLSALPN01 Challenge = "tls-alpn-01"
)

// httpSolver answers http-01.
type httpSolver struct {
	listen string

	mu      sync.Mutex
	answers map[string]string // by path
	server  *http.Server      // nil if there is nothing to answer
	done    chan struct{}     // closed when the server's goroutine has ended
}

// Present implements acmez.Solver.
func (s *httpSolver) Present(ctx context.Context, c protocol.Challenge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", s.listen)
		if err != nil {
			return &Error{Op: "challenge", Err: err,
				Hint: "nothing else may listen there; a port below 1024 needs CAP_NET_BIND_SERVICE"}
		}
		s.server = &http.Server{Handler: http.HandlerFunc(s.answer), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10}
		s.done = make(chan struct{})
		s.answers = map[string]string{}
		go func(srv *http.Server, done chan struct{}) {
			defer close(done)
			_ = srv.Serve(ln) // until CleanUp closes it; the authority tells if it was lost
		}(s.server, s.done)
	}
	s.answers[c.HTTP01ResourcePath()] = c.KeyAuthorization
	return nil
}

// CleanUp implements acmez.Solver.
func (s *httpSolver) CleanUp(_ context.Context, c protocol.Challenge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.answers, c.HTTP01ResourcePath())
	if s.server == nil || len(s.answers) > 0 {
		return nil
	}
	err := s.server.Close()
	<-s.done
	s.server = nil
	return err
}

func (s *httpSolver) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	text, ok := s.answers[r.URL.Path]
	s.mu.Unlock()
	if !ok || r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write([]byte(text))
}

// tlsSolver answers tls-alpn-01.
type tlsSolver struct {
	mu      sync.Mutex
	answers map[string]*tls.Certificate // by server name
}

// Present implements acmez.Solver.
func (s *tlsSolver) Present(_ context.Context, c protocol.Challenge) error {
	cert, err := acmez.TLSALPN01ChallengeCert(c)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answers == nil {
		s.answers = map[string]*tls.Certificate{}
	}
	s.answers[serverName(c.Identifier.Value)] = cert
	return nil
}

// CleanUp implements acmez.Solver.
func (s *tlsSolver) CleanUp(_ context.Context, c protocol.Challenge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.answers, serverName(c.Identifier.Value))
	return nil
}

func (s *tlsSolver) find(name string) *tls.Certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answers[strings.ToLower(name)]
}

func (s *tlsSolver) pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.answers) > 0
}

// serverName is the one in the authority's handshake: for an address, the name of
// its reverse zone (RFC 8738 section 6).
func serverName(identifier string) string {
	a, err := netip.ParseAddr(identifier)
	if err != nil {
		return strings.ToLower(identifier)
	}
	var b strings.Builder
	if a.Is4() {
		v := a.As4()
		for i := len(v) - 1; i >= 0; i-- {
			b.WriteString(strconv.Itoa(int(v[i])) + ".")
		}
		return b.String() + "in-addr.arpa"
	}
	v := a.As16()
	for i := len(v) - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "%x.%x.", v[i]&15, v[i]>>4)
	}
	return b.String() + "ip6.arpa"
}

// TLSConfig returns the configuration that answers the authority's handshake; nil
// for any other handshake.
func (i *Issuer) TLSConfig(h *tls.ClientHelloInfo) *tls.Config {
	if len(h.SupportedProtos) != 1 || h.SupportedProtos[0] != acmez.ACMETLS1Protocol {
		return nil
	}
	cert := i.tls.find(h.ServerName)
	if cert == nil {
		return nil
	}
	return &tls.Config{Certificates: []tls.Certificate{*cert}, NextProtos: []string{acmez.ACMETLS1Protocol},
		MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true}
}

// Challenged reports whether the authority is about to connect to the listener, by
// TLSALPN01, from an address that nobody knows beforehand.
func (i *Issuer) Challenged() bool { return i.tls.pending() }
