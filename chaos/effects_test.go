package chaos

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// effect is what a client sees of a fault on the server's side.
type effect struct {
	name  string
	spec  Spec
	rig   rigOptions
	sees  func(status int, err error) bool
	took  time.Duration // at least
	runs  bool          // the handler ran all the same
	fires uint64        // 0 means 1
}

func status(want int) func(int, error) bool {
	return func(got int, err error) bool { return got == want && err == nil }
}

func fails(is func(error) bool) func(int, error) bool {
	return func(_ int, err error) bool { return err != nil && is(err) }
}

func failsWith(target error) func(int, error) bool {
	return fails(func(err error) bool { return errors.Is(err, target) })
}

var (
	timesOut = fails(func(err error) bool { var n net.Error; return errors.As(err, &n) && n.Timeout() })
	endsEOF  = fails(func(err error) bool { return strings.HasSuffix(err.Error(), "EOF") })
	unknown  = fails(func(err error) bool { var e x509.UnknownAuthorityError; return errors.As(err, &e) })
)

func serverEffects() []effect {
	return []effect{
		{name: "net.blackhole", spec: Spec{Kind: "net.blackhole"}, sees: timesOut},
		{name: "net.refuse", spec: Spec{Kind: "net.refuse"}, sees: failsWith(syscall.ECONNRESET)},
		{name: "net.refuse, socket closed", spec: Spec{Kind: "net.refuse"}, rig: rigOptions{reopen: true}, sees: failsWith(syscall.ECONNREFUSED)},
		{name: "net.refuse, a share with reopen", spec: Spec{Kind: "net.refuse", Share: 0.999999}, rig: rigOptions{reopen: true}, sees: failsWith(syscall.ECONNRESET)},
		{name: "net.reset", spec: Spec{Kind: "net.reset"}, sees: failsWith(syscall.ECONNRESET)},
		{name: "net.reset after the handler", spec: Spec{Kind: "net.reset", Params: map[string]string{"at": "handler"}}, sees: failsWith(syscall.ECONNRESET), runs: true},
		{name: "net.reset in the body", spec: Spec{Kind: "net.reset", Params: map[string]string{"at": "body"}}, sees: failsWith(syscall.ECONNRESET)},
		{name: "net.slow", spec: Spec{Kind: "net.slow", Delay: 3 * time.Second}, sees: status(200), took: 6 * time.Second, runs: true},
		{name: "net.slow, a narrow line", spec: Spec{Kind: "net.slow", Params: map[string]string{"rate": "100"}}, sees: status(200), took: 2 * time.Second, runs: true},
		{name: "net.slow, in drips", spec: Spec{Kind: "net.slow", Delay: 100 * time.Millisecond, Params: map[string]string{"piece": "16"}}, sees: status(200), took: time.Second, runs: true},
		{name: "net.loss_approx", spec: Spec{Kind: "net.loss_approx", Params: map[string]string{"percent": "50"}}, sees: status(200), took: minRTO, runs: true},
		{name: "net.stop_accept", spec: Spec{Kind: "net.stop_accept"}, sees: timesOut},
		{name: "net.accept_error", spec: Spec{Kind: "net.accept_error"}, sees: timesOut, took: 20 * time.Second},

		{name: "tls.expired", spec: Spec{Kind: "tls.expired"}, sees: fails(isExpired)},
		{name: "tls.wrong_host", spec: Spec{Kind: "tls.wrong_host"}, sees: fails(func(err error) bool {
			var e x509.HostnameError
			return errors.As(err, &e) && e.Certificate.DNSNames[0] == "wrong-host.invalid"
		})},
		{name: "tls.incomplete_chain", spec: Spec{Kind: "tls.incomplete_chain"}, sees: unknown},
		{name: "tls.incomplete_chain without a chain", spec: Spec{Kind: "tls.incomplete_chain"}, rig: rigOptions{noChain: true}, sees: unknown},
		{name: "tls.handshake_stall", spec: Spec{Kind: "tls.handshake_stall"}, sees: timesOut, took: 20 * time.Second},
		{name: "tls.old_version", spec: Spec{Kind: "tls.old_version"}, sees: fails(func(err error) bool {
			return strings.Contains(err.Error(), "protocol version not supported")
		})},

		{name: "http.status", spec: Spec{Kind: "http.status"}, sees: status(500)},
		{name: "http.status 503 late", spec: Spec{Kind: "http.status", Delay: 2 * time.Second, Params: map[string]string{"code": "503"}}, sees: status(503), took: 2 * time.Second},
		{name: "http.slow", spec: Spec{Kind: "http.slow", Delay: 5 * time.Second}, sees: status(200), took: 5 * time.Second, runs: true},
		{name: "http.hang", spec: Spec{Kind: "http.hang"}, sees: timesOut, took: 20 * time.Second},
		{name: "http.wrong_secret", spec: Spec{Kind: "http.wrong_secret"}, sees: status(403)},
		{name: "http.panic", spec: Spec{Kind: "http.panic"}, sees: endsEOF},
		{name: "http.answer_lost", spec: Spec{Kind: "http.answer_lost"}, sees: endsEOF, runs: true},
	}
}

