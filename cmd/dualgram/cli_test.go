package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it)\n--- got\n%s\n--- want\n%s", path, got, want)
	}
}

// dualgram runs the program in process.
func dualgram(env []string, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(args, env, strings.NewReader(""), &out, &err)
	return code, out.String(), err.String()
}

// TestScripts runs the command lines in testdata/cli/*.txt. A line "$ dualgram
// …" is a command, "env NAME=value" and "unset NAME" change its environment.
// The golden file repeats the script with what each command printed: standard
// error with "! " in front, and the exit code if it is not 0.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/cli/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var env []string
			var got strings.Builder
			for line := range strings.SplitSeq(strings.TrimRight(string(data), "\n"), "\n") {
				fmt.Fprintln(&got, line)
				word, rest, _ := strings.Cut(line, " ")
				switch word {
				case "env":
					env = append(env, rest)
				case "unset":
					env = slices.DeleteFunc(env, func(kv string) bool { return strings.HasPrefix(kv, rest+"=") })
				case "$":
					code, stdout, stderr := dualgram(env, strings.Fields(rest)[1:]...)
					if strings.Contains(stdout+stderr, "AAbbCC") {
						t.Errorf("%s shows the token", line)
					}
					got.WriteString(stdout)
					for l := range strings.Lines(stderr) {
						got.WriteString("! " + l)
					}
					if code != exitOK {
						fmt.Fprintf(&got, "[exit %d]\n", code)
					}
				default:
					t.Fatalf("what is %q?", line)
				}
			}
			golden(t, strings.TrimSuffix(path, ".txt")+".golden", got.String())
		})
	}
}

func TestHelpForEveryCommand(t *testing.T) {
	a := &app{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	for _, c := range a.root().Commands() {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short help %q", c.Name(), c.Short)
		}
		code, stdout, _ := dualgram(nil, c.Name(), "--help")
		if code != exitOK || !strings.Contains(stdout, "Usage:") && !c.IsAdditionalHelpTopicCommand() {
			t.Errorf("%s --help: %d %q", c.Name(), code, stdout)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, stdout, stderr := dualgram(nil, "completion", shell); code != exitOK || len(stdout) < 500 || stderr != "" {
			t.Errorf("%s: %d, %d bytes, %q", shell, code, len(stdout), stderr)
		}
	}
}
