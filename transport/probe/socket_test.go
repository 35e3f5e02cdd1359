package probe_test

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"dualgram/chaos/pki"
	"dualgram/transport/probe"
)

// TestSockets goes over the kernel's sockets and the system's resolver, with the errors
// that those give.
func TestSockets(t *testing.T) {
	ca, err := pki.NewCA(time.Now(), "Test Root")
	if err != nil {
		t.Fatal(err)
	}
	p, err := ca.Issue(time.Now(), pki.Leaf{Hosts: []string{"localhost", "127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{p.TLS()}}
	var responder probe.Responder
	serve := func(config *tls.Config) (port string) {
		ln, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(ln.Addr().String())
		if config != nil {
			ln = tls.NewListener(ln, config)
		}
		srv := &http.Server{Handler: &responder, ErrorLog: log.New(io.Discard, "", 0)}
		ended := make(chan struct{})
		go func() { defer close(ended); _ = srv.Serve(ln) }()
		t.Cleanup(func() { srv.Close(); <-ended })
		return port
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, dead, _ := net.SplitHostPort(ln.Addr().String())
	ln.Close()

	for _, c := range []struct {
		name, url string
		want      probe.Reason
	}{
		{"good, by address", "https://127.0.0.1:" + serve(config), ""},
		{"good, by name", "https://localhost:" + serve(config), ""},
		{"good, without TLS", "http://127.0.0.1:" + serve(nil), ""},
		{"refused", "https://127.0.0.1:" + dead, probe.ReasonRefused},
		{"plain HTTP", "https://127.0.0.1:" + serve(nil), probe.ReasonPlainHTTP},
	} {
		prober, err := probe.New(probe.Options{URL: c.url + path, Responder: &responder, Roots: ca.Pool(), AllowReserved: true, Timeout: 20 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		r := prober.Probe(t.Context(), netip.Addr{})
		if r.OK != (c.want == "") || r.Reason != c.want {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}
