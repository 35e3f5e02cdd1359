package webhook

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/transport"
)

// half is a request whose body stops half-way.
func half() string {
	r := post(body)
	return r[:len(r)-len(body)/2]
}

func TestBodyNeverArrives(t *testing.T) {
	for name, sent := range map[string]string{"half": half(), "nothing": strings.TrimSuffix(post(body), body)} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{}, nil, func(g *rig) {
				p := g.dial(telegram)
				start := time.Now()
				p.send(sent)
				synctest.Wait()
				if in := g.s.InFlight("orders"); len(in) != 1 || in[0].Stage != StageReading || in[0].HasID {
					t.Errorf("in flight %+v", in)
				}
				resp := p.answer()
				if resp.StatusCode != 503 || !resp.Close || resp.Header["Retry-After"] != nil {
					t.Errorf("answer %+v", resp)
				}
				if d := time.Since(start); d != DefaultBodyTimeout {
					t.Errorf("answered after %v", d)
				}
				p.closed()
				o := g.only()
				if o.Cause != CauseBodyMissing || !o.Cause.OnPath() || !o.Authenticated || o.HasID || o.Duration != DefaultBodyTimeout {
					t.Errorf("outcome %+v", o)
				}
			})
		})
	}
}

// A stranger's body is not waited for.
func TestStrangersBodyNeverArrives(t *testing.T) {
	for name, headers := range map[string]string{
		"small":   "Content-Length: 100\r\n",
		"large":   "Content-Length: 1000000000\r\n",
		"chunked": "Transfer-Encoding: chunked\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{}, nil, func(g *rig) {
				p := g.dial("6.6.6.6")
				start := time.Now()
				p.send("POST " + hookPath + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n")
				resp := p.answer()
				if resp.StatusCode != 403 || !resp.Close {
					t.Errorf("answer %+v", resp)
				}
				if d := time.Since(start); d > drainTimeout {
					t.Errorf("answered after %v", d)
				}
				p.closed()
				if d := time.Since(start); d > 2*drainTimeout {
					t.Errorf("closed after %v", d)
				}
				g.only()
			})
		})
	}
}

// What is left of a refused body is never taken for a request.
func TestRefusedBodyIsNoRequest(t *testing.T) {
	inBubble(t, Options{}, nil, func(g *rig) {
		p := g.dial("6.6.6.6")
		inner := post(body)
		go func() {
			p.Write([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n"))
			time.Sleep(drainTimeout + time.Millisecond)
			p.Write([]byte(inner))
		}()
		p.answer()
		p.closed()
		time.Sleep(time.Minute)
		if n := len(g.sink.got()); n != 0 {
			t.Errorf("%d updates smuggled in", n)
		}
		g.only()
	})
}

func TestTricklingRequest(t *testing.T) {
	inBubble(t, Options{}, nil, func(g *rig) {
		p := g.dial(telegram)
		start := time.Now()
		head := strings.TrimSuffix(post(body), body)
		for i := range len(head) {
			p.send(head[i : i+1])
			time.Sleep(10 * time.Millisecond)
		}
		headers := time.Since(start)
		p.send(body)
		p.answer()
		o := g.only()
		if o.Cause != CauseOK || !o.Started.Equal(start) || o.HeadersAt.Sub(start) > headers || headers-o.HeadersAt.Sub(start) > 20*time.Millisecond {
			t.Errorf("outcome %+v; began %v, headers took %v", o, start, headers)
		}
	})
}

func TestClientGone(t *testing.T) {
	slow := func(ctx context.Context, _ transport.Batch) (transport.Receipt, error) {
		select {
		case <-time.After(5 * time.Second):
			return transport.Receipt{Items: []transport.Item{{Status: transport.StatusDuplicate}}}, nil
		case <-ctx.Done():
			return transport.Receipt{}, ctx.Err()
		}
	}
	for _, c := range []struct {
		name     string
		send     string
		leave    func(*peer)
		accepted int
	}{
		{"in the body", half(), func(p *peer) { p.Close() }, 0},
		{"in the body, by reset", half(), func(p *peer) { p.Conn.(interface{ Reset() error }).Reset() }, 0},
		{"in the commit", post(body), func(p *peer) { p.Close() }, 1},
		{"in the commit, by reset", post(body), func(p *peer) { p.Conn.(interface{ Reset() error }).Reset() }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Options{}, nil, func(g *rig) {
				g.sink.accept = slow
				p := g.dial(telegram)
				p.send(c.send)
				synctest.Wait()
				c.leave(p)
				time.Sleep(6 * time.Second)
				o := g.only()
				if o.Cause != CauseClientGone || o.Cause.OnPath() || o.Cause.OK() || !o.Authenticated || o.Err == nil {
					t.Errorf("outcome %+v", o)
				}
				if n := len(g.sink.got()); n != c.accepted || o.Duplicate != (c.accepted == 1) {
					t.Errorf("accepted %d, outcome %+v", n, o)
				}
			})
		})
	}
}

