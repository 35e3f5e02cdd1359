package page

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"dualgram/supervisor/console"
)

// control is the page with actions, for one who has logged in.
func (f *fixture) control() http.Handler {
	return f.page().Control(func(r *http.Request) console.Caller {
		return console.Caller{User: console.TokenUser, UID: -1, Remote: "127.0.0.1:50000"}
	})
}

const filled = "bot=orders&for=600&reason=new+proxy&name=Ann"

// A form is answered with what would happen; only its confirmation does it, under the
// name of whoever it was.
func TestActionsNeedConfirmation(t *testing.T) {
	for do, command := range map[string]string{"switch_polling": console.SwitchPolling, "switch_webhook": console.SwitchWebhook, "hold": console.HoldMode,
		"switch_auto": console.SwitchAuto, "ack": console.AckFreeze} {
		f := newFixture(time.Now())
		h := f.control()
		w := get(h, "POST", "/act", filled, "do="+do)
		body := w.Body.String()
		if w.Code != 200 || !strings.Contains(body, "Polling stays until") || !strings.Contains(body, "Polling could not take over") || !strings.Contains(body, `action="/confirm"`) {
			t.Fatalf("%s: %d %s", do, w.Code, body)
		}
		if len(f.orders) != 1 || !f.orders[0].DryRun || f.orders[0].Command != command {
			t.Fatalf("%s, not confirmed: %+v", do, f.orders)
		}
		w = get(h, "POST", "/confirm", filled, "do="+do)
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/?done=1#done" {
			t.Fatalf("%s: %d %v %s", do, w.Code, w.Header(), w.Body)
		}
		o := f.orders[1]
		timed := do != "switch_auto" && do != "ack"
		if o.DryRun || o.Bot != "orders" || o.Command != command || o.Reason != "new proxy" || (o.For == 10*time.Minute) != timed ||
			o.By != (console.Caller{User: "page (Ann)", UID: -1, Remote: "127.0.0.1:50000"}) {
			t.Errorf("%s: %+v", do, o)
		}
		if out := get(h, "GET", "/?done=1").Body.String(); !strings.Contains(out, `id="done"`) || !strings.Contains(out, "done.</strong> Polling stays until") {
			t.Errorf("%s: the result is not shown", do)
		}
	}
}

func TestDrillActions(t *testing.T) {
	f := newFixture(time.Now())
	h := f.control()
	if w := get(h, "POST", "/act", filled, "do=drill&experiment=black-hole"); w.Code != 200 || len(f.drills) != 1 || !f.drills[0].DryRun {
		t.Errorf("%d %+v", w.Code, f.drills)
	}
	if w := get(h, "POST", "/confirm", filled, "do=drill&experiment=black-hole"); w.Code != 303 || len(f.drills) != 2 || f.drills[1].DryRun ||
		f.drills[1].Experiment != "black-hole" || f.drills[1].By.User != "page (Ann)" || f.drills[1].Reason != "new proxy" {
		t.Errorf("%d %+v", w.Code, f.drills)
	}
	for _, do := range []string{"halt", "resume"} {
		if w := get(h, "POST", "/act", filled, "do="+do); w.Code != 200 {
			t.Errorf("%s: %d", do, w.Code)
		}
		if w := get(h, "POST", "/confirm", filled, "do="+do); w.Code != 303 {
			t.Errorf("%s: %d", do, w.Code)
		}
	}
	if got := strings.Join(f.levers, "; "); got != "halt page (Ann) from 127.0.0.1:50000: new proxy; resume page (Ann) from 127.0.0.1:50000: new proxy" {
		t.Error(got)
	}
}

// What is not filled in rightly, or refused, is said with what to do, and does
// nothing.
func TestActionsRefused(t *testing.T) {
	for form, want := range map[string]string{
		"":                              "There is no such action",
		"do=rm&bot=orders":              "There is no such action",
		"do=hold&bot=orders&name=Ann":   "A reason is needed",
		"do=hold&bot=orders&reason=x":   "Your name is missing",
		"do=hold&reason=x&name=A%0AB":   "Your name is missing",
		"do=hold&reason=a%0Ab&name=Ann": "The reason is not one line",
		"do=hold&reason=x&name=Ann&for=1e9&bot=orders":             "The time is not understood",
		"do=hold&reason=x&name=Ann&for=-1&bot=orders":              "The time is not understood",
		"do=hold&reason=x&name=Ann&for=99999999999&bot=a":          "The time is not understood",
		"do=drill&reason=x&name=Ann&bot=orders":                    "Which drill?",
		"do=switch_polling&reason=x&name=Ann&bot=nobody":           "There is no bot nobody",
		"do=hold&reason=" + strings.Repeat("x", 501) + "&name=Ann": "The reason is not one line",
		"do=hold&name=" + strings.Repeat("x", 20000):               "The form can&#39;t be read",
	} {
		for _, path := range []string{"/act", "/confirm"} {
			f := newFixture(time.Now())
			w := get(f.control(), "POST", path, form)
			if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), want) || strings.Contains(w.Body.String(), `action="/confirm"`) {
				t.Errorf("%s %.60s: %d, without %q", path, form, w.Code, want)
			}
			for _, o := range f.orders {
				if o.Bot == "orders" {
					t.Errorf("%s %.60s: ordered %+v", path, form, o)
				}
			}
		}
	}
}

// Another site's page can't act, wherever the page is mounted.
func TestActionsOfAnotherSite(t *testing.T) {
	for _, header := range []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"} {
		f := newFixture(time.Now())
		r := httptest.NewRequest("POST", "/confirm", strings.NewReader(filled+"&do=hold"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
		w := httptest.NewRecorder()
		f.control().ServeHTTP(w, r)
		if w.Code != http.StatusForbidden || len(f.orders) > 0 {
			t.Errorf("%s: %d, %v", header, w.Code, f.orders)
		}
	}
}

// A token that is pasted into the wrong field goes nowhere.
func TestActionsRedact(t *testing.T) {
	f := newFixture(time.Now())
	token := "70000001:AAabcdefghijklmnopqrstuvwxyz01"
	h := f.control()
	form := "bot=orders&do=hold&reason=is+it+" + token + "&name=" + token
	for _, path := range []string{"/act", "/confirm", "/?done=1"} {
		method := "POST"
		if path[1] == '?' {
			method = "GET"
		}
		if w := get(h, method, path, form); strings.Contains(w.Body.String(), token) || w.Code >= 400 {
			t.Errorf("%s: %d, or it holds the token", path, w.Code)
		}
	}
	for _, o := range f.orders {
		if strings.Contains(o.Reason+o.By.String(), token) {
			t.Errorf("%+v", o)
		}
	}
}

// The results are bounded, and the latest are there.
func TestResults(t *testing.T) {
	var r results
	for range 3 * keptResults {
		r.add(result{What: "x"})
	}
	if len(r.all) != keptResults || r.get("150") == nil || r.get("100") != nil || r.get("") != nil || r.get("-1") != nil {
		t.Errorf("%d kept", len(r.all))
	}
}
