package e2e_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"dualgram/chaos/telegramsim"
)

// stranger is somebody who has found the listener.
type stranger struct {
	w    *world
	addr string
	from string // source address; empty: the usual one
}

func (s stranger) dial() (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	if s.from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(s.from)}
	}
	return d.Dial("tcp", s.addr)
}

func (s stranger) tls() (*tls.Conn, error) {
	c, err := s.dial()
	if err != nil {
		return nil, err
	}
	tc := tls.Client(c, &tls.Config{RootCAs: s.w.ca.Pool(), ServerName: hookHost})
	_ = tc.SetDeadline(time.Now().Add(10 * time.Second))
	if err := tc.Handshake(); err != nil {
		c.Close()
		return nil, err
	}
	return tc, nil
}

// request sends a request as text and returns the status of the answer; 0 if
// the connection ended without one.
func (s stranger) request(head string, body []byte) (int, error) {
	c, err := s.tls()
	if err != nil {
		return 0, err
	}
	defer c.Close()
	// The answer may come, and the connection go, before all is written.
	go func() {
		_, _ = io.WriteString(c, head)
		_, _ = c.Write(body)
	}()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, nil
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}

const goodPath = "/webhook/orders"

func (s stranger) post(path, secret string, body []byte) (int, error) {
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", path, hookHost, len(body))
	if secret != "" {
		head += "X-Telegram-Bot-Api-Secret-Token: " + secret + "\r\n"
	}
	return s.request(head+"\r\n", body)
}

// Garbage, huge and slow requests, wrong secrets, wrong addresses: each gets its
// answer or none, and neither moves the mode nor disturbs what Telegram sends.
func TestStrangers(t *testing.T) {
	w := newWorld(t)
	w.conf.Networks = "[127.0.0.1/32]"
	p := w.run()
	w.steady(p)
	epoch := must(p.first()).Epoch
	s := stranger{w: w, addr: w.conf.Listen}
	update := []byte(`{"update_id":1,"message":{"chat":{"id":1},"text":"forged"}}`)

	for _, c := range []struct {
		name string
		want int
		do   func() (int, error)
	}{
		{"no secret", 403, func() (int, error) { return s.post(goodPath, "", update) }},
		{"wrong secret", 403, func() (int, error) { return s.post(goodPath, "wrong", update) }},
		{"half of the secret", 403, func() (int, error) { return s.post(goodPath, w.secret[:len(w.secret)/2], update) }},
		{"endless secret", 403, func() (int, error) { return s.post(goodPath, strings.Repeat("x", 5000), update) }},
		{"another path", 404, func() (int, error) { return s.post("/webhook/other", w.secret, update) }},
		{"path with dots", 404, func() (int, error) { return s.post("/webhook/x/../orders", w.secret, update) }},
		{"GET", 405, func() (int, error) {
			return s.request("GET "+goodPath+" HTTP/1.1\r\nHost: x\r\n\r\n", nil)
		}},
		{"PUT with the secret", 405, func() (int, error) {
			return s.request("PUT "+goodPath+" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nX-Telegram-Bot-Api-Secret-Token: "+w.secret+"\r\n\r\n", nil)
		}},
		{"2 MiB without the secret", 403, func() (int, error) { return s.post(goodPath, "wrong", make([]byte, 2<<20)) }},
		{"2 MiB with the secret", 413, func() (int, error) { return s.post(goodPath, w.secret, make([]byte, 2<<20)) }},
		{"endless chunks with the secret", 413, func() (int, error) {
			chunk := append(append([]byte("10000\r\n"), bytes.Repeat([]byte("x"), 0x10000)...), "\r\n"...)
			return s.request("POST "+goodPath+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX-Telegram-Bot-Api-Secret-Token: "+w.secret+"\r\n\r\n",
				bytes.Repeat(chunk, 32))
		}},
		{"no body", 503, func() (int, error) { return s.post(goodPath, w.secret, nil) }},
		{"huge headers", 431, func() (int, error) {
			return s.request("POST "+goodPath+" HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("y", 64<<10)+"\r\n\r\n", nil)
		}},
		{"not HTTP", 400, func() (int, error) { return s.request("HELO mail.example.com\r\n\r\n", nil) }},
		{"random bytes within TLS", 400, func() (int, error) {
			return s.request("\x00\x01"+rand.Text()+"\r\n\r\n", nil)
		}},
		{"HTTP/2 by force", 0, func() (int, error) {
			c, err := s.request("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", nil)
			if c == 400 || c == 404 || c == 505 {
				c = 0
			}
			return c, err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := c.do(); got != c.want || err != nil {
				t.Errorf("answered with %d (%v), want %d", got, err, c.want)
			}
		})
	}
	t.Run("not TLS", func(t *testing.T) {
		for _, text := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\xff\xff" + rand.Text(), "\x00", rand.Text() + rand.Text()} {
			c, err := s.dial()
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(c, text)
			c.Close()
		}
	})
	t.Run("another address", func(t *testing.T) {
		if c, err := (stranger{w: w, addr: s.addr, from: "127.0.0.2"}).tls(); err == nil {
			c.Close()
			t.Error("an address that is not allowed got as far as TLS")
		}
	})

	// Many at once who say nothing, or a byte now and then.
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := range 60 {
		wg.Go(func() {
			c, err := s.dial()
			if err != nil {
				return
			}
			defer c.Close()
			text := "POST " + goodPath + " HTTP/1.1\r\nHost: x\r\n"
			if i%2 == 0 {
				tc := tls.Client(c, &tls.Config{RootCAs: w.ca.Pool(), ServerName: hookHost})
				if tc.Handshake() == nil {
					c = tc
				}
			}
			for j := 0; ; j++ {
				if _, err := io.WriteString(c, text[j%len(text):][:1]); err != nil {
					return
				}
				select {
				case <-stop:
					return
				case <-time.After(200 * time.Millisecond):
				}
			}
		})
	}
	// A slow body with the secret is Telegram's own connection failing, once.
	w.flows(p, "webhook")
	w.flows(p, "webhook")
	close(stop)
	wg.Wait()

	b := must(p.first())
	if b.Epoch != epoch || b.Phase != "webhook" {
		t.Errorf("phase %s because of %s: %s", b.Phase, b.Reason, b.Evidence)
	}
	if b.Quarantined != 0 || b.Dead != 0 {
		t.Errorf("quarantined %d, dead %d", b.Quarantined, b.Dead)
	}
	metrics := p.scrape()
	for _, cause := range []string{"bad_secret", "bad_method", "too_large", "body_missing"} {
		if !strings.Contains(metrics, `dualgram_webhook_requests_total{bot="orders",cause="`+cause+`"}`) ||
			strings.Contains(metrics, `dualgram_webhook_requests_total{bot="orders",cause="`+cause+`"} 0`) {
			t.Errorf("no request counted as %s", cause)
		}
	}
	v := w.settle(20*time.Second, 0)
	if v.ByPolling != 0 {
		t.Errorf("%d came by polling", v.ByPolling)
	}
	w.quietly(p)
}

