package e2e_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"dualgram/chaos/telegramsim"
)

// The judge finds what is wrong with a record that it can't blame on anybody.
func TestJudge(t *testing.T) {
	w := newWorld(t)
	w.conf.Webhook = "off"
	p := w.run()
	for range 3 {
		for user := range int64(5) {
			w.push(user + 1)
		}
	}
	w.settle(20*time.Second, 0)
	p.stop()
	good := w.bot.record()
	user := func(x taken) string { _, rest, _ := strings.Cut(x.Body, `"chat":{`); return rest[:60] }
	next := func(i int) int { // the next of the same chat
		return i + 1 + slices.IndexFunc(good[i+1:], func(x taken) bool { return user(x) == user(good[i]) })
	}
	for _, c := range []struct {
		name   string
		deaths int
		plant  func(r []taken) []taken
		finds  string
	}{
		{"nothing", 0, func(r []taken) []taken { return r }, ""},
		{"a loss", 0, func(r []taken) []taken { return slices.Delete(r, 4, 5) }, "never reached the bot"},
		{"a double", 0, func(r []taken) []taken { return slices.Insert(r, 5, r[4]) }, "came 2 times"},
		{"a double after a death", 1, func(r []taken) []taken { return slices.Insert(r, 5, r[4]) }, ""},
		{"a late double after a death", 1, func(r []taken) []taken { return append(r, r[4]) }, "of the same queue"},
		{"two doubles in a lane", 1, func(r []taken) []taken {
			j := next(0)
			return slices.Insert(slices.Insert(r, j+1, r[j]), 1, r[0])
		}, "1 repeats in its lane are allowed"},
		{"an inversion", 0, func(r []taken) []taken { j := next(0); r[0], r[j] = r[j], r[0]; return r }, "of the same queue"},
		{"another body", 0, func(r []taken) []taken { r[3].Body += " "; return r }, "byte for byte"},
		{"a forgery", 0, func(r []taken) []taken { return append(r, taken{ID: 1, Attempt: 1, Source: "webhook"}) }, "never sent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := w.judge(w.botID, &sampleBot{taken: c.plant(slices.Clone(good))}, c.deaths)
			all := strings.Join(v.Problems, "\n")
			if c.finds == "" && all != "" || !strings.Contains(all, c.finds) {
				t.Errorf("found %q, want %q", all, c.finds)
			}
		})
	}
	// What Telegram lost on its side is found as well.
	id := must(w.sim.Push(w.botID, telegramsim.Update{User: 1, Text: "gone"}))
	if err := w.sim.ResetSeries(w.botID, 0); err != nil {
		t.Fatal(err)
	}
	if v := w.judge(w.botID, w.bot, 0); !strings.Contains(strings.Join(v.Problems, "\n"), fmt.Sprintf("update %d (message) ended as cleared", id)) {
		t.Errorf("an update that was cleared: %v", v.Problems)
	}
}

// The search for secrets finds them, in each form.
func TestVault(t *testing.T) {
	t.Parallel()
	v := &vault{}
	token := newToken()
	v.token(token)
	v.secret("S3cret-of-the-webhook")
	v.text("Private words, and \"quotes\" 🌸")
	_, key, _ := strings.Cut(token, ":")
	for _, text := range []string{
		"GET /bot" + token + "/getMe", url.QueryEscape(token), strings.Replace(token, ":", "%3a", 1), key,
		`{"secret":"S3cret-of-the-webhook"}`, `Private words, and "quotes" 🌸`, `{"x":"Private words, and \"quotes\" 🌸"}`,
		`{"message_id":5}`,
	} {
		if len(v.find("some text "+text+" around it")) == 0 {
			t.Errorf("not found: %s", text)
		}
	}
	if found := v.find(`{"level":"info","update_id":5,"error":"the bot answered 500"}`); len(found) != 0 {
		t.Errorf("found %v in an innocent line", found)
	}
}
