package supervisor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"dualgram/supervisor/console"
	"dualgram/supervisor/failover"
	"dualgram/supervisor/warning"
	"dualgram/transport/botapi"
)

// orderPatience bounds how long an order waits for the loop and for its commit. It
// is above saveDeadline and below the five seconds within which an answer is
// promised.
const orderPatience = 4 * time.Second

// keyOrders is the ledger's key for whose words are in force.
const keyOrders = "orders"

// orders remembers whose pin and whose hold are in force; that they are, and until
// when, is in the state.
type orders struct {
	Pin  *console.Said `json:"pin,omitempty"`
	Hold *console.Said `json:"hold,omitempty"`
}

// after returns the memory once the word was given.
func (o orders) after(c failover.Command, w console.Said) orders {
	switch c {
	case failover.SwitchWebhook, failover.SwitchPolling:
		return orders{Pin: &w}
	case failover.SwitchAuto:
		return orders{}
	case failover.Hold:
		o.Hold = &w
	}
	return o
}

// audit is what the ledger keeps of an operator's word, in the transaction that
// makes it true.
type audit struct {
	event  Event
	orders orders
}

// commands are the words of the control API.
var commands = map[string]failover.Command{
	console.SwitchWebhook: failover.SwitchWebhook, console.SwitchPolling: failover.SwitchPolling,
	console.SwitchAuto: failover.SwitchAuto, console.HoldMode: failover.Hold, console.AckFreeze: failover.Ack,
	console.EndHoldDown: failover.Failback,
}

// Command carries out an operator's word on one bot, without the guards of
// [Supervisor.Operate]. It returns an error if there is no such bot, or if the
// word could not be made durable.
func (s *Supervisor) Command(ctx context.Context, bot string, e failover.Event) error {
	b, err := s.bot(bot)
	if err != nil {
		return err
	}
	_, err = b.onLoop(ctx, func(ctx context.Context) (console.Change, error) {
		e.Kind, e.At = failover.Operator, time.Now()
		return console.Change{}, b.obey(ctx, e, console.Caller{}, "")
	})
	return err
}

// Operate implements [console.Operator]: it refuses what could not come true, and
// says what the word changes and what follows. With DryRun the same is said and
// nothing done.
func (s *Supervisor) Operate(ctx context.Context, o console.Order) (console.Change, error) {
	b, err := s.bot(o.Bot)
	if err != nil {
		return console.Change{}, err
	}
	c, known := commands[o.Command]
	if !known {
		return console.Change{}, &console.Failure{Code: console.CodeBadRequest, Message: fmt.Sprintf("there is no command %q", o.Command)}
	}
	o.Reason = botapi.Redact(o.Reason)
	return b.onLoop(ctx, func(ctx context.Context) (console.Change, error) {
		return b.operate(ctx, o, failover.Event{Kind: failover.Operator, At: time.Now(), Command: c, For: o.For, TakeOver: o.TakeOver,
			Cause: failover.Cause{Name: failover.CauseOperator, Evidence: o.Reason}})
	})
}

// bot finds a bot by its name.
func (s *Supervisor) bot(name string) (*Bot, error) {
	var names []string
	for _, b := range s.bots {
		if b.opt.Name == name {
			return b, nil
		}
		names = append(names, b.opt.Name)
	}
	return nil, &console.Failure{Code: console.CodeUnknownBot, Message: fmt.Sprintf("there is no bot %q", name),
		Fix: "the bots are: " + strings.Join(names, ", ")}
}

