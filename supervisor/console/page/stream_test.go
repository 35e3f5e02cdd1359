package page

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/supervisor/console"
)

// counted is a fixture that counts how often it is asked.
type counted struct {
	*fixture
	mu    sync.Mutex
	asked int
}

func (c *counted) Status(ctx context.Context) (console.Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	return c.fixture.Status(ctx)
}

// change changes the status that is told from now on.
func (c *counted) change(f func(*fixture)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c.fixture)
}

func (c *counted) times() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// watcher is a client of the stream: what is written to it can be read, or it hangs.
type watcher struct {
	head   http.Header
	in     *io.PipeWriter
	code   int
	done   chan struct{} // closed when the handler has returned
	cancel context.CancelFunc

	mu       sync.Mutex
	deadline time.Time
	hangs    bool
}

func (w *watcher) Header() http.Header { return w.head }
func (w *watcher) WriteHeader(code int) {
	w.code = code
}
func (w *watcher) Flush() {}
func (w *watcher) SetWriteDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = t
	return nil
}

func (w *watcher) Write(b []byte) (int, error) {
	w.mu.Lock()
	hangs, deadline := w.hangs, w.deadline
	w.mu.Unlock()
	if hangs {
		time.Sleep(time.Until(deadline))
		return 0, os.ErrDeadlineExceeded
	}
	return w.in.Write(b)
}

// heard is one event that a watcher has read.
type heard struct {
	id   int
	name string
	change
}

// watch opens a stream; what it says comes from the channel. Comments are events
// without a name.
func watch(t *testing.T, p *Page) (*watcher, <-chan heard) {
	t.Helper()
	r, in := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watcher{head: http.Header{}, in: in, code: 200, done: make(chan struct{}), cancel: cancel}
	go func() {
		p.stream(w, httptest.NewRequestWithContext(ctx, "GET", "/events", nil))
		in.Close()
		close(w.done)
	}()
	out := make(chan heard, 1000)
	go func() {
		defer close(out)
		var h heard
		sc := bufio.NewScanner(r)
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			key, value, _ := strings.Cut(sc.Text(), ": ")
			switch key {
			case "id":
				h.id, _ = strconv.Atoi(value)
			case "event":
				h.name = value
			case "data":
				if err := json.Unmarshal([]byte(value), &h.change); err != nil {
					t.Errorf("%v: %.100s", err, value)
				}
			case "":
				if strings.HasPrefix(sc.Text(), ":") || h.name != "" {
					out <- h
				}
				h = heard{}
			}
		}
	}()
	return w, out
}

// streaming runs a page in a bubble of its own.
func streaming(t *testing.T, f func(t *testing.T, p *Page, c *counted, stop func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &counted{fixture: newFixture(time.Now())}
		p := c.page()
		p.o.Status = c
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { p.Run(ctx); close(done) }()
		stop := func() { cancel(); <-done }
		defer stop()
		f(t, p, c, stop)
	})
}

// next is the next event, within the time.
func next(t *testing.T, in <-chan heard, most time.Duration) heard {
	t.Helper()
	select {
	case h, ok := <-in:
		if !ok {
			t.Fatal("the stream has ended")
		}
		return h
	case <-time.After(most):
		t.Fatalf("nothing within %v", most)
	}
	return heard{}
}

// First everything, then what has changed, numbered in order; a change is told within
// a second and a bit, and only what has changed.
func TestStreamOrder(t *testing.T) {
	streaming(t, func(t *testing.T, p *Page, c *counted, _ func()) {
		c.change(func(f *fixture) { // nothing flows, so that nothing changes
			f.intake = map[string]console.Intake{}
		})
		w, in := watch(t, p)
		hello := next(t, in, time.Second)
		if hello.name != "hello" || hello.Boot == "" || len(hello.Regions) != len(pageRegions)+2*len(botRegions) || !strings.Contains(hello.Regions["b0-head"], "by polling") {
			t.Fatalf("%s %d regions", hello.name, len(hello.Regions))
		}
		if w.head.Get("Content-Type") != "text/event-stream" {
			t.Errorf("%v", w.head)
		}
		time.Sleep(2 * time.Second)
		for len(in) > 0 {
			<-in
		}
		last := hello.id
		for i, phase := range []string{"to_webhook", "webhook", "polling"} {
			c.change(func(f *fixture) { f.status.Bots[0].Phase, f.status.Bots[0].Mode = phase, modeOf(phase) })
			for {
				h := next(t, in, 2*time.Second)
				if h.name == "" {
					continue
				}
				if h.id <= last || h.name != "patch" {
					t.Fatalf("event %d %q after %d", h.id, h.name, last)
				}
				last = h.id
				if strings.Contains(h.Regions["b0-head"], headline(console.Bot{Phase: phase})) {
					if _, other := h.Regions["b1-head"]; other || len(h.Regions) > 5 {
						t.Errorf("change %d tells of %d regions", i, len(h.Regions))
					}
					if !strings.Contains(h.Regions["announce"], headline(console.Bot{Phase: phase})) {
						t.Errorf("a change of mode is not announced: %v", h.Regions["announce"])
					}
					break
				}
			}
		}
		w.cancel()
		<-w.done
	})
}

