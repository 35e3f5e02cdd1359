package runbooks

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// anything is the text of an output that may be whatever it is: nothing to look for.
const anything = "…"

// Text is the page for a reader, in Markdown: without the attributes of its fences,
// which are for whoever plays them. What they say stands above each block instead:
// whether a command only reads, and whether what it prints is what is seen while
// something is wrong or when all is right, with the exit code and the warnings that
// tell the two apart. Each such caption is a line in italics.
// Outputs that may be anything are left out.
func (p *Page) Text() string {
	var b strings.Builder
	skip, inside := false, false
	for line := range strings.Lines(p.Markdown) {
		info, isFence := strings.CutPrefix(strings.TrimLeft(line, " "), "```")
		switch {
		case isFence && inside:
			inside = false
			if skip {
				skip = false
				continue
			}
		case isFence:
			inside = true
			lang, _, _ := strings.Cut(strings.TrimSpace(info), " ")
			margin := line[:strings.IndexByte(line, '`')] // within a list a block is indented
			caption, shown := p.caption(lang, info)
			if !shown {
				skip = true
				continue
			}
			if caption != "" {
				fmt.Fprintf(&b, "%s*%s:*\n", margin, caption)
			}
			line = margin + "```" + lang + "\n"
		case skip:
			continue
		}
		b.WriteString(line)
	}
	return b.String()
}

// caption is what stands above a fence; shown is false for one that shows nothing.
func (p *Page) caption(lang, info string) (caption string, shown bool) {
	_, rest, _ := strings.Cut(strings.TrimSpace(info), " ")
	attr, err := attributes(rest)
	if err != nil { // no page that is listed has one
		return "", true
	}
	for _, f := range p.Fences {
		switch {
		case lang == "sh" && f.Name == attr["name"] && f.Effect == ReadWrite:
			return "changes something", true
		case lang == "sh" && f.Name == attr["name"]:
			return "only reads", true
		case lang != "text" || f.Name != attr["of"]:
			continue
		}
		when := When(attr["when"])
		if when == "" && f.Section == SectionVerify {
			when = Good
		} else if when == "" {
			when = Bad
		}
		o, _ := f.At(when)
		return f.says(o) + p.told(f, o), strings.TrimSpace(o.Text) != anything
	}
	return "", true
}

// says tells what seeing the output means.
func (f Fence) says(o Output) string {
	_, both := f.At(Good)
	switch {
	case f.Effect == ReadWrite:
		return "it prints"
	case o.When == Good:
		return "you see, when it is right"
	case both, f.Section == SectionReal:
		return "you see, while it is wrong"
	default: // it says what is so, and not that it is wrong
		return "it prints, for example"
	}
}

// told is how else the output is known: by the exit code, where that isn't 0 or tells
// the two apart, and by the warnings that are gone when it is right.
func (p *Page) told(f Fence, o Output) string {
	code := o.Exit != 0
	var gone []string
	for _, g := range p.Fences {
		if g.Code != f.Code {
			continue
		}
		for _, other := range g.Outputs {
			code = code || other.Exit != o.Exit
			if o.When != Good || other.When != Bad {
				continue
			}
			for _, w := range warned.FindAllString(other.Text, -1) {
				if !strings.Contains(o.Text, w) && !slices.Contains(gone, w) {
					gone = append(gone, w)
				}
			}
		}
	}
	var words []string
	if code {
		words = append(words, fmt.Sprintf("exit code %d", o.Exit))
	}
	for _, w := range gone {
		words = append(words, "no "+w)
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// warned finds the codes of warnings, as dualgram status has them.
var warned = regexp.MustCompile(`\[[a-z_]+\]`)
