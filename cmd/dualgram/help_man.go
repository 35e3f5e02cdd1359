package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// writeManual writes a page for each command into DIR/man1 and for each topic into
// DIR/man7, as man(1) looks for them.
func (a *app) writeManual(root *cobra.Command, dir string) error {
	pages := map[string]string{filepath.Join("man1", "dualgram.1"): manRoot(root)}
	for _, c := range commandsOf(root) {
		pages[filepath.Join("man1", manName(c)+".1")] = manCommand(c)
	}
	for _, c := range topicsOf(root) {
		pages[filepath.Join("man7", manName(c)+".7")] = manTopic(c)
	}
	for _, sub := range []string{"man1", "man7"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return couldNotRun("write the manual: "+err.Error(), "name another directory", err)
		}
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return couldNotRun("write the manual: "+err.Error(), "name another directory", err)
		}
	}
	p := a.printer(a.stdout)
	p.printf("%s %s in %s; read one with: man -M %s dualgram\n", p.paint(green, "written:"), plural(len(pages), "page"), oneLine(dir), oneLine(dir))
	return nil
}

func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// roff writes a manual page in the language of man(7).
type roff struct{ strings.Builder }

// escape keeps text from being a request or an escape.
func (roff) escape(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", `...`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

func (r *roff) line(format string, args ...any) { fmt.Fprintf(&r.Builder, format+"\n", args...) }

func (r *roff) head(name, section, short string) {
	v := version()
	date, _, _ := strings.Cut(v.RevisionAt, "T")
	r.line(`.TH "%s" "%s" "%s" "dualgram %s" "dualgram"`, strings.ToUpper(name), section, date, r.escape(v.Version))
	r.line(".SH NAME")
	r.line(`%s \- %s`, r.escape(name), r.escape(short))
}

// text writes paragraphs; what is indented stays as it is.
func (r *roff) text(s string) {
	for i, block := range strings.Split(strings.Trim(s, "\n"), "\n\n") {
		if i > 0 {
			r.line(".PP")
		}
		asIs := false
		for line := range strings.SplitSeq(strings.Trim(block, "\n"), "\n") {
			if indented := strings.HasPrefix(line, " "); indented != asIs {
				r.line("%s", map[bool]string{true: ".nf", false: ".fi"}[indented])
				asIs = indented
			}
			r.line("%s", r.escape(line))
		}
		if asIs {
			r.line(".fi")
		}
	}
}

func (r *roff) flags(title string, flags []helpFlag) {
	if len(flags) == 0 {
		return
	}
	r.line(".SH %s", title)
	for _, f := range flags {
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		r.line(".TP")
		if f.Type == "bool" {
			r.line(`\fB%s\fR`, r.escape(name))
		} else {
			r.line(`\fB%s\fR \fI%s\fR`, r.escape(name), r.escape(f.Type))
		}
		usage := f.Usage
		if f.Default != "" {
			usage += " (default " + f.Default + ")"
		}
		r.line("%s", r.escape(usage))
	}
}

func (r *roff) codes(codes []helpCode) {
	r.line(".SH EXIT STATUS")
	for _, c := range codes {
		r.line(".TP\n%d\n%s", c.Code, r.escape(c.Meaning))
	}
}

func (r *roff) see(names ...string) {
	r.line(".SH SEE ALSO")
	r.line("%s", strings.Join(names, ", "))
}

func manRoot(root *cobra.Command) string {
	var r roff
	r.head("dualgram", "1", root.Short)
	r.line(".SH SYNOPSIS\n\\fBdualgram\\fR \\fICOMMAND\\fR [\\fIFLAGS\\fR]")
	r.line(".SH DESCRIPTION")
	r.text(root.Long)
	r.line(".SH COMMANDS")
	for _, c := range commandsOf(root) {
		r.line(".TP\n\\fB%s\\fR(1)\n%s", r.escape(manName(c)), r.escape(c.Short))
	}
	r.flags("OPTIONS", flagsOf(root.PersistentFlags()))
	r.codes(exitCodes)
	var also []string
	for _, c := range topicsOf(root) {
		also = append(also, fmt.Sprintf(`\fB%s\fR(7)`, r.escape(manName(c))))
	}
	r.see(also...)
	return r.String()
}

func manCommand(c *cobra.Command) string {
	var r roff
	path := pathOf(c)
	r.head(manName(c), "1", c.Short)
	r.line(".SH SYNOPSIS\n\\fB%s\\fR", r.escape(c.UseLine()))
	r.line(".SH DESCRIPTION")
	long := c.Long
	if long == "" {
		long = c.Short + "."
	}
	r.text(long)
	r.line(".PP")
	r.line("%s", map[string]string{ro: "It changes nothing in a running dualgram.", rw: "It may change something; who, when and why is in the journal where a running dualgram is told."}[effects[path]])
	r.flags("OPTIONS", flagsOf(ownFlags(c)))
	r.flags("COMMON OPTIONS", flagsOf(c.Root().PersistentFlags()))
	if c.Example != "" {
		r.line(".SH EXAMPLES")
		r.text(" " + c.Example)
	}
	r.codes(append(append([]helpCode{}, exitCodes...), moreCodes[path]...))
	r.see(`\fBdualgram\fR(1)`)
	return r.String()
}

func manTopic(c *cobra.Command) string {
	var r roff
	r.head(manName(c), "7", c.Short)
	r.line(".SH DESCRIPTION")
	r.text(c.Long)
	r.see(`\fBdualgram\fR(1)`)
	return r.String()
}
