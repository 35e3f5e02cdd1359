package telegramsim

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func newReader(data []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(data)) }

// TestSockets runs the server on the loopback interface, in real time: API over
// TCP, a webhook with an uploaded certificate for its address over TLS.
func TestSockets(t *testing.T) {
	if testing.Short() {
		t.Skip("real sockets")
	}
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := New(Options{Seed: 1, Local: true})
	if _, err := s.AddBot(token); err != nil {
		t.Fatal(err)
	}
	apiLn, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.Serve(apiLn) })

	cert := mint(t, certSpec{cn: "127.0.0.1", ips: []string{"127.0.0.1"}})
	hookLn, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 100)
	srv := &http.Server{ErrorLog: quiet(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- r.Header.Get("X-Telegram-Bot-Api-Secret-Token") + string(b)
		w.WriteHeader(204)
	})}
	wg.Go(func() { srv.Serve(tls.NewListener(hookLn, cert.config())) })
	tr := &http.Transport{}
	defer func() {
		s.Close()
		srv.Close()
		tr.CloseIdleConnections()
		wg.Wait()
	}()

	w := &world{T: t, s: s, tr: tr}
	api := "http://" + apiLn.Addr().String() + "/bot" + token + "/"
	call := func(method string, v url.Values) result {
		req, _ := http.NewRequest("POST", api+method, strings.NewReader(v.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return w.send(req)
	}
	parked := make(chan result, 1)
	wg.Go(func() { parked <- call("getUpdates", url.Values{"timeout": {"30"}}) })
	for {
		if b, _ := s.Bot(botID); b.Parked {
			break
		}
		time.Sleep(time.Millisecond)
	}
	id := w.push(Update{Text: "by polling"})
	equal(w, "polled", pageIDs(t, <-parked), []int64{id})

	hook := "https://" + hookLn.Addr().String() + "/hook"
	var form bytes.Buffer
	contentType := multipartForm(&form, map[string][]byte{"certificate": cert.pem}, "url", hook, "secret_token", "abc")
	resp, err := (&http.Client{Transport: tr}).Post(api+"setWebhook", contentType, &form)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if !strings.Contains(string(b), "Webhook was set") {
		t.Fatalf("%s", b)
	}
	for i := range 20 {
		w.push(Update{User: int64(i + 1)})
	}
	for range 21 {
		select {
		case body := <-got:
			if !strings.HasPrefix(body, "abc{") || !json.Valid([]byte(body[3:])) {
				t.Errorf("%s", body)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("only %d pending left, last error %q", s.Pending(botID), w.info().LastErrorMessage)
		}
	}
	if i := w.info(); i.IPAddress != "127.0.0.1" || i.LastErrorMessage != "" || !i.HasCustomCertificate {
		t.Errorf("%+v", i)
	}
	srv.Close() // a refused port, from a real kernel
	w.push(Update{})
	for range 500 {
		if w.info().LastErrorMessage != "" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if m := w.info().LastErrorMessage; m != "Connection refused" {
		t.Errorf("%q", m)
	}
	s.SetFault(Fault{Kind: FaultReset, Method: "getMe"})
	if r := call("getMe", nil); r.Err == nil || !strings.Contains(r.Err.Error(), "reset by peer") {
		t.Errorf("%v", r.Err)
	}
	w.want(call("deleteWebhook", nil), 200, "Webhook was deleted")
}

// BenchmarkPush is what a load test asks of the simulator itself.
func BenchmarkPush(b *testing.B) {
	s := New(Options{Seed: 1, KeepEnded: 1000})
	defer s.Close()
	id, _ := s.AddBot(token)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		u, err := s.Push(id, Update{User: int64(n%1000 + 1), Text: "Привет 🌸"})
		if err != nil {
			b.Fatal(err)
		}
		if n++; n%100 == 0 {
			c, _ := s.inside(id, "getupdates", map[string]string{"offset": strconv.FormatInt(u+1, 10)})
			<-c.done
		}
	}
}
