package memnet_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/memnet"
)

// certificate mints a self-signed certificate by the bubble's clock.
func certificate(t testing.TB, name string, life time.Duration) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func serve(t *testing.T, ln net.Listener, h http.Handler) func() {
	srv := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(ln) }()
	return func() { srv.Close(); <-done; time.Sleep(time.Minute) }
}

func TestHTTPS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		cert, pool := certificate(t, "bot.example.com", time.Hour)
		ln, err := n.Listen("bot.example.com:443")
		if err != nil {
			t.Fatal(err)
		}
		defer serve(t, tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}}), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(90 * time.Second)
			io.Copy(w, r.Body)
		}))()
		n.Host("other.example.com", "45.67.0.2")
		if ips, _ := n.LookupNetIP(t.Context(), "ip4", "bot.example.com"); len(ips) != 1 {
			t.Fatalf("the listener's name has no address: %v", ips)
		} else {
			n.Host("other.example.com", ips[0].String())
		}
		tr := &http.Transport{DialContext: n.Dial, TLSClientConfig: &tls.Config{RootCAs: pool}}
		defer tr.CloseIdleConnections()
		c := &http.Client{Transport: tr}
		body := strings.Repeat("update ", 100_000)
		start := time.Now()
		resp, err := c.Post("https://bot.example.com/hook", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(got) != body {
			t.Errorf("echo of %d bytes: %d, %v", len(body), len(got), err)
		}
		if d := time.Since(start); d != 90*time.Second {
			t.Errorf("took %v of virtual time", d)
		}

		var host x509.HostnameError
		if _, err := c.Get("https://other.example.com/"); !errors.As(err, &host) {
			t.Errorf("wrong host: %v", err)
		}
		tr2 := &http.Transport{DialContext: n.Dial, TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()}}
		var auth x509.UnknownAuthorityError
		if _, err := (&http.Client{Transport: tr2}).Get("https://bot.example.com/"); !errors.As(err, &auth) {
			t.Errorf("unknown authority: %v", err)
		}
		tr.CloseIdleConnections()
		time.Sleep(2 * time.Hour)
		var inv x509.CertificateInvalidError
		if _, err := c.Get("https://bot.example.com/"); !errors.As(err, &inv) || inv.Reason != x509.Expired {
			t.Errorf("expired: %v", err)
		}
	})
}

func TestHTTPClientTimeoutAndShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		ln, _ := n.Listen("10.0.0.1:80")
		gone := make(chan struct{})
		stop := serve(t, ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done() // the server sees that the client went away
			close(gone)
		}))
		defer stop()
		tr := &http.Transport{DialContext: n.Dial}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://10.0.0.1/", nil)
		if _, err := tr.RoundTrip(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		<-gone
	})
}

func BenchmarkRoundTrip(b *testing.B) {
	n := memnet.New()
	ln, _ := n.Listen("10.0.0.1:80")
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err == nil {
			io.Copy(c, c)
		}
	}()
	c, _ := n.Dial(b.Context(), "tcp", "10.0.0.1:80")
	defer c.Close()
	msg, buf := make([]byte, 700), make([]byte, 700)
	for b.Loop() {
		c.Write(msg)
		io.ReadFull(c, buf)
	}
}
