package telegramsim

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const tlsHook = "https://bot.example.com/hook"

// multipartForm writes fields, in pairs, and files; it returns the content type.
func multipartForm(b *bytes.Buffer, files map[string][]byte, fields ...string) string {
	m := multipart.NewWriter(b)
	for i := 0; i+1 < len(fields); i += 2 {
		m.WriteField(fields[i], fields[i+1])
	}
	for name, data := range files {
		p, _ := m.CreateFormFile(name, "cert.pem")
		p.Write(data)
	}
	m.Close()
	return m.FormDataContentType()
}

// upload sets a webhook with files.
func (w *world) upload(files map[string][]byte, fields ...string) result {
	var b bytes.Buffer
	return w.post(context.Background(), "setWebhook", multipartForm(&b, files, fields...), &b)
}

var setClauses = map[string]func(*testing.T){
	"S21": func(t *testing.T) {
		cloud(t, func(w *world) {
			w.want(w.call("setWebhook", "url", tlsHook), 200, "Webhook was set")
			time.Sleep(900 * time.Millisecond)
			r := w.call("setWebhook", "url", tlsHook)
			w.want(r, 429, "Too Many Requests: retry after 1")
			if r.Parameters.RetryAfter != 1 || r.Header.Get("Retry-After") != "1" {
				w.Errorf("%s %v", r.Raw, r.Header)
			}
			for range 3 { // not limited; a refused call does not extend the second
				w.call("deleteWebhook")
			}
			time.Sleep(100 * time.Millisecond)
			w.want(w.call("setWebhook", "url", "https://bot.example.com:99"), 400, "Bad Request: bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
			w.want(w.call("setWebhook", "url", tlsHook), 429, "Too Many Requests: retry after 1")
			time.Sleep(time.Second)
			w.want(w.call("setWebhook", "url", tlsHook), 200, "Webhook was set")
			time.Sleep(time.Second)
			w.want(w.call("setWebhook", "url", tlsHook), 200, "Webhook is already set")
			w.want(w.call("setWebhook", "url", tlsHook), 429, "Too Many Requests: retry after 1")
		})
	},
	"S22": func(t *testing.T) {
		cloud(t, func(w *world) {
			w.s.SetKnobs(Knobs{DNSDelay: 5 * time.Second})
			old := w.goCall("setWebhook", "url", "https://bot.example.com/old")
			time.Sleep(time.Second)
			newer := w.goCall("setWebhook", "url", "https://bot.example.com/new")
			w.want(<-old, 409, "Conflict: terminated by other setWebhook")
			w.want(<-newer, 200, "Webhook was set")
			if u := w.info().URL; u != "https://bot.example.com/new" {
				w.Errorf("url is %s", u)
			}
			w.call("deleteWebhook")
			time.Sleep(10 * time.Second)
			w.s.FlushDNS()
			old = w.goCall("setWebhook", "url", tlsHook)
			w.want(w.call("deleteWebhook"), 200, "Webhook was deleted")
			w.want(<-old, 409, "Conflict: terminated by other setWebhook")
			time.Sleep(10 * time.Second)
			if w.info().URL != "" {
				w.Error("the older set went through after all")
			}
		})
	},
	"S23": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("bot.example.com:80", nil, status(500))
			w.set("secret_token", "abc", "max_connections", "5")
			w.push(Update{})
			time.Sleep(20 * time.Second)
			before, n := w.info(), len(srv.arrivals())
			w.want(w.call("setWebhook", "url", hookAt, "secret_token", "abc", "max_connections", "5"), 200, "Webhook is already set")
			if got := w.info(); got.LastErrorMessage != before.LastErrorMessage || got.LastErrorDate != before.LastErrorDate {
				w.Errorf("the no-op cleared the error: %+v", got)
			}
			time.Sleep(5 * time.Second)
			if len(srv.arrivals()) != n {
				w.Error("the no-op reset the backoff")
			}
			for i, real := range [][]string{
				{"secret_token", "abc"}, {"max_connections", "5", "secret_token", "abd"},
				{"max_connections", "5", "secret_token", "abd", "ip_address", botIP},
				{"max_connections", "5", "secret_token", "abd", "ip_address", botIP, "drop_pending_updates", "yes"},
			} {
				time.Sleep(2 * time.Second)
				if r := w.call("setWebhook", append(real, "url", hookAt)...); r.Description != "Webhook was set" {
					w.Errorf("change %d: %s", i, r.Description)
				}
			}
			w.want(w.call("deleteWebhook"), 200, "Webhook was deleted")
			w.want(w.call("deleteWebhook"), 200, "Webhook is already deleted")
			w.want(w.call("setWebhook"), 200, "Webhook is already deleted")
			cert := mint(w.T, certSpec{cn: "bot.example.com"}).pem
			for range 2 {
				time.Sleep(2 * time.Second)
				w.want(w.upload(map[string][]byte{"certificate": cert}, "url", tlsHook), 200, "Webhook was set")
			}
			time.Sleep(2 * time.Second)
			w.want(w.call("setWebhook", "url", tlsHook), 200, "Webhook was set") // the old one had a certificate
		})
	},
	"S24": func(t *testing.T) {
		cloud(t, func(w *world) {
			poll := w.goCall("getUpdates", "timeout", "50")
			w.want(w.call("setWebhook", "url", "https://bot.example.com:99"), 400, "Bad Request: bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
			w.want(<-poll, 409, "Conflict: terminated by setWebhook request")
			poll = w.goCall("getUpdates", "timeout", "5", "offset", "1")
			w.want(w.call("setWebhook", "url", tlsHook), 429, "Too Many Requests: retry after 1")
			w.want(w.call("deleteWebhook"), 200, "Webhook is already deleted")
			w.want(w.call("deleteWebhook", "drop_pending_updates", "1"), 200, "Webhook was deleted")
			equal(w, "untouched by those", pageIDs(w.T, <-poll), []int64{})
		})
	},
	"S25": func(t *testing.T) {
		cloud(t, func(w *world) {
			w.set("url", tlsHook)
			w.push(Update{})
			w.want(w.call("setWebhook", "url", "ftp://x", "drop_pending_updates", "true"), 400, "Bad Request: invalid webhook URL specified")
			if i := w.info(); i.URL != "" || i.PendingUpdateCount != 0 || i.MaxConnections != 0 {
				w.Errorf("%+v", i)
			}
			if r := w.call("getUpdates"); r.Code != 200 {
				w.Errorf("getUpdates after a failed set: %d %s", r.Code, r.Description)
			}
		})
	},
	"S26": func(t *testing.T) {
		cloud(t, func(w *world) {
			for _, c := range []struct{ args, want string }{
				{"url=ftp://bot.example.com", "invalid webhook URL specified"},
				{"url=https://", "invalid webhook URL specified"},
				{"url=https://bot.example.com:0/", "invalid webhook URL specified"},
				{"url=https://[::1/", "invalid webhook URL specified"},
				{"url=" + tlsHook + "&secret_token=" + strings.Repeat("a", 257), "secret token is too long"},
				{"url=" + tlsHook + "&secret_token=a.b", "secret token contains unallowed characters"},
				{"url=" + tlsHook + "&secret_token=%C3%A9", "secret token contains unallowed characters"},
			} {
				r := w.post(context.Background(), "setWebhook", "application/x-www-form-urlencoded", strings.NewReader(c.args))
				w.want(r, 400, "Bad Request: "+c.want)
				time.Sleep(time.Second)
			}
			size := 3<<20 + 1
			w.want(w.upload(map[string][]byte{"certificate": make([]byte, size)}, "url", tlsHook), 400, fmt.Sprintf("Bad Request: certificate size is too big (%d bytes)", size))
			time.Sleep(time.Second)
			w.want(w.call("setWebhook", "url", "bot.example.com/no/scheme", "secret_token", strings.Repeat("a", 256)), 200, "Webhook was set")
		})
	},
	"S27": func(t *testing.T) {
		cloud(t, func(w *world) {
			w.s.SetHost("v6.example.com", "2001:db8::1")
			w.s.SetHost("private.example.com", "192.168.1.5")
			for _, c := range []struct{ url, ip, want string }{
				{"https://bot.example.com:8080", "", "Webhook can be set up only on ports 80, 88, 443 or 8443"},
				{"http://bot.example.com", "", "An HTTPS URL must be provided for webhook"},
				{"https://nowhere.example.com", "", "Failed to resolve host: Name or service not known"},
				{"https://private.example.com", "", "IP address 192.168.1.5 is reserved"},
				{"https://127.0.0.1", "", "IP address 127.0.0.1 is reserved"},
				{"https://v6.example.com", "", "IPv6-only addresses are not allowed"},
				{tlsHook, "10.1.2.3", "IP address 10.1.2.3 is reserved"},
				{tlsHook, "2001:db8::1", "IPv6-only addresses are not allowed"},
				{tlsHook, "nonsense", "Invalid IP address specified"},
			} {
				w.want(w.call("setWebhook", "url", c.url, "ip_address", c.ip), 400, "Bad Request: bad webhook: "+c.want)
				if w.info().URL != "" {
					w.Errorf("%s: a webhook is left", c.url)
				}
				time.Sleep(time.Second)
			}
			for _, port := range []string{"443", "80", "88", "8443"} {
				w.want(w.call("setWebhook", "url", "https://bot.example.com:"+port), 200, "Webhook was set")
				time.Sleep(time.Second)
			}
		})
	},
	"S28": func(t *testing.T) {
		cloud(t, func(w *world) {
			w.n.Blackhole(botIP, true)
			start := time.Now()
			w.want(w.call("setWebhook", "url", tlsHook), 200, "Webhook was set")
			if d := time.Since(start); d > time.Millisecond {
				w.Errorf("took %v", d)
			}
			if i := w.info(); i.URL != tlsHook || i.IPAddress != botIP || i.LastErrorMessage != "" {
				w.Errorf("%+v", i)
			}
		})
	},
	"S29": func(t *testing.T) {
		cloud(t, func(w *world) {
			cert := mint(w.T, certSpec{cn: "bot.example.com"}).pem
			w.want(w.upload(map[string][]byte{"certificate": cert}, "url", tlsHook, "secret_token", "abc", "max_connections", "1000", "ip_address", "45.9.9.9"), 200, "Webhook was set")
			if i := w.info(); i.MaxConnections != 100 || i.IPAddress != "45.9.9.9" || !i.HasCustomCertificate {
				w.Errorf("%+v", i)
			}
			time.Sleep(time.Second)
			w.set("url", tlsHook)
			if i := w.info(); i.MaxConnections != 40 || i.IPAddress != botIP || i.HasCustomCertificate {
				w.Errorf("%+v", i)
			}
			b, _ := w.s.Bot(botID)
			if h := b.Webhooks; len(h) != 2 || !h[0].Secret || h[1].Secret || !h[0].To.Equal(h[1].From) || h[0].Why != "replaced" {
				w.Errorf("%+v", h)
			}
			w.set("url", tlsHook, "max_connections", "0")
			if i := w.info(); i.MaxConnections != 1 {
				w.Errorf("0 becomes %d", i.MaxConnections)
			}
		})
	},
	"S30": func(t *testing.T) {
		local(t, func(w *world) {
			cut := make(chan struct{}, 1)
			srv := w.listen("bot.example.com:80", nil, func(rw http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
				cut <- struct{}{}
			})
			w.set()
			a, b := w.push(Update{User: 1}), w.push(Update{User: 2})
			time.Sleep(3 * time.Second)
			if len(srv.arrivals()) != 1 {
				w.Fatalf("%d arrivals", len(srv.arrivals()))
			}
			w.want(w.call("deleteWebhook"), 200, "Webhook was deleted")
			synctest.Wait()
			select {
			case <-cut:
			default:
				w.Error("the request in flight was not cut")
			}
			equal(w, "all of it is back", w.ids(), []int64{a, b})
			if r := w.record(a); r.Attempts[0].Result != "cut" || r.State != StatePending {
				w.Errorf("%+v", r)
			}
			w.want(w.call("deleteWebhook", "drop_pending_updates", "True"), 200, "Webhook was deleted")
			if w.s.Pending(botID) != 0 {
				w.Error("drop_pending_updates left something")
			}
		})
	},
	"S31": func(t *testing.T) {
		local(t, func(w *world) {
			w.set("url", "http://127.0.0.1:8080/x")
			if i := w.info(); i.MaxConnections != 100 || i.IPAddress != "127.0.0.1" {
				w.Errorf("%+v", i)
			}
			w.set("url", "https://[::1]:9999/x", "max_connections", "200000")
			if i := w.info(); i.MaxConnections != 100000 || i.IPAddress != "::1" {
				w.Errorf("%+v", i)
			}
		})
	},
	"S32": func(t *testing.T) {
		cloud(t, func(w *world) {
			cert := mint(w.T, certSpec{cn: "bot.example.com"}).pem
			for name, c := range map[string]struct {
				files  map[string][]byte
				fields []string
				custom bool
			}{
				"the parameter": {map[string][]byte{"certificate": cert}, nil, true},
				"attached":      {map[string][]byte{"file1": cert}, []string{"certificate", "attach://file1"}, true},
				"a string":      {nil, []string{"certificate", string(cert)}, false},
				"another file":  {map[string][]byte{"file1": cert}, nil, false},
			} {
				w.upload(c.files, append(c.fields, "url", tlsHook)...)
				if i := w.info(); i.HasCustomCertificate != c.custom || i.URL != tlsHook {
					w.Errorf("%s: %+v", name, i)
				}
				time.Sleep(time.Second)
			}
			r := w.upload(map[string][]byte{"certificate": []byte("not PEM")}, "url", tlsHook)
			if r.Code != 400 || !strings.HasPrefix(r.Description, "Bad Request: bad webhook: Failed to set custom certificate file{") || w.info().URL != "" {
				w.Errorf("%d %s", r.Code, r.Description)
			}
		})
	},
}