// onLoop runs f where decisions are taken, and returns what it does.
func (b *Bot) onLoop(ctx context.Context, f func(context.Context) (console.Change, error)) (console.Change, error) {
	type answer struct {
		c   console.Change
		err error
	}
	ctx, cancel := context.WithTimeout(ctx, orderPatience)
	defer cancel()
	done := make(chan answer, 1)
	if b.post(ctx, func() {
		if ctx.Err() != nil {
			return // whoever asked was told that nothing was done
		}
		c, err := f(context.WithoutCancel(ctx))
		done <- answer{c, err}
	}) {
		select {
		case a := <-done:
			return a.c, a.err
		case <-ctx.Done():
		}
	}
	return console.Change{}, &console.Failure{Message: fmt.Sprintf("bot %s did not answer within %v: it is stopping, or waits for its disk", b.opt.Name, orderPatience),
		Fix: "see whether it was done after all: dualgram status", Err: ctx.Err()}
}

// obey makes the word durable, with who said it and why, and begins what follows.
func (b *Bot) obey(ctx context.Context, e failover.Event, by console.Caller, note string) error {
	said := Event{At: e.At, Bot: b.opt.Name, Kind: EventOperator, Epoch: b.state.Epoch, Name: e.Command.String(),
		Cause: failover.CauseOperator, Evidence: e.Cause.Evidence + note, Seconds: e.For.Seconds()}
	if by != (console.Caller{}) {
		said.By = &by
	}
	return b.apply(ctx, e, &audit{event: said, orders: b.orders.after(e.Command,
		console.Said{Command: e.Command.String(), At: e.At, By: by, Reason: e.Cause.Evidence})})
}

// operate is Operate on the loop.
func (b *Bot) operate(ctx context.Context, o console.Order, e failover.Event) (console.Change, error) {
	p := b.opt.Policy
	foreign := ""
	if b.info.owner == failover.Foreign {
		foreign = botapi.RedactURL(b.info.last.URL)
	}
	if err := refusal(p, b.state, e, b.opt.Name, o, foreign); err != nil {
		return console.Change{}, err
	}
	now := p.Expire(b.state, e.At)
	n, f := p.Step(b.state, e)
	ready, notReady := b.ready()
	after := view{State: n, Readings: b.readings, Blind: b.blind()}
	broken, _ := withheld(p, after)
	c := console.Change{
		Bot: b.opt.Name, Command: o.Command, At: e.At, By: o.By, Reason: o.Reason, For: o.For.Seconds(), TakeOver: o.TakeOver, DryRun: o.DryRun,
		Before: stand(now), After: stand(n), Changed: n != now, Wants: wants(now, n, e),
		Next: outlook{Policy: p, Name: b.opt.Name, Job: f.Job, Ready: ready, NotReady: notReady, Broken: broken.Signal}.of(n, e.At),
	}
	c.Warnings = b.against(c.Wants, after, ready, notReady, e.At)
	if word, says := b.probeState(); e.Command == failover.Ack && b.state.Frozen && says != "" {
		hint := "If Telegram sees the same, the next failback fails too: repair it first."
		if word == probeUnproven {
			hint = "The probe has never worked here, so that may say nothing of Telegram; if it does, repair it first."
		}
		c.Warnings = append(c.Warnings, console.Warning{Code: "webhook_not_seen", Severity: console.SeverityWarning, Title: "The webhook can't be reached from here",
			Text: strings.TrimSuffix(says, ".") + ". " + hint})
	}
	if o.DryRun || e.Command == failover.Ack && !b.state.Frozen {
		// To acknowledge twice must not start the count of failovers anew.
		if e.Command == failover.Ack && !b.state.Frozen {
			c.Changed, c.After = false, c.Before
		}
		return c, nil
	}
	note := ""
	if e.TakeOver && foreign != "" {
		note = " (takes over from " + b.describe(b.info.last, failover.Foreign) + ")"
	}
	if err := b.obey(ctx, e, o.By, note); err != nil {
		return console.Change{}, &console.Failure{Code: console.CodeNotSaved, Message: "the command could not be saved, and nothing was done: " + err.Error(),
			Fix: "free or repair the disk of the store, then give it again", Err: err}
	}
	return c, nil
}

