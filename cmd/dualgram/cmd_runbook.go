package main

import (
	"fmt"
	"net/url"
	"strings"

	"dualgram/cmd/dualgram/config"
	"dualgram/runbooks"

	"github.com/spf13/cobra"
)

const runbookLong = `runbook prints what to do: NAME is the code of a warning, the name of an alert, of a
drill, or of a task such as upgrade. The runbook_url of an alert is taken, too: its
page is looked up, and nothing is fetched. Without a name it lists all pages. They are
part of this binary, and need neither a network nor a running dualgram.

On a terminal a page is coloured; into a pipe or a file goes its Markdown. Above each
command stands whether it only reads or changes something, and above what it prints
whether that is seen while something is wrong or when all is right.`

const runbookExample = `  dualgram runbook
  dualgram runbook foreign_webhook
  dualgram runbook DualgramForeignWebhook | less
  dualgram runbook http://127.0.0.1:9464/runbooks/foreign_webhook
  dualgram runbook certificate-expired`

func (a *app) runbookCommand() *cobra.Command {
	return &cobra.Command{
		Use: "runbook [NAME]", Short: "Show what to do about a warning or an alert", Long: runbookLong, Example: runbookExample, GroupID: groupWatch,
		ValidArgsFunction: completeRunbook,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return misuse("one NAME at most", "see "+cmd.CommandPath()+" --help")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listRunbooks()
			}
			return a.showRunbook(args[0])
		},
	}
}

func completeRunbook(_ *cobra.Command, args []string, _ string) (out []cobra.Completion, _ cobra.ShellCompDirective) {
	if len(args) == 0 {
		for _, p := range runbooks.List() {
			out = append(out, cobra.CompletionWithDesc(p.Name, p.Summary))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// runbookList is what dualgram runbook prints, dualgram/runbooks/v1.
type runbookList struct {
	Schema string        `json:"schema"`
	Pages  []runbookHead `json:"pages"`
}

// runbookHead says what a page is about.
type runbookHead struct {
	Name       string              `json:"name"`
	Kind       runbooks.Kind       `json:"kind"`
	Title      string              `json:"title"`
	Summary    string              `json:"summary"`
	Alert      string              `json:"alert,omitempty"`
	Severities []runbooks.Severity `json:"severities,omitempty"`
	// Auto says whether it ends by itself: yes, partly or no.
	Auto  string `json:"auto,omitempty"`
	Drill string `json:"drill,omitempty"`
	Fault string `json:"fault,omitempty"`
}

// runbookPage is one page, dualgram/runbook/v1.
type runbookPage struct {
	Schema string `json:"schema"`
	runbookHead
	Sections []runbooks.Section `json:"sections"`
	Fences   []runbooks.Fence   `json:"fences"`
}

func headOf(p *runbooks.Page) runbookHead {
	return runbookHead{p.Name, p.Kind, p.Title, p.Summary, p.Alert, p.Severities, p.Auto, p.Drill, p.Fault}
}

func (a *app) listRunbooks() error {
	if a.json() {
		out := runbookList{Schema: "dualgram/runbooks/v1"}
		for _, p := range runbooks.List() {
			out.Pages = append(out.Pages, headOf(p))
		}
		return a.printJSON(out)
	}
	p := a.printer(a.stdout)
	heads := map[runbooks.Kind]string{runbooks.Alert: "Alerts and warnings", runbooks.Task: "Tasks", runbooks.Drill: "Drills"}
	var rows [][]cell
	for _, page := range runbooks.List() {
		if h := heads[page.Kind]; h != "" {
			heads[page.Kind] = ""
			rows = append(rows, []cell{styled(bold, strings.ToUpper(h))})
		}
		severity := plain
		if page.Kind == runbooks.Alert {
			severity = map[runbooks.Severity]style{runbooks.Critical: red, runbooks.Warning: yellow}[page.Severities[0]]
		}
		rows = append(rows, []cell{styled(severity, page.Name), text(page.Summary)})
	}
	p.table(rows...)
	return nil
}

// pageName is the page that an argument names: a URL's is that of its last two
// segments (drills/NAME), else of its last.
func pageName(arg string) string {
	u, err := url.Parse(arg)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return arg
	}
	parts := strings.Split(strings.TrimSuffix(strings.Trim(u.Path, "/"), ".md"), "/")
	if two := strings.Join(parts[max(0, len(parts)-2):], "/"); len(parts) > 1 {
		if _, ok := runbooks.Lookup(two); ok {
			return two
		}
	}
	return parts[len(parts)-1]
}

func (a *app) showRunbook(arg string) error {
	name := pageName(arg)
	page, ok := runbooks.Lookup(name)
	if !ok {
		var names []string
		for _, p := range runbooks.List() {
			names = append(names, p.Name)
			if p.Alert != "" {
				names = append(names, p.Alert)
			}
		}
		fix := "they are listed by: dualgram runbook"
		if near, ok := config.Nearest(name, names); ok {
			fix = "did you mean dualgram runbook " + near + "?"
		}
		return misuse(fmt.Sprintf("there is no page %q", name), fix)
	}
	switch {
	case a.json():
		return a.printJSON(runbookPage{"dualgram/runbook/v1", headOf(page), page.Sections, page.Fences})
	case !a.useColor(a.stdout) && !a.isTerminal(a.stdout):
		a.printer(a.stdout).printf("%s", page.Text())
	default:
		printPage(a.printer(a.stdout), page)
	}
	return nil
}

// printPage prints a page for a terminal: headings stand out, and so do commands and
// what is said of them.
func printPage(p *printer, page *runbooks.Page) {
	const indent = "    "
	look, margin, inside := plain, "", false
	for line := range strings.Lines(page.Text()) {
		line = strings.TrimRight(clean(line), "\n")
		info, isFence := strings.CutPrefix(strings.TrimLeft(line, " "), "```")
		caption, isCaption := captionOf(line)
		switch {
		case isFence && inside:
			inside = false
		case isFence:
			inside, look, margin = true, dim, line[:strings.IndexByte(line, '`')] // within a list a block is indented
			if info == "sh" {
				look = green
			}
		case inside:
			p.printf("%s\n", strings.TrimRight(indent+p.paint(look, strings.TrimPrefix(line, margin)), " "))
		case isCaption:
			p.printf("%s\n", indent+p.paint(dim, "# "+caption))
		case strings.HasPrefix(line, "#"):
			p.printf("%s\n", p.paint(bold, strings.TrimLeft(line, "# ")))
		default:
			p.printf("%s\n", line)
		}
	}
}

// captionOf is what a line in italics above a block says.
func captionOf(line string) (string, bool) {
	said, ok := strings.CutPrefix(strings.TrimLeft(line, " "), "*")
	if !ok {
		return "", false
	}
	said, ok = strings.CutSuffix(said, ":*")
	return said, ok && !strings.HasPrefix(said, "*")
}
