package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
	"golang.org/x/text/width"
)

// style is a colour of the terminal; plain is none.
type style string

// The few styles there are.
const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

// printer writes for people, coloured if the destination is a terminal.
type printer struct {
	w     io.Writer
	color bool
}

func (a *app) printer(w io.Writer) *printer {
	return &printer{w: w, color: a.useColor(w)}
}

// useColor follows --color, then NO_COLOR (https://no-color.org), then whether
// w is a terminal that can.
func (a *app) useColor(w io.Writer) bool {
	switch a.color.value {
	case "always":
		return true
	case "never":
		return false
	}
	return a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb" && a.isTerminal(w)
}

// isTerminal says whether a person is at the other end of a stream.
func (a *app) isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// clean keeps text from elsewhere from steering the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

func (p *printer) paint(s style, text string) string {
	if !p.color || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// printf prints; the arguments are cleaned by the caller.
func (p *printer) printf(format string, args ...any) { _, _ = fmt.Fprintf(p.w, format, args...) }

// failure prints an error and what to do about it.
func (p *printer) failure(message, fix string) { p.notice(red, "error", message, fix) }

// warning prints a warning and what to do about it.
func (p *printer) warning(message, fix string) { p.notice(yellow, "warning", message, fix) }

func (p *printer) notice(s style, word, message, fix string) {
	p.printf("%s %s\n", p.paint(s, word+":"), clean(message))
	if fix != "" {
		p.printf("%s %s\n", p.paint(bold, "fix:"), clean(fix))
	}
}

// cell is a field of a table.
type cell struct {
	text  string
	style style
}

func text(s string) cell            { return cell{text: s} }
func styled(s style, t string) cell { return cell{text: t, style: s} }
func textf(f string, a ...any) cell { return cell{text: fmt.Sprintf(f, a...)} }
func oneLine(s string) string       { return strings.Join(strings.Fields(clean(s)), " ") }
func header(names ...string) []cell { return cells(bold, names...) }
func cells(s style, t ...string) (row []cell) {
	for _, x := range t {
		row = append(row, styled(s, x))
	}
	return row
}

// columns is how many columns of a terminal a text takes (Unicode Standard Annex 11):
// two for what is wide, none for what is combined with the character before.
func columns(s string) (n int) {
	for _, r := range s {
		switch k := width.LookupRune(r).Kind(); {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case k == width.EastAsianWide || k == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// table prints rows with aligned columns, two spaces between them. The last
// column is never padded.
func (p *printer) table(rows ...[]cell) {
	const indent = "  "
	var widths []int
	for _, r := range rows {
		for i := range r {
			r[i].text = oneLine(r[i].text)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if i < len(r)-1 {
				widths[i] = max(widths[i], columns(r[i].text))
			}
		}
	}
	for _, r := range rows {
		var b strings.Builder
		b.WriteString(indent)
		for i, c := range r {
			b.WriteString(p.paint(c.style, c.text))
			if i < len(r)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-columns(c.text)+2))
			}
		}
		p.printf("%s\n", strings.TrimRight(b.String(), " "))
	}
}

// printJSON prints an object that names its schema.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return couldNotRun("print: "+err.Error(), "", err)
	}
	return nil
}

// json says whether JSON is wanted.
func (a *app) json() bool { return a.output.value == "json" }
