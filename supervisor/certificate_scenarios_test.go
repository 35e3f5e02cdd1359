package supervisor_test

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/pki"
	"dualgram/supervisor"
	"dualgram/transport/webhook"
)

// files is a certificate that the host serves from two files.
type files struct {
	t         *testing.T
	w         *testWorld
	cert, key string
	*webhook.Certificate
}

// fromFiles makes the world's hosts serve a pair from files, and takes its first.
func (w *testWorld) fromFiles(t *testing.T, first func(*files)) *files {
	t.Helper()
	dir := t.TempDir()
	f := &files{t: t, w: w, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	first(f)
	var err error
	f.Certificate, err = webhook.LoadCertificate(f.cert, f.key)
	must0(t, err)
	w.listen = func(o *supervisor.ListenerOptions, faults *chaos.Registry) {
		o.TLS, o.Refused = faults.TLSConfig(f.TLSConfig()), f.Refused
	}
	return f
}

// issue puts a pair of the world's authority into the files.
func (f *files) issue(l pki.Leaf) {
	f.t.Helper()
	l.Hosts = []string{testHost}
	pair, err := f.w.ca.Issue(time.Now(), l)
	must0(f.t, err)
	must0(f.t, pair.WriteFiles(f.cert, f.key))
}

// selfSigned puts a fresh self-signed pair into the files.
func (f *files) selfSigned() {
	f.t.Helper()
	cert, key, err := webhook.SelfSigned(time.Now(), testHost)
	must0(f.t, err)
	must0(f.t, webhook.WritePair(f.cert, f.key, cert, key))
}

// TestEndOfCertificate: the handover comes before the certificate's end by
// Telegram's clock, however wrong ours is, so that no delivery is turned down;
// after the renewal the webhook comes back.
func TestEndOfCertificate(t *testing.T) {
	for name, skew := range map[string]time.Duration{"our clock is right": 0, "our clock is 2 h behind": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *testWorld) {
				w.skew.Store(int64(skew))
				end := time.Now().Add(5 * time.Minute) // by our clock, if it were Telegram's
				f := w.fromFiles(t, func(f *files) { f.issue(pki.Leaf{NotAfter: end.Add(skew)}) })
				h, stop := w.proven(t, 2)
				must0(t, h.await("polling", false, 5*time.Minute))
				if left := time.Until(end); left < 105*time.Second || left > 2*time.Minute {
					t.Errorf("the handover came %v before the end", left)
				}
				s, err := h.sup.Status(t.Context())
				must0(t, err)
				if b := s.Bots[0]; b.LastHandover.Reason != supervisor.SignalTLS || !hasWarning(b.Warnings, "certificate_expires") {
					t.Errorf("handover %+v, warnings %+v", b.LastHandover, b.Warnings)
				}
				if got := h.sup.Skew(); (got - skew).Abs() > 2500*time.Millisecond {
					t.Errorf("skew %v, want %v", got, skew)
				}
				time.Sleep(4 * time.Minute) // beyond the end; hold-downs are long over
				if p, _ := h.phase(); p != "polling" {
					t.Errorf("with an expired certificate the phase is %s", p)
				}
				f.issue(pki.Leaf{})
				if ch, err := f.Reload(time.Now().Add(h.sup.Skew()), testHost); err != nil || !ch.Replaced || !ch.WasBad {
					t.Fatalf("reload: %+v, %v", ch, err)
				}
				must0(t, h.await("webhook", false, 2*time.Minute))
				s, err = h.sup.Status(t.Context())
				must0(t, err)
				if hasWarning(s.Bots[0].Warnings, "certificate_expires") {
					t.Error("a new certificate, and it is said to expire")
				}
				w.settle(t, h, stop, time.Now())
				b, err := w.sim.Bot(w.botID)
				must0(t, err)
				for _, u := range b.Updates {
					for _, a := range u.Attempts {
						if a.Status != 200 {
							t.Errorf("update %d: an attempt ended with %d %s", u.ID, a.Status, a.Result)
						}
					}
				}
			})
		})
	}
}

// TestClockAhead: a certificate that has ended by our clock alone moves nothing.
func TestClockAhead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		w.skew.Store(int64(-3 * time.Hour))
		w.fromFiles(t, func(f *files) {
			f.issue(pki.Leaf{NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(2 * time.Minute)})
		})
		// The simulator judges by the clock that all share here; to it the pair is
		// good until the two minutes are over, to us it should be for three hours more.
		h := w.start(nil)
		must0(t, h.await("webhook", true, 10*time.Second))
		time.Sleep(time.Minute + 30*time.Second) // within tls_lead by our clock
		if m := w.moves(time.Time{}); slices.ContainsFunc(m, func(s string) bool { return strings.HasPrefix(s, "polling") }) {
			t.Errorf("moved: %v", m)
		}
		w.settle(t, h, func() {}, time.Now())
	})
}

