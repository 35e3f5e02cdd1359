package probe_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"dualgram/chaos/pki"
	"dualgram/transport/probe"
)

// reasonCase is one way for a probe not to be good.
type reasonCase struct {
	name     string
	world    func(*world)
	telegram string // known address; "-" stands for none, empty for the right one
	stage    probe.Stage
	reason   probe.Reason
	took     time.Duration // exactly, if not zero
	status   int
	impostor bool
}

var reasonCases = []reasonCase{
	{name: "no such name", telegram: "-", world: func(w *world) { w.net.Host(host) },
		stage: probe.StageDNS, reason: probe.ReasonNXDomain},
	{name: "the DNS doesn't answer", telegram: "-", world: func(w *world) { w.o.Resolver = deaf{} },
		stage: probe.StageDNS, reason: probe.ReasonDNSTimeout, took: time.Second},
	{name: "the resolver says it timed out", telegram: "-", world: func(w *world) {
		w.net.HostError(host, &net.DNSError{Err: "i/o timeout", IsTimeout: true})
	}, stage: probe.StageDNS, reason: probe.ReasonDNSTimeout},
	{name: "SERVFAIL", telegram: "-", world: func(w *world) {
		w.net.HostError(host, &net.DNSError{Err: "server misbehaving", IsTemporary: true})
	}, stage: probe.StageDNS, reason: probe.ReasonDNSFailed},
	{name: "SERVFAIL for A, an answer for AAAA", telegram: "-", world: func(w *world) {
		w.o.Resolver = apart{ip4: answer{err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}}, ip6: answer{addrs: []string{"2a00::1"}}}
	}, stage: probe.StageDNS, reason: probe.ReasonDNSFailed},
	{name: "AAAA only", telegram: "-", world: func(w *world) { w.net.Host(host, "2a00:1450::5") },
		stage: probe.StageDNS, reason: probe.ReasonAAAAOnly},
	{name: "IPv6 only in the hosts file", telegram: "-", world: func(w *world) {
		w.o.Resolver = apart{ip4: answer{err: &net.AddrError{Err: "no suitable address found", Addr: host}}, ip6: answer{addrs: []string{"2a00::1"}}}
	}, stage: probe.StageDNS, reason: probe.ReasonAAAAOnly},
	{name: "a reserved address", telegram: "-", world: func(w *world) { w.net.Host(host, "10.1.2.3") },
		stage: probe.StageDNS, reason: probe.ReasonReservedAddress},
	{name: "the hosts file's address", telegram: "-", world: func(w *world) { w.net.Host(host, "127.0.1.1") },
		stage: probe.StageDNS, reason: probe.ReasonReservedAddress},
	{name: "a reserved address in the URL", telegram: "-", world: func(w *world) { w.o.URL = "https://192.168.1.5:8443" + path },
		stage: probe.StageDNS, reason: probe.ReasonReservedAddress},
	{name: "an IPv6 address in the URL", telegram: "-", world: func(w *world) { w.o.URL = "https://[2a00:1450::5]:8443" + path },
		stage: probe.StageDNS, reason: probe.ReasonAAAAOnly},
	{name: "pinned to nothing", telegram: "-", world: func(w *world) { w.o.Pinned = true },
		stage: probe.StageDNS, reason: probe.ReasonLocal},

	{name: "nobody listens", world: func(*world) {},
		stage: probe.StageConnect, reason: probe.ReasonRefused},
	{name: "no route", world: dialError(syscall.EHOSTUNREACH),
		stage: probe.StageConnect, reason: probe.ReasonUnreachable},
	{name: "packets dropped", world: func(w *world) { w.net.Blackhole(public, true) },
		stage: probe.StageConnect, reason: probe.ReasonConnectTimeout, took: probe.DefaultTimeout},
	{name: "the kernel gives up", world: dialError(syscall.ETIMEDOUT),
		stage: probe.StageConnect, reason: probe.ReasonConnectTimeout},
	{name: "reset when dialled", world: dialError(syscall.ECONNRESET),
		stage: probe.StageConnect, reason: probe.ReasonReset},
	{name: "dialled name unknown", world: func(w *world) { w.o.Address = "proxy.internal:8443" },
		stage: probe.StageConnect, reason: probe.ReasonConnectFailed},
	{name: "another error", world: dialError(errors.New("odd")),
		stage: probe.StageConnect, reason: probe.ReasonConnectFailed},
	{name: "out of descriptors", world: dialError(syscall.EMFILE),
		stage: probe.StageConnect, reason: probe.ReasonLocal},
	{name: "out of ports", world: dialError(syscall.EADDRNOTAVAIL),
		stage: probe.StageConnect, reason: probe.ReasonLocal},
	{name: "not permitted", world: dialError(syscall.EPERM),
		stage: probe.StageConnect, reason: probe.ReasonLocal},

	{name: "expired", world: served(func(w *world) tls.Certificate {
		return w.pair(pki.Leaf{NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-time.Minute)})
	}), stage: probe.StageTLS, reason: probe.ReasonTLSExpired},
	{name: "expired by the corrected clock", world: func(w *world) {
		w.hook(public+":8443", w.good())
		w.o.Now = func() time.Time { return time.Now().Add(91 * 24 * time.Hour) }
	}, stage: probe.StageTLS, reason: probe.ReasonTLSExpired},
	{name: "not yet valid", world: served(func(w *world) tls.Certificate {
		return w.pair(pki.Leaf{NotBefore: time.Now().Add(time.Hour)})
	}), stage: probe.StageTLS, reason: probe.ReasonTLSNotYetValid},
	{name: "for another host", world: served(func(w *world) tls.Certificate {
		return w.pair(pki.Leaf{Hosts: []string{"other.example.com"}})
	}), stage: probe.StageTLS, reason: probe.ReasonTLSWrongHost},
	{name: "a wildcard stands for one label", world: served(func(w *world) tls.Certificate {
		return w.pair(pki.Leaf{Hosts: []string{"*.com", "*.bot.example.com"}})
	}), stage: probe.StageTLS, reason: probe.ReasonTLSWrongHost},
	{name: "an uploaded certificate's IP address isn't looked at", telegram: public, world: func(w *world) {
		p, err := w.ca.Issue(time.Now(), pki.Leaf{Hosts: []string{"some.name", public}})
		if err != nil {
			w.t.Fatal(err)
		}
		w.o.URL, w.o.Uploaded = "https://"+public+":8443"+path, true
		w.hook(public+":8443", &tls.Config{Certificates: []tls.Certificate{p.TLS()}})
	}, stage: probe.StageTLS, reason: probe.ReasonTLSWrongHost},
	{name: "a common name is no IP address", telegram: public, world: func(w *world) {
		w.o.URL = "https://" + public + ":8443" + path
		w.hook(public+":8443", &tls.Config{Certificates: []tls.Certificate{w.mint(func(c *x509.Certificate) { c.Subject.CommonName, c.DNSNames = public, nil })}})
	}, stage: probe.StageTLS, reason: probe.ReasonTLSWrongHost},
	{name: "intermediate missing", world: served(func(w *world) tls.Certificate {
		between, err := w.ca.Intermediate(time.Now(), "Test Intermediate")
		if err != nil {
			w.t.Fatal(err)
		}
		p, err := between.Issue(time.Now(), pki.Leaf{Hosts: []string{host}, OmitChain: true})
		if err != nil {
			w.t.Fatal(err)
		}
		return p.TLS()
	}), stage: probe.StageTLS, reason: probe.ReasonTLSUnknownAuthority},
	{name: "self-signed", world: served(func(w *world) tls.Certificate {
		p, err := pki.SelfSigned(time.Now(), pki.Leaf{Hosts: []string{host}})
		if err != nil {
			w.t.Fatal(err)
		}
		return p.TLS()
	}), stage: probe.StageTLS, reason: probe.ReasonTLSUnknownAuthority},
	{name: "of an authority that isn't trusted", world: func(w *world) {
		w.hook(public+":8443", w.good())
		w.o.Roots = x509.NewCertPool()
	}, stage: probe.StageTLS, reason: probe.ReasonTLSUnknownAuthority},
	{name: "the uploaded certificate is no root", world: func(w *world) {
		pair := w.pair(pki.Leaf{})
		w.o.Roots, w.o.Uploaded = x509.NewCertPool(), true
		w.o.Roots.AddCert(pair.Leaf)
		w.hook(public+":8443", &tls.Config{Certificates: []tls.Certificate{pair}})
	}, stage: probe.StageTLS, reason: probe.ReasonTLSUnknownAuthority},
	{name: "for clients only", world: served(func(w *world) tls.Certificate {
		return w.mint(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	}), stage: probe.StageTLS, reason: probe.ReasonTLSBadCertificate},
	{name: "TLS 1.1", world: func(w *world) {
		c := w.good()
		c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		w.secure(c, func(c *tls.Conn) { readRequest(c) })
	}, stage: probe.StageTLS, reason: probe.ReasonTLSOldVersion},
	{name: "the server has no certificate for the name", world: func(w *world) {
		w.secure(&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") }}, func(*tls.Conn) {})
	}, stage: probe.StageTLS, reason: probe.ReasonTLSHandshake},
	{name: "nonsense for TLS", world: func(w *world) {
		w.raw(func(c net.Conn) { readRequest(c); _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n") })
	}, stage: probe.StageTLS, reason: probe.ReasonTLSHandshake},
	{name: "a client's certificate is wanted", world: func(w *world) {
		c := w.good()
		c.ClientAuth = tls.RequireAnyClientCert
		w.site(c, nil)
	}, stage: probe.StageTLS, reason: probe.ReasonTLSHandshake},
	{name: "closed in the handshake", world: func(w *world) { w.raw(func(c net.Conn) { readRequest(c) }) },
		stage: probe.StageTLS, reason: probe.ReasonTLSClosed},
	{name: "reset in the handshake", world: func(w *world) { w.raw(func(c net.Conn) { readRequest(c); reset(c) }) },
		stage: probe.StageTLS, reason: probe.ReasonReset},
	{name: "the handshake hangs", world: func(w *world) { w.raw(hang) },
		stage: probe.StageTLS, reason: probe.ReasonTLSTimeout, took: probe.DefaultTimeout},
	{name: "HTTP on the port", world: func(w *world) {
		w.raw(func(c net.Conn) { readRequest(c); _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })
	}, stage: probe.StageTLS, reason: probe.ReasonPlainHTTP},

	{name: "the answer hangs", world: func(w *world) {
		w.site(w.good(), func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // else net/http doesn't see the client go
			<-r.Context().Done()
		})
	}, stage: probe.StageHTTP, reason: probe.ReasonHTTPTimeout, took: probe.DefaultTimeout},
	{name: "no answer", world: func(w *world) {
		w.site(w.good(), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	}, stage: probe.StageHTTP, reason: probe.ReasonHTTPClosed},
	{name: "the answer breaks off", world: func(w *world) {
		w.site(w.good(), func(rw http.ResponseWriter, r *http.Request) {
			w.responder.ServeHTTP(breaking{rw}, r)
			panic(http.ErrAbortHandler)
		})
	}, status: 200, stage: probe.StageHTTP, reason: probe.ReasonHTTPClosed},
	{name: "reset before the answer", world: func(w *world) { w.secure(w.good(), func(c *tls.Conn) { readRequest(c); reset(c) }) },
		stage: probe.StageHTTP, reason: probe.ReasonReset},
	{name: "not HTTP", world: func(w *world) { w.answers("220 mail.example.com ESMTP\r\n") },
		stage: probe.StageHTTP, reason: probe.ReasonHTTPMalformed},
	{name: "an echo", world: func(w *world) { w.secure(w.good(), func(c *tls.Conn) { _, _ = io.Copy(c, c) }) },
		stage: probe.StageHTTP, reason: probe.ReasonHTTPMalformed},
	{name: "endless headers", world: func(w *world) { w.answers("HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 20000)) },
		stage: probe.StageHTTP, reason: probe.ReasonHTTPMalformed},
	{name: "an endless answer with proof", world: func(w *world) {
		w.site(w.good(), func(rw http.ResponseWriter, r *http.Request) {
			w.responder.ServeHTTP(endless{rw}, r)
			for range 100 {
				_, _ = rw.Write(make([]byte, 1<<10))
			}
		})
	}, status: 200, stage: probe.StageHTTP, reason: probe.ReasonHTTPMalformed},
	{name: "interim answers only", world: func(w *world) { w.answers(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 50)) },
		stage: probe.StageHTTP, reason: probe.ReasonHTTPMalformed},
	{name: "another protocol", world: func(w *world) { w.answers("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n") },
		status: 101, stage: probe.StageHTTP, reason: probe.ReasonHTTPStatus},
	{name: "the proxy's 502", world: status(502), status: 502, stage: probe.StageHTTP, reason: probe.ReasonHTTPStatus},
	{name: "403", world: status(403), status: 403, stage: probe.StageHTTP, reason: probe.ReasonHTTPStatus},
	{name: "a status without a name", world: status(599), status: 599, stage: probe.StageHTTP, reason: probe.ReasonHTTPStatus},
	{name: "a redirect", world: func(w *world) {
		w.site(w.good(), func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "https://"+public+":9443"+path, http.StatusMovedPermanently)
		})
		w.rawAt(public+":9443", func(net.Conn) { w.t.Error("the redirect was followed") })
	}, status: 301, stage: probe.StageHTTP, reason: probe.ReasonRedirect},

	{name: "a default site", world: status(200), status: 200, impostor: true, stage: probe.StageProof, reason: probe.ReasonNoProof},
	{name: "a default site that says nothing", world: status(204), status: 204, impostor: true, stage: probe.StageProof, reason: probe.ReasonNoProof},
	{name: "a default site where the DNS leads", telegram: "-", world: status(200), status: 200, stage: probe.StageProof, reason: probe.ReasonNoProof},
	{name: "a default site where probe.dial leads", telegram: "-", world: func(w *world) {
		status(200)(w)
		w.o.Address = public + ":8443"
	}, status: 200, impostor: true, stage: probe.StageProof, reason: probe.ReasonNoProof},
	{name: "a default site without TLS", world: func(w *world) {
		w.o.URL = plainURL
		w.site(nil, func(http.ResponseWriter, *http.Request) {})
	}, status: 200, impostor: true, stage: probe.StageProof, reason: probe.ReasonNoProof},
	{name: "a cached proof", world: func(w *world) {
		w.site(w.good(), func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set(probe.ProofHeader, strings.Repeat("ab", 32))
		})
	}, status: 200, impostor: true, stage: probe.StageProof, reason: probe.ReasonWrongProof},
	{name: "the challenge sent back", world: func(w *world) {
		w.site(w.good(), func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set(probe.ProofHeader, r.Header.Get(probe.ChallengeHeader))
		})
	}, status: 200, impostor: true, stage: probe.StageProof, reason: probe.ReasonWrongProof},
}

