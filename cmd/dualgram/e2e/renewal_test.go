package e2e_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"dualgram/chaos/pki"
	"dualgram/transport/acme/acmetest"
)

// A pair that is renewed on disk is in service within seconds, without a signal
// and without a connection dropped; a bad one is told of once, and warned about
// until it is mended.
func TestRenewedOnDisk(t *testing.T) {
	w := newWorld(t)
	// As certbot lays it: each file is a link into an archive.
	archive := func(n int, l pki.Leaf) {
		dir := w.file(fmt.Sprint("archive", n))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		l.Hosts = []string{hookHost}
		if err := must(w.ca.Issue(time.Now(), l)).WriteFiles(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")); err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{"cert.pem", "key.pem"} {
			if err := errors.Join(os.Symlink(filepath.Join(dir, f), w.file("tmp")), os.Rename(w.file("tmp"), w.file(f))); err != nil {
				t.Fatal(err)
			}
		}
	}
	archive(1, pki.Leaf{})
	p := w.run()
	w.steady(p)
	epoch := must(p.first()).Epoch
	kept := w.keepOpen()
	end := time.Now().Add(200 * 24 * time.Hour).Truncate(time.Second)
	archive(2, pki.Leaf{NotAfter: end})
	p.logged(15*time.Second, "a new certificate is in service")
	if kept.closed(time.Second) {
		t.Error("a good renewal dropped a connection")
	}
	if b := must(p.first()); !b.Webhook.CertificateNotAfter.Equal(end) {
		t.Errorf("in service until %v, want %v", b.Webhook.CertificateNotAfter, end)
	}
	sample := "dualgram_certificate_not_after_timestamp_seconds{bot=\"orders\"} " + strconv.FormatFloat(float64(end.Unix()), 'g', -1, 64)
	eventually(t, 5*time.Second, "the metric", func() error {
		_, body, err := p.observe("/metrics")
		if err != nil || !strings.Contains(body, sample) {
			return fmt.Errorf("%v\n%s", err, grep(body, "certificate"))
		}
		return nil
	})

	archive(3, pki.Leaf{NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)})
	warned := func(want bool) func() error {
		return func() error {
			b := must(p.first())
			got := false
			for _, x := range b.Warnings {
				got = got || x.Code == "certificate_refused"
			}
			if got != want {
				return fmt.Errorf("warnings %+v", b.Warnings)
			}
			return nil
		}
	}
	eventually(t, 15*time.Second, "the refused pair in the status", warned(true))
	holds(t, 5*time.Second, "refused", warned(true))
	if n := strings.Count(p.stderr.String(), "the certificate was not reloaded"); n != 1 {
		t.Errorf("told %d times, want once", n)
	}
	archive(4, pki.Leaf{})
	eventually(t, 15*time.Second, "mended", warned(false))
	w.flows(p, "webhook")
	if b := must(p.first()); b.Epoch != epoch {
		t.Errorf("epoch %d, was %d", b.Epoch, epoch)
	}
	w.settle(20*time.Second, 0)
	for _, r := range must(w.sim.Bot(w.botID)).Updates {
		for _, a := range r.Attempts {
			if a.Status != 200 {
				t.Errorf("update %d: an attempt ended with %d %s", r.ID, a.Status, a.Result)
			}
		}
	}
	w.quietly(p)
}

func grep(text, word string) string {
	var out []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// self_signed: true is all that it takes: the pair is made, uploaded, kept over a
// restart, and made anew when it is gone.
func TestSelfSignedOnRequest(t *testing.T) {
	t.Parallel()
	for _, host := range []string{hookHost, "127.0.0.1"} {
		t.Run(host, func(t *testing.T) {
			w := newWorld(t)
			w.conf.PublicURL = strings.Replace(w.conf.PublicURL, hookHost, host, 1)
			w.conf.TLS = "{self_signed: true}"
			w.conf.Webhook = w.proving()
			p := w.run()
			w.steady(p)
			if !must(w.sim.Info(w.botID)).HasCustomCertificate {
				t.Error("no certificate was uploaded")
			}
			dir := filepath.Join(w.dir, "certificates", strings.Replace(w.conf.Listen, ":", "-", 1))
			key := filepath.Join(dir, "key.pem")
			if st, err := os.Stat(key); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("the key: %v %v", st, err)
			}
			cert := must(os.ReadFile(filepath.Join(dir, "cert.pem")))
			w.outAndBack(p)
			before := w.sets()
			p.stop()
			p = w.run()
			p.phase("webhook", 15*time.Second)
			if string(must(os.ReadFile(filepath.Join(dir, "cert.pem")))) != string(cert) {
				t.Error("a restart made another pair")
			}
			w.flows(p, "webhook")
			p.stop()
			if n := w.sets(); n != before {
				t.Errorf("a restart set the webhook %d times", n-before)
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			p = w.run()
			p.phase("webhook", 20*time.Second)
			w.flows(p, "webhook")
			w.settle(30*time.Second, 0)
			w.quietly(p)
		})
	}
}

// A certificate from an authority that is away at the start: dualgram runs, and
// polls; once the authority answers, the certificate is obtained, and the webhook
// comes. A restart asks for no other.
func TestACME(t *testing.T) {
	w := newWorld(t)
	challenge := freeAddr(t)
	_, port, err := net.SplitHostPort(challenge)
	if err != nil {
		t.Fatal(err)
	}
	authority := acmetest.Start(t, must(strconv.Atoi(port)), 1)
	if !w.roots.AppendCertsFromPEM(authority.Root) {
		t.Fatal("no root")
	}
	w.conf.TLS = fmt.Sprintf("{acme: {email: ops@example.com, directory: %q, ca_file: %s, http_listen: %s}}", authority.Directory, authority.CAFile, challenge)
	authority.Away(true)
	w.flowing(20)
	p := w.run()
	b := p.phase("polling", 20*time.Second)
	// No failover: a webhook that would be broken from the first was never set.
	if b.Reason != "tls" {
		t.Errorf("reason %s", b.Reason)
	}
	if n := w.sets(); n > 0 {
		t.Errorf("the webhook was set %d times without a certificate", n)
	}
	w.flows(p, "polling")
	eventually(t, 20*time.Second, "the failure in the status", func() error {
		b := must(p.first())
		for _, x := range b.Warnings {
			if x.Code == "certificate_renewal_failed" {
				return nil
			}
		}
		return fmt.Errorf("warnings %+v", b.Warnings)
	})
	authority.Away(false)
	p.signal(syscall.SIGHUP)
	p.logged(20*time.Second, "a certificate was obtained")
	b = p.phase("webhook", 20*time.Second)
	if left := time.Until(b.Webhook.CertificateNotAfter); left < 80*24*time.Hour {
		t.Errorf("in service for %v", left)
	}
	w.flows(p, "webhook")
	p.stop()
	orders := authority.Orders()
	p = w.run()
	p.phase("webhook", 20*time.Second)
	w.flows(p, "webhook")
	if n := authority.Orders(); n != orders {
		t.Errorf("a restart ordered %d more", n-orders)
	}
	w.settle(30*time.Second, 0)
	w.quietly(p)
}
