package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dualgram/supervisor/console"
)

// Every command says what it may change, and nothing is said of one twice.
func TestEveryCommandHasAnEffect(t *testing.T) {
	code, stdout, stderr := dualgram(nil, "help", "--json")
	var h help
	if err := json.Unmarshal([]byte(stdout), &h); err != nil || code != exitOK || stderr != "" || h.Schema != "dualgram/help/v1" {
		t.Fatalf("%d %v %s", code, err, stderr)
	}
	seen := map[string]helpCommand{}
	for _, c := range h.Commands {
		if c.Effect != ro && c.Effect != rw {
			t.Errorf("dualgram %s: no effect: add it to effects", c.Command)
		}
		if c.Short == "" || c.Flags == nil || c.ExitCodes == nil || seen[c.Command].Command != "" {
			t.Errorf("%+v", c)
		}
		for _, f := range c.Flags {
			if f.Name == "" || f.Usage == "" || f.Type == "" {
				t.Errorf("dualgram %s: %+v", c.Command, f)
			}
		}
		seen[c.Command] = c
	}
	for _, name := range []string{"status", "inbox", "inbox dead retry", "drill run", "config print", "completion bash", "help"} {
		if seen[name].Command == "" {
			t.Errorf("dualgram %s is not among them", name)
		}
	}
	if seen["config"].Command != "" || seen["inbox dead"].Command != "" {
		t.Error("a group is told as a command")
	}
	var codes []int
	for _, c := range seen["drill run"].ExitCodes {
		codes = append(codes, c.Code)
	}
	if !slices.Equal(codes, []int{4, 5, 6, 130}) || len(h.ExitCodes) != 4 || len(h.Topics) < 5 {
		t.Errorf("%v %v %d topics", codes, h.ExitCodes, len(h.Topics))
	}
	i := slices.IndexFunc(seen["inbox show"].Flags, func(f helpFlag) bool { return f.Name == "bot" })
	if i < 0 || seen["inbox show"].Flags[i].Type != "name" {
		t.Errorf("inbox show has no --bot: %+v", seen["inbox show"].Flags)
	}
}

func TestTopics(t *testing.T) {
	for _, name := range []string{"exit-codes", "configuration", "environment", "security", "modes"} {
		code, stdout, stderr := dualgram(nil, "help", name)
		if code != exitOK || len(stdout) < 300 || stderr != "" || strings.Contains(stdout, "Usage:") {
			t.Errorf("help %s: %d %q %q", name, code, stdout, stderr)
		}
		for line := range strings.Lines(stdout) {
			if len([]rune(line)) > 96 {
				t.Errorf("help %s: a line of %d: %s", name, len(line), line)
			}
		}
	}
	if _, stdout, _ := dualgram(nil, "--help"); !strings.Contains(stdout, "Additional help topics:") || !strings.Contains(stdout, "dualgram security") {
		t.Errorf("the topics are not listed:\n%s", stdout)
	}
}

func TestManual(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man")
	code, stdout, stderr := dualgram(nil, "help", "man", dir)
	if code != exitOK || !strings.Contains(stdout, "pages in "+dir) {
		t.Fatalf("%d %s%s", code, stdout, stderr)
	}
	for _, name := range []string{"man1/dualgram.1", "man1/dualgram-inbox-dead-retry.1", "man7/dualgram-security.7"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "man?", "*"))
	known := []string{".TH", ".SH", ".TP", ".PP", ".nf", ".fi"}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		if !strings.HasPrefix(text, ".TH ") || strings.Count(text, ".nf\n") != strings.Count(text, ".fi\n") {
			t.Errorf("%s begins with %.40q, or what is as it is does not end", file, text)
		}
		for line := range strings.Lines(text) {
			if request, _, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(line, ".") && !slices.Contains(known, request) || strings.HasPrefix(line, "'") {
				t.Errorf("%s: %s", file, line)
			}
		}
	}
	if code, _, _ := dualgram(nil, "help", "man"); code != exitMisuse {
		t.Errorf("without a directory: %d", code)
	}
}

// The shell is offered the running bots, drills, kinds and pages.
func TestCompletions(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	host := &fakeHost{status: console.Status{Bots: []console.Bot{{Name: "orders", Phase: "polling"}, {Name: "news"}}}}
	stop := host.run(t, socket)
	env := []string{"DUALGRAM_CONTROL_SOCKET=" + socket}
	offered := func(args ...string) string {
		_, stdout, _ := dualgram(env, append([]string{"__complete"}, args...)...)
		return stdout
	}
	for _, c := range []struct{ args, want string }{
		{"status --bot ", "orders\tpolling\nnews\n"}, {"inbox dead retry --bot ", "orders\tpolling\n"}, {"switch ", "polling\n"}, {"drill run black", "black-hole\t"},
		{"events --kind ", "handover\n"}, {"runbook foreign_w", "foreign_webhook\t"}, {"log level ", "debug\n"}, {"help secu", "security\t"}, {"-o ", "json\n"},
	} {
		if got := offered(strings.Split(c.args, " ")...); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.args, got, c.want)
		}
	}
	stop()
	env = append(env, "DUALGRAM_BOTS_LATER_TOKEN=x", "DUALGRAM_CONFIG=testdata/cli/good.yaml")
	if got := offered("status", "--bot", ""); !strings.Contains(got, "orders\n") {
		t.Errorf("from the configuration: %q", got)
	}
}

func TestColumns(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "日本": 4, "e\u0301": 1, "a\u200db": 2, "🙂": 2, "ｆｕｌｌ": 8, "…": 1} {
		if got := columns(s); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
	var b strings.Builder
	(&printer{w: &b}).table([]cell{text("日本"), text("x")}, []cell{text("abcd"), text("x")})
	lines := strings.Split(b.String(), "\n")
	if columns(lines[0]) != columns(lines[1]) {
		t.Errorf("not aligned:\n%s", b.String())
	}
}

// Help with a command that there isn't is not the help of its group.
func TestHelpOfNoCommand(t *testing.T) {
	for _, args := range [][]string{{"why", "--help"}, {"--help", "why"}, {"drill", "why", "-h"}} {
		code, out, errs := dualgram(nil, args...)
		if code != exitMisuse || out != "" || !strings.Contains(errs, `unknown command "why"`) {
			t.Errorf("%q: %d %.60q %s", args, code, out, errs)
		}
	}
	for _, args := range [][]string{{"--help"}, {"drill", "--help"}, {"drill", "run", "black-hole", "--help"}, {"inbox", "--help"}, {"help", "drill"}} {
		if code, out, errs := dualgram(nil, args...); code != exitOK || !strings.Contains(out, "Usage:") || errs != "" {
			t.Errorf("%q: %d %.60q %s", args, code, out, errs)
		}
	}
}
