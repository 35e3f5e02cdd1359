package chaos

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHangNoticesThatTheClientLeft(t *testing.T) {
	bubble(t, "http.hang", func(t *testing.T) {
		var before, after time.Time
		r := newRig(t, rigOptions{setup: func(r *rig) {
			h := r.srv.Handler
			r.srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				before = time.Now()
				defer func() { after = time.Now() }()
				h.ServeHTTP(w, req)
			})
		}})
		r.inject(Spec{Kind: "http.hang", For: MaxLease})
		c := r.client()
		c.http.Timeout = 3 * time.Second
		if _, err := c.post(); !timesOut(0, err) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if after.Sub(before) != 3*time.Second || r.handled.Load() != 0 {
			t.Errorf("the handler stayed %v and handled %d", after.Sub(before), r.handled.Load())
		}
	})
}

func TestPathAndCombination(t *testing.T) {
	bubble(t, "path", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		r.inject(Spec{Kind: "http.status", Params: map[string]string{"path": "/webhook/other"}})
		r.inject(Spec{Kind: "http.slow", Delay: 2 * time.Second, Params: map[string]string{"path": "/webhook/orders"}})
		r.inject(Spec{Kind: "http.slow", Delay: 3 * time.Second})
		start := time.Now()
		wantOK(t, r.client(), "slowed twice")
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
		r.inject(Spec{Kind: "http.status", Params: map[string]string{"code": "502"}})
		if code, err := r.client().post(); code != 502 {
			t.Errorf("status %d, %v", code, err)
		}
	})
}

func TestAnswerLostHoldsBackFlushes(t *testing.T) {
	bubble(t, "flush", func(t *testing.T) {
		r := newRig(t, rigOptions{setup: func(r *rig) {
			r.srv.Handler = r.reg.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				rc := http.NewResponseController(w)
				if err := rc.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Errorf("deadline: %v", err)
				}
				w.WriteHeader(200)
				if err := rc.Flush(); err != nil {
					t.Errorf("flush: %v", err)
				}
			}))
		}})
		r.inject(Spec{Kind: "http.answer_lost"})
		if code, err := r.client().post(); code != 0 || err == nil {
			t.Errorf("an answer came through: %d, %v", code, err)
		}
	})
}

// A body is handed to the handler whole after the fault has held it.
func TestHeldBody(t *testing.T) {
	for _, size := range []int{0, 1, maxHeldBody - 1, maxHeldBody, maxHeldBody + 1, 3 * maxHeldBody} {
		body := bytes.Repeat([]byte("x"), size)
		req, _ := http.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		holdBody(req)
		if got, err := io.ReadAll(req.Body); len(got) != size || err != nil {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
	endless := &counter{}
	long, _ := http.NewRequest(http.MethodPost, "/", endless)
	holdBody(long)
	if endless.n > maxHeldBody {
		t.Errorf("read %d bytes of an endless body", endless.n)
	}
	torn := errors.New("torn")
	req, _ := http.NewRequest(http.MethodPost, "/", io.MultiReader(bytes.NewReader([]byte("half")), errReader{torn}))
	holdBody(req)
	if got, err := io.ReadAll(req.Body); string(got) != "half" || !errors.Is(err, torn) {
		t.Errorf("got %q, %v", got, err)
	}
}

type counter struct{ n int }

func (c *counter) Read(p []byte) (int, error) {
	if c.n += len(p); c.n > 10*maxHeldBody {
		return 0, io.EOF
	}
	return len(p), nil
}

// A fault of one chat, or of some update_ids, hits these and no others, each time.
func TestChatAndNth(t *testing.T) {
	bubble(t, "chat and nth", func(t *testing.T) {
		reg := newRegistry(t, Options{})
		h := reg.Handler(okHandler())
		post := func(body string) int {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/webhook", strings.NewReader(body)))
			return w.Code
		}
		bodies := map[string]int64{ // body → chat
			`{"update_id":6,"message":{"from":{"id":42},"chat":{"id":42,"type":"private"}}}`:         42,
			`{"update_id":7,"callback_query":{"message":{"chat":{"id":-100}},"data":"\"chat\":42"}}`: -100,
			`{"update_id":9,"inline_query":{"query":"chat"}}`:                                        0,
			`{"update_id":12,"message":{"text":"chat","chat":{"id":7}}}`:                             7,
			`{"update_id":9,`: 0,
			`[]`:              0,
		}
		for _, chat := range []int64{42, -100, 7} {
			l, err := reg.Inject(Spec{Kind: "http.status", Params: map[string]string{"chat": strconv.FormatInt(chat, 10)}})
			if err != nil {
				t.Fatal(err)
			}
			for body, of := range bodies {
				if code := post(body); (code == 500) != (of == chat) {
					t.Errorf("fault of chat %d: %s is answered with %d", chat, body, code)
				}
			}
			l.End()
		}
		l, err := reg.Inject(Spec{Kind: "http.status", Params: map[string]string{"nth": "3"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []int{1, 2, 3, 3, 4, 300, 301} {
			if code := post(fmt.Sprintf(`{"update_id":%d}`, id)); (code == 500) != (id%3 == 0) {
				t.Errorf("update %d is answered with %d", id, code)
			}
		}
		if l.Fired() != 3 {
			t.Errorf("fired %d times", l.Fired())
		}
		if _, err := reg.Inject(Spec{Kind: "net.reset", Params: map[string]string{"chat": "42"}}); !errors.Is(err, ErrSpec) {
			t.Errorf("a chat beneath HTTP: %v", err)
		}
	})
}
