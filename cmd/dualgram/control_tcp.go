package main

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"dualgram/cmd/dualgram/config"
)

// tcpControl asks over the TCP listener that --control names, with the token from
// control.token_file as this command's own configuration and environment have it.
func (a *app) tcpControl() (*control, error) {
	u, err := url.Parse(a.controlFlag)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, misuse("--control is neither http://HOST:PORT nor unix:PATH", "write one such as http://127.0.0.1:9465")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, misuse("--control has the scheme "+u.Scheme, "write http://127.0.0.1:PORT, or unix:PATH")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, misuse("--control would send the token to "+u.Host+" unencrypted", "tunnel to it: ssh -L 9465:127.0.0.1:PORT HOST, then --control http://127.0.0.1:9465")
	}
	// The rest of the configuration is of no concern here, and may be another host's.
	cfg, _ := config.Load(a.configFile(), a.env)
	token, warnings, err := config.ReadControlToken(cfg, false)
	if err != nil {
		return nil, misuse("the control token can't be read: "+config.Redact(err.Error()), "name the file that holds it: DUALGRAM_CONTROL_TOKEN_FILE")
	}
	for _, w := range warnings {
		a.printer(a.stderr).warning(w.String(), w.Fix)
	}
	return &control{at: u.Host + " (--control)", start: "dualgram run", http: &http.Client{
		Transport: &bearer{to: u, token: token, next: &http.Transport{DisableKeepAlives: true}},
		// The token must not follow a redirect to somewhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// isLoopback says whether a host is this machine.
func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && a.Unmap().IsLoopback()
}

// bearer sends each request to one place, with the token.
type bearer struct {
	to    *url.URL
	token config.Secret
	next  http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = b.to.Scheme, b.to.Host, ""
	r.Header.Set("Authorization", "Bearer "+b.token.Reveal())
	return b.next.RoundTrip(r)
}
