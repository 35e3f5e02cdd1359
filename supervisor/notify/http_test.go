package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// secretURL must be in nothing that is said.
const secretURL = "https://hooks.example.com/services/T000/B000/hunter2"

// world answers requests; the answers are used one after another, the last one for
// ever.
type world struct {
	answers []answer
	got     []request
}

type answer struct {
	status int
	header http.Header
	err    error
}

type request struct {
	method, url string
	header      http.Header
	body        []byte
	at          time.Time
}

func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	w.got = append(w.got, request{r.Method, r.URL.String(), r.Header.Clone(), body, time.Now()})
	a := w.answers[min(len(w.got), len(w.answers))-1]
	if a.err != nil {
		return nil, a.err
	}
	if a.header == nil {
		a.header = http.Header{}
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader("thanks")), Request: r, ProtoMajor: 1, ProtoMinor: 1}, nil
}

func post(t *testing.T, w *world, secret string) (err error) {
	synctest.Test(t, func(t *testing.T) {
		s := NewWebhook(WebhookOptions{URL: func() string { return secretURL }, Secret: func() string { return secret }, Transport: w})
		ctx, cancel := context.WithTimeout(t.Context(), sendDeadline)
		defer cancel()
		err = s.Send(ctx, message(frozen))
	})
	return err
}

func TestWebhook(t *testing.T) {
	w := &world{answers: []answer{{status: 204}}}
	if err := post(t, w, "s3cret"); err != nil {
		t.Fatal(err)
	}
	r := w.got[0]
	var m Message
	if err := json.Unmarshal(r.body, &m); err != nil || m.Schema != Schema || r.header.Get("Content-Type") != "application/json" || r.header.Get(HeaderID) != m.ID || r.method != "POST" {
		t.Errorf("%v %+v %v", err, m, r.header)
	}
	if got, want := r.header.Get(HeaderSignature), Sign("s3cret", r.at, r.body); got != want {
		t.Errorf("signed %q, want %q", got, want)
	}
	w = &world{answers: []answer{{status: 200}}}
	if err := post(t, w, ""); err != nil || w.got[0].header[HeaderSignature] != nil {
		t.Errorf("%v, %v", err, w.got[0].header)
	}
}

// The signature is what the documentation says; the expected one is of openssl dgst
// -sha256 -hmac.
func TestSign(t *testing.T) {
	const want = "t=1700000000,v1=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03"
	got := Sign("key", time.Unix(1700000000, 0), []byte(`{"a":1}`))
	if got != want {
		t.Errorf("%s", got)
	}
	if got == Sign("key", time.Unix(1700000001, 0), []byte(`{"a":1}`)) || got == Sign("other", time.Unix(1700000000, 0), []byte(`{"a":1}`)) {
		t.Error("time and secret are not part of it")
	}
}

func TestWebhookTrouble(t *testing.T) {
	for name, x := range map[string]struct {
		answers []answer
		tries   int
		want    string // of the error; empty: it goes through
		hint    string
		after   time.Duration
	}{
		"a lost connection":    {[]answer{{err: io.ErrUnexpectedEOF}, {status: 200}}, 2, "", "", 0},
		"a restart":            {[]answer{{status: 503}, {status: 503}, {status: 200}}, 3, "", "", 0},
		"down":                 {[]answer{{err: errors.New("connection refused")}}, 3, "notify: webhook to hooks.example.com: connection refused", "network", 0},
		"limited":              {[]answer{{status: 429, header: http.Header{"Retry-After": {"90"}}}}, 1, "answered 429", "", 90 * time.Second},
		"limited, by the date": {[]answer{{status: 429, header: http.Header{"Retry-After": {"Sat, 01 Jan 2000 00:02:00 GMT"}}}}, 1, "answered 429", "", 2 * time.Minute},
		"nonsense":             {[]answer{{status: 429, header: http.Header{"Retry-After": {"-5"}}}}, 1, "answered 429", "", 0},
		"gone":                 {[]answer{{status: 410}}, 1, "answered 410", "copy it again", 0},
		"moved":                {[]answer{{status: 302, header: http.Header{"Location": {secretURL}}}}, 1, "answered 302", "redirects", 0},
		"forbidden":            {[]answer{{status: 403}}, 1, "answered 403", "log", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{answers: x.answers}
			err := post(t, w, "s3cret")
			if len(w.got) != x.tries {
				t.Errorf("%d tries", len(w.got))
			}
			if x.want == "" {
				if err != nil {
					t.Error(err)
				}
				for _, r := range w.got {
					if r.header.Get(HeaderID) != "x-1" {
						t.Error("a repetition has another number")
					}
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), x.want) || !strings.Contains(e.Hint, x.hint) || e.RetryAfter != x.after {
				t.Errorf("%v; hint %q; after %v", err, e.Hint, e.RetryAfter)
			}
			if s := fmt.Sprintf("%v %+v %s", err, e, e.Hint); strings.Contains(s, "hunter2") {
				t.Errorf("shows the address: %s", s)
			}
		})
	}
}