// A commit may take longer than a body may; the client counts as present.
func TestSlowCommit(t *testing.T) {
	inBubble(t, Options{}, nil, func(g *rig) {
		g.sink.accept = func(context.Context, transport.Batch) (transport.Receipt, error) {
			time.Sleep(3 * DefaultBodyTimeout)
			return transport.Receipt{}, nil
		}
		p := g.dial(telegram)
		p.send(post(body))
		p.answer()
		if o := g.only(); o.Cause != CauseOK || o.Duration != 3*DefaultBodyTimeout {
			t.Errorf("outcome %+v", o)
		}
		p.open()
	})
}

func TestInFlightAndArrivals(t *testing.T) {
	inBubble(t, Options{}, nil, func(g *rig) {
		release := make(chan struct{})
		g.sink.accept = func(context.Context, transport.Batch) (transport.Receipt, error) {
			<-release
			return transport.Receipt{}, nil
		}
		if a := g.s.Arrivals("orders"); a != (Arrivals{}) {
			t.Errorf("at first: %+v", a)
		}
		stranger := g.dial("6.6.6.6")
		stranger.send(request1("POST", hookPath, body))
		stranger.answer()
		if a := g.s.Arrivals("orders"); a != (Arrivals{}) {
			t.Errorf("after a stranger: %+v", a)
		}
		t0 := time.Now()
		one := g.dial(telegram)
		one.send(post(body))
		time.Sleep(time.Second)
		two := g.dial(telegram)
		two.send(half())
		synctest.Wait()
		if a := g.s.Arrivals("orders"); !a.Last.Equal(t0.Add(time.Second)) || a.InProgress != 2 || !a.Oldest.Equal(t0) {
			t.Errorf("with two: %+v", a)
		}
		in := g.s.InFlight("orders")
		if len(in) != 2 || in[0] != (InFlight{Bot: "orders", Stage: StageCommitting, UpdateID: 811, HasID: true, Started: in[0].Started, Remote: telegram}) || !in[0].Started.Equal(t0) {
			t.Errorf("in flight %+v", in)
		}
		if len(in) == 2 && (in[1].Stage != StageReading || in[1].HasID || in[0].Stage.OnPath() || !in[1].Stage.OnPath()) {
			t.Errorf("second in flight %+v", in[1])
		}
		// A route that is replaced, with another secret say, keeps its requests.
		again := Route{Bot: "orders", Path: hookPath, Secrets: func() []string { return []string{"next"} }, Sink: g.sink}
		if err := g.s.Handle(again); err != nil {
			t.Fatal(err)
		}
		if a := g.s.Arrivals("orders"); a.InProgress != 2 || len(g.s.InFlight("orders")) != 2 {
			t.Errorf("after the change: %+v", a)
		}
		close(release)
		one.answer()
		two.send(body[len(body)-len(body)/2:])
		two.answer()
		synctest.Wait()
		if a := g.s.Arrivals("orders"); !a.Last.Equal(t0.Add(time.Second)) || a.InProgress != 0 || !a.Oldest.IsZero() {
			t.Errorf("at the end: %+v", a)
		}
		if in := g.s.InFlight("orders"); len(in) != 0 {
			t.Errorf("left in flight: %+v", in)
		}
		if in := g.s.InFlight("nobody"); in != nil || g.s.Arrivals("nobody") != (Arrivals{}) {
			t.Error("an unknown bot has requests")
		}
	})
}

