package chaos

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const token = "123456:AAE-the-token"

// botAPI is a Bot API in one function. It counts calls that took effect.
type botAPI struct {
	calls int
}

func (b *botAPI) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	_ = r.Body.Close()
	b.calls++
	return response(r, 200, "application/json", `{"ok":true,"result":true}`), nil
}

type closeWatch struct {
	io.Reader
	closed bool
}

func (c *closeWatch) Close() error { c.closed = true; return nil }

type answer struct {
	status int
	header http.Header
	body   string
	err    error
	took   time.Duration
	reuse  bool // the request's body was left open
}

func call(ctx context.Context, rt http.RoundTripper, method string) answer {
	body := &closeWatch{Reader: strings.NewReader(`{}`)}
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.telegram.org/bot"+token+"/"+method, body)
	start := time.Now()
	resp, err := rt.RoundTrip(req)
	a := answer{err: err, took: time.Since(start), reuse: !body.closed}
	if err == nil {
		var b []byte
		b, a.err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		a.status, a.header, a.body, a.took = resp.StatusCode, resp.Header, string(b), time.Since(start)
	}
	return a
}

type apiEffect struct {
	name  string
	spec  Spec
	sees  func(answer) bool
	calls int // that took effect
}

func says(status int, text string, retryAfter int) func(answer) bool {
	return func(a answer) bool {
		var v struct {
			OK          bool   `json:"ok"`
			Code        int    `json:"error_code"`
			Description string `json:"description"`
			Parameters  struct {
				RetryAfter int `json:"retry_after"`
			} `json:"parameters"`
		}
		err := json.Unmarshal([]byte(a.body), &v)
		return a.err == nil && err == nil && !v.OK && a.status == status && v.Code == status && strings.Contains(v.Description, text) &&
			v.Parameters.RetryAfter == retryAfter && (a.header.Get("Retry-After") != "") == (retryAfter > 0)
	}
}

func errIs(target error) func(answer) bool {
	return func(a answer) bool { return errors.Is(a.err, target) }
}

func dnsIs(want func(*net.DNSError) bool, host string) func(error) bool {
	return func(err error) bool {
		var d *net.DNSError
		return errors.As(err, &d) && want(d) && d.Name == host
	}
}

