package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
	"dualgram/supervisor/warning"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const eventsLong = `events reads the journal of a running dualgram, the oldest first: each change of
phase, each handover with the time of its steps (--output json), what operators
said and who they were, what was decided and not done, what was lost, and which
warnings were raised and are over. Of a warning that comes and goes, two changes
within five minutes are kept, and the latest follows with a count of the rest;
dualgram's log has all of them. The journal holds no token and no message text, and
the newest 20,000 entries of each bot.

Without --since it shows the newest --limit entries. With --follow it goes on
until Ctrl-C, also across a restart of dualgram, without missing or repeating any.

With --output json it prints one object; with --follow one object for each line.`

const eventsExample = `  dualgram events --since 30m
  dualgram events --since 3h --until 2h --kind warning
  dualgram events --kind handover,operator --limit 20
  dualgram events --follow --output json`

const (
	// followWait is how long one request of --follow waits for news.
	followWait = 20 * time.Second
	// followRetry is the pause between two attempts while dualgram is away.
	followRetry = time.Second
)

// eventFlags are those of events.
type eventFlags struct {
	bots, kinds []string
	since       string
	until       string
	limit       int
	follow      bool
}

func (a *app) eventsCommand() *cobra.Command {
	var f eventFlags
	c := &cobra.Command{
		Use: "events", Short: "Show what happened, and go on showing it", Long: eventsLong, Example: eventsExample, GroupID: groupWatch,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runEvents(cmd.Context(), f, time.Now()) },
	}
	c.Flags().StringArrayVar(&f.bots, "bot", nil, "only this bot's, by `name`; may be repeated")
	c.Flags().StringSliceVar(&f.kinds, "kind", nil, "only these `kinds` (--type is the same): "+strings.Join(supervisor.EventKinds(), ", "))
	c.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "type" { // as others call it
			name = "kind"
		}
		return pflag.NormalizedName(name)
	})
	c.Flags().StringVar(&f.since, "since", "", "all since a `time`: 30m, 2d or 2026-03-01T12:00:00Z")
	c.Flags().StringVar(&f.until, "until", "", "nothing from a `time` on, written as for --since")
	c.Flags().IntVar(&f.limit, "limit", 0, "the newest `n` of them; default 100, or all with --since")
	c.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on until Ctrl-C")
	return c
}

// query turns the flags into that of the first request. all says that it may take
// several to get what was asked for.
func (f *eventFlags) query(now time.Time) (q url.Values, all bool, err error) {
	q = url.Values{"bot": f.bots, "kind": f.kinds}
	for _, k := range f.kinds {
		known := supervisor.EventKinds()
		if !slices.Contains(known, k) {
			fix := "the kinds are: " + strings.Join(known, ", ")
			if near, ok := config.Nearest(k, known); ok {
				fix = "did you mean --kind " + near + "?"
			}
			return nil, false, misuse(fmt.Sprintf("there is no kind %q", k), fix)
		}
	}
	if f.limit < 0 || f.limit > console.MaxEvents {
		return nil, false, misuse(fmt.Sprintf("--limit is not from 1 to %d", console.MaxEvents), "leave it out with --since to get all")
	}
	if f.follow && f.until != "" {
		return nil, false, misuse("--follow goes on, and --until ends", "leave one out")
	}
	var span [2]time.Time
	for i, flag := range []struct{ name, value string }{{"since", f.since}, {"until", f.until}} {
		if flag.value == "" {
			continue
		}
		t, err := moment(flag.value, now)
		if err != nil {
			return nil, false, misuse(fmt.Sprintf("--%s %q is neither a time span nor a time", flag.name, flag.value), "write it like 30m, 2d or 2026-03-01T12:00:00Z")
		}
		span[i] = t
		q.Set(flag.name, t.Format(time.RFC3339Nano))
	}
	if !span[0].IsZero() && !span[1].IsZero() && !span[0].Before(span[1]) {
		return nil, false, misuse("--until is not after --since", "exchange them")
	}
	all = f.since != "" && f.limit == 0
	limit := f.limit
	if limit == 0 {
		limit = console.DefaultEvents
	}
	if all {
		limit = console.MaxEvents
	} else {
		q.Set("tail", "1")
	}
	q.Set("limit", strconv.Itoa(limit))
	return q, all, nil
}

