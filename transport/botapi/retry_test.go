package botapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const okTrue = `{"ok":true,"result":true}`

// script answers the n-th request with the n-th handler, the last one for ever.
func script(n *atomic.Int32, hs ...http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hs[min(int(n.Add(1)), len(hs))-1].ServeHTTP(w, r)
	})
}

func TestRetry(t *testing.T) {
	ok := answerWith(200, "application/json", okTrue)
	bad := answerWith(502, "text/html", "x")
	wait7 := apiError(429, "x", `,"parameters":{"retry_after":7}`)
	drop := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() })
	fast := Retry{Max: 3, MinWait: 100 * time.Millisecond, MaxWait: 200 * time.Millisecond}
	for _, tc := range []struct {
		name     string
		retry    Retry
		deadline time.Duration
		hs       []http.Handler
		kind     Kind
		requests int
		min, max time.Duration // time taken
		maybe    bool
	}{
		{"none by default", Retry{}, 10 * time.Second, []http.Handler{bad, ok}, KindServer, 1, 0, 0, true},
		{"until it works", fast, 10 * time.Second, []http.Handler{bad, drop, bad, ok}, "", 4, 200 * time.Millisecond, 500 * time.Millisecond, false},
		{"only so often", fast, 10 * time.Second, []http.Handler{bad}, KindServer, 4, 200 * time.Millisecond, 500 * time.Millisecond, true},
		{"not beyond the deadline", Retry{Max: 99, MinWait: time.Second, MaxWait: time.Second}, 400 * time.Millisecond, []http.Handler{bad}, KindServer, 1, 0, 0, true},
		{"429 is obeyed beyond MaxWait", fast, 10 * time.Second, []http.Handler{wait7, ok}, "", 2, 7 * time.Second, 7 * time.Second, false},
		{"429 that doesn't fit comes back at once", fast, 7 * time.Second, []http.Handler{wait7, ok}, KindRateLimited, 1, 0, 0, false},
		{"not for a conflict", fast, 10 * time.Second, []http.Handler{apiError(409, "x", ""), ok}, KindConflict, 1, 0, 0, false},
		{"not for 401", fast, 10 * time.Second, []http.Handler{apiError(401, "x", ""), ok}, KindUnauthorized, 1, 0, 0, false},
		{"not for 400", fast, 10 * time.Second, []http.Handler{apiError(400, "x", ""), ok}, KindBadRequest, 1, 0, 0, false},
		{"one attempt takes the deadline", fast, 3 * time.Second, []http.Handler{hang, ok}, KindTimeout, 1, 3 * time.Second, 3 * time.Second, true},
		{"unless attempts are bounded", Retry{Max: 1, MinWait: 100 * time.Millisecond, Attempt: time.Second}, 3 * time.Second, []http.Handler{hang, ok}, "", 2, time.Second, 1100 * time.Millisecond, false},
		{"what may have happened stays", fast, 10 * time.Second, []http.Handler{drop, apiError(400, "x", "")}, KindBadRequest, 2, 0, 100 * time.Millisecond, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var n atomic.Int32
			bubble(t, script(&n, tc.hs...), nil, func(r *rig) {
				start := time.Now()
				_, err := r.c.Call(within(tc.deadline), PoolControl, tc.retry, "deleteWebhook", nil)
				took := time.Since(start)
				var e *Error
				errors.As(err, &e)
				if KindOf(err) != tc.kind || int(n.Load()) != tc.requests || len(r.calls) != tc.requests {
					t.Errorf("%v after %d requests, %d observed", err, n.Load(), len(r.calls))
				}
				if took < tc.min || took > tc.max {
					t.Errorf("took %v", took)
				}
				if e != nil && (e.MayHaveHappened != tc.maybe || e.Attempts != tc.requests) {
					t.Errorf("%+v", e)
				}
				if tc.kind == KindRateLimited && e.RetryAfter != 7*time.Second {
					t.Errorf("retry after %v", e.RetryAfter)
				}
				for i, c := range r.calls {
					if c.Attempt != i+1 || c.Method != "deleteWebhook" || c.Pool != PoolControl {
						t.Errorf("observed %+v", c)
					}
				}
				noToken(t, err)
			})
		})
	}
}

func TestCanceledInThePause(t *testing.T) {
	var n atomic.Int32
	bubble(t, script(&n, answerWith(502, "text/html", "x")), nil, func(r *rig) {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(500*time.Millisecond, cancel)
		_, err := r.c.Call(ctx, PoolControl, Retry{Max: 5, MinWait: 4 * time.Second, MaxWait: 4 * time.Second}, "deleteWebhook", nil)
		var e *Error
		if !errors.As(err, &e) || e.Kind != KindCanceled || !e.MayHaveHappened || !errors.Is(err, context.Canceled) || n.Load() != 1 {
			t.Errorf("%+v after %d", err, n.Load())
		}
		noToken(t, err)
	})
}

// TestReadsAreRetried: getMe and getWebhookInfo get over one dropped connection
// within a second's deadline, set and delete and getUpdates never repeat.
func TestReadsAreRetried(t *testing.T) {
	drop := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for name, tc := range map[string]struct {
		call     func(*Client, context.Context) error
		body     string
		requests int32
	}{
		"getMe": {func(c *Client, ctx context.Context) error { _, err := c.GetMe(ctx); return err },
			`{"ok":true,"result":{"id":7,"is_bot":true,"first_name":"x"}}`, 2},
		"getWebhookInfo": {func(c *Client, ctx context.Context) error { _, err := c.GetWebhookInfo(ctx); return err },
			`{"ok":true,"result":{"url":""}}`, 2},
		"getUpdates": {func(c *Client, ctx context.Context) error { _, err := c.GetUpdates(ctx, GetUpdates{}); return err }, okTrue, 1},
		"setWebhook": {func(c *Client, ctx context.Context) error {
			_, err := c.SetWebhook(ctx, SetWebhook{URL: "x"})
			return err
		}, okTrue, 1},
		"deleteWebhook": {func(c *Client, ctx context.Context) error { _, err := c.DeleteWebhook(ctx, false); return err }, okTrue, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			bubble(t, script(&n, drop, answerWith(200, "application/json", tc.body)), nil, func(r *rig) {
				err := tc.call(r.c, within(time.Second))
				if n.Load() != tc.requests || (err == nil) != (tc.requests == 2) {
					t.Errorf("%d requests, %v", n.Load(), err)
				}
			})
		})
	}
}

