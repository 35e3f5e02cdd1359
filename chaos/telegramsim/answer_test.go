package telegramsim

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// answered delivers an update to a webhook that sends these bytes, and returns
// last_error_message and what became of the update a second later.
func answered(t *testing.T, answer string) (text string, r Record, b BotTruth) {
	t.Helper()
	local(t, func(w *world) {
		w.raw("bot.example.com:80", func(c net.Conn) {
			if len(request(c)) > 0 {
				io.WriteString(c, answer)
				time.Sleep(2 * time.Second)
			}
		})
		w.set()
		id := w.push(Update{})
		time.Sleep(100 * time.Millisecond)
		text, r = w.info().LastErrorMessage, w.record(id)
		b, _ = w.s.Bot(botID)
	})
	return text, r, b
}

func ok(headers, body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", headers, len(body), body)
}

var answerClauses = map[string]func(*testing.T){
	"S52": func(t *testing.T) {
		for _, c := range []struct{ answer, want string }{
			{"HTTP/2.0 200 OK\r\n\r\n", "HTTP Version Not Supported"},
			{"SSH-2.0-OpenSSH_9.6\r\n", "Not Implemented"},
			{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "Wrong response from the webhook: GET / HTTP/1.1\nHost: x"},
			{ok("Content-Encoding: br\r\n", "x"), "Unsupported Media Type: unsupported content-encoding"},
			{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "Unimplemented: unsupported transfer-encoding"},
			{"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 300<<10) + "\r\n\r\n", "Request Header Fields Too Large: too big headers"},
			{"HTTP/1.1 abc\r\n\r\n", "Bad Request"},
			{"HTTP/1.1 403 Go Away\r\n\r\n", "Wrong response from the webhook: 403 Go Away"},
			{"HTTP/1.1 500 Internal Server Error\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "Wrong response from the webhook: 500 Internal Server Error"},
		} {
			text, r, _ := answered(t, c.answer)
			if text != c.want || r.State != StatePending {
				t.Errorf("%.60q: %q, %s; want %q", c.answer, text, r.State, c.want)
			}
		}
	},
	"S53": func(t *testing.T) {
		var z bytes.Buffer
		g := gzip.NewWriter(&z)
		g.Write([]byte(`{"method":"sendMessage"}`))
		g.Close()
		big := strings.Repeat("x", 3<<20)
		for name, answer := range map[string]string{
			"3 MB of text":            ok("Content-Type: text/plain\r\n", big),
			"no length, no chunks":    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n",
			"chunked":                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n",
			"bad JSON":                ok("Content-Type: application/json\r\n", "{nonsense"),
			"gzip":                    ok("Content-Encoding: gzip\r\nContent-Type: application/json\r\n", z.String()),
			"1 MiB of JSON":           ok("Content-Type: application/json\r\n", strings.Repeat(" ", 1<<20)),
			"204 with a line feed":    "HTTP/1.1 204 No Content\n\n",
			"HTTP/1.0 without length": "HTTP/1.0 200 OK\r\n\r\n",
		} {
			if text, r, _ := answered(t, answer); text != "" || r.State != StateAcknowledged {
				t.Errorf("%s: %q, %s", name, text, r.State)
			}
		}
		text, r, _ := answered(t, ok("Content-Type: application/json\r\n", `{"a":"`+big+`"}`))
		if text != "Request Entity Too Large: too many parameters" || r.State != StatePending {
			t.Errorf("too much JSON: %q, %s", text, r.State)
		}
	},
	"S54": func(t *testing.T) {
		for body, want := range map[string]int{
			`{"method":"sendMessage","chat_id":5,"text":"hi"}`: 1,
			`{"method":"deleteWebhook"}`:                       0,
			`{"method":"setWebhook","url":""}`:                 0,
			`{"method":"logOut"}`:                              0,
			`{"method":"close"}`:                               0,
			`{"method":"getUpdates"}`:                          0,
			`{"ok":true}`:                                      0,
		} {
			_, r, b := answered(t, ok("Content-Type: application/json; charset=utf-8\r\n", body))
			if len(b.Replies) != want || r.State != StateAcknowledged || b.URL == "" {
				t.Errorf("%s: %d calls, %s", body, len(b.Replies), r.State)
			}
			if want == 1 && (b.Replies[0].Args["chat_id"] != "5" || b.Replies[0].Args["text"] != "hi") {
				t.Errorf("%+v", b.Replies)
			}
		}
		_, _, b := answered(t, ok("Content-Type: application/x-www-form-urlencoded\r\n", "method=sendMessage&text=x+y"))
		if len(b.Replies) != 1 || b.Replies[0].Args["text"] != "x y" {
			t.Errorf("form: %+v", b.Replies)
		}
		_, _, b = answered(t, "HTTP/1.1 500 No\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n"+`{"method":"sendMessage"}`)
		if len(b.Replies) != 0 {
			t.Error("executed although the delivery failed")
		}
	},
}
