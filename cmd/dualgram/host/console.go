package host

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/console"

	"github.com/rs/zerolog"
)

// openConsole takes the control socket, and the TCP listener if there is to be one.
func (h *Host) openConsole() error {
	if h.cfg.Control.Socket == "" {
		return errors.New("control.socket: a path is needed")
	}
	o := h.consoleOptions()
	var err error
	if o.TCP, err = h.tcpConsole(); err != nil {
		return err
	}
	h.console, err = console.Listen(o)
	return err
}

// consoleOptions is what the control API is made of, but for TCP.
func (h *Host) consoleOptions() console.Options {
	return console.Options{Socket: h.cfg.Control.Socket, Status: statusOf{h}, Events: eventsOf{h}, Operator: operatorOf{h}, Faults: h.orders,
		More: slices.Concat(h.drillRoutes(), console.InboxRoutes(inboxOf{h}), console.LogRoutes(logOf{h}), console.ReportRoutes(reportOf{h}), []console.Route{
			console.RotateSecret(rotatorOf{h}),
			console.VitalsRoute(vitalsOf{h}),
			console.NotifyTest(testerOf{h}),
		})}
}

// tcpConsole is what the TCP listener is made of; nil if there is to be none.
func (h *Host) tcpConsole() (*console.TCPOptions, error) {
	if h.cfg.Control.Listen == "" {
		return nil, nil
	}
	token, warnings, err := config.ReadControlToken(h.cfg, true)
	if err != nil {
		return nil, config.Errors{asProblem(err)}
	}
	h.warn(warnings)
	h.conceal(token.Reveal())
	log := &refusals{log: h.log}
	return &console.TCPOptions{Listen: h.cfg.Control.Listen, Token: token.Reveal(), Refused: log.refused,
		Page: h.page.Control(console.CallerOf), Assets: h.page.Observe()}, nil
}

// refusalEvery is the least time between two lines about requests turned away: a
// scanner must not fill the log.
const refusalEvery = 10 * time.Second

// refusals logs who knocks at the TCP listener in vain.
type refusals struct {
	log   zerolog.Logger
	mu    sync.Mutex
	last  time.Time
	count int
}

func (r *refusals) refused(remote string, code console.Code) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	if now := time.Now(); r.last.IsZero() || now.Sub(r.last) >= refusalEvery {
		r.log.Warn().Str("remote", remote).Str("code", code).Int("count", r.count).Msg("a request to the control listener was turned away")
		r.last, r.count = now, 0
	}
}

// statusOf, eventsOf and operatorOf answer once the supervisor is there; the
// socket is taken before it.
type statusOf struct{ h *Host }

func (s statusOf) Status(ctx context.Context) (console.Status, error) {
	if s.h.sup == nil {
		return console.Status{}, errStarting
	}
	st, err := s.h.sup.Status(ctx)
	st.Version, st.Faults = s.h.opt.Version, s.h.orders.active()
	for i := range st.Bots {
		s.h.offices[st.Bots[i].Name].show(&st.Bots[i])
	}
	return st, err
}

// show adds the drill under way and the halt lever to a bot's status.
func (o *drillOffice) show(b *console.Bot) {
	if o == nil || o.err != nil {
		return
	}
	if p, ok := o.drills.Running(); ok {
		b.Drill = &console.Drill{ID: p.ID, Experiment: p.Experiment, Stage: string(p.Stage), Text: p.Text, StartedAt: p.Started, LeftS: p.Left.Seconds()}
	}
	if halt := o.drills.Halted(); halt != nil {
		b.DrillsHalted = &console.DrillHalt{At: halt.At, By: halt.Who.User, Reason: halt.Reason}
	}
}

type eventsOf struct{ h *Host }

func (e eventsOf) Events(ctx context.Context, q console.EventsQuery) (console.Events, error) {
	if e.h.sup == nil {
		return console.Events{}, errStarting
	}
	return e.h.sup.Events(ctx, q)
}

type operatorOf struct{ h *Host }

func (o operatorOf) Operate(ctx context.Context, order console.Order) (console.Change, error) {
	if o.h.sup == nil {
		return console.Change{}, errStarting
	}
	return o.h.sup.Operate(ctx, order)
}

var errStarting = &console.Failure{Code: console.CodeStarting, Message: "dualgram is starting", Fix: "try again in a moment"}
