package drill

import (
	"errors"
	"testing"
	"time"
)

func view(change ...func(*View)) *View {
	n := 7
	now := time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)
	v := &View{Facts: Facts{
		At: now, Mode: "webhook", Phase: "webhook", StandbyReady: true, Pending: &n, PendingSince: now.Add(-4 * time.Second),
		Warnings: []string{"blind", "on_standby"}, Signals: []string{"tls"}, Counts: Counts{ReceivedWebhook: 120, ReceivedPolling: 30, Lost: 5},
	}, Base: Counts{ReceivedWebhook: 100, Lost: 5}, Inject: now.Add(-20 * time.Second), Expected: []string{"on_standby"}}
	v.Timeline = Timeline{Inject: v.Inject, FirstPoll: v.Inject.Add(3 * time.Second)}
	for _, f := range change {
		f(v)
	}
	return v
}

func TestExpr(t *testing.T) {
	unknown := func(v *View) { v.Pending = nil }
	for _, c := range []struct {
		text   string
		change func(*View)
		want   Truth
	}{
		{text: `mode == "webhook"`, want: True},
		{text: `mode != 'webhook'`, want: False},
		{text: `"polling" == mode`, want: False},
		{text: `standby_ready`, want: True},
		{text: `not standby_ready`, want: False},
		{text: `standby_ready == true and trial == false`, want: True},
		{text: `pending < 7`, want: False},
		{text: `pending <= 7 and pending >= 7 and not pending > 7`, want: True},
		{text: `pending < 7.5`, want: True},
		{text: `oldest_pending_age == 4s`, want: True},
		{text: `oldest_pending_age > 1m30s`, want: False},
		{text: `oldest_waiting_age == 0s`, want: True},
		{text: `lost == 0 and received == 50 and received_polling == 30`, want: True},
		{text: `"blind" in warnings`, want: True},
		{text: `"blind" not in warnings`, want: False},
		{text: `not ("hole" in warnings)`, want: True},
		{text: `unexpected_warnings == 1 and warning_count == 2`, want: True},
		{text: `"tls" in signals`, want: True},
		{text: `switch_duration <= 10s`, want: True},
		{text: `fault_age == 20s`, want: True},
		{text: `detect_duration < 10s`, want: Unknown},
		// not binds tighter than and, and tighter than or.
		{text: `true or false and false`, want: True},
		{text: `(true or false) and false`, want: False},
		{text: `not false or true`, want: True},
		{text: `not (false or true)`, want: False},
		// What is not known is neither so nor not so.
		{text: `pending < 100`, change: unknown, want: Unknown},
		{text: `not pending < 100`, change: unknown, want: Unknown},
		{text: `pending < 100 or standby_ready`, change: unknown, want: True},
		{text: `pending < 100 and trial`, change: unknown, want: False},
		{text: `pending < 100 and standby_ready`, change: unknown, want: Unknown},
		{text: `trial or oldest_pending_age > 1s`, change: unknown, want: Unknown},
	} {
		x, err := ParseExpr(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		v := view()
		if c.change != nil {
			c.change(v)
		}
		if got := x.Eval(v); got != c.want {
			t.Errorf("%s is %d, want %d", c.text, got, c.want)
		}
	}
}

func TestExprErrors(t *testing.T) {
	for text, want := range map[string]string{
		``:                        `column 1: a name or a value is missing before the end`,
		`pendng < 5`:              `column 1: there is no pendng; did you mean pending?`,
		`pending`:                 `column 1: the expression is a number, not a condition; compare it with something`,
		`pending < 10s`:           `column 9: a number is compared with a duration; write a duration with its unit, such as 10s`,
		`oldest_pending_age > 60`: `column 20: a duration is compared with a number; write a duration with its unit, such as 10s`,
		`mode == "pollin"`:        `column 9: mode is never "pollin"; it is one of webhook, polling, none`,
		`mode < "webhook"`:        `column 6: a word has no order; use == or !=`,
		`mode = "webhook"`:        `column 6: there is no operator =; write ==`,
		`trial && frozen`:         `column 7: there is no operator &&; write and`,
		`1 < pending < 5`:         `column 13: comparisons can't be chained; write a < b and b < c`,
		`(trial`:                  `column 7: the parenthesis at column 1 is not closed; add )`,
		`trial)`:                  `column 6: ")" is not expected here; join conditions with and, or`,
		`mode == "webhook`:        `column 9: the quote is not closed; add "`,
		`warnings == "x"`:         `column 10: a list can't be compared; write "blind" in warnings`,
		`blind in warnings`:       ``,
		`pending in warnings`:     `column 9: in wants a word and a list, not a number and a list; write it like "blind" in warnings`,
		`trial and pending`:       `column 11: and joins conditions, and this is a number; compare it with something`,
		`not pending`:             `column 5: not wants a condition, and this is a number; compare it with something`,
		`pending < 5x`:            `column 11: "5x" is neither a number nor a duration; write numbers like 100 and durations like 10s, 1m30s, 500ms`,
		`pending < 1e3`:           `column 11: "1e3" is neither a number nor a duration; write numbers like 100 and durations like 10s, 1m30s, 500ms`,
		`pending < 5 ; true`:      `column 13: ';' means nothing here`,
		`true and`:                `column 9: a name or a value is missing before the end`,
		`frozen not held`:         `column 8: not is not expected here; write "x" not in warnings, or put not in front of the condition`,
		"ä" + `pending < 5`:       `column 1: 'ä' means nothing here`,
		`-1 < 2`:                  `column 1: '-' means nothing here`,
	} {
		_, err := ParseExpr(text)
		var e *ExprError
		if !errors.As(err, &e) {
			t.Errorf("%q: %v", text, err)
		} else if want != "" && err.Error() != want {
			t.Errorf("%q:\n got  %v\n want %s", text, err, want)
		}
	}
}

// FuzzExpr: no text makes the parser or an evaluation fail otherwise than by an
// ExprError.
func FuzzExpr(f *testing.F) {
	f.Add(`mode == "webhook" and not (pending > 5 or "x" in warnings)`)
	f.Add(`((((((((not not not trial`)
	f.Fuzz(func(t *testing.T, text string) {
		x, err := ParseExpr(text)
		var e *ExprError
		if err != nil && !errors.As(err, &e) {
			t.Fatal(err)
		}
		if err == nil {
			x.Eval(view())
			x.Eval(&View{})
			x.Values(view())
		}
	})
}