// What Telegram sends and nobody can parse reaches the bot as it is, by either
// transport, and blocks nothing.
func TestUnparsableUpdates(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"webhook", "polling"} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t)
			if mode == "polling" {
				w.conf.Webhook = "off"
			}
			p := w.run()
			p.phase(mode, 15*time.Second)
			w.flowing(20)
			for _, payload := range []string{
				`{"message_id":1,"date":0,"chat":{"id":77,"type":"private"},"text":"\ud800 lone surrogate"}`,
				"{\"chat\":{\"id\":77},\"text\":\"invalid \xff\xfe UTF-8\"}",
				"{\"chat\":{\"id\":77},\"text\":\"a \x00 and a \x1b\"}",
				`{"chat":{"id":"not a number"},"text":5}`,
				`{"chat":{"id":99999999999999999999999},"from":{"id":-1}}`,
				`{"chat":{"id":77,"id":78},"chat":{"id":79}}`,
				`{"chat":{"id":77},"text":"bad escape \q"}`,
				`{"chat":{"id":77},"number":0123e}`,
				`[1,2,3]`, `"text"`, `null`, `{}`,
				`{"chat":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`,
				`{"chat":{"id":77},"text":"` + strings.Repeat("long ", 60000) + `"}`,
			} {
				if _, err := w.sim.PushRaw(w.botID, "message", []byte(payload)); err != nil {
					t.Fatal(err)
				}
				w.push(77) // the one behind it, in the same chat
			}
			if mode == "webhook" { // in a page it would end the array: see below
				for _, payload := range []string{`{"chat":{"id":77}`, `{"chat":{"id":77},"text":"no end`, `}`} {
					if _, err := w.sim.PushRaw(w.botID, "message", []byte(payload)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if _, err := w.sim.PushRaw(w.botID, "a_kind_of_the_future", []byte(`{"chat":{"id":5},"new":true}`)); err != nil {
				t.Fatal(err)
			}
			w.settle(30*time.Second, 0)
			if b := must(p.first()); b.Phase != mode || b.Dead != 0 || b.Quarantined != 0 {
				t.Errorf("phase %s, dead %d, quarantined %d", b.Phase, b.Dead, b.Quarantined)
			}
			p.stop()
		})
	}
}

// A page of getUpdates with brackets and quotes out of place still gives up every
// update in it, under its own id.
func TestBrokenPage(t *testing.T) {
	w := newWorld(t)
	w.conf.Webhook = "off"
	for _, payload := range []string{`{"chat":{"id":77}`, `{"chat":{"id":77},"text":"no end`, `}`, `]}`} {
		w.push(1)
		if _, err := w.sim.PushRaw(w.botID, "message", []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	last := w.push(1)
	p := w.run()
	p.phase("polling", 15*time.Second)
	eventually(t, 20*time.Second, "every id", func() error {
		truth := must(w.sim.Bot(w.botID))
		for _, r := range truth.Updates {
			if !w.bot.has(r.ID) {
				return fmt.Errorf("update %d of %d to %d is missing", r.ID, truth.Updates[0].ID, last)
			}
			if r.State != telegramsim.StateAcknowledged {
				return fmt.Errorf("update %d is %s", r.ID, r.State)
			}
		}
		return p.running()
	})
	p.stop()
}