// TestDeadIdleConnection: each connection answers once, keeps itself open, and
// closes as soon as a second request arrives on it.
func TestDeadIdleConnection(t *testing.T) {
	for _, how := range []string{"close", "reset"} {
		for _, tc := range []struct {
			name    string
			call    func(*Client) error
			body    string
			kind    Kind
			attempt int
		}{
			{"getUpdates", func(c *Client) error { _, err := c.GetUpdates(within(5*time.Second), GetUpdates{}); return err }, `{"ok":true,"result":[]}`, "", 2},
			{"getWebhookInfo", func(c *Client) error { _, err := c.GetWebhookInfo(within(5 * time.Second)); return err }, `{"ok":true,"result":{"url":""}}`, "", 2},
			{"deleteWebhook", func(c *Client) error { _, err := c.DeleteWebhook(within(5*time.Second), false); return err }, okTrue, KindReset, 1},
		} {
			t.Run(how+" "+tc.name, func(t *testing.T) {
				bubble(t, nil, func(o *Options) { o.ReadRetry = Retry{Max: -1} }, func(r *rig) {
					defer raw(t, r.net, testHost, func(c net.Conn, b *bufio.Reader) {
						if readRequest(b) != nil {
							return
						}
						_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(tc.body))+"\r\n\r\n"+tc.body)
						if readRequest(b) == nil && how == "reset" {
							_ = c.(interface{ Reset() error }).Reset()
						}
					})()
					defer r.c.Close()
					if err := tc.call(r.c); err != nil {
						t.Fatal(err)
					}
					r.calls = nil
					time.Sleep(time.Second)
					start := time.Now()
					err := tc.call(r.c)
					if KindOf(err) != tc.kind || len(r.calls) != tc.attempt || time.Since(start) > 100*time.Millisecond {
						t.Errorf("%v after %d attempts in %v", err, len(r.calls), time.Since(start))
					}
					var e *Error
					if errors.As(err, &e) && !e.MayHaveHappened {
						t.Error("a delete that was written may have happened")
					}
				})
			})
		}
	}
}

// TestDeadIdleConnectionOnce: if the fresh connection dies too, that is an
// error, not a loop.
func TestDeadIdleConnectionOnce(t *testing.T) {
	var conns atomic.Int32
	bubble(t, nil, func(o *Options) { o.ReadRetry = Retry{Max: -1} }, func(r *rig) {
		defer raw(t, r.net, testHost, func(c net.Conn, b *bufio.Reader) {
			if readRequest(b) != nil || conns.Add(1) > 1 {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n"+`{"ok":true,"result":[]}`)
			_ = readRequest(b)
		})()
		defer r.c.Close()
		_, err := r.c.GetUpdates(within(5*time.Second), GetUpdates{})
		_, err2 := r.c.GetUpdates(within(5*time.Second), GetUpdates{})
		if err != nil || KindOf(err2) != KindReset || len(r.calls) != 3 || conns.Load() != 2 {
			t.Errorf("%v, %v after %d attempts on %d connections", err, err2, len(r.calls), conns.Load())
		}
	})
}

// TestPools: a poll that hangs holds up no other call, and a pool that was reset
// uses none of its old connections.
func TestPools(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bot"+testToken+"/getUpdates" {
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-r.Context().Done():
			case <-time.After(20 * time.Second):
				_, _ = io.WriteString(w, `{"ok":true,"result":[]}`)
			}
			return
		}
		answerWith(200, "application/json", okTrue)(w, r)
	})
	var dials atomic.Int32
	bubble(t, h, func(o *Options) {
		dial := o.Dial
		o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			return dial(ctx, network, addr)
		}
	}, func(r *rig) {
		done := make(chan error)
		go func() {
			_, err := r.c.GetUpdates(context.Background(), GetUpdates{Timeout: 25 * time.Second})
			done <- err
		}()
		synctest.Wait()
		start := time.Now()
		for range 3 {
			if _, err := r.c.DeleteWebhook(within(time.Second), false); err != nil {
				t.Fatal(err)
			}
		}
		if time.Since(start) > time.Second || dials.Load() != 2 {
			t.Errorf("%v, %d dials", time.Since(start), dials.Load())
		}
		r.c.ResetPool(PoolControl)
		r.c.ResetPool(PoolPoll) // the parked poll goes on
		if _, err := r.c.DeleteWebhook(within(time.Second), false); err != nil || dials.Load() != 3 {
			t.Errorf("%v, %d dials", err, dials.Load())
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := r.c.GetUpdates(context.Background(), GetUpdates{Timeout: 25 * time.Second}); err != nil || dials.Load() != 4 {
			t.Errorf("%v, %d dials", err, dials.Load())
		}
		r.c.ResetPool(99)
	})
	c, err := New(Options{Token: testToken})
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.pools {
		tr := c.pools[i].transport
		if p := tr.Protocols; !p.HTTP1() || p.HTTP2() || p.UnencryptedHTTP2() || tr.Proxy != nil {
			t.Errorf("%s: %v", Pool(i), p)
		}
	}
}