// moment reads a time, or how long ago it was.
func moment(s string, now time.Time) (time.Time, error) {
	if d, err := config.ParseDuration(s); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	return time.Parse(time.RFC3339, s)
}

func (a *app) runEvents(ctx context.Context, f eventFlags, now time.Time) error {
	q, all, err := f.query(now)
	if err != nil {
		return err
	}
	c, err := a.control()
	if err != nil {
		return err
	}
	if ctx == nil {
		ctx = context.Background()
	}
	if f.follow {
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
		defer stop()
	}
	var page, sum console.Events
	for {
		if err := c.get(ctx, "/v1/events", q, console.SchemaEvents, &page); err != nil {
			return err
		}
		sum.Schema, sum.Cursor, sum.Next, sum.Skipped = page.Schema, page.Cursor, page.Next, sum.Skipped+page.Skipped
		sum.Events = append(sum.Events, page.Events...)
		if !all || len(page.Events) < console.MaxEvents {
			break
		}
		q.Set("cursor", page.Cursor)
		page = console.Events{}
	}
	out := &eventPrinter{app: a, p: a.printer(a.stdout), lines: f.follow}
	if err := out.print(sum); err != nil || !f.follow {
		return err
	}
	q.Del("tail")
	q.Del("since")
	q.Set("limit", strconv.Itoa(console.MaxEvents))
	return a.follow(ctx, c, q, sum.Cursor, out)
}

// follow prints what comes after the cursor until the context ends. A dualgram
// that goes away is asked again: the cursor outlives it.
func (a *app) follow(ctx context.Context, c *control, q url.Values, cursor string, out *eventPrinter) error {
	notes := a.printer(a.stderr)
	q.Set("wait", strconv.Itoa(int(followWait.Seconds())))
	away := false
	for ctx.Err() == nil {
		q.Set("cursor", cursor)
		var page console.Events
		err := c.do(ctx, http.MethodGet, "/v1/events", q, nil, followWait+controlTimeout, console.SchemaEvents, &page)
		var f *failure
		switch {
		case ctx.Err() != nil:
		case err != nil && (!errors.As(err, &f) || f.code != exitFailed):
			return err // asking again would not help
		case err != nil:
			if !away {
				away = true
				notes.warning(f.Error(), "waiting for it to come back; Ctrl-C ends this")
			}
			select {
			case <-time.After(followRetry):
			case <-ctx.Done():
			}
		default:
			if away {
				away = false
				notes.printf("dualgram answers again\n")
			}
			if err := out.print(page); err != nil {
				return err
			}
			cursor = page.Cursor
		}
	}
	return nil
}

// eventPrinter prints pages of events.
type eventPrinter struct {
	*app
	p     *printer
	lines bool // one event for each line, as they come
}

func (e *eventPrinter) print(page console.Events) error {
	if page.Skipped > 0 {
		e.printer(e.stderr).warning(fmt.Sprintf("%s older than the journal keeps could not be shown", plural(int(min(page.Skipped, 1<<30)), "entry", "entries")), "")
	}
	switch {
	case e.json() && e.lines:
		enc := json.NewEncoder(e.stdout)
		enc.SetEscapeHTML(false)
		for _, ev := range page.Events {
			ev.Schema = console.SchemaEvent
			if err := enc.Encode(ev); err != nil {
				return couldNotRun("print: "+err.Error(), "", err)
			}
		}
		return nil
	case e.json():
		if page.Events == nil {
			page.Events = []console.Event{}
		}
		return e.printJSON(page)
	case e.lines:
		for _, ev := range page.Events {
			e.p.printf("%s  %-10s  %-12s  %s\n", e.eventTime(ev.At), botWords(ev.Bot), ev.Kind, oneLine(eventWords(ev)))
		}
		return nil
	case len(page.Events) == 0:
		e.p.printf("nothing happened\n")
		return nil
	}
	rows := [][]cell{header("TIME", "BOT", "KIND", "WHAT")}
	for _, ev := range page.Events {
		rows = append(rows, []cell{text(e.eventTime(ev.At)), text(botWords(ev.Bot)), text(ev.Kind), text(eventWords(ev))})
	}
	e.p.table(rows...)
	return nil
}

