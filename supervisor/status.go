package supervisor

import (
	"context"
	"time"

	"dualgram/supervisor/console"
	"dualgram/supervisor/failover"
	"dualgram/supervisor/warning"
	"dualgram/transport/botapi"
)

// Status implements [console.StatusProvider]. It reads what is known and asks
// nobody.
func (s *Supervisor) Status(context.Context) (console.Status, error) {
	now := time.Now()
	out := console.Status{Schema: console.SchemaStatus, StartedAt: s.started, Bots: []console.Bot{}, Warnings: []console.Warning{}}
	views := s.views()
	for i, b := range s.bots {
		out.Bots = append(out.Bots, b.status(views[i], now))
	}
	for _, a := range warning.Evaluate(s.conditions(views, now), now) {
		w := shown(a)
		if a.Bot == "" {
			out.Warnings = append(out.Warnings, w)
		}
		for i := range out.Bots {
			if a.Bot == "" || a.Bot == out.Bots[i].Name {
				out.Bots[i].Warnings = append(out.Bots[i].Warnings, w)
			}
		}
	}
	return out, nil
}

// views is what each bot has published last.
func (s *Supervisor) views() []view {
	out := make([]view, len(s.bots))
	for i, b := range s.bots {
		out[i] = b.snapshot()
	}
	return out
}

func (b *Bot) status(v view, now time.Time) console.Bot {
	st := b.ledger.Stats()
	s := v.State
	c := console.Bot{
		Name: b.opt.Name, BotID: b.opt.BotID, Mode: s.Mode().String(), Phase: s.Phase.String(), Trial: s.Trial, Epoch: s.Epoch,
		Since: s.Since, Reason: s.Cause.Name, Evidence: s.Cause.Evidence,
		Held: s.Paused, Frozen: s.Frozen, Pinned: s.Pin != failover.ModeNone, DryRun: b.opt.Policy.DryRun,
		Waiting: int64(st.Waiting), OldestWaitingAt: st.OldestWaiting, Lanes: int64(st.Lanes), Dead: int64(st.Dead),
		Quarantined: int64(st.Quarantined), OpenHoles: st.OpenHoles, Lost: int64(st.Lost + st.ExpiredSuspected),
		StandbyReady: !v.Blind && v.Standby == nil, ForeignWebhook: v.Foreign,
		Signals: []console.Signal{}, Warnings: []console.Warning{},
	}
	c.Breakers.BotAPI = v.BotAPI
	if b.opt.Webhook != nil {
		c.Breakers.Deliveries = v.Deliveries
	}
	if v.Standby != nil {
		c.StandbyError = v.Standby.Error()
	}
	if c.Pinned {
		c.Pin, c.PinUntil, c.PinnedBy = s.Pin.String(), s.PinUntil, v.Orders.Pin
	}
	if c.Held {
		c.HeldUntil, c.HeldBy = s.PausedUntil, v.Orders.Hold
	}
	if s.Phase == failover.Polling && !s.HoldUntil.IsZero() && b.opt.Webhook != nil { // else there is nothing to go back to
		c.HoldDownLeft = max(0, s.HoldUntil.Sub(now).Seconds())
		if !s.Frozen && !s.Paused && s.Pin != failover.ModePolling {
			c.NextFailbackAt = s.HoldUntil
		}
	}
	if !v.InfoAt.IsZero() {
		n := int64(v.Info.PendingUpdateCount)
		c.PendingAtTelegram = &n
	}
	c.Next = b.next(v, now)
	c.Webhook = b.webhookStatus(v)
	for _, r := range v.Readings {
		c.Signals = append(c.Signals, console.Signal{Name: r.Signal, State: r.Level.String(), Since: r.Since, Detail: r.Evidence})
	}
	if v.Handover != nil {
		c.LastHandover = handoverStatus(*v.Handover)
	}
	return c
}

// next says what happens by itself, from what was published last.
func (b *Bot) next(v view, now time.Time) string {
	s := v.State
	switch {
	case s.Phase == failover.Starting:
		return "It takes up its mode as soon as the Bot API has answered."
	case s.Trial && s.Phase == failover.Webhook && !s.Paused && s.Pin == failover.ModeNone && !b.opt.Policy.DryRun:
		return "The webhook is on trial: it is proven after 20 s with traffic, after 65 s without. If anything speaks against it, polling takes over."
	}
	broken, _ := withheld(b.opt.Policy, v)
	return outlook{Policy: b.opt.Policy, Name: b.opt.Name, Ready: v.Ready, NotReady: v.NotReady, Broken: broken.Signal}.of(s, now)
}

func (b *Bot) webhookStatus(v view) *console.Webhook {
	if b.opt.Webhook == nil {
		return nil
	}
	a := b.server.Arrivals(b.opt.Name)
	w := &console.Webhook{URLHost: b.host, Registered: v.Owner == failover.Ours || v.Owner == failover.OursOther,
		Listen: b.opt.Webhook.Listener, Listening: b.server.Serving(), LastArrivalAt: a.Last, InFlight: int64(a.InProgress),
		LastErrorAt: v.Info.LastErrorDate, LastError: botapi.ShowWebhookError(v.Info.LastErrorMessage), Probe: v.Probe, ProbeDetail: v.ProbeSays}
	if v.Owner == failover.Foreign {
		w.LastErrorAt, w.LastError = time.Time{}, ""
	}
	if cfg := b.server.opt.TLS; cfg != nil {
		if s, err := b.server.chains.check(cfg, b.host, time.Now().Add(v.Skew)); err == nil {
			w.CertificateNotAfter = s.NotAfter
		}
	}
	return w
}

func handoverStatus(h Handover) *console.Handover {
	out := &console.Handover{Epoch: h.Epoch, From: h.From.String(), To: h.To.String(), By: h.By(), Reason: h.Cause.Name,
		Evidence: h.Cause.Evidence, StartedAt: h.Decided, FinishedAt: h.Done, OK: !h.Done.IsZero(), Steps: []console.Step{}}
	if out.OK {
		out.TookMS = float64(h.Done.Sub(h.Decided).Microseconds()) / 1000
	}
	for _, s := range h.Steps {
		out.Steps = append(out.Steps, console.Step{Name: s.Name, At: s.At,
			AfterMS: float64(s.At.Sub(h.Decided).Microseconds()) / 1000, Error: s.Error})
		if s.Error != "" {
			out.Error = s.Error
		}
	}
	if out.OK {
		out.Error = ""
	}
	return out
}
