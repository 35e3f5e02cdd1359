package console

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// fakeFaults notes what it is asked.
type fakeFaults struct {
	got   *FaultOrder
	ended *uint64
	err   error
}

func (f fakeFaults) Chaos(context.Context) (Chaos, error) {
	return Chaos{Kinds: []FaultKind{{Kind: "a"}}}, f.err
}
func (f fakeFaults) Inject(_ context.Context, o FaultOrder) (Fault, error) {
	*f.got = o
	return Fault{ID: 3}, f.err
}
func (f fakeFaults) Renew(_ context.Context, id uint64, _ Caller) (Fault, error) {
	return Fault{ID: id}, f.err
}
func (f fakeFaults) Fault(_ context.Context, id uint64) (Fault, error) { return Fault{ID: id}, f.err }
func (f fakeFaults) End(_ context.Context, id uint64, _ Caller) (FaultsEnded, error) {
	*f.ended = id
	return FaultsEnded{}, f.err
}

func faultCall(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

// An order without an end or a reason, and one that is not understood, never
// reaches whoever carries it out.
func TestFaultOrderRefused(t *testing.T) {
	var got FaultOrder
	h := (&Server{o: Options{Status: fakeStatus{}, Faults: fakeFaults{got: &got}}}).Handler()
	for body, want := range map[string]string{
		``:                                        "which fault?",
		`{"kind":"a","reason":"x"}`:               "for how long?",
		`{"kind":"a","for_s":0,"reason":"x"}`:     "for how long?",
		`{"kind":"a","for_s":-1,"reason":"x"}`:    "numbers of seconds",
		`{"kind":"a","for_s":1e300,"reason":"x"}`: "numbers of seconds",
		`{"kind":"a","for_s":1,"lease_s":-6,"reason":"x"}`:    "numbers of seconds",
		`{"kind":"a","for_s":1}`:                              "a reason is needed",
		`{"kind":"a","for_s":1,"reason":"a\nb"}`:              "not one line",
		`{"kind":"a","for_s":1,"reason":"x","forever":true}`:  "unknown field",
		`{"kind":"a","for_s":1,"reason":"x","schema":"b/v1"}`: "the body's schema",
		`{"kind":"a","for_s":1,"reason":"x"} {}`:              "something follows",
	} {
		if w := faultCall(h, "POST", "/v1/chaos/faults", body); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	if got.Kind != "" {
		t.Errorf("carried out: %+v", got)
	}
	for _, path := range []string{"/v1/chaos/faults/0", "/v1/chaos/faults/x", "/v1/chaos/faults/-1"} {
		if w := faultCall(h, "DELETE", path, ""); w.Code != 400 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestFaultRoutes(t *testing.T) {
	var got FaultOrder
	var ended uint64
	h := (&Server{o: Options{Status: fakeStatus{}, Faults: fakeFaults{got: &got, ended: &ended}}}).Handler()
	w := faultCall(h, "POST", "/v1/chaos/faults", `{"kind":"a","for_s":90,"lease_s":6,"share":0.5,"count":3,"delay_s":0.25,"seed":7,"params":{"code":"502"},"bot":"orders","reason":" why ","schema":"dualgram/fault-order/v1"}`)
	if w.Code != 200 || got.Kind != "a" || got.For != 90*time.Second || got.Lease != 6*time.Second || got.Share != 0.5 || got.Count != 3 ||
		got.Delay != 250*time.Millisecond || got.Seed != 7 || got.Params["code"] != "502" || got.Bot != "orders" || got.Reason != "why" {
		t.Errorf("%d %s %+v", w.Code, w.Body, got)
	}
	for _, c := range []struct{ method, path, schema string }{
		{"GET", "/v1/chaos", SchemaChaos}, {"GET", "/v1/chaos/faults/3", SchemaFault}, {"POST", "/v1/chaos/faults/3/renew", SchemaFault},
		{"DELETE", "/v1/chaos/faults/3", SchemaFaultsEnded}, {"DELETE", "/v1/chaos/faults", SchemaFaultsEnded},
	} {
		w := faultCall(h, c.method, c.path, "")
		var named struct{ Schema string }
		if json.Unmarshal(w.Body.Bytes(), &named) != nil || w.Code != 200 || named.Schema != c.schema || strings.Contains(w.Body.String(), `:null`) && c.schema != SchemaFault {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
		none := (&Server{o: Options{Status: fakeStatus{}}}).Handler()
		if w := faultCall(none, c.method, c.path, ""); w.Code != 501 {
			t.Errorf("%s %s without faults: %d", c.method, c.path, w.Code)
		}
		over := (&Server{o: Options{Status: fakeStatus{}, Faults: fakeFaults{ended: &ended, err: &Failure{Code: CodeEnded, Message: "over"}}}}).Handler()
		if w := faultCall(over, c.method, c.path, ""); w.Code != 404 || !strings.Contains(w.Body.String(), `"code":"ended"`) {
			t.Errorf("%s %s, over: %d %s", c.method, c.path, w.Code, w.Body)
		}
	}
	if ended != 0 {
		t.Errorf("the last one was all, not %d", ended)
	}
}
