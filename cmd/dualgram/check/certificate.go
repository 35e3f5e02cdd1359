package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"dualgram/cmd/dualgram/host"
	"dualgram/supervisor"
	"dualgram/supervisor/warning"
	"dualgram/transport/probe"
	"dualgram/transport/webhook"
)

// pair is the certificate that the listener would serve.
type pair struct {
	cert  *tls.Certificate
	chain []*x509.Certificate // the leaf first
	pem   []byte
	// made for this check, in place of one that dualgram makes at its first start.
	made bool
}

// certificate looks at the pair on disk.
func (k *checkup) certificate(_ context.Context, b *bot, f *findings) {
	w := &b.c.Webhook
	codes := []Code{TLSPair, TLSUpload}
	switch {
	case w.Off:
		f.skipAll(codes, pollsOnly)
		return
	case w.TLS.Off:
		f.skipAll(codes, "tls is off: what stands in front ends it")
		return
	}
	certFile, keyFile := host.CertificateFiles(k.cfg, w)
	if _, err := os.Stat(certFile); errors.Is(err, fs.ErrNotExist) && (w.TLS.SelfSigned || w.TLS.ACME != nil) {
		if w.TLS.ACME != nil {
			f.skipAll(codes, "the authority is asked for one at the first start")
			return
		}
		b.pair = madePair(b.url.Hostname(), k.o.Now())
		f.pass(TLSPair, "made at the first start")
		f.pass(TLSUpload, "uploaded to Telegram by dualgram")
		return
	}
	p, err := loadPair(certFile, keyFile)
	var unusable *webhook.Error
	switch {
	case errors.As(err, &unusable):
		f.fail(TLSPair, sentence(unusable.Hint), "%s: %s", unusable.Addr, bare(unusable.Err))
		return
	case err != nil:
		f.fail(TLSPair, "", "%s", err)
		return
	}
	b.pair = p
	f.pass(TLSPair, "%s and its key belong together", certFile)
	leaf := p.chain[0]
	self := string(leaf.RawSubject) == string(leaf.RawIssuer)
	switch {
	case self && !w.Uploads():
		f.fail(TLSUpload, "", "%s is self-signed, and upload_certificate is false", certFile)
	case w.Uploads() && !self:
		// Telegram then trusts this alone, and wants it to be a root
		// (SslCtx.cpp:184-200).
		f.fail(TLSUpload, "Set webhook.upload_certificate: false.", "%s is signed by an authority, and an upload makes Telegram trust nothing but what is uploaded", certFile)
	case self:
		f.pass(TLSUpload, "self-signed, and uploaded to Telegram")
	default:
		f.pass(TLSUpload, "signed by an authority")
	}
}

func loadPair(certFile, keyFile string) (*pair, error) {
	c, err := webhook.LoadCertificate(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	cert, err := c.GetCertificate(nil)
	if err != nil {
		return nil, err
	}
	p := &pair{cert: cert, pem: c.PEM()}
	for _, der := range cert.Certificate {
		x, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		p.chain = append(p.chain, x)
	}
	return p, nil
}

// madePair is a throwaway one for the host; nil if none can be made.
func madePair(host string, now time.Time) *pair {
	certPEM, keyPEM, err := webhook.SelfSigned(now, host)
	if err != nil {
		return nil
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil
	}
	return &pair{cert: &cert, chain: []*x509.Certificate{leaf}, pem: certPEM, made: true}
}

// filed judges the chain in the files where the one that is served can't be seen.
func (k *checkup) filed(b *bot, o probe.Options, now time.Time, f *findings) {
	codes := []Code{TLSChain, TLSName, TLSDates, TLSExpires}
	if b.pair == nil {
		return
	}
	reason, detail := probe.CheckChain(b.pair.chain, b.url.Hostname(), o.Roots, o.Uploaded, now)
	bad, judged := tlsCodes[reason]
	if reason != "" && judged {
		what, fix := split(detail)
		f.fail(bad, fix, "in the files: %s", what)
	}
	for _, c := range codes[:3] {
		if c == bad && judged {
			continue
		}
		// They are looked at in this order: dates, chain, name.
		if judged && (bad == TLSDates || bad == TLSChain && c == TLSName) {
			f.skip(c, "%s", prerequisite+string(bad))
			continue
		}
		f.pass(c, "in the files")
	}
	if bad == TLSDates {
		f.skip(TLSExpires, "%s", prerequisite+string(bad))
		return
	}
	leaf := b.pair.chain[0]
	k.timeLeft(f, leaf.NotBefore, leaf.NotAfter, now, "in the files: ")
}

// timeLeft judges the end of a certificate as the running dualgram does.
func (k *checkup) timeLeft(f *findings, notBefore, notAfter, now time.Time, where string) {
	left := fmt.Sprintf("%suntil %s, %s from now", where, notAfter.UTC().Format("2006-01-02 15:04 MST"), days(notAfter.Sub(now)))
	switch supervisor.ExpirySeverity(notBefore, notAfter, now) {
	case warning.Critical:
		f.fail(TLSExpires, "", "%s", left)
	case warning.Warning:
		f.warn(TLSExpires, "", "%s", left)
	default:
		f.pass(TLSExpires, "%s", left)
	}
}

// days is a time for people.
func days(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return fmt.Sprintf("%d minutes", d/time.Minute)
}