// An answer that is stuck after a slow commit has waited for the disk most of its age.
func TestInFlightCommit(t *testing.T) {
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			time.Sleep(5 * time.Second)
		})
	}
	inBubble(t, Options{WrapHandler: wrap}, nil, func(g *rig) {
		g.sink.accept = func(context.Context, transport.Batch) (transport.Receipt, error) {
			time.Sleep(3 * time.Second)
			return transport.Receipt{}, nil
		}
		p := g.dial(telegram)
		p.send(post(body))
		for _, want := range []InFlight{{Stage: StageCommitting}, {Stage: StageAnswering, Commit: 3 * time.Second}} {
			synctest.Wait()
			if in := g.s.InFlight("orders"); len(in) != 1 || in[0].Stage != want.Stage || in[0].Commit != want.Commit {
				t.Errorf("in flight %+v, not %+v", in, want)
			}
			time.Sleep(4 * time.Second)
		}
		p.answer()
	})
}

func TestRoutesChangeAtRunTime(t *testing.T) {
	inBubble(t, Options{}, nil, func(g *rig) {
		p := g.dial(telegram)
		ask := func(path string) int {
			p.send(request1("POST", path, body, SecretHeader+": "+secret))
			return p.answer().StatusCode
		}
		rt := Route{Bot: "two", Path: "/b c/d%2Fe", Secrets: func() []string { return []string{secret} }, Sink: g.sink}
		if err := g.s.Handle(rt); err == nil {
			t.Error("a path with a blank and escapes was accepted")
		}
		rt.Path = "/b%20c/d%2Fe"
		if err := g.s.Handle(rt); err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]int{"/b%20c/d%2Fe": 200, "/b%20c/d/e": 404, hookPath: 200} {
			if got := ask(path); got != want {
				t.Errorf("%s: %d, want %d", path, got, want)
			}
		}
		taken := rt
		taken.Bot = "three"
		if err := g.s.Handle(taken); !errors.Is(err, ErrRoute) || strings.Contains(err.Error(), "d%2Fe") {
			t.Errorf("taken path: %v", err)
		}
		rt.Path = "/moved"
		if err := g.s.Handle(rt); err != nil {
			t.Fatal(err)
		}
		if a, b := ask("/moved"), ask("/b%20c/d%2Fe"); a != 200 || b != 404 {
			t.Errorf("after the move: %d, %d", a, b)
		}
		if !g.s.Remove("two") || g.s.Remove("two") {
			t.Error("Remove")
		}
		if got := ask("/moved"); got != 404 {
			t.Errorf("after Remove: %d", got)
		}
		for _, bad := range []Route{
			{}, {Bot: "x"}, {Bot: "x", Path: "x", Secrets: rt.Secrets, Sink: g.sink}, {Bot: "x", Path: "/x?y", Secrets: rt.Secrets, Sink: g.sink},
			{Bot: "x", Path: "/%zz", Secrets: rt.Secrets, Sink: g.sink}, {Bot: "x", Path: "/x", Sink: g.sink}, {Bot: "x", Path: "/x", Secrets: rt.Secrets},
		} {
			var e *Error
			if err := g.s.Handle(bad); !errors.As(err, &e) || !errors.Is(err, ErrRoute) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
	})
}

