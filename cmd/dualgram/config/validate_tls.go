package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
)

func (l *loader) tls(w *Webhook, key string) {
	t := &w.TLS
	files := t.CertFile != "" || t.KeyFile != ""
	switch {
	case t.Off && w.UploadCertificate:
		l.wrong(key+".upload_certificate", "there is no certificate to upload while tls is off", "set it to false, or name the certificate in tls")
	case t.Off && len(w.TrustedProxies) == 0 && w.AllowNetworks.preset == "telegram":
		l.warn("proxy_not_trusted", key+".tls", "tls is off, so requests come from a proxy, and allow_networks: telegram refuses the proxy's address", "name the proxy's networks in trusted_proxies")
	case t.Off:
	case t.ACME != nil && t.SelfSigned:
		l.wrong(key+".tls.self_signed", "contradicts acme: a certificate has one signer", "remove one of the two")
	case t.ACME != nil && files:
		l.wrong(key+".tls.acme", "contradicts cert_file and key_file", "remove the files' names (acme.cache_dir says where the certificate is kept), or set acme: off")
	case t.ACME != nil && w.UploadCertificate:
		l.wrong(key+".upload_certificate", "is not for a certificate that an authority has signed: Telegram would trust that very one, and no other", "set it to false")
	case !files && !t.SelfSigned && t.ACME == nil:
		l.missing(key+".tls", "is missing", "name cert_file and key_file; or write acme: {email: …} to have one obtained, self_signed: true to have one made, or tls: off behind a proxy that ends TLS")
	case t.CertFile == "" && t.KeyFile != "":
		l.missing(key+".tls.cert_file", "is missing, and key_file is there", "name the file with the certificate and its chain")
	case t.KeyFile == "" && t.CertFile != "":
		l.missing(key+".tls.key_file", "is missing, and cert_file is there", "name the file with the certificate's key")
	}
	l.relative(key+".tls.cert_file", t.CertFile)
	l.relative(key+".tls.key_file", t.KeyFile)
	if t.ACME != nil {
		l.acme(w, key+".tls.acme")
	}
}

func (l *loader) acme(w *Webhook, key string) {
	a := w.TLS.ACME
	l.url(key+".directory", a.Directory, LetsEncrypt, "https")
	if a.Email != "" && !strings.Contains(a.Email, "@") {
		l.wrong(key+".email", quoted(a.Email)+" is not an address", "write one such as ops@example.com, or remove the key")
	}
	switch port := publicPort(w.PublicURL); {
	case a.Challenge != "" && a.Challenge != ChallengeHTTP && a.Challenge != ChallengeTLS:
		l.wrong(key+".challenge", quoted(a.Challenge)+" is not a challenge that dualgram answers", "write http-01 or tls-alpn-01, or remove the key")
	case a.Challenge == ChallengeTLS && w.PublicURL != "" && port != "443":
		l.wrong(key+".challenge", fmt.Sprintf("tls-alpn-01 is asked on port 443, and public_url has the port %s", port), "write http-01, or publish the webhook on 443")
	}
	if w.ACMEChallenge() == ChallengeHTTP {
		l.hostPort(key+".http_listen", a.HTTPListen, true)
		const fix = "give each a port of its own; the authority asks on port 80"
		if overlap(a.HTTPListen, w.Listen) {
			l.wrong(key+".http_listen", a.HTTPListen+" is the webhook's address too", fix)
		}
		if overlap(a.HTTPListen, l.cfg.Observe.Listen) {
			l.wrong(key+".http_listen", a.HTTPListen+" is that of observe.listen too", fix)
		}
	}
	l.relative(key+".ca_file", a.CAFile)
	l.relative(key+".cache_dir", a.CacheDir)
}

// tlsPair checks two bots that share a listener, and so its certificate.
func (l *loader) tlsPair(a, b *Webhook, key, other string) {
	if l.isBad(other + ".webhook.tls") {
		return
	}
	if !reflect.DeepEqual(a.TLS, b.TLS) {
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

// publicPort is the port of a public URL, that of its scheme if it has none.
func publicPort(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	if port := u.Port(); port != "" {
		return port
	}
	return map[string]string{"https": "443", "http": "80"}[u.Scheme]
}