func apiEffects() []apiEffect {
	p := func(k, v string) map[string]string { return map[string]string{k: v} }
	notFound := dnsIs(func(d *net.DNSError) bool { return d.IsNotFound }, "api.telegram.org")
	return []apiEffect{
		{"botapi.429", Spec{Kind: "botapi.429"}, says(429, "Too Many Requests: retry after 3", 3), 0},
		{"botapi.429 long", Spec{Kind: "botapi.429", Params: p("retry_after", "60")}, says(429, "retry after 60", 60), 0},
		{"botapi.5xx", Spec{Kind: "botapi.5xx"}, says(500, "Internal Server Error: restart", 0), 0},
		{"botapi.5xx 504", Spec{Kind: "botapi.5xx", Params: p("code", "504")}, says(504, "Gateway Timeout", 0), 0},
		{"botapi.unauthorized", Spec{Kind: "botapi.unauthorized"}, says(401, "Unauthorized", 0), 0},
		{"botapi.html", Spec{Kind: "botapi.html"}, func(a answer) bool {
			return a.status == 502 && strings.Contains(a.body, "<html>") && a.header.Get("Content-Type") == "text/html"
		}, 0},
		{"botapi.hang", Spec{Kind: "botapi.hang"}, func(a answer) bool { return errors.Is(a.err, context.DeadlineExceeded) && a.took == 5*time.Second }, 0},
		{"botapi.hang for a time", Spec{Kind: "botapi.hang", Delay: 2 * time.Second}, func(a answer) bool { return a.status == 200 && a.took == 2*time.Second }, 1},
		{"botapi.reset", Spec{Kind: "botapi.reset"}, errIs(syscall.ECONNRESET), 0},
		{"botapi.reset late", Spec{Kind: "botapi.reset", Delay: time.Second}, func(a answer) bool {
			return errors.Is(a.err, syscall.ECONNRESET) && a.took == time.Second
		}, 0},
		{"botapi.answer_lost", Spec{Kind: "botapi.answer_lost"}, errIs(syscall.ECONNRESET), 1},
		{"botapi.answer_lost hanging", Spec{Kind: "botapi.answer_lost", Params: p("how", "hang")}, errIs(context.DeadlineExceeded), 1},
		{"botapi.answer_lost, half of it", Spec{Kind: "botapi.answer_lost", Params: p("how", "truncated")}, func(a answer) bool {
			return errors.Is(a.err, io.ErrUnexpectedEOF)
		}, 1},
		{"botapi.answer_lost, in drips", Spec{Kind: "botapi.answer_lost", Delay: 20 * time.Millisecond, Params: p("how", "drip")}, func(a answer) bool {
			return a.err == nil && a.status == 200 && a.body != "" && a.took >= time.Duration(len(a.body))*20*time.Millisecond
		}, 1},
		{"botapi.answer_lost, in drips that are too slow", Spec{Kind: "botapi.answer_lost", Delay: 3 * time.Second, Params: p("how", "drip")}, errIs(context.DeadlineExceeded), 1},
		{"botapi.reset intercepted", Spec{Kind: "botapi.reset", Params: p("how", "intercepted")}, func(a answer) bool {
			var e x509.UnknownAuthorityError
			return errors.As(a.err, &e)
		}, 0},
		{"botapi.conflict", Spec{Kind: "botapi.conflict"}, says(409, "while webhook is active", 0), 0},
		{"botapi.conflict poll", Spec{Kind: "botapi.conflict", Params: p("text", "poll")}, says(409, "terminated by other getUpdates", 0), 0},
		{"botapi.conflict set", Spec{Kind: "botapi.conflict", Params: p("text", "set")}, says(409, "terminated by setWebhook request", 0), 0},
		{"botapi.conflict other_set", Spec{Kind: "botapi.conflict", Params: p("text", "other_set")}, says(409, "terminated by other setWebhook", 0), 0},
		{"botapi.dns", Spec{Kind: "botapi.dns"}, func(a answer) bool {
			return dnsIs(func(d *net.DNSError) bool { return d.IsTemporary && !d.IsNotFound }, "api.telegram.org")(a.err)
		}, 0},
		{"botapi.dns not found", Spec{Kind: "botapi.dns", Params: p("error", "not_found")}, func(a answer) bool { return notFound(a.err) }, 0},
		{"botapi.dns timeout", Spec{Kind: "botapi.dns", Params: p("error", "timeout")}, func(a answer) bool {
			var n net.Error
			return errors.As(a.err, &n) && n.Timeout()
		}, 0},
	}
}

func TestBotAPIEffects(t *testing.T) {
	for _, e := range apiEffects() {
		bubble(t, e.name, func(t *testing.T) {
			api := &botAPI{}
			r := newRegistry(t, Options{})
			rt := r.RoundTripper(api)
			if e.spec.Params == nil {
				e.spec.Params = map[string]string{}
			}
			e.spec.Params["methods"] = "getUpdates, setwebhook"
			l, err := r.Inject(e.spec)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if a := call(ctx, rt, "getMe"); a.status != 200 || l.Fired() != 0 {
				t.Fatalf("a method that is not meant: %+v", a)
			}
			api.calls = 0
			a := call(ctx, rt, "setWebhook")
			if !e.sees(a) {
				t.Errorf("got %+v", a)
			}
			if api.calls != e.calls || l.Fired() != 1 {
				t.Errorf("%d calls took effect, want %d; fired %d times", api.calls, e.calls, l.Fired())
			}
			if a.reuse {
				t.Error("the request's body was left open")
			}
			if a.err != nil && (strings.Contains(a.err.Error(), "AAE") || strings.Contains(a.err.Error(), "/bot")) {
				t.Errorf("the error holds the token: %v", a.err)
			}
			if a.header.Get("Date") != "" {
				t.Error("an injected answer pretends to know the server's clock")
			}
			var in *Injected
			if a.err != nil && !errors.Is(a.err, context.DeadlineExceeded) && (!errors.As(a.err, &in) || in.Kind != e.spec.Kind) {
				t.Errorf("the error does not say that it was injected: %v", a.err)
			}
			l.End()
			if a := call(t.Context(), rt, "setWebhook"); a.status != 200 {
				t.Errorf("after the fault: %+v", a)
			}
		})
	}
}

