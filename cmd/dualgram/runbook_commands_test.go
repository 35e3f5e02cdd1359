package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"dualgram/runbooks"
	"dualgram/supervisor"

	"github.com/spf13/cobra"
)

// TestFencesThatNeedMore: what a test can't run is marked, and seldom.
func TestFencesThatNeedMore(t *testing.T) {
	all, marked := 0, 0
	for _, p := range runbooks.List() {
		for _, f := range p.Fences {
			all++
			if f.Needs != "" {
				marked++
			}
		}
	}
	t.Logf("%d of %d fences need what a test hasn't", marked, all)
	if marked*10 > all {
		t.Errorf("%d of %d fences are not run: at most one in ten", marked, all)
	}
}

// TestCommands: each command of dualgram on a page, and each of its flags, is there,
// and is marked as reading or changing.
func TestCommands(t *testing.T) {
	a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
	root := a.root()
	n := 0
	for _, p := range runbooks.List() {
		for _, m := range inline.FindAllStringSubmatch(p.Markdown, -1) {
			n++
			if _, err := effectOf(root, words(m[1])[1:]); err != "" {
				t.Errorf("%s: %s: %s", p.Path(), m[1], err)
			}
		}
		for _, f := range p.Fences {
			effect := runbooks.ReadOnly
			for _, command := range commands(f.Code) {
				switch command[0] {
				case "dualgram":
					n++
					e, err := effectOf(root, command[1:])
					if err != "" {
						t.Errorf("%s, %s: %q: %s", p.Path(), f.Name, command, err)
					}
					if e == runbooks.ReadWrite {
						effect = e
					}
				case "systemctl", "kubectl", "mv", "cp", "install", "rm":
					if !slices.Contains(command, "status") && !slices.Contains(command, "get") {
						effect = runbooks.ReadWrite
					}
				}
			}
			if f.Effect != effect {
				t.Errorf("%s, %s: marked %s, and it is %s", p.Path(), f.Name, f.Effect, effect)
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d commands were looked at", n)
	}
}

// effectOf resolves a command line, and says what is wrong with it.
func effectOf(root *cobra.Command, args []string) (runbooks.Effect, string) {
	cmd, rest, err := root.Find(args)
	if err != nil || cmd == root || cmd.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") && cmd.Name() != "inbox" {
		return "", "there is no such command"
	}
	dry := false
	for i, w := range rest {
		if w == "--kind" && i+1 < len(rest) {
			for k := range strings.SplitSeq(rest[i+1], ",") {
				if !slices.Contains(supervisor.EventKinds(), k) {
					return "", "there is no kind of event " + k
				}
			}
		}
		name, isFlag := strings.CutPrefix(w, "-")
		if !isFlag || name == "" {
			continue
		}
		cmd.InitDefaultHelpFlag()
		if long, ok := strings.CutPrefix(name, "-"); ok {
			long, _, _ = strings.Cut(long, "=")
			if cmd.Flag(long) == nil {
				return "", "there is no flag --" + long
			}
			dry = dry || long == "dry-run"
		} else if cmd.Flags().ShorthandLookup(name[:1]) == nil && cmd.InheritedFlags().ShorthandLookup(name[:1]) == nil {
			return "", "there is no flag -" + name
		}
	}
	if dry { // then it changes nothing, whatever it is
		return runbooks.ReadOnly, ""
	}
	return runbooks.Effect(effects[pathOf(cmd)]), ""
}

// commands splits a block into its simple commands. It knows quotes, and of the
// shell's grammar only what the pages use.
func commands(code string) (out [][]string) {
	var now []string
	end := func() {
		if len(now) > 0 {
			out = append(out, now)
			now = nil
		}
	}
	for line := range strings.Lines(strings.ReplaceAll(code, "\\\n", " ")) {
		for _, w := range words(line) {
			switch w {
			case "|", "||", "&&", ";", "!":
				end()
			default:
				now = append(now, w)
			}
		}
		end()
	}
	return out
}

func words(line string) []string {
	line, _, _ = strings.Cut(strings.TrimSpace(line), " # ")
	return word.FindAllString(line, -1)
}
