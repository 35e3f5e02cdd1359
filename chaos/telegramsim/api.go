package telegramsim

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// call is one Bot API call in progress. Exactly one answer is sent to done.
type call struct {
	method  string
	args    map[string]string
	files   map[string][]byte
	done    chan *answer // cap 1; nil: the connection is dropped
	foreign bool
	entry   int // index in the bot's calls + 1
	sent    bool
}

// answer is the envelope of an answer.
type answer struct {
	code        int
	result      json.RawMessage
	description string
	retryAfter  int
	html        bool
}

func okay(result any, description string) *answer {
	b, err := json.Marshal(result)
	if err != nil {
		panic(fmt.Sprintf("telegramsim: result: %v", err)) // our own types only
	}
	return &answer{code: 200, result: b, description: description}
}

func failure(code int, description string) *answer {
	return &answer{code: code, description: description}
}

// tooMany is a 429.
func tooMany(after int) *answer {
	return &answer{code: 429, description: "Too Many Requests: retry after " + strconv.Itoa(after), retryAfter: after}
}

// answer settles a call. The lock is held.
func (b *bot) answer(c *call, a *answer) {
	if c.sent {
		return
	}
	c.sent = true
	if c.entry > 0 {
		e := &b.calls[c.entry-1]
		e.Answered = time.Now()
		if a != nil {
			e.Code, e.Description = a.code, a.description
		}
	}
	c.done <- a
}

// conflict answers 409: at once if it is the first in three seconds, else three
// seconds late (Client.cpp:16238-16251).
func (b *bot) conflict(c *call, description string) {
	b.counters.Conflicts++
	a := failure(409, description)
	if now := time.Now(); !now.Before(b.calm) {
		b.calm = now.Add(3 * time.Second)
		b.answer(c, a)
		return
	}
	b.s.timer(3*time.Second, func() { b.answer(c, a) })
}

// ServeHTTP answers Bot API calls: /bot<token>/<method>.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.Path, "/bot")
	token, method, found := strings.Cut(rest, "/")
	if !ok || !found || method == "" || strings.Contains(method, "/") {
		write(w, failure(404, "Not Found"))
		return
	}
	method = strings.ToLower(method)
	args, files, err := parseParams(r)
	if err != nil {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	c := &call{method: method, args: args, files: files, done: make(chan *answer, 1)}

	s.lock()
	b := s.tokens[token]
	before, after := s.latency(token, method)
	var f *Fault
	if b != nil {
		f = s.fault(b.id, method)
	}
	down := time.Now().Before(s.downTil)
	s.unlock()

	ctx := r.Context()
	if !s.pause(s.ctx, before) { // what was sent arrives, whether the client waits or not
		drop(w, false)
	}
	if down {
		write(w, &answer{code: 502, html: true})
		return
	}
	if f != nil && !s.strike(ctx, w, f) {
		return
	}
	s.lock()
	if b = s.tokens[token]; b == nil {
		s.unlock()
		if _, ok := tokenID(token); ok {
			write(w, failure(401, "Unauthorized"))
		} else {
			write(w, failure(401, "Unauthorized: invalid token specified"))
		}
		return
	}
	b.do(c)
	s.unlock()

	var a *answer
	select {
	case a = <-c.done:
	case <-ctx.Done(): // who is gone is not taken off the slot: it stays parked
		drop(w, false)
	case <-s.ctx.Done():
	}
	if a == nil {
		drop(w, false)
	}
	if !s.pause(ctx, after) {
		drop(w, false)
	}
	if f != nil && f.Kind == FaultLose {
		drop(w, true)
	}
	if f != nil && f.Kind == FaultLoseHang {
		s.hang(ctx, w)
	}
	write(w, a)
}

// latency draws from a generator of the bot's and method's own, so that calls
// which come at the same instant, in whatever order, get the same latencies each
// time.
func (s *Sim) latency(token, method string) (before, after time.Duration) {
	lo, hi := s.knobs.Latency, s.knobs.LatencyMax
	if hi <= lo {
		return lo / 2, lo - lo/2
	}
	key := token + "/" + method
	g := s.lags[key]
	if g == nil {
		h := fnv.New64a()
		h.Write([]byte(key))
		g = rand.New(rand.NewPCG(s.o.Seed, h.Sum64()))
		s.lags[key] = g
	}
	d := lo + time.Duration(g.Int64N(int64(hi-lo)+1))
	return d / 2, d - d/2
}

// strike carries out a fault and reports whether the call goes on.
func (s *Sim) strike(ctx context.Context, w http.ResponseWriter, f *Fault) bool {
	while := ctx
	if f.Kind == FaultLate || f.Kind == FaultLose || f.Kind == FaultLoseHang {
		while = s.ctx
	}
	if !s.pause(while, f.Delay) {
		drop(w, false)
	}
	switch f.Kind {
	case FaultTooMany:
		write(w, tooMany(max(f.RetryAfter, 1)))
	case FaultError:
		code, text := f.Code, f.Description
		if code == 0 {
			code = 500
		}
		if text == "" {
			text = http.StatusText(code)
		}
		a := failure(code, text)
		a.retryAfter = f.RetryAfter
		write(w, a)
	case FaultHTML:
		write(w, &answer{code: max(f.Code, 0), html: true})
	case FaultHang:
		s.hang(ctx, w)
	case FaultReset:
		drop(w, true)
	default:
		return true
	}
	return false
}

// hang waits until the client or the server goes.
func (s *Sim) hang(ctx context.Context, w http.ResponseWriter) {
	select {
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
	drop(w, false)
}

// drop ends the connection without an answer: with a FIN, or with a RST. It
// does not return.
func drop(w http.ResponseWriter, reset bool) {
	if reset {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
				conn = t.NetConn()
			}
			if l, ok := conn.(interface{ SetLinger(int) error }); ok {
				_ = l.SetLinger(0)
			}
			_ = conn.Close()
		}
	}
	panic(http.ErrAbortHandler)
}

// write sends an answer (Query.h:195-235, HttpConnection.cpp:66-88).
func write(w http.ResponseWriter, a *answer) {
	h := w.Header()
	if a.html {
		code := a.code
		if code == 0 {
			code = 502
		}
		body := fmt.Sprintf("<html>\r\n<head><title>%d %s</title></head>\r\n<body>\r\n<center><h1>%d %s</h1></center>\r\n<hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>\r\n",
			code, http.StatusText(code), code, http.StatusText(code))
		h.Set("Content-Type", "text/html")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
		return
	}
	var b []byte
	if a.code == 200 {
		b = append(b, `{"ok":true,"result":`...)
		b = append(b, a.result...)
		if a.description != "" {
			b = append(append(b, `,"description":`...), quote(a.description)...)
		}
	} else {
		b = fmt.Appendf(b, `{"ok":false,"error_code":%d,"description":%s`, a.code, quote(a.description))
		if a.retryAfter > 0 {
			b = fmt.Appendf(b, `,"parameters":{"retry_after":%d}`, a.retryAfter)
			h.Set("Retry-After", strconv.Itoa(a.retryAfter))
		}
	}
	b = append(b, '}')
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Connection", "keep-alive")
	w.WriteHeader(a.code)
	_, _ = w.Write(b)
}

func quote(s string) []byte {
	b, _ := json.Marshal(s)
	return b
}
