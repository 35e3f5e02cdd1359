package main

import (
	"fmt"
	"strings"

	"dualgram/cmd/dualgram/config"
	"dualgram/runbooks"

	"github.com/spf13/cobra"
)

const runbookLong = `runbook prints what to do: NAME is the code of a warning, the name of an alert, of a
drill, or of a task such as upgrade. Without a name it lists all pages. They are
part of this binary, and need neither a network nor a running dualgram.

On a terminal a page is coloured; into a pipe or a file goes its Markdown. Each
command on a page says whether it only reads or changes something.`

const runbookExample = `  dualgram runbook
  dualgram runbook foreign_webhook
  dualgram runbook DualgramForeignWebhook | less
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

func (a *app) showRunbook(name string) error {
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
		a.printer(a.stdout).printf("%s", page.Markdown)
	default:
		printPage(a.printer(a.stdout), page)
	}
	return nil
}

// printPage prints a page for a terminal: headings stand out, and so do commands,
// with a word on what they do.
func printPage(p *printer, page *runbooks.Page) {
	const indent = "    "
	effects := map[runbooks.Effect]string{runbooks.ReadOnly: "only reads", runbooks.ReadWrite: "changes something"}
	fences, look, margin, inside := page.Fences, plain, "", false
	for line := range strings.Lines(page.Markdown) {
		line = strings.TrimRight(clean(line), "\n")
		info, isFence := strings.CutPrefix(strings.TrimLeft(line, " "), "```")
		switch {
		case isFence && inside:
			inside = false
		case isFence:
			inside, look, margin = true, dim, line[:strings.IndexByte(line, '`')] // within a list a block is indented
			lang, _, _ := strings.Cut(info, " ")
			if lang == "sh" && len(fences) > 0 {
				look = green
				p.printf("%s\n", indent+p.paint(dim, "# "+effects[fences[0].Effect]))
				fences = fences[1:]
			}
		case inside:
			p.printf("%s\n", strings.TrimRight(indent+p.paint(look, strings.TrimPrefix(line, margin)), " "))
		case strings.HasPrefix(line, "#"):
			p.printf("%s\n", p.paint(bold, strings.TrimLeft(line, "# ")))
		default:
			p.printf("%s\n", line)
		}
	}
}