func TestShutdown(t *testing.T) {
	slow := func(d time.Duration) func(context.Context, transport.Batch) (transport.Receipt, error) {
		return func(ctx context.Context, _ transport.Batch) (transport.Receipt, error) {
			select {
			case <-time.After(d):
				return transport.Receipt{}, nil
			case <-ctx.Done():
				return transport.Receipt{}, ctx.Err()
			}
		}
	}
	t.Run("lets requests end", func(t *testing.T) {
		inBubble(t, Options{}, nil, func(g *rig) {
			g.sink.accept = slow(5 * time.Second)
			quiet, busy := g.dial(telegram), g.dial(telegram)
			busy.send(post(body))
			synctest.Wait()
			start := time.Now()
			done := make(chan error)
			go func() { done <- g.stop() }()
			quiet.closed()
			if d := time.Since(start); d > 0 {
				t.Errorf("a quiet connection was closed after %v", d)
			}
			if resp := busy.answer(); resp.StatusCode != 200 {
				t.Errorf("status %d", resp.StatusCode)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			if d := time.Since(start); d < 5*time.Second || d > 6*time.Second {
				t.Errorf("Run returned after %v", d)
			}
			if _, err := g.net.Dial(g.t.Context(), "tcp", g.addr); err == nil {
				t.Error("still listening")
			}
			g.only()
		})
	})
	t.Run("cuts off what takes too long", func(t *testing.T) {
		inBubble(t, Options{}, nil, func(g *rig) {
			g.sink.accept = slow(40 * time.Second)
			p := g.dial(telegram)
			p.send(post(body))
			synctest.Wait()
			start := time.Now()
			if err := g.stop(); err != nil {
				t.Error(err)
			}
			if d := time.Since(start); d != DefaultShutdownTimeout {
				t.Errorf("Run returned after %v", d)
			}
			if o := g.only(); o.Cause != CauseStoreFailed {
				t.Errorf("outcome %+v", o)
			}
		})
	})
	t.Run("at once when idle", func(t *testing.T) {
		inBubble(t, Options{}, nil, func(g *rig) {
			g.dial(telegram).open()
			g.dial(telegram)
			synctest.Wait()
			start := time.Now()
			g.stop()
			if d := time.Since(start); d > 10*time.Millisecond {
				t.Errorf("Run returned after %v", d)
			}
			if err := g.s.Run(g.t.Context()); !errors.Is(err, ErrClosed) {
				t.Errorf("second Run: %v", err)
			}
		})
	})
	t.Run("by Close", func(t *testing.T) {
		inBubble(t, Options{}, nil, func(g *rig) {
			synctest.Wait()
			g.s.Close()
			g.s.Close()
			synctest.Wait()
			if _, err := g.net.Dial(g.t.Context(), "tcp", g.addr); err == nil {
				t.Error("still listening")
			}
		})
	})
}

func TestListenerLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ln net.Listener
		var g *rig
		wrap := func(l net.Listener) net.Listener { ln = l; return l }
		startRig(t, Options{WrapListener: wrap}, nil, func(rg *rig) {
			g = rg
			g.sink.accept = func(ctx context.Context, _ transport.Batch) (transport.Receipt, error) {
				<-ctx.Done()
				return transport.Receipt{}, ctx.Err()
			}
			p := g.dial(telegram)
			p.send(post(body))
			synctest.Wait()
			start := time.Now()
			ln.Close()
			synctest.Wait()
			if ev := g.events(); len(ev) != 1 || ev[0].Kind != ConnLost {
				t.Errorf("events %+v", ev)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			err := g.stop()
			g.stop = func() error { return nil }
			var e *Error
			if !errors.As(err, &e) || !errors.Is(err, ErrListenerLost) || e.Op != "accept" || e.Hint == "" {
				t.Errorf("Run: %v", err)
			}
			if d := time.Since(start); d != time.Second {
				t.Errorf("after %v", d)
			}
		})
	})
}
