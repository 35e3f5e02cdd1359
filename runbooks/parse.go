package runbooks

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// markdown is the dialect of the pages: CommonMark with tables.
var markdown = goldmark.New(goldmark.WithExtensions(extension.Table))

// frontMatter is what stands between the two lines of dashes.
type frontMatter struct {
	Summary  string     `yaml:"summary"`
	Alert    string     `yaml:"alert"`
	Severity []Severity `yaml:"severity"`
	Auto     string     `yaml:"auto"`
	Drill    string     `yaml:"drill"`
	Fault    string     `yaml:"fault"`
	NoDrill  string     `yaml:"no_drill"`
}

// parse reads a page. drill says that it is one of drills/.
func parse(name string, drill bool, source string) (*Page, error) {
	head, body, err := split(source)
	if err != nil {
		return nil, err
	}
	var m frontMatter
	if err := yaml.UnmarshalWithOptions([]byte(head), &m, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("front matter: %w", err)
	}
	p := &Page{Name: name, Kind: Task, Alert: m.Alert, Summary: m.Summary, Severities: m.Severity, Auto: m.Auto,
		Drill: m.Drill, Fault: m.Fault, NoDrill: m.NoDrill, Markdown: body}
	switch {
	case drill:
		p.Kind, p.Drill = Drill, name
	case m.Alert != "":
		p.Kind = Alert
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("front matter: %w", err)
	}
	return p, p.read()
}

// split parts the front matter from the rest.
func split(source string) (head, body string, err error) {
	rest, ok := strings.CutPrefix(source, "---\n")
	if !ok {
		return "", "", errors.New("the first line is not ---")
	}
	head, body, ok = strings.Cut(rest, "\n---\n")
	if !ok {
		return "", "", errors.New("the front matter has no end")
	}
	return head, strings.TrimLeft(body, "\n"), nil
}

// check holds the front matter to what its kind of page needs.
func (p *Page) check() error {
	if p.Summary == "" || strings.ContainsAny(p.Summary, "\n") {
		return errors.New("summary is needed, in one line")
	}
	if p.Kind != Alert {
		if len(p.Severities) > 0 || p.Auto != "" || p.Fault+p.NoDrill != "" || p.Alert != "" || p.Kind == Task && p.Drill != "" {
			return errors.New("alert, severity, auto, drill, fault and no_drill are for the pages of alerts")
		}
		return nil
	}
	if len(p.Severities) == 0 {
		return errors.New("severity is needed")
	}
	for _, s := range p.Severities {
		if !slices.Contains([]Severity{Info, Warning, Critical}, s) {
			return fmt.Errorf("severity %q is none of info, warning, critical", s)
		}
	}
	if !slices.Contains([]string{"yes", "partly", "no"}, p.Auto) {
		return fmt.Errorf("auto is yes, partly or no, not %q", p.Auto)
	}
	if len(slices.DeleteFunc([]string{p.Drill, p.Fault, p.NoDrill}, func(s string) bool { return s == "" })) != 1 {
		return errors.New("one of drill, fault, and no_drill with the reason, is needed")
	}
	return nil
}

// read fills in what the Markdown says.
func (p *Page) read() error {
	source := []byte(p.Markdown)
	doc := markdown.Parser().Parse(text.NewReader(source))
	var problems []error
	from := -1 // where the text of the last section begins
	closeSection := func(end int) {
		if from >= 0 {
			p.Sections[len(p.Sections)-1].Text = strings.TrimSpace(p.Markdown[from:end])
		}
	}
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			lines := n.Lines()
			at := lines.At(0)
			start := strings.LastIndexByte(p.Markdown[:at.Start], '\n') + 1
			title := strings.TrimSpace(string(lines.Value(source)))
			switch {
			case n.Level == 1 && p.Title == "":
				p.Title = title
			case n.Level == 1:
				problems = append(problems, fmt.Errorf("a second title, %q", title))
			case n.Level == 2:
				closeSection(start)
				from = at.Stop
				p.Sections = append(p.Sections, Section{Title: title})
			}
		case *ast.FencedCodeBlock:
			if err := p.fence(n, source); err != nil {
				problems = append(problems, err)
			}
		case *ast.Link:
			p.Links = append(p.Links, string(n.Destination))
		}
		return ast.WalkContinue, nil
	})
	closeSection(len(p.Markdown))
	if p.Title == "" {
		problems = append(problems, errors.New("no title"))
	}
	return errors.Join(append(problems, err)...)
}

// fence takes in one fenced block: a command, or what the one before it prints.
func (p *Page) fence(n *ast.FencedCodeBlock, source []byte) error {
	info := ""
	if n.Info != nil {
		info = string(n.Info.Segment.Value(source))
	}
	lang, rest, _ := strings.Cut(info, " ")
	attr, err := attributes(rest)
	if err != nil {
		return fmt.Errorf("fence %q: %w", info, err)
	}
	code := string(n.Lines().Value(source))
	number := func(key string, otherwise int) int {
		s, ok := attr[key]
		if !ok {
			return otherwise
		}
		v, e := strconv.Atoi(s)
		if e != nil {
			err = fmt.Errorf("fence %q: %s is no number", info, key)
		}
		return v
	}
	section := ""
	if len(p.Sections) > 0 {
		section = p.Sections[len(p.Sections)-1].Title
	}
	known := []string{}
	switch {
	case lang == "sh":
		known = []string{"name", "effect", "needs", "exit"}
		f := Fence{Name: attr["name"], Effect: Effect(attr["effect"]), Needs: attr["needs"], Exit: number("exit", 0), Section: section, Code: code}
		if f.Name == "" || f.Effect != ReadOnly && f.Effect != ReadWrite {
			return fmt.Errorf("fence %q needs a name, and effect=ro or effect=rw", info)
		}
		if !slices.Contains([]string{"", "systemd", "cluster", "capture"}, f.Needs) {
			return fmt.Errorf("fence %q: needs is systemd, cluster or capture", info)
		}
		if slices.ContainsFunc(p.Fences, func(o Fence) bool { return o.Name == f.Name }) {
			return fmt.Errorf("two fences are called %s", f.Name)
		}
		p.Fences = append(p.Fences, f)
	case lang == "text" && attr["of"] != "":
		known = []string{"of", "when", "exit"}
		i := slices.IndexFunc(p.Fences, func(f Fence) bool { return f.Name == attr["of"] })
		if i < 0 {
			return fmt.Errorf("fence %q: no command before it has that name", info)
		}
		f := &p.Fences[i]
		when := When(attr["when"])
		if when == "" && f.Section == SectionVerify {
			when = Good
		} else if when == "" {
			when = Bad
		}
		if _, twice := f.At(when); twice || when != Bad && when != Good {
			return fmt.Errorf("fence %q: when is bad or good, once each", info)
		}
		f.Outputs = append(f.Outputs, Output{When: when, Exit: number("exit", f.Exit), Text: code})
	}
	for key := range attr {
		if !slices.Contains(known, key) {
			return fmt.Errorf("fence %q: unknown attribute %s", info, key)
		}
	}
	return err
}
