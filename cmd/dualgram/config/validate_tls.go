package config

import (
	"fmt"
	"net/netip"
	"net/url"
)

func (l *loader) tls(w *Webhook, key string) {
	t := &w.TLS
	switch {
	case t.Off && w.UploadCertificate:
		l.wrong(key+".upload_certificate", "there is no certificate to upload while tls is off", "set it to false, or name the certificate in tls")
	case t.Off && len(w.TrustedProxies) == 0 && w.AllowNetworks.preset == "telegram":
		l.warn("proxy_not_trusted", key+".tls", "tls is off, so requests come from a proxy, and allow_networks: telegram refuses the proxy's address", "name the proxy's networks in trusted_proxies")
	case t.Off:
	case t.CertFile == "" && t.KeyFile == "" && !t.SelfSigned:
		l.missing(key+".tls", "is missing", "name cert_file and key_file, write self_signed: true to have a pair made, or tls: off behind a proxy that ends TLS")
	case t.CertFile == "" && t.KeyFile != "":
		l.missing(key+".tls.cert_file", "is missing, and key_file is there", "name the file with the certificate and its chain")
	case t.KeyFile == "" && t.CertFile != "":
		l.missing(key+".tls.key_file", "is missing, and cert_file is there", "name the file with the certificate's key")
	}
	l.relative(key+".tls.cert_file", t.CertFile)
	l.relative(key+".tls.key_file", t.KeyFile)
}

// tlsPair checks two bots that share a listener, and so its certificate.
func (l *loader) tlsPair(a, b *Webhook, key, other string) {
	if l.isBad(other + ".webhook.tls") {
		return
	}
	if a.TLS != b.TLS {
		l.wrong(key+".webhook.tls", fmt.Sprintf("differs from that of %s, and both listen on %s", other, b.Listen), "write the same tls for both, or let one listen elsewhere")
		return
	}
	ha, hb := hostname(a.PublicURL), hostname(b.PublicURL)
	_, errA := netip.ParseAddr(ha)
	_, errB := netip.ParseAddr(hb)
	if b.TLS.SelfSigned && ha != hb && (errA == nil || errB == nil) {
		l.wrong(key+".webhook.public_url", fmt.Sprintf("has another host than %s, both listen on %s, and a self-signed certificate for an address can be for nothing else", other, b.Listen), "let one listen on another port")
	}
}

func hostname(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