// botWords names the bot, or says that it is about all.
func botWords(bot string) string {
	if bot == "" {
		return "(all)"
	}
	return oneLine(bot)
}

// eventTime is the time in the zone of whoever asks, to the millisecond: what is
// compared with a log.
func (e *eventPrinter) eventTime(t time.Time) string {
	zone := time.Local
	if name := e.getenv("TZ"); name != "" {
		if z, err := time.LoadLocation(name); err == nil {
			zone = z
		}
	}
	return t.In(zone).Format("2006-01-02 15:04:05.000")
}

// eventWords says in words what happened.
func eventWords(ev console.Event) string {
	var e supervisor.Event
	if err := json.Unmarshal(ev.Data, &e); err != nil {
		return string(ev.Data)
	}
	because := joinWords(": ", e.Cause, e.Evidence)
	took := short(time.Duration(e.Seconds * float64(time.Second)))
	switch ev.Kind {
	case supervisor.EventPhase:
		return joinWords(", ", phaseName(e.From)+", then "+phaseName(e.To), because)
	case supervisor.EventHandover:
		s := fmt.Sprintf("%s to %s, complete in %s", e.From, e.To, took)
		if e.Drill {
			s += " (a drill)"
		}
		return joinWords(", ", s, because)
	case supervisor.EventFirstUpdate:
		return fmt.Sprintf("the first new update by %s, after %s", e.Source, took)
	case supervisor.EventTrial:
		return fmt.Sprintf("the webhook is proven: %s in %s", plural(e.Count, "delivery", "deliveries"), took)
	case supervisor.EventWould:
		return joinWords(", ", fmt.Sprintf("%s was called for and not done (%s)", strings.ReplaceAll(e.Name, "_", " "), e.Level), because)
	case supervisor.EventOperator:
		s := strings.ReplaceAll(e.Name, "_", " ")
		if e.Level != "" {
			s += " " + e.Level
		}
		if e.Count > 0 {
			s += fmt.Sprintf(" (%d)", e.Count)
		}
		if e.Seconds > 0 {
			s += " for " + took
		}
		if e.By != nil {
			s += " by " + e.By.String()
		}
		return joinWords(": ", s, e.Evidence)
	case supervisor.EventWarning:
		title := e.Name
		if k, ok := warning.Lookup(warning.Code(e.Name)); ok {
			title = k.Title
		}
		s := e.Severity + " " + e.Level
		if e.Seconds > 0 {
			s += " after " + took
		}
		s += ": " + title
		if e.Count > 0 {
			s += fmt.Sprintf(" (it flaps: %s before this not shown)", plural(e.Count, "change"))
		}
		return joinWords(": ", s, e.Evidence) + " [" + e.Name + "]"
	case supervisor.EventFault:
		s := fmt.Sprintf("%s %s", e.Name, e.Level)
		if e.Fault != 0 {
			s += fmt.Sprintf(" after %s, having hit %d", took, e.Count)
		} else {
			s += " for " + took
		}
		if e.By != nil {
			s += " by " + e.By.String()
		}
		return joinWords(": ", s, e.Evidence)
	case supervisor.EventNotice:
		s := fmt.Sprintf("%s told by %s", plural(e.Count, "warning"), e.Name)
		if e.Level == supervisor.NoticeFailed {
			s = fmt.Sprintf("%s could not be told by %s", plural(e.Count, "warning"), e.Name)
		}
		return joinWords(": ", joinWords(", ", s, e.Evidence), e.Error)
	case supervisor.EventSecret:
		s := "the secret token: " + strings.ReplaceAll(e.Name, "_", " ")
		if e.Count > 0 {
			s += fmt.Sprintf(", %s without it", plural(e.Count, "delivery", "deliveries"))
		}
		return joinWords(", ", s, e.Evidence)
	}
	return because
}
