package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"dualgram/cmd/dualgram/demo"
)

// stubDemo is the outcome of a demo that nobody played.
func stubDemo(ok bool) demo.Report {
	good := demo.Figures{Sent: 1000, Committed: 1000, Delivered: 1000, ByWebhook: 900, ByPolling: 100}
	r := demo.Report{
		Schema: demo.Schema, OK: ok, Problems: []string{}, Limit: 10, Slowest: 5.314, Took: 101.2,
		Settings: demo.Settings{Rate: 50, Chats: 40, HoldDown: 3},
		Setup:    demo.Setup{BotAPI: "http://127.0.0.1:1", Webhook: "https://bot.demo.test:2/webhook/demo", Bot: "http://127.0.0.1:3/updates"},
		Parts: []demo.Part{{Name: "before", Figures: demo.Figures{Sent: 9, Committed: 9, Delivered: 9, ByWebhook: 9}},
			{Name: "certificate", Title: "the served certificate expires", Fault: "tls.expired", Figures: good, Failover: 0.5},
			{Name: "black hole", Title: "the network swallows connections", Fault: "net.blackhole", Figures: good, Failover: 5.314}},
		Total:    demo.Figures{Sent: 2009, Committed: 2009, Delivered: 2009, ByWebhook: 1809, ByPolling: 200},
		Timeline: []demo.Line{{Act: "certificate", Title: "the served certificate expires", Kind: "fault_on", Since: 0, At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Text: "it's <expired>"}},
	}
	if !ok {
		r.Parts[1].Failover, r.Parts[2].Failover = 0, 12
		r.Parts[2].Lost, r.Parts[2].Delivered, r.Parts[2].OutOfOrder = 2, 998, 1
		r.Total.Lost, r.Total.Delivered, r.Total.OutOfOrder, r.Slowest = 2, 2007, 1, 12
		r.Problems = []string{"2 updates lost", "evil\x1b[2J"}
		r.Kept = "/tmp/dualgram-demo-1"
	}
	return r
}

// TestDemoJSON: one object on standard output, the story for people on standard
// error, and the exit code says the verdict.
func TestDemoJSON(t *testing.T) {
	for _, ok := range []bool{true, false} {
		var stdout, stderr bytes.Buffer
		a := &app{stdout: &stdout, stderr: &stderr, output: choice{value: "json"}, color: choice{value: "never"}}
		want := stubDemo(ok)
		err := a.demoDone(a.newDemoScreen(), want)
		if code := a.exit(err); code != map[bool]int{true: exitOK, false: exitNotOK}[ok] {
			t.Errorf("exit code %d, ok %v", code, ok)
		}
		var got map[string]any
		if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got["schema"] != "dualgram/demo/v1" || got["ok"] != ok || got["slowest_failover_s"] != want.Slowest || got["limit_s"] != 10.0 {
			t.Errorf("%v", got)
		}
		parts, _ := got["parts"].([]any)
		hole, _ := parts[2].(map[string]any)
		if len(parts) != 3 || hole["fault"] != "net.blackhole" || hole["sent"] != 1000.0 || hole["lost"] != float64(want.Parts[2].Lost) {
			t.Errorf("%v", parts)
		}
		lines, _ := got["timeline"].([]any)
		if l, _ := lines[0].(map[string]any); l["kind"] != "fault_on" || l["text"] != "it's <expired>" {
			t.Errorf("%v", lines)
		}
		if problems, _ := got["problems"].([]any); problems == nil || len(problems) != len(want.Problems) {
			t.Errorf("problems: %v", got["problems"])
		}
		if !strings.Contains(stderr.String(), "Verdict") {
			t.Errorf("standard error: %s", stderr.String())
		}
	}
}

func TestDemoScreen(t *testing.T) {
	for _, c := range []struct {
		name  string
		color bool
		width int
	}{{"plain", false, 0}, {"terminal", true, 60}} {
		var b bytes.Buffer
		p := &printer{w: &b, color: c.color}
		s := &demoScreen{p: p, width: c.width}
		s.started(demo.Setup{BotAPI: "http://127.0.0.1:1", Latency: [2]int{30, 90}, Webhook: "https://bot.demo.test:2/webhook/demo",
			Bot: "http://127.0.0.1:3/updates", Rate: 50, Chats: 40, Config: "/tmp/dualgram-demo-1/dualgram.yaml"})
		s.line(demo.Line{Act: "start", Kind: "start", Text: "traffic begins"})
		s.counted(demo.Counts{Webhook: 7, Pending: 1, Since: 0.2})
		for i, kind := range demo.Kinds() {
			s.line(demo.Line{Act: "x", Title: "something breaks", Kind: kind, Since: float64(i) * 1.25, Text: "what\x1b[2J happened"})
		}
		s.line(demo.Line{Act: "y", Title: "something else breaks", Kind: "fault_on", Text: "at once"})
		s.counted(demo.Counts{Webhook: 1000, Polling: 1000, Pending: 1_000_000, Since: 100})
		s.done()
		for _, ok := range []bool{true, false} {
			printVerdict(p, stubDemo(ok))
		}
		golden(t, "testdata/demo-"+c.name+".golden", strings.NewReplacer("\x1b", "^[", "\r", "^M").Replace(b.String()))
	}
	for _, kind := range demo.Kinds() {
		if demoLines[kind].label == "" {
			t.Errorf("%s has no label", kind)
		}
	}
	for kind := range demoLines {
		if !slices.Contains(demo.Kinds(), kind) {
			t.Errorf("%s is no kind of line", kind)
		}
	}
}

func TestDemoMisuse(t *testing.T) {
	for _, args := range [][]string{{"--rate", "0"}, {"--rate", "NaN"}, {"--rate", "1001"}, {"--chats", "0"}, {"--chats", "10001"}, {"more"}} {
		code, stdout, stderr := dualgram(nil, append([]string{"demo"}, args...)...)
		if code != exitMisuse || stdout != "" || !strings.Contains(stderr, "fix:") {
			t.Errorf("%v: %d %q %q", args, code, stdout, stderr)
		}
	}
	var f *failure
	dir := t.TempDir()
	a := &app{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, color: choice{value: "never"}}
	// The directory that holds the demo's own directory is not empty.
	if err := a.runDemo(t.Context(), demo.Options{Rate: 50, Chats: 40, Dir: dir, Log: dir}); !errors.As(err, &f) || f.code != exitFailed || f.fix == "" {
		t.Errorf("a log that is a directory: %v", err)
	}
}
