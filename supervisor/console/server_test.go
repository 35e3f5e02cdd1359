package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/memnet"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fakeStatus struct {
	st  Status
	err error
}

func (f fakeStatus) Status(context.Context) (Status, error) {
	return f.st, f.err
}

type fakeEvents struct{ list []Event }

func (f fakeEvents) Events(_ context.Context, q EventsQuery) (Events, error) {
	var out Events
	var next uint64
	if q.After != nil {
		next = *q.After
	}
	for _, e := range f.list {
		if e.Seq > next && len(out.Events) < q.Limit {
			out.Events = append(out.Events, e)
			next = e.Seq
		}
	}
	out.Next = &next
	return out, nil
}

func client(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
}

// running runs a server; stop ends it and returns what Run returned.
func running(t *testing.T, o Options) (stop func() error) {
	t.Helper()
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() error { cancel(); return <-done }
}

func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	stop := running(t, Options{Socket: path, Status: fakeStatus{st: Status{Version: "v1"}}})
	st, err := os.Lstat(path)
	if err != nil || st.Mode().Type() != fs.ModeSocket || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	resp, err := client(path).Get("http://dualgram/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" || !strings.Contains(string(body), `"version":"v1"`) {
		t.Errorf("%s %s", resp.Status, body)
	}
	// Somebody answers: it is not taken over.
	if _, err := Listen(Options{Socket: path, Status: fakeStatus{}}); !errors.Is(err, ErrInUse) {
		t.Errorf("a second one: %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the socket is still there")
	}
}

func TestStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	stop := running(t, Options{Socket: path, Status: fakeStatus{}})
	resp, err := client(path).Get("http://dualgram/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestNothingElseIsRemoved(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, dir} {
		_, err := Listen(Options{Socket: path, Status: fakeStatus{}})
		var se *SocketError
		if !errors.Is(err, ErrNotSocket) || !errors.As(err, &se) || se.Hint == "" {
			t.Errorf("%s: %v", path, err)
		}
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "precious" {
		t.Error(string(data), err)
	}
	for _, path := range []string{filepath.Join(dir, "no", "dir"), filepath.Join(dir, strings.Repeat("x", 120))} {
		_, err := Listen(Options{Socket: path, Status: fakeStatus{}})
		var se *SocketError
		if !errors.As(err, &se) || se.Hint == "" {
			t.Errorf("%s: %v", path, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A successor that replaced the socket keeps it.
func TestStopLeavesASuccessorAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	stop := running(t, Options{Socket: path, Status: fakeStatus{}})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	stop2 := running(t, Options{Socket: path, Status: fakeStatus{}})
	if err := stop(); err != nil {
		t.Error(err)
	}
	if resp, err := client(path).Get("http://dualgram/v1/status"); err != nil {
		t.Error("the successor's socket is gone:", err)
	} else {
		resp.Body.Close()
	}
	if err := stop2(); err != nil {
		t.Error(err)
	}
}

// slowStatus answers after a while.
type slowStatus time.Duration

func (d slowStatus) Status(context.Context) (Status, error) {
	time.Sleep(time.Duration(d))
	return Status{Version: "late"}, nil
}

// A request in progress is finished on stop, but not waited for without end.
func TestStop(t *testing.T) {
	for _, c := range []struct {
		request, stopped time.Duration
		answered         bool
	}{{3 * time.Second, 4 * time.Second, true}, {time.Hour, 5 * time.Second, false}} {
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New()
			l, err := n.Listen("127.0.0.1:80")
			if err != nil {
				t.Fatal(err)
			}
			s := &Server{o: Options{Status: slowStatus(c.request), StopTimeout: 5 * time.Second}}
			s.http = httpServer(s.Handler())
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- s.serve(ctx, l) }()
			got := make(chan string, 1)
			go func() {
				cl := &http.Client{Transport: &http.Transport{DialContext: n.Dial, DisableKeepAlives: true}}
				resp, err := cl.Get("http://127.0.0.1/v1/status")
				if err != nil {
					got <- err.Error()
					return
				}
				defer resp.Body.Close()
				b, _ := io.ReadAll(resp.Body)
				got <- string(b)
			}()
			synctest.Wait()
			start := time.Now()
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took > c.stopped {
				t.Errorf("stopped after %v", took)
			}
			if body := <-got; strings.Contains(body, "late") != c.answered {
				t.Errorf("the request got %q", body)
			}
			time.Sleep(2 * time.Hour) // what Close leaves behind in net/http ends
		})
	}
}

func TestOptions(t *testing.T) {
	if _, err := Listen(Options{Status: fakeStatus{}}); err == nil {
		t.Error("no socket")
	}
	if _, err := Listen(Options{Socket: "/x"}); err == nil {
		t.Error("no provider")
	}
	s, err := Listen(Options{Socket: filepath.Join(t.TempDir(), "s"), Status: fakeStatus{}})
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if _, err := os.Lstat(s.o.Socket); err == nil {
		t.Error("Close left the socket")
	}
}

func ask(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRoutes(t *testing.T) {
	events := fakeEvents{list: []Event{{Seq: 3, Kind: "a", Data: json.RawMessage(`{"x":1}`)}, {Seq: 5, Kind: "b"}, {Seq: 9, Kind: "c"}}}
	extra := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	s := &Server{o: Options{Status: fakeStatus{st: Status{Bots: []Bot{{LastHandover: &Handover{}}}}}, Events: events, More: []Route{{"POST /v1/tea", "Brew", "", "-", extra}}}}
	h := s.Handler()
	for _, c := range []struct {
		method, target string
		code           int
		want           string
	}{
		{"GET", "/v1/status", 200, `"schema":"dualgram/status/v1"`},
		{"GET", "/v1/status", 200, `"signals":[],"warnings":[]`},
		{"GET", "/v1/status", 200, `"steps":[]`},
		{"GET", "/v1/status", 200, `"pending_at_telegram":null`},
		{"GET", "/v1/events", 200, `"next":9`},
		{"GET", "/v1/events", 200, `"data":{"x":1}`},
		{"GET", "/v1/events?after=3&limit=1", 200, `"next":5`},
		{"GET", "/v1/events?after=9", 200, `"events":[],"next":9`},
		{"GET", "/v1/events?after=-1", 400, "after is not"},
		{"GET", "/v1/events?limit=0", 400, "limit is not"},
		{"GET", "/v1/events?limit=1001", 400, "limit is not"},
		{"POST", "/v1/tea", 418, ""},
		{"GET", "/v2/status", 404, `"fix":`},
		{"GET", "/v1/nothing", 404, `"code":"no_resource"`},
		{"GET", "/v1", 200, `{"method":"POST","path":"/v1/tea","effect":"rw","response":"-","doc":"Brew"}`},
		{"POST", "/v1/status", 404, "no such resource: POST /v1/status"},
	} {
		w := ask(h, c.method, c.target)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.target, w.Code, w.Body, c.code, c.want)
		}
	}
	s.o.Status, s.o.Events = fakeStatus{err: errors.New("it broke")}, nil
	h = s.Handler()
	if w := ask(h, "GET", "/v1/status"); w.Code != 500 || !strings.Contains(w.Body.String(), "it broke") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(h, "GET", "/v1/events"); w.Code != 501 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// The provider's data is not written to.
func TestStatusIsNotChanged(t *testing.T) {
	h := &Handover{}
	s := &Server{o: Options{Status: fakeStatus{st: Status{Bots: []Bot{{LastHandover: h}}}}}}
	ask(s.Handler(), "GET", "/v1/status")
	if h.Steps != nil {
		t.Error("the provider's handover was changed")
	}
}