// TestReasons holds what each failure is told as, that none says more than it may,
// and that every reason but cancelled has a case.
func TestReasons(t *testing.T) {
	covered := map[string]bool{string(probe.ReasonCancelled): true} // TestCancelled
	for _, c := range reasonCases {
		covered[string(c.reason)] = true
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				c.world(w)
				telegram := c.telegram
				switch telegram {
				case "":
					telegram = public
				case "-":
					telegram = ""
				}
				r := w.probe(telegram)
				w.check(r)
				if r.OK || r.Stage != c.stage || r.Reason != c.reason {
					t.Errorf("got %q in stage %q, want %q in %q (%s)", r.Reason, r.Stage, c.reason, c.stage, r.Detail)
				}
				if r.Impostor != c.impostor || r.Status != c.status {
					t.Errorf("impostor %v, status %d, want %v, %d", r.Impostor, r.Status, c.impostor, c.status)
				}
				if c.took != 0 && r.Took != c.took {
					t.Errorf("took %v, want %v", r.Took, c.took)
				}
			})
		})
	}
	for _, r := range constants(t, "Reason") {
		if !covered[r] {
			t.Errorf("no case gives %q", r)
		}
	}
}

// constants returns the values of the constants of a type.
func constants(t *testing.T, typeName string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "result.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == typeName {
			v, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, v)
		}
		return true
	})
	if len(out) == 0 {
		t.Fatalf("result.go has no constant of type %s", typeName)
	}
	return out
}