// TestRefusedInStatus: a pair that was refused is a warning until it is mended.
func TestRefusedInStatus(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		f := w.fromFiles(t, func(f *files) { f.issue(pki.Leaf{}) })
		h, stop := w.proven(t, 5)
		from := time.Now()
		warned := func() bool {
			s, err := h.sup.Status(t.Context())
			must0(t, err)
			return hasWarning(s.Bots[0].Warnings, "certificate_refused")
		}
		f.issue(pki.Leaf{NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
		if _, err := f.Reload(time.Now(), testHost); err == nil || !warned() {
			t.Errorf("refused: %v, warned %v", err, warned())
		}
		time.Sleep(time.Minute)
		f.issue(pki.Leaf{})
		if ch, err := f.Reload(time.Now(), testHost); err != nil || ch.WasBad || warned() {
			t.Errorf("mended: %+v, %v, warned %v", ch, err, warned())
		}
		time.Sleep(time.Minute)
		if m := w.moves(from); len(m) > 0 {
			t.Errorf("moved: %v", m)
		}
		w.settle(t, h, stop, time.Now())
	})
}

// TestUploadedAnew: Telegram trusts the certificate that it was given alone. A
// renewed one is registered by a planned handover, which is no failover, has no
// hold-down, and loses nothing.
func TestUploadedAnew(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		f := w.fromFiles(t, (*files).selfSigned)
		w.tune = func(o *supervisor.BotOptions) {
			o.Webhook.Certificate = f.PEM
			o.Policy.HoldDown, o.Policy.MaxHoldDown = 10*time.Minute, 10*time.Minute
			o.Policy.MaxFailovers = 1 // one that counted would freeze the way back
		}
		h, stop := w.proven(t, 5)
		for range 2 {
			from := time.Now()
			f.selfSigned()
			if ch, err := f.Reload(time.Now(), testHost); err != nil || !ch.Replaced || ch.WasBad {
				t.Fatalf("reload: %+v, %v", ch, err)
			}
			time.Sleep(time.Second)
			must0(t, h.await("webhook", false, 2*time.Minute))
			if n := w.calls(t, "setWebhook", from); n != 1 {
				t.Errorf("%d sets, want 1: %v", n, w.moves(from))
			}
			b, err := w.sim.Bot(w.botID)
			must0(t, err)
			if b.LastError != "" {
				t.Errorf("Telegram complains: %s", b.LastError)
			}
			time.Sleep(2 * time.Minute)
		}
		w.settle(t, h, stop, time.Now())
	})
}

// TestListenerOfStrangers: AllowConn lets a stranger in as far as the handler, and
// CloseConns closes what is open.
func TestListenerOfStrangers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		var open atomic.Bool
		w.tune = func(o *supervisor.BotOptions) {
			o.Webhook.Networks = []netip.Prefix{netip.MustParsePrefix("149.154.160.0/20")}
		}
		w.listen = func(o *supervisor.ListenerOptions, _ *chaos.Registry) {
			o.AllowConn = func(netip.Addr) bool { return open.Load() }
		}
		h, stop := w.proven(t, 2)
		greet := func() (*tls.Conn, error) {
			c, err := w.net.From("203.0.113.9").Dial(t.Context(), "tcp", testIP+":443")
			must0(t, err)
			t.Cleanup(func() { c.Close() })
			tc := tls.Client(c, w.clientTLS())
			return tc, tc.HandshakeContext(t.Context())
		}
		if _, err := greet(); err == nil {
			t.Error("a stranger gets a handshake")
		}
		open.Store(true)
		c, err := greet()
		must0(t, err)
		if n := h.sup.CloseConns("nowhere:443"); n != 0 {
			t.Errorf("closed %d of no listener", n)
		}
		if n := h.sup.CloseConns(testIP + ":443"); n == 0 {
			t.Error("closed none")
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("still open")
		}
		w.settle(t, h, stop, time.Now())
	})
}

// TestFirstCertificate: a first start without a certificate, as where the first one
// has yet to be obtained, takes what is pending by polling and sets the webhook as
// soon as there is one. It is no failover: nothing is counted, nothing is waited
// for.
func TestFirstCertificate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *testWorld) {
		var there atomic.Bool
		w.listen = func(o *supervisor.ListenerOptions, _ *chaos.Registry) {
			good := o.TLS
			o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				if !there.Load() {
					return nil, errors.New("there is none yet")
				}
				c, err := good.GetConfigForClient(hello)
				if err != nil {
					return nil, err
				}
				if c == nil {
					c = good
				}
				if c.GetCertificate != nil {
					return c.GetCertificate(hello)
				}
				return &c.Certificates[0], nil
			}}
		}
		began := time.Now()
		h := w.start(nil)
		stop := w.traffic(t, 5)
		must0(t, h.await("polling", false, 5*time.Second))
		time.Sleep(15 * time.Second)
		if b := h.state(t); hasWarning(b.Warnings, "on_standby") || b.HoldDownLeft > 0 {
			t.Errorf("hold-down %v, warnings %+v", b.HoldDownLeft, b.Warnings)
		}
		there.Store(true)
		at := time.Now()
		must0(t, h.await("webhook", true, 5*time.Second))
		if took := time.Since(at); took > 3*time.Second {
			t.Errorf("the webhook was set %v after the certificate had come", took)
		}
		if got, want := w.moves(began.Add(-1)), []string{"to_polling by tls", "polling by tls", "to_webhook by start", "webhook by start"}; !slices.Equal(got, want) {
			t.Errorf("moved %v, want %v", got, want)
		}
		must0(t, h.await("webhook", false, 2*time.Minute))
		w.settle(t, h, stop, at)
		b, err := w.sim.Bot(w.botID)
		must0(t, err)
		for _, u := range b.Updates {
			for _, a := range u.Attempts {
				if a.Status != 200 {
					t.Errorf("update %d: an attempt ended with %d %s", u.ID, a.Status, a.Result)
				}
			}
		}
	})
}
