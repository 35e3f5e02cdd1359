// Package acmetest is an ACME authority for tests: Let's Encrypt's own Pebble, in
// the test's process. It looks every name up as 127.0.0.1 and validates on ports
// that the test chooses.
package acmetest

import (
	"encoding/binary"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"golang.org/x/net/dns/dnsmessage"
)

// ShortLived is a profile whose certificates live for an hour.
const ShortLived = "shortlived"

// Authority is a running authority.
type Authority struct {
	Directory string // its URL
	CAFile    string // the root of the directory's own certificate
	Root      []byte // the root of what it issues, in PEM

	away   atomic.Bool
	orders atomic.Int64
}

// Start runs an authority that validates http-01 on httpPort and tls-alpn-01 on
// tlsPort of 127.0.0.1. Besides certificates for 90 days it issues those of the
// profiles given; an order that names none gets any. It ends with the test.
func Start(t testing.TB, httpPort, tlsPort int, profiles ...string) *Authority {
	t.Helper()
	all := map[string]ca.Profile{"default": {Description: "90 days"}}
	for _, p := range profiles {
		all[p] = ca.Profile{Description: "an hour", ValidityPeriod: 3600}
	}
	// Pebble reads these when it is made. Setenv would forbid parallel tests.
	settings.Do(func() {
		_ = os.Setenv("PEBBLE_VA_NOSLEEP", "1")
		_ = os.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
		_ = os.Setenv("PEBBLE_AUTHZREUSE", "0")
	})
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, all)
	front := wfe.New(quiet, store, va.New(quiet, httpPort, tlsPort, true, resolver(t), store), issuer, []string{"authority.test"}, true, false, 1, 1)
	a := &Authority{}
	handler := front.Handler()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.away.Load() {
			panic(http.ErrAbortHandler)
		}
		if r.URL.Path == "/order-plz" {
			a.orders.Add(1)
		}
		handler.ServeHTTP(w, r)
	}))
	srv.Config.ErrorLog = quiet
	t.Cleanup(srv.Close)
	a.Directory = srv.URL + wfe.DirectoryPath
	a.CAFile = filepath.Join(t.TempDir(), "directory-ca.pem")
	if err := os.WriteFile(a.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	a.Root = issuer.GetRootCert(0).PEM()
	return a
}

var settings sync.Once

// Away makes the authority cut every connection, or answer again.
func (a *Authority) Away(away bool) { a.away.Store(away) }

// Orders counts the orders that were placed.
func (a *Authority) Orders() int { return int(a.orders.Load()) }

// resolver is a DNS server that knows 127.0.0.1 under every name.
func resolver(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				for answer(c) == nil {
				}
			})
		}
	})
	return ln.Addr().String()
}

// answer reads one question and answers it.
func answer(c net.Conn) error {
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return err
	}
	raw := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, raw); err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(raw); err != nil {
		return err
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	for _, q := range m.Questions {
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			})
		}
	}
	out, err := m.AppendPack(make([]byte, 2))
	if err != nil {
		return err
	}
	binary.BigEndian.PutUint16(out, uint16(len(out)-2))
	_, err = c.Write(out)
	return err
}
