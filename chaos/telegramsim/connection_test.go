package telegramsim

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/memnet"
)

var connectionClauses = map[string]func(*testing.T){
	"S41": func(t *testing.T) {
		local(t, func(w *world) {
			var ends []string
			w.raw("bot.example.com:80", func(c net.Conn) {
				start := time.Now()
				for {
					r := request(c)
					if len(r) == 0 {
						ends = append(ends, time.Since(start).Truncate(time.Millisecond).String())
						return
					}
					start = time.Now()
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			})
			w.set() // the probe
			time.Sleep(30 * time.Second)
			w.push(Update{})
			time.Sleep(59 * time.Second)
			w.push(Update{}) // the same connection
			time.Sleep(70 * time.Second)
			synctest.Wait()
			if len(ends) == 0 || ends[0] != "1m0s" {
				w.Errorf("closed after %v", ends)
			}
		})
	},
	"S42": func(t *testing.T) {
		local(t, func(w *world) {
			w.raw("bot.example.com:80", func(c net.Conn) {
				request(c)
				for _, b := range []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n") {
					if _, err := c.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(5 * time.Second)
				}
			})
			w.set()
			id := w.push(Update{})
			time.Sleep(59 * time.Second)
			if m := w.info().LastErrorMessage; m != "" {
				w.Errorf("after 59 s: %s", m)
			}
			time.Sleep(2 * time.Second)
			if m := w.info().LastErrorMessage; m != "Read timeout expired" {
				w.Errorf("after 61 s: %s", m)
			}
			if r := w.record(id); len(r.Attempts) != 2 || r.Attempts[0].Result != "Read timeout expired" || r.Attempts[0].End.Sub(r.Attempts[0].Start).Truncate(time.Millisecond) != time.Minute {
				w.Errorf("%+v", r.Attempts)
			}
		})
		cloud(t, func(w *world) { // a TLS handshake that hangs
			w.raw("bot.example.com:443", func(c net.Conn) { io.Copy(io.Discard, c) })
			w.set("url", tlsHook)
			time.Sleep(2 * time.Minute)
			if m := w.info().LastErrorMessage; m != "" {
				w.Errorf("hanging probe: %s", m)
			}
			w.push(Update{})
			time.Sleep(61 * time.Second)
			if m := w.info().LastErrorMessage; m != "Read timeout expired" {
				w.Errorf("hanging TLS: %q", m)
			}
		})
	},
	"S43": func(t *testing.T) {
		cloud(t, func(w *world) {
			w.n.Blackhole(botIP, true)
			w.set("url", tlsHook)
			time.Sleep(58 * time.Second)
			if m := w.info().LastErrorMessage; m != "" {
				w.Errorf("after 59 s: %s", m)
			}
			time.Sleep(2 * time.Second)
			if m := w.info().LastErrorMessage; m != "Write timeout expired" {
				w.Errorf("probe: %q", m)
			}
			w.s.SetKnobs(Knobs{ConnectionTimedOut: true})
			id := w.push(Update{})
			time.Sleep(61 * time.Second)
			if m := w.info().LastErrorMessage; m != "Connection timed out" {
				w.Errorf("update: %q", m)
			}
			if r := w.record(id); len(r.Attempts) != 2 {
				w.Errorf("%+v", r.Attempts)
			}
		})
		local(t, func(w *world) { // bytes that can't leave
			w.raw("bot.example.com:80", func(c net.Conn) { time.Sleep(3 * time.Minute) })
			w.set()
			w.push(Update{Text: strings.Repeat("x", 200<<10)})
			time.Sleep(61 * time.Second)
			if m := w.info().LastErrorMessage; m != "Write timeout expired" {
				w.Errorf("stalled peer: %q", m)
			}
		})
	},
	"S51": func(t *testing.T) {
		for _, answer := range []string{"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"} {
			local(t, func(w *world) {
				conns := 0
				w.raw("bot.example.com:80", func(c net.Conn) {
					conns++
					for len(request(c)) > 0 {
						io.WriteString(c, answer)
					}
				})
				w.set()
				for range 3 {
					w.push(Update{})
					time.Sleep(3 * time.Second)
				}
				synctest.Wait()
				if conns < 3 || w.info().LastErrorMessage != "" || w.s.Pending(botID) != 0 {
					w.Errorf("%d connections, %q, %d pending", conns, w.info().LastErrorMessage, w.s.Pending(botID))
				}
			})
		}
	},
	"S58": func(t *testing.T) {
		local(t, func(w *world) {
			var got []string
			w.raw("bot.example.com:80", func(c net.Conn) {
				got = append(got, "open")
				r := request(c)
				got = append(got, fmt.Sprintf("%d bytes", len(r)))
			})
			w.set()
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			equal(w, "the probe", got, []string{"open", "0 bytes"})
			if w.info().LastErrorMessage != "" {
				w.Error(w.info().LastErrorMessage)
			}
			w.set("url", "http://bot.example.com:81/")
			if m := w.info().LastErrorMessage; m != "Connection refused" {
				w.Errorf("failing probe: %q", m)
			}
			date := w.info().LastErrorDate
			time.Sleep(10 * time.Minute)
			if w.info().LastErrorDate != date {
				w.Error("the probe was repeated")
			}
		})
	},
	"S59": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("bot.example.com:80", nil, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
			w.set()
			id := w.push(Update{})
			time.Sleep(10 * time.Second)
			r := w.record(id)
			if w.info().LastErrorMessage != "" || len(r.Attempts) < 3 || r.Attempts[0].Result != "closed" || w.s.Pending(botID) != 1 {
				w.Errorf("FIN: %q, %+v", w.info().LastErrorMessage, r.Attempts)
			}
			srv.handle(func(rw http.ResponseWriter, _ *http.Request) { // a truncated body
				rw.Header().Set("Content-Length", "100")
				io.WriteString(rw, "short")
				panic(http.ErrAbortHandler)
			})
			n := len(r.Attempts)
			time.Sleep(20 * time.Second)
			if len(w.record(id).Attempts) == n || w.info().LastErrorMessage != "" {
				w.Errorf("truncated: %q", w.info().LastErrorMessage)
			}
			srv.handle(func(rw http.ResponseWriter, _ *http.Request) {
				c, _, _ := rw.(http.Hijacker).Hijack()
				c.(*memnet.Conn).Reset()
			})
			time.Sleep(40 * time.Second)
			i := w.info()
			if i.LastErrorMessage != "Connection reset by peer" {
				w.Errorf("RST: %q", i.LastErrorMessage)
			}
			srv.handle(nil)
			time.Sleep(3 * time.Minute)
			if j := w.info(); j.PendingUpdateCount != 0 || j.LastErrorMessage != i.LastErrorMessage || j.LastErrorDate == 0 {
				w.Errorf("after a success: %+v", j)
			}
		})
	},
	"S60": func(t *testing.T) {
		local(t, func(w *world) {
			release := make(chan struct{})
			srv := w.listen("bot.example.com:80", nil, status(500))
			w.set()
			w.push(Update{})
			time.Sleep(50 * time.Second) // the next attempt would come at 62 s
			n := len(srv.arrivals())
			w.set("secret_token", "new")
			if i := w.info(); len(srv.arrivals()) <= n || i.LastErrorDate < time.Now().Unix()-2 {
				w.Errorf("no attempt after the re-set: %+v", i)
			}
			w.call("deleteWebhook")
			if i := w.info(); i.LastErrorMessage != "" {
				w.Errorf("deleteWebhook left %+v", i)
			}
			srv.handle(func(rw http.ResponseWriter, r *http.Request) { <-release; rw.WriteHeader(200) })
			w.set()
			w.call("deleteWebhook")
			close(release)
			time.Sleep(time.Second)
			if w.s.Pending(botID) != 1 {
				w.Error("an answer on a cut connection counted")
			}
		})
	},
	"S61": func(t *testing.T) {
		local(t, func(w *world) {
			const newIP = "45.1.1.2"
			oldSrv, newSrv := w.listen(botIP+":80", nil, nil), w.listen(newIP+":80", nil, nil)
			w.s.SetHost("bot.example.com", "2001:db8::1", botIP)
			w.set()
			if ip := w.info().IPAddress; ip != botIP {
				w.Errorf("IPv4 is not preferred: %s", ip)
			}
			w.s.SetHost("bot.example.com", newIP)
			w.call("deleteWebhook")
			time.Sleep(28 * time.Minute)
			w.set()
			if ip := w.info().IPAddress; ip != botIP {
				w.Errorf("the cache ended before 29 minutes: %s", ip)
			}
			// Looked up again after 30 to 33 minutes; the connection in use goes after its next answer.
			tick := time.Now()
			for time.Since(tick) < 35*time.Minute {
				w.push(Update{})
				time.Sleep(20 * time.Second)
			}
			if ip := w.info().IPAddress; ip != newIP || len(newSrv.arrivals()) == 0 {
				w.Errorf("after 35 minutes: %s, %d arrivals at the new address", ip, len(newSrv.arrivals()))
			}
			last := oldSrv.arrivals()[len(oldSrv.arrivals())-1]
			if first := newSrv.arrivals()[0]; first.At <= last.At || first.At-tick.Sub(w.zero) < 30*time.Minute || first.At-tick.Sub(w.zero) > 34*time.Minute {
				w.Errorf("moved at %v", first.At-tick.Sub(w.zero))
			}
			// A failure after that is ignored.
			w.s.SetHost("bot.example.com")
			time.Sleep(70 * time.Minute)
			if i := w.info(); i.IPAddress != newIP || i.URL == "" || i.LastErrorMessage != "" {
				w.Errorf("failing look-up: %+v", i)
			}
			// Failures are cached 5 minutes.
			if r := w.call("setWebhook", "url", "http://late.example.com"); r.Description != "Bad Request: bad webhook: Failed to resolve host: Name or service not known" {
				w.Error(r.Description)
			}
			w.s.SetHost("late.example.com", newIP)
			time.Sleep(4 * time.Minute)
			if r := w.call("setWebhook", "url", "http://late.example.com"); r.Code != 400 {
				w.Error("the failure was not cached")
			}
			time.Sleep(61 * time.Second)
			w.want(w.call("setWebhook", "url", "http://late.example.com"), 200, "Webhook was set")
		})
	},
	"S62": func(t *testing.T) {
		local(t, func(w *world) {
			srv := w.listen("45.3.3.3:80", nil, nil)
			w.set("url", "http://nowhere.example.com/", "ip_address", "45.3.3.3")
			w.push(Update{})
			time.Sleep(time.Second)
			if len(srv.arrivals()) != 1 {
				w.Error("not delivered to ip_address")
			}
		})
	},
}

func TestErrno(t *testing.T) {
	k := Knobs{}
	for err, want := range map[error]string{
		syscall.EPIPE:        "Broken pipe",
		syscall.EHOSTUNREACH: "No route to host",
		syscall.ENETUNREACH:  "Network is unreachable",
		syscall.ECONNRESET:   "Connection reset by peer",
		syscall.ETIMEDOUT:    "Connection timed out",
	} {
		if got := k.errorText(&net.OpError{Op: "dial", Err: err}); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
