package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/console"

	"github.com/spf13/cobra"
)

// schemaOutcome is what the commands that change something print as JSON.
const schemaOutcome = "dualgram/outcome/v1"

// outcome is what became of one command on every bot it was meant for.
type outcome struct {
	Schema  string      `json:"schema"`
	OK      bool        `json:"ok"`
	Results []botResult `json:"results"`
}

// botResult is what became of it on one bot.
type botResult struct {
	Bot string `json:"bot"`
	OK  bool   `json:"ok"`
	// Reached says whether the bot is in the mode that was asked for; null if none
	// was, or if it was not waited for.
	Reached *bool   `json:"reached"`
	WaitedS float64 `json:"waited_s"`
	// Change is the answer of dualgram; null if it refused.
	Change *console.Change `json:"change"`
	Error  string          `json:"error,omitempty"`
	Fix    string          `json:"fix,omitempty"`

	err error
}

// duration is a flag for a time span such as 90s, 2h or 3d.
type duration struct{ d time.Duration }

// String is the value.
func (d *duration) String() string {
	if d.d == 0 {
		return ""
	}
	return config.FormatDuration(d.d)
}

// Type is what the help shows behind the flag.
func (d *duration) Type() string { return "duration" }

// Set takes what the configuration takes, above 0.
func (d *duration) Set(s string) error {
	v, err := config.ParseDuration(s)
	if err != nil {
		return err
	}
	if v <= 0 {
		return errors.New("must be above 0")
	}
	d.d = v
	return nil
}

// target says which bots a command is meant for.
type target struct {
	bots []string
	all  bool
}

func (t *target) flags(c *cobra.Command) {
	c.Flags().StringArrayVar(&t.bots, "bot", nil, "`name` of the bot; may be repeated, and left out if there is one bot")
	c.Flags().BoolVar(&t.all, "all", false, "every bot")
}

// pick returns the bots that are meant.
func (t *target) pick(st console.Status) ([]console.Bot, error) {
	var names []string
	for _, b := range st.Bots {
		names = append(names, b.Name)
	}
	list := strings.Join(names, ", ")
	switch {
	case t.all && len(t.bots) > 0:
		return nil, misuse("--bot and --all exclude each other", "leave one out")
	case t.all, len(t.bots) == 0 && len(names) == 1:
		return st.Bots, nil
	case len(t.bots) == 0:
		return nil, misuse("there are several bots: "+list, "name one with --bot, or say --all")
	}
	var out []console.Bot
	for _, name := range t.bots {
		i := slices.Index(names, name)
		if i < 0 {
			fix := "the bots are: " + list
			if near, ok := config.Nearest(name, names); ok {
				fix = "did you mean --bot " + near + "?"
			}
			return nil, misuse(fmt.Sprintf("there is no bot %q", name), fix)
		}
		if !slices.ContainsFunc(out, func(b console.Bot) bool { return b.Name == name }) {
			out = append(out, st.Bots[i])
		}
	}
	return out, nil
}

// order is one command: what to send for a bot, and how long to wait for it.
type order struct {
	target
	// body is called with the bot as it stands; an error means not to send.
	body     func(b console.Bot) (any, error)
	resource string // switch, hold, ack
	wait     bool
	timeout  duration
}

// give sends the order for each bot that is meant, and tells what became of it.
func (a *app) give(ctx context.Context, o order) error {
	if ctx == nil {
		ctx = context.Background()
	}
	c, err := a.control()
	if err != nil {
		return err
	}
	var st console.Status
	if err := c.get(ctx, "/v1/status", nil, console.SchemaStatus, &st); err != nil {
		return err
	}
	bots, err := o.pick(st)
	if err != nil {
		return err
	}
	out := outcome{Schema: schemaOutcome, OK: true, Results: []botResult{}}
	code := exitOK
	for _, b := range bots {
		r := a.giveOne(ctx, c, o, b)
		if r.err != nil {
			var f *failure
			if !errors.As(r.err, &f) {
				f = &failure{code: exitFailed, message: r.err.Error()}
			}
			r.Error, r.Fix = f.Error(), f.fix
			code = max(code, f.code)
			if !a.json() {
				a.printer(a.stderr).failure(r.Error, r.Fix)
			}
		}
		out.OK = out.OK && r.OK
		out.Results = append(out.Results, r)
	}
	if a.json() {
		if err := a.printJSON(out); err != nil {
			return err
		}
	}
	if code == exitOK && !out.OK {
		code = exitNotOK
	}
	if code != exitOK {
		return &failure{code: code}
	}
	return nil
}

// giveOne sends the order for one bot and waits for it.
func (a *app) giveOne(ctx context.Context, c *control, o order, b console.Bot) (r botResult) {
	r.Bot = b.Name
	body, err := o.body(b)
	if err != nil {
		r.err = err
		return r
	}
	var ch console.Change
	path := "/v1/bots/" + url.PathEscape(b.Name) + "/" + o.resource
	if r.err = c.post(ctx, path, body, console.SchemaChange, &ch); r.err != nil {
		return r
	}
	r.Change, r.OK = &ch, true
	if !a.json() {
		printChange(a.printer(a.stdout), ch)
	}
	if ch.DryRun {
		r.OK = !slices.ContainsFunc(ch.Warnings, func(w console.Warning) bool { return w.Severity != console.SeverityInfo })
		return r
	}
	if ch.Wants == "" || !o.wait {
		return r
	}
	began := time.Now()
	r.err = a.awaitMode(ctx, c, ch, o.timeout.d)
	reached := r.err == nil
	r.Reached, r.OK, r.WaitedS = &reached, reached, time.Since(began).Seconds()
	if reached && !a.json() && ch.After.Phase != ch.Wants {
		a.printer(a.stdout).printf("%s: in %s after %s\n", oneLine(b.Name), ch.Wants, short(time.Since(began)))
	}
	return r
}

// printChange says what the command did, and what comes of it.
func printChange(p *printer, c console.Change) {
	p.printf("%s: %s\n", p.paint(bold, oneLine(c.Bot)), joinWords(" ", changeWords(c), oneLine(c.Next)))
	for _, w := range c.Warnings {
		p.printf("%s\n", warningLine(p, w))
	}
}

// changeWords is the sentence before what comes next.
func changeWords(c console.Change) string {
	if c.DryRun {
		switch {
		case !c.Changed:
			return "Dry run: nothing would change."
		case c.Before.Mode != c.After.Mode:
			return fmt.Sprintf("Dry run: it would go from %s to %s.", modeName(c.Before.Mode), modeName(c.After.Mode))
		}
		return "Dry run: the mode would stay: " + modeName(c.After.Mode) + "."
	}
	switch {
	case c.Command == console.AckFreeze && !c.Changed:
		return "Nothing is frozen, and nothing has changed."
	case c.Command == console.AckFreeze:
		return "The freeze is ended."
	case c.Command == console.SwitchAuto && !c.Changed:
		return "Neither pinned nor on hold, and nothing has changed."
	case c.Command == console.SwitchAuto:
		return "Automatic."
	case c.Command == console.HoldMode:
		return "On hold."
	case c.Before.Phase == c.Wants && c.After.Phase == c.Wants:
		return "In " + c.Wants + " already, and pinned."
	}
	return "Pinned to " + c.Wants + "."
}

// modeName is a mode in words.
func modeName(mode string) string {
	if mode == "none" {
		return "taking nothing"
	}
	return mode
}