func status(code int) func(*world) {
	return func(w *world) {
		w.site(w.good(), func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(code) })
	}
}

// served has our own listener show a certificate.
func served(cert func(*world) tls.Certificate) func(*world) {
	return func(w *world) {
		w.hook(public+":8443", &tls.Config{Certificates: []tls.Certificate{cert(w)}})
	}
}

func dialError(err error) func(*world) {
	return func(w *world) {
		w.o.Dial = func(_ context.Context, network, _ string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", err)}
		}
	}
}

func hang(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// mint issues a certificate as edit wants it.
func (w *world) mint(edit func(*x509.Certificate)) tls.Certificate {
	w.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	edit(c)
	der, err := x509.CreateCertificate(rand.Reader, c, w.ca.Cert, &k.PublicKey, w.ca.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}
}

// breaking promises more than comes.
type breaking struct{ http.ResponseWriter }

func (b breaking) WriteHeader(code int) {
	b.Header().Set("Content-Length", "100")
	b.ResponseWriter.WriteHeader(code)
	_, _ = io.WriteString(b.ResponseWriter, "{")
	_ = http.NewResponseController(b.ResponseWriter).Flush()
}

// endless promises no length.
type endless struct{ http.ResponseWriter }

func (e endless) WriteHeader(code int) {
	e.Header().Del("Content-Length")
	e.ResponseWriter.WriteHeader(code)
}