// refusal says why a word can't come true; nil if it can.
func refusal(p failover.Policy, s failover.State, e failover.Event, name string, o console.Order, foreign string) error {
	refuse := func(message, fix string) error {
		return &console.Failure{Code: console.CodeRefused, Message: message, Fix: fix}
	}
	to := map[failover.Command]string{failover.SwitchWebhook: "webhook", failover.SwitchPolling: "polling"}[e.Command]
	held := s.Phase == failover.Held
	switch {
	case e.Command == failover.SwitchWebhook && p.PollingOnly:
		return refuse("bot "+name+" has no webhook (webhook: off)", "give it one in the configuration and restart, or use: dualgram switch polling")
	case held && s.Cause.Name == failover.CauseUnauthorized && (to != "" || e.TakeOver):
		return refuse("Telegram refuses the token of bot "+name+", so nothing can be switched", "put a valid token from @BotFather into the token file and restart")
	case held && to != "" && !e.TakeOver:
		return refuse(fmt.Sprintf("bot %s has somebody else's webhook: %s", name, s.Cause.Evidence),
			fmt.Sprintf("if it is yours to replace, look at it first: dualgram switch %s --take-over --dry-run --bot %s", to, name))
	case e.TakeOver && o.Foreign != nil && *o.Foreign != foreign:
		return refuse(fmt.Sprintf("bot %s has another webhook now than the one that was agreed to: %s, not %s", name, orNone(foreign), orNone(*o.Foreign)),
			"look at it and decide anew")
	}
	return nil
}

func orNone(url string) string {
	if url == "" {
		return "none of somebody else's"
	}
	return url
}

// wants is the mode that the word asks for; empty if it asks for none.
func wants(old, n failover.State, e failover.Event) string {
	switch {
	case e.Command == failover.SwitchWebhook, e.Command == failover.SwitchPolling:
		return n.Pin.String()
	case old.Phase == failover.Held && n.Phase != failover.Held:
		return n.Mode().String() // taken over
	}
	return ""
}

// against lists what speaks against the mode that is asked for, empty for none, and
// against staying as the command leaves it.
func (b *Bot) against(mode string, after view, ready bool, notReady string, now time.Time) []console.Warning {
	out := []console.Warning{}
	if mode == failover.ModeWebhook.String() && after.State.Phase != failover.Webhook && !ready {
		out = append(out, console.Warning{Code: "webhook_not_ready", Severity: console.SeverityWarning, Title: "The webhook is not ready",
			Text: notReady + ". It is registered all the same, since an operator says so; Telegram keeps what it can't deliver."})
	}
	var cs []warning.Condition
	if mode != "" && after.Blind {
		cs = append(cs, warning.Condition{Bot: b.opt.Name, Code: warning.Blind, Evidence: "The " + b.apiServer() + " does not answer"})
	}
	if overruled := after.State.Paused || after.State.Pin == failover.ModeWebhook; overruled {
		if r, why := withheld(b.opt.Policy, after); why != "" {
			cs = append(cs, warning.Condition{Bot: b.opt.Name, Code: warning.FailoverWithheld, Evidence: fmt.Sprintf("%s: %s, and %s", r.Signal, r.Evidence, why)})
		}
	}
	if h := b.health(); !h.OK {
		cs = append(cs, warning.Condition{Code: warning.StoreFailing, Since: h.Since, Evidence: fmt.Sprintf("The last commit failed: %v", h.Err)})
	}
	for _, a := range warning.Evaluate(cs, now) {
		out = append(out, shown(a))
	}
	return out
}

// stand is where a bot stands, for a [console.Change].
func stand(s failover.State) console.Stand {
	out := console.Stand{Mode: s.Mode().String(), Phase: s.Phase.String(), Trial: s.Trial, Epoch: s.Epoch, Since: s.Since, Reason: s.Cause.Name,
		Held: s.Paused, HeldUntil: s.PausedUntil, Frozen: s.Frozen}
	if s.Pin != failover.ModeNone {
		out.Pin, out.PinUntil = s.Pin.String(), s.PinUntil
	}
	return out
}
