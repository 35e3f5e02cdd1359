package telegramsim

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

const (
	verifyFailed   = "SSL error {error:0A000086:SSL routines::certificate verify failed}"
	verifyFailed11 = "SSL error {error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed}"
)

// outcome sets a TLS webhook and returns the probe's error.
func (w *world) outcome(addr string, cfg *tls.Config, upload []byte, args ...string) string {
	w.Helper()
	ln, err := w.n.Listen(addr)
	if err != nil {
		w.Fatal(err)
	}
	srv := &http.Server{Handler: status(200), ErrorLog: quiet()}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(tls.NewListener(ln, cfg)) }()
	files := map[string][]byte{}
	if upload != nil {
		files["certificate"] = upload
	}
	w.want(w.upload(files, args...), 200, "Webhook was set")
	time.Sleep(2 * time.Second)
	text := w.info().LastErrorMessage
	w.call("deleteWebhook")
	srv.Close()
	<-done
	synctest.Wait()
	return text
}

var tlsClauses = map[string]func(*testing.T){
	"S55": func(t *testing.T) {
		var root *minted
		n := 0
		newWorld := func(f func(w *world)) {
			cloud(t, func(w *world) {
				root = mint(t, certSpec{cn: "Root", ca: true})
				w.s.o.Roots = pool(root)
				f(w)
			})
		}
		newWorld(func(w *world) {
			inter := mint(t, certSpec{cn: "Intermediate", ca: true, by: root})
			deep := mint(t, certSpec{dns: []string{"bot.example.com"}, by: inter})
			full := deep.tls
			full.Certificate = append(full.Certificate, inter.tls.Certificate...)
			for name, c := range map[string]struct {
				cert tls.Certificate
				want string
			}{
				"good":                 {mint(t, certSpec{dns: []string{"bot.example.com"}, by: root}).tls, ""},
				"wildcard":             {mint(t, certSpec{dns: []string{"*.example.com"}, by: root}).tls, ""},
				"common name only":     {mint(t, certSpec{cn: "bot.example.com", by: root}).tls, ""},
				"full chain":           {full, ""},
				"missing intermediate": {deep.tls, verifyFailed},
				"expired":              {mint(t, certSpec{dns: []string{"bot.example.com"}, life: -time.Minute, by: root}).tls, verifyFailed},
				"not yet valid":        {mint(t, certSpec{dns: []string{"bot.example.com"}, from: 2 * time.Hour, by: root}).tls, verifyFailed},
				"wrong host":           {mint(t, certSpec{dns: []string{"other.example.com"}, by: root}).tls, verifyFailed},
				"name not in DNS SAN":  {mint(t, certSpec{cn: "bot.example.com", dns: []string{"other.example.com"}, by: root}).tls, verifyFailed},
				"self-signed":          {mint(t, certSpec{dns: []string{"bot.example.com"}}).tls, verifyFailed},
			} {
				if got := w.outcome("bot.example.com:443", &tls.Config{Certificates: []tls.Certificate{c.cert}}, nil, "url", tlsHook); got != c.want {
					t.Errorf("%s: %q, want %q", name, got, c.want)
				}
				n++
			}
			w.s.SetKnobs(Knobs{OpenSSL11: true})
			if got := w.outcome("bot.example.com:443", mint(t, certSpec{cn: "x"}).config(), nil, "url", tlsHook); got != verifyFailed11 {
				t.Errorf("OpenSSL 1.1: %q", got)
			}
		})
	},
	"S56": func(t *testing.T) {
		cloud(t, func(w *world) {
			const ipHook = "https://45.1.1.1/hook"
			root := mint(t, certSpec{cn: "Root", ca: true})
			w.s.o.Roots = pool(root)
			for name, c := range map[string]struct {
				spec   certSpec
				upload bool
				want   string
			}{
				"CN is the address":                   {certSpec{cn: botIP}, true, ""},
				"CN is the address, and an IP SAN":    {certSpec{cn: botIP, ips: []string{botIP}}, true, ""},
				"DNS SAN with the address":            {certSpec{cn: "x", dns: []string{botIP}, ips: []string{botIP}}, true, ""},
				"only an IP SAN":                      {certSpec{cn: "x", ips: []string{botIP}}, true, verifyFailed},
				"CN and a DNS SAN for another":        {certSpec{cn: botIP, dns: []string{"bot.example.com"}}, true, verifyFailed},
				"not uploaded":                        {certSpec{cn: botIP, ips: []string{botIP}}, false, verifyFailed},
				"not uploaded, trusted, IP SAN":       {certSpec{ips: []string{botIP}, by: root}, false, ""},
				"not uploaded, trusted, CN only":      {certSpec{cn: botIP, by: root}, false, verifyFailed},
				"a leaf uploaded instead of its root": {certSpec{cn: botIP, by: mint(t, certSpec{cn: "Other", ca: true})}, true, verifyFailed},
			} {
				m := mint(t, c.spec)
				var upload []byte
				if c.upload {
					upload = m.pem
				}
				if got := w.outcome(botIP+":443", m.config(), upload, "url", ipHook); got != c.want {
					t.Errorf("%s: %q, want %q", name, got, c.want)
				}
			}
			// With an upload the system's roots no longer count.
			good := mint(t, certSpec{dns: []string{"bot.example.com"}, by: root})
			other := mint(t, certSpec{cn: "bot.example.com"})
			if got := w.outcome("bot.example.com:443", good.config(), other.pem, "url", tlsHook); got != verifyFailed {
				t.Errorf("a trusted certificate beside an upload: %q", got)
			}
			if got := w.outcome("bot.example.com:443", good.config(), root.pem, "url", tlsHook); got != "" {
				t.Errorf("an uploaded root: %q", got)
			}
		})
	},
	"S57": func(t *testing.T) {
		cloud(t, func(w *world) {
			root := mint(t, certSpec{cn: "Root", ca: true})
			w.s.o.Roots = pool(root)
			good := mint(t, certSpec{dns: []string{"bot.example.com"}, ips: []string{botIP}, by: root})
			var hello *tls.ClientHelloInfo
			cfg := good.config()
			cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) { hello = h; return nil, nil }
			cfg.NextProtos = []string{"h2", "http/1.1"}
			if got := w.outcome("bot.example.com:443", cfg, nil, "url", tlsHook); got != "" || hello.ServerName != "bot.example.com" || len(hello.SupportedProtos) != 0 {
				t.Errorf("%q, SNI %q, ALPN %v", got, hello.ServerName, hello.SupportedProtos)
			}
			if got := w.outcome(botIP+":443", cfg, nil, "url", "https://"+botIP+"/"); got != "" || hello.ServerName != "" {
				t.Errorf("%q, SNI %q for an address", got, hello.ServerName)
			}
			for name, c := range map[string]struct {
				change func(*tls.Config)
				want   string
			}{
				"TLS 1.1": {func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 },
					"SSL error {error:0A00014D:SSL routines::legacy sigalg disallowed or unsupported}"},
				"TLS 1.2": {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, ""},
				"internal error": {func(c *tls.Config) {
					c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, io.ErrNoProgress }
				}, "SSL error {error:0A000438:SSL routines::tlsv1 alert internal error}"},
			} {
				cfg := good.config()
				c.change(cfg)
				if got := w.outcome("bot.example.com:443", cfg, nil, "url", tlsHook); got != c.want {
					t.Errorf("%s: %q, want %q", name, got, c.want)
				}
			}
			w.raw("bot.example.com:88", func(c net.Conn) {
				c.Read(make([]byte, 1))
				io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
				io.Copy(io.Discard, c)
			})
			w.set("url", "https://bot.example.com:88/")
			if m := w.info().LastErrorMessage; m != "SSL error {error:0A00010B:SSL routines::wrong version number}" {
				t.Errorf("plain HTTP: %q", m)
			}
		})
		cloud(t, func(w *world) { // the end of an idle connection: no close_notify
			cert := mint(t, certSpec{cn: "bot.example.com"})
			end := error(nil)
			w.raw("bot.example.com:443", func(c net.Conn) {
				s := tls.Server(c, cert.config())
				_, end = s.Read(make([]byte, 1))
			})
			w.upload(map[string][]byte{"certificate": cert.pem}, "url", tlsHook)
			time.Sleep(61 * time.Second)
			synctest.Wait()
			if end != io.ErrUnexpectedEOF && end != io.EOF || w.info().LastErrorMessage != "" {
				t.Errorf("%v, %q", end, w.info().LastErrorMessage)
			}
		})
	},
}