// A quiet stream is told from a dead one, and nobody is asked for what nobody sees.
func TestStreamHeartbeat(t *testing.T) {
	streaming(t, func(t *testing.T, p *Page, c *counted, _ func()) {
		time.Sleep(time.Minute)
		if n := c.times(); n != 0 {
			t.Errorf("asked %d times while nobody looked on", n)
		}
		c.change(func(f *fixture) { f.intake, f.status.Faults = map[string]console.Intake{}, nil })
		w, in := watch(t, p)
		next(t, in, time.Second)
		beats, patches := 0, 0
		for end := time.Now().Add(33 * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
			for len(in) > 0 {
				if h := <-in; h.name == "" {
					beats++
				} else {
					patches++
				}
			}
		}
		if beats != 2 || patches > 1 { // the minute may turn
			t.Errorf("%d heartbeats and %d patches in half a minute in which nothing happens", beats, patches)
		}
		w.cancel()
		<-w.done
		n := c.times()
		time.Sleep(time.Minute)
		if c.times() > n+1 {
			t.Errorf("asked %d times after the last one had gone", c.times()-n)
		}
	})
}

// A client that doesn't read is dropped; the others notice nothing.
func TestStreamSlowClient(t *testing.T) {
	streaming(t, func(t *testing.T, p *Page, c *counted, _ func()) {
		slow, _ := watch(t, p)
		good, in := watch(t, p)
		next(t, in, time.Second)
		synctest.Wait()
		slow.mu.Lock()
		slow.hangs = true
		slow.mu.Unlock()
		began := time.Now()
		go func() { // something changes all the time
			for i := range 20 {
				c.change(func(f *fixture) { f.status.Bots[0].Waiting = int64(100 + i) })
				time.Sleep(time.Second)
			}
		}()
		<-slow.done
		if d := time.Since(began); d > patience+2*time.Second {
			t.Errorf("dropped after %v", d)
		}
		patches := 0
		for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
			for len(in) > 0 {
				if h := <-in; h.name == "patch" {
					patches++
				}
			}
		}
		if patches < 7 {
			t.Errorf("the other one got %d patches in 8 s", patches)
		}
		good.cancel()
		<-good.done
		time.Sleep(time.Minute)
	})
}

// Who joins doesn't keep a change from those who are there already.
func TestStreamJoin(t *testing.T) {
	streaming(t, func(t *testing.T, p *Page, c *counted, _ func()) {
		a, in := watch(t, p)
		next(t, in, time.Second)
		time.Sleep(every / 2)
		c.change(func(f *fixture) { f.status.Bots[0].Waiting = 4321 })
		b, other := watch(t, p) // between the change and the next tick
		if h := next(t, other, time.Second); !strings.Contains(h.Regions["b0-figures"], "4321") {
			t.Error("the new one is told something old")
		}
		if h := next(t, in, 2*every); !strings.Contains(h.Regions["b0-figures"], "4321") {
			t.Errorf("the other one is told %v", h.Regions)
		}
		for _, w := range []*watcher{a, b} {
			w.cancel()
			<-w.done
		}
	})
}

// What waits for a client is bounded: one whose goroutine doesn't come to writing is
// dropped, too.
func TestStreamBacklog(t *testing.T) {
	streaming(t, func(t *testing.T, p *Page, c *counted, _ func()) {
		cl, full, err := p.join(t.Context())
		if full || err != nil {
			t.Fatal(full, err)
		}
		began := time.Now()
		for i := range backlog + 3 {
			c.change(func(f *fixture) { f.status.Bots[0].Waiting = int64(100 + i) })
			time.Sleep(every)
		}
		select {
		case <-cl.gone:
		default:
			t.Errorf("after %v there wait %d messages, and it is still there", time.Since(began), len(cl.messages))
		}
		if len(cl.messages) > backlog {
			t.Errorf("%d messages wait", len(cl.messages))
		}
	})
}

// At the end the streams end at once, and no other begins.
func TestStreamShutdown(t *testing.T) {
	streaming(t, func(t *testing.T, p *Page, _ *counted, stop func()) {
		a, in := watch(t, p)
		b, _ := watch(t, p)
		next(t, in, time.Second)
		synctest.Wait()
		began := time.Now()
		stop()
		<-a.done
		<-b.done
		if d := time.Since(began); d > 0 {
			t.Errorf("the streams ended %v after the page", d)
		}
		late, _ := watch(t, p)
		<-late.done
		if late.code != http.StatusServiceUnavailable {
			t.Errorf("a stream after the end: %d", late.code)
		}
		for range in {
		}
	})
}

// Only so many may look on; when one goes there is a place.
func TestStreamBound(t *testing.T) {
	streaming(t, func(t *testing.T, p *Page, _ *counted, _ func()) {
		var all []*watcher
		for range p.o.MaxClients {
			w, in := watch(t, p)
			next(t, in, time.Second)
			all = append(all, w)
		}
		more, _ := watch(t, p)
		<-more.done
		if more.code != http.StatusServiceUnavailable || more.head.Get("Retry-After") == "" {
			t.Errorf("one too many: %d %v", more.code, more.head)
		}
		all[0].cancel()
		<-all[0].done
		again, in := watch(t, p)
		next(t, in, time.Second)
		for _, w := range append(all[1:], again) {
			w.cancel()
			<-w.done
		}
	})
}

// What can't be read is no reason to end, and told once it can.
func TestStreamTrouble(t *testing.T) {
	streaming(t, func(t *testing.T, p *Page, c *counted, _ func()) {
		c.change(func(f *fixture) { f.err = errors.New("the disk is gone") })
		w, _ := watch(t, p)
		<-w.done
		if w.code != http.StatusServiceUnavailable {
			t.Errorf("%d", w.code)
		}
		c.change(func(f *fixture) { f.err = nil })
		w, in := watch(t, p)
		next(t, in, time.Second)
		c.change(func(f *fixture) { f.err = errors.New("the disk is gone") })
		time.Sleep(5 * time.Second)
		c.change(func(f *fixture) { f.err = nil; f.status.Bots[0].Waiting = 777 })
		for {
			if h := next(t, in, 2*time.Second); strings.Contains(h.Regions["b0-figures"], "777") {
				break
			}
		}
		w.cancel()
		<-w.done
	})
}
