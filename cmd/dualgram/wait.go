package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/console"
)

// waitEvery is how often the state is asked for while a command is waited for.
const waitEvery = 200 * time.Millisecond

// defaultWait is how long a mode is waited for: a set that is not answered and
// tried once more takes half of it.
const defaultWait = 30 * time.Second

// progress is how far a bot is on its way to the mode that was asked for.
type progress struct {
	done bool
	// failure, if not empty, says why waiting is of no use, and fix what to do.
	failure, fix string
	// words say where it is meanwhile.
	words string
}

// judgeProgress compares where the bot stands with what the command wants.
func judgeProgress(b console.Bot, c console.Change) progress {
	switch {
	case b.Phase == c.Wants && b.Epoch >= c.After.Epoch:
		return progress{done: true}
	case b.Phase == "held" && b.Reason == "foreign_webhook":
		return progress{failure: fmt.Sprintf("%s is not in %s: somebody else's webhook is set: %s", b.Name, c.Wants, b.Evidence),
			fix: fmt.Sprintf("look at it: dualgram switch %s --take-over --dry-run --bot %s", c.Wants, b.Name)}
	case b.Phase == "held":
		return progress{failure: fmt.Sprintf("%s is not in %s: Telegram refuses the token: %s", b.Name, c.Wants, b.Evidence),
			fix: "put a valid token from @BotFather into the token file and restart"}
	case b.Pin != c.After.Pin:
		now := "the pin is over, or another command has lifted it"
		if b.Pin != "" {
			now = "another command has pinned " + b.Pin
		}
		return progress{failure: fmt.Sprintf("%s is not in %s: %s", b.Name, c.Wants, now),
			fix: "see who: dualgram events --kind operator --bot " + b.Name}
	}
	words := phaseWords(b)
	if h := b.LastHandover; h != nil && h.FinishedAt.IsZero() && len(h.Steps) > 0 {
		last := h.Steps[len(h.Steps)-1]
		words = joinWords(", ", words, joinWords(": ", last.Name, last.Error))
	}
	return progress{words: words}
}

// obstacles says what keeps a bot from where it is meant to go, besides what the
// words say already.
func obstacles(b console.Bot, words string) string {
	var why []string
	for _, w := range b.Warnings {
		if slices.Contains([]string{"store_failing", "store_slow", "blind", "bot_api_unreachable", "foreign_poller"}, w.Code) {
			why = append(why, w.Title)
		}
	}
	if h := b.LastHandover; h != nil && !h.OK {
		for _, s := range slices.Backward(h.Steps) {
			if s.Error != "" && !strings.Contains(words, s.Error) {
				why = append(why, s.Name+": "+s.Error)
				break
			}
		}
	}
	if b.Reason != "operator" {
		why = append(why, joinWords(": ", b.Reason, b.Evidence))
	}
	return joinWords("; ", why...)
}

// awaitMode waits until the bot is in the mode that the command wants, or says why
// it is not. On a terminal a line tells how far it is.
func (a *app) awaitMode(ctx context.Context, c *control, ch console.Change, most time.Duration) error {
	line := a.progressLine()
	defer line.clear()
	began := time.Now()
	for {
		var st console.Status
		if err := c.get(ctx, "/v1/status", nil, console.SchemaStatus, &st); err != nil {
			return err
		}
		i := slices.IndexFunc(st.Bots, func(b console.Bot) bool { return b.Name == ch.Bot })
		if i < 0 {
			return couldNotRun("dualgram was started anew without bot "+ch.Bot, "see dualgram status", nil)
		}
		b := st.Bots[i]
		p := judgeProgress(b, ch)
		waited := time.Since(began)
		switch {
		case p.done:
			return nil
		case p.failure != "":
			return &failure{code: exitNotOK, message: p.failure, fix: p.fix}
		case waited >= most:
			return &failure{code: exitNotOK,
				message: joinWords(": ", fmt.Sprintf("after %s %s is not in %s but %s", config.FormatDuration(most), ch.Bot, ch.Wants, p.words), obstacles(b, p.words)),
				fix:     fmt.Sprintf("dualgram goes on trying: dualgram status; to give it up: dualgram switch auto --bot %s", ch.Bot)}
		}
		line.show(fmt.Sprintf("%s: %s, %s", ch.Bot, p.words, short(waited)))
		select {
		case <-time.After(waitEvery):
		case <-ctx.Done():
			return couldNotRun("interrupted; what was ordered goes on", "see dualgram status", ctx.Err())
		}
	}
}

// progressLine is one line on standard error that is written over and over; it is
// silent if that is no terminal.
type progressLine struct {
	p     *printer
	shown bool
}

func (a *app) progressLine() *progressLine {
	l := &progressLine{}
	if !a.json() && a.isTerminal(a.stderr) && a.getenv("TERM") != "dumb" {
		l.p = a.printer(a.stderr)
	}
	return l
}

func (l *progressLine) show(s string) {
	if l.p != nil {
		l.p.printf("\r\x1b[K%s", l.p.paint(dim, oneLine(s)))
		l.shown = true
	}
}

func (l *progressLine) clear() {
	if l.shown {
		l.p.printf("\r\x1b[K")
		l.shown = false
	}
}