// What hangs in a fault goes on at the instant at which it ends, however that
// comes.
func TestHungCallsAreFreed(t *testing.T) {
	enders := map[string]func(*Registry, *Lease){
		"end":    func(_ *Registry, l *Lease) { l.End() },
		"clear":  func(r *Registry, _ *Lease) { r.Clear() },
		"close":  func(r *Registry, _ *Lease) { _ = r.Close() },
		"expiry": func(*Registry, *Lease) {},
	}
	for how, end := range enders {
		bubble(t, how, func(t *testing.T) {
			r := newRegistry(t, Options{})
			rt, dial := r.RoundTripper(&botAPI{}), r.Dial(func(context.Context, string, string) (net.Conn, error) { return nil, nil })
			store := r.Hook(SeamStore)
			handled := r.Handler(okHandler())
			ls := map[string]*Lease{}
			for _, k := range []Kind{"botapi.hang", "dial.hang", "store.slow", "http.hang"} {
				s := Spec{Kind: k, For: 7 * time.Second}
				if k == "store.slow" {
					s.Delay = time.Hour
				}
				l, err := r.Inject(s)
				if err != nil {
					t.Fatal(err)
				}
				ls[string(k)] = l
			}
			start := time.Now()
			took := make(chan time.Duration, 4)
			run := func(f func()) { go func() { f(); took <- time.Since(start) }() }
			run(func() { call(context.Background(), rt, "getUpdates") })
			run(func() { _, _ = dial(context.Background(), "tcp", "x:1") })
			run(func() { _ = store(context.Background(), "commit") })
			run(func() { hit(handled) })
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if len(took) != 0 {
				t.Fatal("something did not hang")
			}
			for _, l := range ls {
				end(r, l)
			}
			want := 3 * time.Second
			if how == "expiry" {
				want = 7 * time.Second
			}
			for range 4 {
				if d := <-took; d != want {
					t.Errorf("freed after %v, want %v", d, want)
				}
			}
		})
	}
}

type dialEffect struct {
	spec Spec
	sees func(error) bool
}