// Each fault has the effect that the catalogue promises on a warm, resuming
// client; fires once for one request; and is gone at once however it ends.
func TestServerEffects(t *testing.T) {
	const lease = 30 * time.Second
	enders := map[string]func(*rig, *Lease, time.Time){
		"end":    func(_ *rig, l *Lease, _ time.Time) { l.End() },
		"clear":  func(r *rig, _ *Lease, _ time.Time) { r.reg.Clear() },
		"expiry": func(_ *rig, _ *Lease, at time.Time) { time.Sleep(time.Until(at.Add(lease))) },
	}
	for _, e := range serverEffects() {
		for how, end := range enders {
			bubble(t, e.name+"/"+how, func(t *testing.T) {
				r := newRig(t, e.rig)
				c := r.client()
				wantOK(t, c, "before the fault")

				e.spec.For = lease
				l := r.inject(e.spec)
				at, handled := time.Now(), r.handled.Load()
				code, err := c.post()
				if !e.sees(code, err) {
					t.Errorf("under the fault: status %d, error %v", code, err)
				}
				if took := time.Since(at); took < e.took {
					t.Errorf("under the fault: took %v, want at least %v", took, e.took)
				}
				if ran := r.handled.Load() > handled; ran != e.runs {
					t.Errorf("under the fault: handler ran: %v, want %v", ran, e.runs)
				}
				if got := l.Fired(); got != max(e.fires, 1) {
					t.Errorf("fired %d times, want %d", got, max(e.fires, 1))
				}

				end(r, l, at)
				fired := l.Fired()
				ended := time.Now()
				wantOK(t, c, "after the fault, same client")
				wantOK(t, r.client(), "after the fault, new client")
				if took := time.Since(ended); took > time.Second {
					t.Errorf("after the fault: took %v", took)
				}
				if l.Fired() != fired || len(r.reg.List()) != 0 {
					t.Errorf("after the fault: fired %d more times, list %v", l.Fired()-fired, r.reg.List())
				}
				select {
				case <-l.Done():
				default:
					t.Error("after the fault: Done is open")
				}
			})
		}
	}
}

// With the good authority's key only one thing is wrong with the certificate:
// a client that overlooks it accepts.
func TestFaultCertificateByTheGoodAuthority(t *testing.T) {
	for _, kind := range []Kind{"tls.expired", "tls.wrong_host", "tls.incomplete_chain"} {
		bubble(t, string(kind), func(t *testing.T) {
			r := newRig(t, rigOptions{noChain: true})
			text, err := r.root.PEM()
			if err != nil {
				t.Fatal(err)
			}
			params := map[string]string{"ca": string(text)}
			if kind == "tls.expired" {
				params["ago_seconds"] = "60"
			}
			l := r.inject(Spec{Kind: kind, Params: params})
			if got := r.reg.List()[0].Spec.Params["ca"]; got != "[secret]" {
				t.Errorf("the authority's key is listed: %q", got)
			}
			c := r.client()
			switch kind {
			case "tls.expired":
				c.tr.TLSClientConfig.Time = func() time.Time { return time.Now().Add(-10 * time.Minute) }
				if _, err := r.client().post(); !isExpired(err) {
					t.Errorf("by the clock: %v", err)
				}
			case "tls.wrong_host":
				c.tr.TLSClientConfig.ServerName = "wrong-host.invalid"
			case "tls.incomplete_chain":
				if _, err := c.post(); !unknown(0, err) {
					t.Errorf("got %v", err)
				}
				return
			}
			wantOK(t, c, "overlooking the fault")
			// The lenient client's connection was made with the fault's
			// certificate, so it goes with the fault.
			l.End()
			c.tr.TLSClientConfig = r.client().tr.TLSClientConfig
			wantOK(t, c, "after the fault")
			if c.last.PeerCertificates[0].SerialNumber.Cmp(r.pair.Cert.SerialNumber) != 0 {
				t.Error("the connection still has the fault's certificate")
			}
		})
	}
}

// An incomplete chain is the good leaf alone, where there is a chain to cut.
func TestIncompleteChainKeepsTheLeaf(t *testing.T) {
	bubble(t, "leaf", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		r.inject(Spec{Kind: "tls.incomplete_chain"})
		c := r.client()
		c.tr.TLSClientConfig.InsecureSkipVerify = true
		wantOK(t, c, "without verification")
		if got := c.last.PeerCertificates; len(got) != 1 || !got[0].Equal(r.pair.Cert) {
			t.Errorf("the server sent %d certificates, or another leaf", len(got))
		}
	})
}

// The two ways in which a certificate fault would have no effect at all.
func TestFaultDefeatsResumptionAndKeepAlive(t *testing.T) {
	bubble(t, "a resuming client", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		c := r.client()
		wantOK(t, c, "first")
		c.fresh()
		wantOK(t, c, "second")
		if !c.last.DidResume {
			t.Fatal("the client does not resume: the test proves nothing")
		}
		c.fresh()
		l := r.inject(Spec{Kind: "tls.expired"})
		if _, err := c.post(); !isExpired(err) {
			t.Errorf("under the fault: %v", err)
		}
		l.End()
		wantOK(t, c, "after the fault")
	})
	bubble(t, "a kept-alive connection", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		c := r.client()
		wantOK(t, c, "first")
		addr := c.last
		wantOK(t, c, "second")
		if c.last.NegotiatedProtocol != addr.NegotiatedProtocol || c.last.DidResume {
			t.Fatal("the connection was not kept")
		}
		r.inject(Spec{Kind: "tls.expired"})
		if _, err := c.post(); !isExpired(err) {
			t.Errorf("under the fault: %v", err)
		}
	})
	bubble(t, "a server with its own hook", func(t *testing.T) {
		r := newRig(t, rigOptions{setup: func(r *rig) {
			own := r.base.Clone()
			r.base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return own, nil }
			r.base.GetCertificate = nil // only the hook knows the certificate
			r.srv.TLSConfig = r.reg.TLSConfig(r.base)
		}})
		c := r.client()
		wantOK(t, c, "first")
		r.inject(Spec{Kind: "tls.wrong_host", Count: 1})
		var e x509.HostnameError
		if _, err := c.post(); !errors.As(err, &e) {
			t.Errorf("under the fault: %v", err)
		}
		wantOK(t, c, "after its one fire")
	})
}
