package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dualgram/cmd/dualgram/config"
)

// fence is a block of code in Markdown.
var fence = regexp.MustCompile("(?ms)^( *)```([a-z]*)\n(.*?)^ *```$")

func readme(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestReadmeCommands: each command of dualgram in the README is there, with its
// flags, and so is each target of make.
func TestReadmeCommands(t *testing.T) {
	text := readme(t)
	a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
	root := a.root()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	look := func(line string) {
		for _, c := range commands(line) {
			for len(c) > 0 && (c[0] == "sudo" || c[0] == "$" || strings.Contains(c[0], "=") && !strings.HasPrefix(c[0], "-")) {
				c = c[1:]
			}
			switch {
			case len(c) == 0:
			case c[0] == "dualgram" || c[0] == "bin/dualgram":
				n++
				if len(c) == 2 && c[1] == "--help" {
					continue
				}
				if len(c) > 1 && c[1] == "help" {
					if target, rest, err := root.Find(c[2:]); len(c) > 2 && c[2] != "man" && (err != nil || target == root && !strings.HasPrefix(c[2], "-") || len(rest) > 0 && !strings.HasPrefix(rest[0], "-")) {
						t.Errorf("%s: there is no such topic", line)
					}
					continue
				}
				if _, wrong := effectOf(root, c[1:]); wrong != "" {
					t.Errorf("%s: %s", line, wrong)
				}
			case c[0] == "make":
				n++
				for _, target := range c[1:] {
					if !strings.Contains(target, "=") && !regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(target)+`:`).Match(makefile) {
						t.Errorf("%s: there is no target %s", line, target)
					}
				}
			}
		}
	}
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		if m[2] != "" {
			continue
		}
		for line := range strings.Lines(strings.ReplaceAll(m[3], "\\\n", " ")) {
			line = strings.TrimSpace(line)
			// What a command printed may begin with the same word.
			if strings.Contains(m[3], "\n$ ") || strings.HasPrefix(m[3], "$ ") {
				if !strings.HasPrefix(line, "$ ") {
					continue
				}
			}
			line, _, _ = strings.Cut(line, "    #")
			look(strings.TrimPrefix(line, "$ "))
		}
	}
	for _, m := range regexp.MustCompile("`((?:dualgram|make|sudo) [^`]+)`").FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		look(strings.Join(strings.Fields(strings.NewReplacer(" …", "", " | ", " ", `NAME\|FILE`, "NAME").Replace(m[1])), " "))
	}
	if n < 60 {
		t.Errorf("only %d commands were looked at", n)
	}
}

// TestReadmeConfiguration: each piece of configuration in the README is understood.
func TestReadmeConfiguration(t *testing.T) {
	n := 0
	for _, m := range fence.FindAllStringSubmatch(readme(t), -1) {
		if m[2] != "yaml" || strings.Contains(m[3], "scrape_configs:") { // Prometheus' own
			continue
		}
		n++
		var text strings.Builder
		for line := range strings.Lines(m[3]) {
			text.WriteString(strings.TrimPrefix(line, m[1]))
		}
		whole := strings.HasPrefix(text.String(), "bots:")
		if !whole {
			// A piece stands beside a bot.
			text.WriteString("bots:\n  - name: orders\n    token_file: /t\n    webhook: off\n    deliver: {ndjson: {path: \"-\"}}\n")
		}
		path := filepath.Join(t.TempDir(), "dualgram.yaml")
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := config.Load(path, []string{"BOT_TOKEN=700000001:AAH-this-token-is-of-no-use-at-all-0"})
		var problems config.Errors
		if errors.As(err, &problems) {
			t.Errorf("%v\n%s", problems, m[3])
		}
	}
	if n < 4 {
		t.Errorf("only %d pieces of configuration", n)
	}
}

// TestReadmeLinks: what the README points to is there.
func TestReadmeLinks(t *testing.T) {
	text := readme(t)
	headings := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		id := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		headings["#"+strings.ReplaceAll(id, " ", "-")] = true
	}
	for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1) {
		switch to := m[1]; {
		case strings.HasPrefix(to, "#"):
			if !headings[to] {
				t.Errorf("there is no section %s", to)
			}
		case strings.Contains(to, "://"):
		default:
			if _, err := os.Stat(filepath.Join("../..", to)); err != nil {
				t.Error(err)
			}
		}
	}
	for _, m := range regexp.MustCompile("`(runbooks/[^`*]+)`").FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil {
			t.Error(err)
		}
	}
}

// TestShippedConfiguration: what lies in runbooks/deploy is understood, and its pieces
// fit together.
func TestShippedConfiguration(t *testing.T) {
	raw, err := os.ReadFile("../../runbooks/deploy/kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?ms)^  dualgram\.yaml: \|\n(.*?)^---$`).FindSubmatch(raw)
	if m == nil {
		t.Fatal("no configuration in the ConfigMap")
	}
	inMap := filepath.Join(t.TempDir(), "dualgram.yaml")
	if err := os.WriteFile(inMap, regexp.MustCompile(`(?m)^    `).ReplaceAll(m[1], nil), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{inMap, "../../runbooks/deploy/dualgram.yaml"} {
		cfg, err := config.Load(path, nil)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		for _, w := range cfg.Warnings {
			t.Errorf("%s: %s", path, w)
		}
	}
}
