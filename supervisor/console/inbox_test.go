package console

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// fakeInbox says what it was asked.
type fakeInbox struct{ said *string }

func (f fakeInbox) Lanes(_ context.Context, bot string, limit int) (InboxLanes, error) {
	*f.said = fmt.Sprint("lanes ", bot, " ", limit)
	return InboxLanes{}, nil
}

func (f fakeInbox) Find(_ context.Context, bot, id string) (Updates, error) {
	*f.said = "find " + bot + " " + id
	return Updates{}, nil
}

func (f fakeInbox) Dead(_ context.Context, bot, after string, limit int) (DeadLetters, error) {
	*f.said = fmt.Sprint("dead ", bot, " ", after, " ", limit)
	return DeadLetters{}, nil
}

func (f fakeInbox) Quarantine(_ context.Context, bot string, after uint64, limit int) (Quarantined, error) {
	*f.said = fmt.Sprint("quarantine ", bot, " ", after, " ", limit)
	return Quarantined{}, nil
}

func (f fakeInbox) Settle(_ context.Context, o SettleOrder) (Settled, error) {
	*f.said = fmt.Sprintf("%s %s %v %v %s", o.What, o.Bot, o.IDs, o.All, o.Reason)
	return Settled{}, nil
}

func (f fakeInbox) Reveal(_ context.Context, bot, id string, quarantine bool, _ Caller, reason string) ([]byte, error) {
	*f.said = fmt.Sprint("reveal ", bot, " ", id, " ", quarantine, " ", reason)
	return []byte("raw"), nil
}

func TestInboxRoutes(t *testing.T) {
	said := ""
	h := (&Server{o: Options{Status: fakeStatus{}, More: InboxRoutes(fakeInbox{&said})}}).Handler()
	const base = "/v1/bots/a"
	for _, c := range []struct {
		method, path, body string
		code               int
		want               string // what was asked, or a part of the refusal
	}{
		{"GET", "/inbox", "", 200, "lanes a 100"},
		{"GET", "/inbox?limit=1000", "", 200, "lanes a 1000"},
		{"GET", "/inbox?limit=1001", "", 400, "limit is not"},
		{"GET", "/inbox/3:17", "", 200, "find a 3:17"},
		{"GET", "/dead?after=3:17&limit=2", "", 200, "dead a 3:17 2"},
		{"GET", "/quarantine?after=5", "", 200, "quarantine a 5 100"},
		{"GET", "/quarantine?after=-1", "", 400, "after is not"},
		{"POST", "/dead/retry", `{"ids":["1","2"]}`, 200, "dead_retry a [1 2] false "},
		{"POST", "/dead/retry", `{"all":true,"reason":" why "}`, 200, "dead_retry a [] true why"},
		{"POST", "/dead/retry", `{}`, 400, "which ones?"},
		{"POST", "/dead/retry", `{"all":true,"ids":["1"]}`, 400, "which ones?"},
		{"POST", "/dead/drop", `{"ids":["1"]}`, 400, "a reason is needed"},
		{"POST", "/dead/drop", `{"ids":["1"],"reason":"spam"}`, 200, "dead_drop a [1] false spam"},
		{"POST", "/quarantine/drop", `{"all":true,"reason":"junk"}`, 200, "quarantine_drop a [] true junk"},
		{"POST", "/quarantine/drop", `{"all":true,"reason":"junk","x":1}`, 400, "not understood"},
		{"POST", "/inbox/1/reveal", `{"reason":"look"}`, 200, "reveal a 1 false look"},
		{"POST", "/quarantine/7/reveal", "", 200, "reveal a 7 true "},
		{"GET", "/inbox/1/reveal", "", 404, "no such resource"},
	} {
		said = ""
		r := httptest.NewRequest(c.method, base+c.path, strings.NewReader(c.body))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		got := said
		if w.Code != 200 {
			got = w.Body.String()
			if said != "" {
				t.Errorf("%s %s: refused, and done: %s", c.path, c.body, said)
			}
		}
		if w.Code != c.code || w.Code == 200 && got != c.want || !strings.Contains(got, c.want) {
			t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.path, c.body, w.Code, got, c.code, c.want)
		}
	}
}

// Message text leaves over the unix socket only.
func TestRevealNotOverTCP(t *testing.T) {
	said := ""
	o := Options{Socket: t.TempDir() + "/s", Status: fakeStatus{}, More: InboxRoutes(fakeInbox{&said}), TCP: &TCPOptions{Listen: "127.0.0.1:0", Token: testToken}}
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() { cancel(); <-done }()
	post := func(c *http.Client, url string) int {
		req, _ := http.NewRequest("POST", url, nil)
		req.Header.Set("Authorization", "Bearer "+testToken)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, path := range []string{"/v1/bots/a/inbox/1/reveal", "/v1/bots/a/quarantine/1/reveal"} {
		if code := post(web, "http://"+s.TCPAddr().String()+path); code != 403 || said != "" {
			t.Errorf("%s over TCP: %d %s", path, code, said)
		}
		if code := post(client(o.Socket), "http://dualgram"+path); code != 200 || said == "" {
			t.Errorf("%s over the socket: %d %s", path, code, said)
		}
		said = ""
	}
}
