package e2e_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"dualgram/chaos/pki"
)

// A certificate that runs out: dualgram changes over before it does, so that no
// delivery fails, and comes back when the files are replaced and SIGHUP is sent.
func TestCertificateRunsOut(t *testing.T) {
	w := newWorld(t)
	w.conf.Failover += ", tls_lead: 3s"
	end := time.Now().Add(12 * time.Second).Truncate(time.Second)
	w.certificate(pki.Leaf{NotAfter: end})
	p := w.run()
	w.steady(p)
	kept := w.keepOpen()

	b := p.phase("polling", 20*time.Second)
	if left := time.Until(end); left <= 0 {
		t.Errorf("it took until %v after the end of the certificate", -left)
	}
	if b.LastHandover == nil || b.LastHandover.Reason != "tls" {
		t.Errorf("last handover: %+v", b.LastHandover)
	}
	w.flows(p, "polling")
	// The hold-down is over long before this; the certificate still is not good.
	eventually(t, 20*time.Second, "the certificate's end", func() error {
		if time.Now().Before(end.Add(1500 * time.Millisecond)) {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	if b, err := p.first(); err != nil || b.Phase != "polling" {
		t.Errorf("with an expired certificate: phase %s %v", b.Phase, err)
	}

	w.certificate(pki.Leaf{})
	p.signal(syscall.SIGHUP)
	p.logged(5*time.Second, "a new certificate is in service")
	if !kept.closed(5 * time.Second) {
		t.Error("a connection from the time of the expired certificate is still open")
	}
	b = p.phase("webhook", 15*time.Second)
	if b.Webhook == nil || time.Until(b.Webhook.CertificateNotAfter) < 24*time.Hour {
		t.Errorf("certificate in the status: %+v", b.Webhook)
	}
	w.flows(p, "webhook")
	w.settle(30*time.Second, 0)
	w.inBudget(end.Add(-3 * time.Second))
	for _, r := range must(w.sim.Bot(w.botID)).Updates {
		for _, a := range r.Attempts {
			if a.Status != 200 && a.Result != "cut" {
				t.Errorf("update %d: an attempt ended with %d %s", r.ID, a.Status, a.Result)
			}
		}
	}
	w.quietly(p)
}

// kept is a client's connection that says nothing.
type kept struct{ net.Conn }

// keepOpen connects to the listener, past the relay.
func (w *world) keepOpen() kept {
	w.t.Helper()
	c, err := tls.Dial("tcp", w.conf.Listen, &tls.Config{RootCAs: w.ca.Pool(), ServerName: hookHost})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return kept{c}
}

// closed reports whether the other side closes the connection within the time.
func (k kept) closed(within time.Duration) bool {
	_ = k.SetReadDeadline(time.Now().Add(within))
	_, err := k.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// A start with a certificate that has expired serves what there is, and polls.
func TestExpiredFromTheStart(t *testing.T) {
	w := newWorld(t)
	w.certificate(pki.Leaf{NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)})
	w.flowing(20)
	p := w.run()
	b := p.phase("polling", 20*time.Second)
	if b.Reason != "tls" {
		t.Errorf("reason %s", b.Reason)
	}
	w.flows(p, "polling")
	w.certificate(pki.Leaf{})
	p.signal(syscall.SIGHUP)
	p.phase("webhook", 20*time.Second)
	w.flows(p, "webhook")
	w.settle(20*time.Second, 0)
}

// proving leads the probe to the webhook in either mode. Without it a probe that trusts
// a pair of ours is good by the address that Telegram uses, and bad by the name, which
// nobody knows here, once Telegram uses none: which comes first was a matter of luck.
func (w *world) proving() string { return fmt.Sprintf("probe: {dial: %q}", w.path.addr) }

// A self-signed certificate is uploaded and trusted by Telegram alone, for a name
// and for an address; a new pair is uploaded as well.
func TestSelfSigned(t *testing.T) {
	t.Parallel()
	for _, host := range []string{hookHost, "127.0.0.1"} {
		t.Run(host, func(t *testing.T) {
			w := newWorld(t)
			pair := func() {
				if err := must(pki.SelfSigned(time.Now(), pki.Leaf{Hosts: []string{host}})).WriteFiles(w.conf.CertFile, w.conf.KeyFile); err != nil {
					t.Fatal(err)
				}
			}
			pair()
			w.conf.PublicURL = strings.Replace(w.conf.PublicURL, hookHost, host, 1)
			w.conf.Webhook = "upload_certificate: true\n      " + w.proving()
			p := w.run()
			w.steady(p)
			if info := must(w.sim.Info(w.botID)); !info.HasCustomCertificate {
				t.Error("no certificate was uploaded")
			}
			w.outAndBack(p)
			pair()
			p.signal(syscall.SIGHUP)
			p.logged(5*time.Second, "a new certificate is in service")
			// Connections go on with the old one until they are closed.
			w.path.set(pathReset)
			w.path.set(pathOpen)
			w.flows(p, "webhook")
			eventually(t, 30*time.Second, "by webhook, with the new certificate", func() error {
				before := w.bot.bySource("webhook")
				time.Sleep(500 * time.Millisecond)
				b := must(p.first())
				if b.Phase != "webhook" || w.bot.bySource("webhook") == before {
					return fmt.Errorf("phase %s because of %s: %s", b.Phase, b.Reason, b.Evidence)
				}
				return nil
			})
			w.settle(30*time.Second, 0)
			w.quietly(p)
		})
	}
}

// A chain made by OpenSSL, RSA, with an intermediate. Without the intermediate
// Telegram refuses it; with it, it comes back by SIGHUP.
func TestOpenSSLChain(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs openssl")
	}
	w := newWorld(t)
	w.write("ext.cnf", "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n[leaf]\nsubjectAltName=DNS:"+hookHost+"\nextendedKeyUsage=serverAuth\n")
	root := must(w.ca.PEM())
	w.write("root.pem", string(root))
	openssl := func(args ...string) {
		t.Helper()
		cmd := exec.Command("openssl", args...)
		cmd.Dir = w.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=E2E Intermediate", "-keyout", "int.key", "-out", "int.csr")
	openssl("x509", "-req", "-in", "int.csr", "-CA", "root.pem", "-CAkey", "root.pem", "-set_serial", "7", "-days", "10", "-extfile", "ext.cnf", "-extensions", "ca", "-out", "int.pem")
	openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN="+hookHost, "-keyout", "leaf.key", "-out", "leaf.csr")
	openssl("x509", "-req", "-in", "leaf.csr", "-CA", "int.pem", "-CAkey", "int.key", "-set_serial", "8", "-days", "5", "-extfile", "ext.cnf", "-extensions", "leaf", "-out", "leaf.pem")
	leaf, between := must(os.ReadFile(w.file("leaf.pem"))), must(os.ReadFile(w.file("int.pem")))
	w.write("key.pem", string(must(os.ReadFile(w.file("leaf.key")))))
	w.write("cert.pem", string(leaf)+string(between))
	p := w.run()
	w.steady(p)

	w.write("cert.pem", string(leaf))
	p.signal(syscall.SIGHUP)
	p.logged(5*time.Second, "a new certificate is in service")
	onset := time.Now()
	w.path.set(pathReset) // connections that are open keep the old chain
	w.path.set(pathOpen)
	p.phase("polling", 15*time.Second)
	w.flows(p, "polling")
	if last := must(w.sim.Bot(w.botID)).LastError; last != "" {
		t.Errorf("polling, and a last error: %s", last)
	}
	w.write("cert.pem", string(leaf)+string(between))
	p.signal(syscall.SIGHUP)
	eventually(t, 30*time.Second, "webhook again", func() error {
		b := must(p.first())
		if b.Phase != "webhook" || must(w.sim.Info(w.botID)).LastErrorMessage != "" {
			return fmt.Errorf("phase %s", b.Phase)
		}
		return nil
	})
	w.flows(p, "webhook")
	w.settle(30*time.Second, 0)
	w.inBudget(onset)
	w.quietly(p)
}

// A pair that doesn't match, is expired or for another host never replaces a good
// one: it is refused, and the old one stays in service.
func TestBadCertificateReload(t *testing.T) {
	w := newWorld(t)
	p := w.run()
	w.steady(p)
	epoch := must(p.first()).Epoch
	good := must(p.first()).Webhook.CertificateNotAfter
	for _, bad := range []func(){
		func() { w.write("cert.pem", "half a certif") },
		func() { w.certificate(pki.Leaf{}); w.write("key.pem", string(must(os.ReadFile(w.file("cert.pem"))))) },
		func() {
			w.certificate(pki.Leaf{NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)})
		},
		func() { w.certificate(pki.Leaf{NotBefore: time.Now().Add(24 * time.Hour)}) },
		func() { w.certificate(pki.Leaf{Hosts: []string{"other.example.test"}}) },
		func() { os.Remove(w.file("cert.pem")) },
	} {
		before := strings.Count(p.stderr.String(), "the certificate was not reloaded")
		bad()
		p.signal(syscall.SIGHUP)
		eventually(t, 5*time.Second, "refused", func() error {
			if strings.Count(p.stderr.String(), "the certificate was not reloaded") == before {
				return fmt.Errorf("no line in the log")
			}
			return p.running()
		})
	}
	w.flows(p, "webhook")
	if b := must(p.first()); b.Epoch != epoch || !b.Webhook.CertificateNotAfter.Equal(good) {
		t.Errorf("epoch %d, was %d; certificate until %v, was %v", b.Epoch, epoch, b.Webhook.CertificateNotAfter, good)
	}
	w.settle(20*time.Second, 0)
	w.quietly(p)
}