func dialEffects() []dialEffect {
	return []dialEffect{
		{Spec{Kind: "dial.dns"}, dnsIs(func(d *net.DNSError) bool { return d.IsTemporary }, "api.telegram.org")},
		{Spec{Kind: "dial.dns", Delay: time.Second, Params: map[string]string{"error": "not_found"}}, dnsIs(func(d *net.DNSError) bool { return d.IsNotFound }, "api.telegram.org")},
		{Spec{Kind: "dial.dns", Params: map[string]string{"error": "ipv6_only"}}, func(err error) bool { return errors.Is(err, syscall.ENETUNREACH) }},
		{Spec{Kind: "dial.dns", Params: map[string]string{"error": "wrong_address"}}, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		{Spec{Kind: "dial.refused"}, func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }},
		{Spec{Kind: "dial.hang"}, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
	}
}

func TestDialEffects(t *testing.T) {
	for _, e := range dialEffects() {
		bubble(t, string(e.spec.Kind), func(t *testing.T) {
			dialed := 0
			r := newRegistry(t, Options{})
			dial := r.Dial(func(context.Context, string, string) (net.Conn, error) { dialed++; return nil, nil })
			params := map[string]string{"host": "API.telegram.org"}
			for k, v := range e.spec.Params {
				params[k] = v
			}
			e.spec.Params = params
			l, err := r.Inject(e.spec)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if _, err := dial(ctx, "tcp", "other.example.com:443"); err != nil || dialed != 1 {
				t.Errorf("another host: %v", err)
			}
			if _, err := dial(ctx, "tcp", "api.telegram.org:443"); !e.sees(err) || dialed != 1 || l.Fired() != 1 {
				t.Errorf("got %v, dialed %d, fired %d", err, dialed, l.Fired())
			}
			l.End()
			if _, err := dial(t.Context(), "tcp", "api.telegram.org:443"); err != nil || dialed != 2 {
				t.Errorf("after the fault: %v", err)
			}
		})
	}
}

type hookEffect struct {
	spec Spec
	seam Seam
	err  error // nil: none; otherwise errors.Is, or any if errAny
	took time.Duration
}

var errAny = errors.New("any")

func hookEffects() []hookEffect {
	p := func(k, v string) map[string]string { return map[string]string{k: v} }
	return []hookEffect{
		{Spec{Kind: "store.slow"}, SeamStore, nil, time.Second},
		{Spec{Kind: "store.slow", Delay: 3 * time.Second}, SeamStore, nil, 3 * time.Second},
		{Spec{Kind: "store.fail"}, SeamStore, syscall.ENOSPC, 0},
		{Spec{Kind: "store.fail", Delay: time.Second, Params: p("error", "EIO")}, SeamStore, syscall.EIO, time.Second},
		{Spec{Kind: "delivery.fail"}, SeamDelivery, errAny, 0},
		{Spec{Kind: "delivery.slow", Delay: time.Minute}, SeamDelivery, context.DeadlineExceeded, 5 * time.Second},
	}
}

func TestHookEffects(t *testing.T) {
	for _, e := range hookEffects() {
		bubble(t, string(e.spec.Kind), func(t *testing.T) {
			r := newRegistry(t, Options{})
			params := map[string]string{"points": "commit"}
			for k, v := range e.spec.Params {
				params[k] = v
			}
			e.spec.Params = params
			l, err := r.Inject(e.spec)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			hook := r.Hook(e.seam)
			if err := hook(ctx, "reopen"); err != nil || l.Fired() != 0 {
				t.Errorf("another point: %v", err)
			}
			if err := r.Hook(SeamPolling)(ctx, "commit"); err != nil || l.Fired() != 0 {
				t.Errorf("another seam: %v", err)
			}
			start := time.Now()
			err = hook(ctx, "commit")
			if e.err == nil && err != nil || e.err == errAny && err == nil || e.err != nil && e.err != errAny && !errors.Is(err, e.err) {
				t.Errorf("got %v, want %v", err, e.err)
			}
			if took := time.Since(start); took != e.took || l.Fired() != 1 {
				t.Errorf("took %v, want %v; fired %d times", took, e.took, l.Fired())
			}
			l.End()
			start = time.Now()
			if err := hook(t.Context(), "commit"); err != nil || time.Since(start) != 0 {
				t.Errorf("after the fault: %v after %v", err, time.Since(start))
			}
		})
	}
}

func TestCrashAt(t *testing.T) {
	bubble(t, "at the nth passage", func(t *testing.T) {
		var exits []string
		r := newRegistry(t, Options{Destructive: true, Exit: func(p string) { exits = append(exits, p) }})
		store, handover := r.Hook(SeamStore), r.Hook(SeamHandover)
		l, err := r.Inject(Spec{Kind: "crash.at", Params: map[string]string{"point": "store:commit", "nth": "3"}})
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		for i, hook := range []func(context.Context, string) error{store, store, handover, handover} {
			if err := hook(ctx, "commit"); err != nil || len(exits) > 0 {
				t.Errorf("passage %d: %v", i, err)
			}
		}
		err = store(ctx, "commit")
		var in *Injected
		if !errors.As(err, &in) || len(exits) != 1 || exits[0] != "commit" || l.Fired() != 1 {
			t.Errorf("got %v, exits %q, fired %d", err, exits, l.Fired())
		}
		l.End()
		if _, err := r.Inject(Spec{Kind: "crash.at", Params: map[string]string{"point": "delete-sent"}}); err != nil {
			t.Fatal(err)
		}
		if err := handover(ctx, "delete-sent"); err == nil || len(exits) != 2 {
			t.Errorf("a point without its seam: %v, exits %q", err, exits)
		}
	})
}