// beats plays a heartbeat for so long and returns the requests, each with its second.
func beats(t *testing.T, o HeartbeatOptions, w *world, long time.Duration, log io.Writer) (out []string) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		o.URL, o.Transport, o.Logger = func() string { return secretURL + "?a=1" }, w, zerolog.New(log)
		healthy := o.Healthy
		o.Healthy = func(now time.Time) error { return healthy(t0.Add(now.Sub(began))) }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); NewHeartbeat(o).Run(ctx) }()
		time.Sleep(long)
		cancel()
		<-done
		for _, r := range w.got {
			out = append(out, fmt.Sprintf("%v %s %s %s", r.at.Sub(began), r.method, strings.TrimPrefix(r.url, "https://hooks.example.com/services/T000/B000/"), r.body))
		}
	})
	return out
}

// illBetween is unwell between two moments.
func illBetween(from, to time.Duration) func(time.Time) error {
	return func(now time.Time) error {
		if d := now.Sub(t0); d >= from && d < to {
			return errors.New("bot a: no poll has completed for 5m")
		}
		return nil
	}
}

func TestHeartbeat(t *testing.T) {
	w := &world{answers: []answer{{status: 200}}}
	got := beats(t, HeartbeatOptions{Healthy: illBetween(90*time.Second, 190*time.Second)}, w, 5*time.Minute, io.Discard)
	want := "1s GET hunter2?a=1 \n1m1s GET hunter2?a=1 \n3m10s GET hunter2?a=1 \n4m10s GET hunter2?a=1 "
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

func TestHeartbeatHealthchecks(t *testing.T) {
	w := &world{answers: []answer{{status: 200}}}
	got := beats(t, HeartbeatOptions{Style: StyleHealthchecks, Healthy: illBetween(90*time.Second, 190*time.Second)}, w, 4*time.Minute, io.Discard)
	want := `0s POST hunter2/start?a=1 
1s POST hunter2?a=1 ok
1m1s POST hunter2?a=1 ok
2m1s POST hunter2/fail?a=1 bot a: no poll has completed for 5m
3m1s POST hunter2/fail?a=1 bot a: no poll has completed for 5m
3m10s POST hunter2?a=1 ok`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

// A watcher that is away is told of once, and never by its address.
func TestHeartbeatUnheard(t *testing.T) {
	w := &world{answers: []answer{{err: errors.New("no route")}}}
	var log bytes.Buffer
	var beaten int
	beats(t, HeartbeatOptions{Healthy: illBetween(0, 0), Beaten: func(_ string, err error) {
		if err != nil {
			beaten++
		}
	}}, w, 10*time.Minute, &log)
	if beaten != 10 || strings.Count(log.String(), "could not be sent") != 1 || strings.Contains(log.String(), "hunter2") {
		t.Errorf("%d beats\n%s", beaten, &log)
	}
}
