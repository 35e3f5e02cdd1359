package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"dualgram/supervisor/console"

	"golang.org/x/term"
)

// watchEvery is how often the status is asked for.
const watchEvery = time.Second

// watchStatus shows the status until Ctrl-C: drawn over and over on a terminal, and
// elsewhere a line of JSON whenever something has changed.
func (a *app) watchStatus(ctx context.Context, c *control, f *statusFlags) error {
	ctx, stop := signal.NotifyContext(contextOr(ctx), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	w := &statusWatch{app: a, screen: !a.json() && a.isTerminal(a.stdout) && a.getenv("TERM") != "dumb"}
	defer w.leave()
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	for {
		st, err := f.ask(ctx, c)
		var bad *failure
		switch {
		case ctx.Err() != nil:
			return w.verdict()
		case errors.As(err, &bad) && bad.code == exitFailed:
			w.away(bad) // it may come back
		case err != nil:
			return err
		default:
			if err := w.show(st, time.Now()); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return w.verdict()
		}
	}
}

// statusWatch shows one status after the other.
type statusWatch struct {
	*app
	screen bool // a terminal that is drawn over
	drawn  bool
	gone   *failure // why dualgram does not answer; nil if it does
	last   string
	ok     bool
}

// verdict is the exit code: that of what was shown last.
func (w *statusWatch) verdict() error {
	switch {
	case w.gone != nil:
		return w.gone
	case w.last != "" && !w.ok:
		return notOK()
	}
	return nil
}

func (w *statusWatch) show(st console.Status, now time.Time) error {
	w.gone, w.ok = nil, statusOK(st)
	if w.screen {
		w.last = "shown"
		var b bytes.Buffer
		printStatus(&printer{w: &b, color: w.useColor(w.stdout)}, st, now)
		w.draw(b.String())
		return nil
	}
	key := watchKey(st)
	if key == w.last {
		return nil
	}
	w.last = key
	enc := json.NewEncoder(w.stdout)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(st); err != nil {
		return couldNotRun("print: "+err.Error(), "", err)
	}
	return nil
}

// away tells once that nobody answers; the next answer is told in any case.
func (w *statusWatch) away(f *failure) {
	if w.screen {
		w.draw(w.printer(w.stdout).paint(red, oneLine(f.message)) + "\n" + oneLine(f.fix) + "\n")
	} else if w.gone == nil {
		w.last = ""
		_ = json.NewEncoder(w.stdout).Encode(console.Error{Schema: console.SchemaError, Message: f.message, Fix: f.fix, Code: console.CodeStarting})
	}
	w.gone = f
}

// draw replaces what is on the screen, without a flicker: what is written over is
// not cleared first.
func (w *statusWatch) draw(s string) {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	if f, ok := w.stdout.(*os.File); ok {
		if _, height, err := term.GetSize(int(f.Fd())); err == nil && len(lines) > height-1 && height > 2 {
			more := len(lines) - (height - 2)
			lines = append(lines[:height-2], fmt.Sprintf("… %s more: a larger window, or --bot NAME", plural(more, "line")))
		}
	}
	var b strings.Builder
	if !w.drawn {
		b.WriteString("\x1b[?1049h\x1b[?25l") // the other screen, without a cursor
		w.drawn = true
	}
	b.WriteString("\x1b[H")
	for _, l := range lines {
		b.WriteString(l + "\x1b[K\r\n")
	}
	b.WriteString("\x1b[J")
	w.printer(w.stdout).printf("%s", b.String())
}

// leave gives the terminal back as it was.
func (w *statusWatch) leave() {
	if w.drawn {
		w.printer(w.stdout).printf("\x1b[?25h\x1b[?1049l")
	}
}

// watchKey is what has to be different for a change: what counts up and down all
// the time is left out.
func watchKey(st console.Status) string {
	type bot struct {
		Name, Mode, Phase, Reason, Pin, Standby, Foreign   string
		Trial, Held, Frozen, Pinned, DryRun, Ready, Halted bool
		Epoch                                              uint64
		Dead, Quarantined, Lost                            int64
		Registered, Listening                              bool
		Probe, Drill                                       string
		Breakers                                           console.Breakers
		Signals, Warnings                                  []string
	}
	warnings := func(ws []console.Warning) (out []string) {
		for _, w := range ws {
			out = append(out, w.Code+" "+w.Severity)
		}
		return out
	}
	var key struct {
		Version, Started string
		Warnings, Faults []string
		Bots             []bot
	}
	key.Version, key.Started, key.Warnings = st.Version, st.StartedAt.String(), warnings(st.Warnings)
	for _, f := range st.Faults {
		key.Faults = append(key.Faults, fmt.Sprint(f.ID, f.State))
	}
	for _, b := range st.Bots {
		k := bot{Name: b.Name, Mode: b.Mode, Phase: b.Phase, Reason: b.Reason, Pin: b.Pin, Standby: b.StandbyError, Foreign: b.ForeignWebhook,
			Trial: b.Trial, Held: b.Held, Frozen: b.Frozen, Pinned: b.Pinned, DryRun: b.DryRun, Ready: b.StandbyReady, Halted: b.DrillsHalted != nil,
			Epoch: b.Epoch, Dead: b.Dead, Quarantined: b.Quarantined, Lost: b.Lost, Breakers: b.Breakers, Warnings: warnings(b.Warnings)}
		if b.Webhook != nil {
			k.Registered, k.Listening, k.Probe = b.Webhook.Registered, b.Webhook.Listening, b.Webhook.Probe
		}
		if b.Drill != nil {
			k.Drill = b.Drill.ID + " " + b.Drill.Stage
		}
		for _, s := range b.Signals {
			k.Signals = append(k.Signals, s.Name+" "+s.State)
		}
		key.Bots = append(key.Bots, k)
	}
	raw, err := json.Marshal(key)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// only keeps the bots of the names; all if there are none.
func only(st console.Status, names []string) (console.Status, error) {
	if len(names) == 0 {
		return st, nil
	}
	bots, err := (&target{bots: names}).pick(st)
	if err != nil {
		return st, err
	}
	st.Bots = bots
	st.Faults = slices.DeleteFunc(slices.Clone(st.Faults), func(f console.Fault) bool { return f.Bot != "" && !slices.Contains(names, f.Bot) })
	return st, nil
}
