package supervisor

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"time"

	"dualgram/supervisor/console"
	"dualgram/supervisor/failover"
	"dualgram/transport/botapi"
	"dualgram/transport/webhook"
)

// Status implements [console.StatusProvider]. It reads what is known and asks
// nobody.
func (s *Supervisor) Status(context.Context) (console.Status, error) {
	now := time.Now()
	out := console.Status{Schema: console.SchemaStatus, StartedAt: s.started, Bots: []console.Bot{}, Warnings: []console.Warning{}}
	for _, b := range s.bots {
		out.Bots = append(out.Bots, b.status(now))
	}
	if h := s.opt.Health(); !h.OK {
		out.Warnings = append(out.Warnings, console.Warning{Code: "store_failing", Severity: console.SeverityCritical,
			Title: "The store does not commit",
			Text:  fmt.Sprintf("Nothing is acknowledged to Telegram until it does: %v. Free or repair the disk.", h.Err)})
	}
	return out, nil
}

func (b *Bot) status(now time.Time) console.Bot {
	v, st, lanes := b.snapshot(), b.ledger.Stats(), b.lanes.Snapshot()
	s := v.State
	c := console.Bot{
		Name: b.opt.Name, BotID: b.opt.BotID, Mode: s.Mode().String(), Phase: s.Phase.String(), Trial: s.Trial, Epoch: s.Epoch,
		Since: s.Since, Reason: s.Cause.Name, Evidence: s.Cause.Evidence,
		Held: s.Paused, Frozen: s.Frozen, Pinned: s.Pin != failover.ModeNone,
		Waiting: int64(st.Waiting), OldestWaitingAt: st.OldestWaiting, Lanes: int64(st.Lanes), Dead: int64(st.Dead),
		Quarantined: int64(st.Quarantined), OpenHoles: st.OpenHoles, Lost: int64(st.Lost + st.ExpiredSuspected),
		StandbyReady: !v.Blind && v.Standby == nil,
		Signals:      []console.Signal{}, Warnings: []console.Warning{},
	}
	if v.Standby != nil {
		c.StandbyError = v.Standby.Error()
	}
	if s.Phase == failover.Polling && !s.HoldUntil.IsZero() {
		c.HoldDownLeft = max(0, s.HoldUntil.Sub(now).Seconds())
		if !s.Frozen && !s.Paused && s.Pin != failover.ModePolling && b.opt.Webhook != nil {
			c.NextFailbackAt = s.HoldUntil
		}
	}
	if !v.InfoAt.IsZero() {
		n := int64(v.Info.PendingUpdateCount)
		c.PendingAtTelegram = &n
	}
	c.Webhook = b.webhookStatus(v)
	for _, r := range v.Readings {
		c.Signals = append(c.Signals, console.Signal{Name: r.Signal, State: r.Level.String(), Since: r.Since, Detail: r.Evidence})
	}
	c.Warnings = b.warnings(v, now)
	if !lanes.BotDownSince.IsZero() {
		c.Warnings = append(c.Warnings, console.Warning{Code: "bot_down", Severity: console.SeverityCritical,
			Title: "The bot takes nothing",
			Text: fmt.Sprintf("It has refused or not answered every update since %s; they wait in the store. Intake goes on. Repair the bot: delivery resumes by itself.",
				lanes.BotDownSince.Format(time.RFC3339))})
	}
	if v.Handover != nil {
		c.LastHandover = handoverStatus(*v.Handover)
	}
	return c
}

func (b *Bot) webhookStatus(v view) *console.Webhook {
	if b.opt.Webhook == nil {
		return nil
	}
	a := b.server.Arrivals(b.opt.Name)
	w := &console.Webhook{URLHost: b.host, Registered: v.Owner == failover.Ours || v.Owner == failover.OursOther,
		Listen: b.opt.Webhook.Listener, Listening: b.server.Serving(), LastArrivalAt: a.Last, InFlight: int64(a.InProgress),
		LastErrorAt: v.Info.LastErrorDate, LastError: botapi.Redact(v.Info.LastErrorMessage), Probe: v.Probe}
	if v.Owner == failover.Foreign {
		w.LastErrorAt, w.LastError = time.Time{}, ""
	}
	if cfg := b.server.opt.TLS; cfg != nil {
		if chain, err := served(cfg, b.host); err == nil {
			w.CertificateNotAfter = webhook.CheckChain(chain, time.Now().Add(v.Skew), b.host, 0).NotAfter
		}
	}
	return w
}

// warnings are the conditions that a person should know of.
func (b *Bot) warnings(v view, now time.Time) []console.Warning {
	ws := []console.Warning{}
	add := func(code, severity, title, text string, args ...any) {
		ws = append(ws, console.Warning{Code: code, Severity: severity, Title: title, Text: fmt.Sprintf(text, args...)})
	}
	s := v.State
	switch {
	case s.Phase == failover.Held && s.Cause.Name == failover.CauseForeign:
		add("foreign_webhook", console.SeverityCritical, "Somebody else's webhook is set",
			"Telegram delivers to %s. dualgram takes nothing and does not overpower it. If it is yours to replace, start with: dualgram run --take-over", s.Cause.Evidence)
	case s.Phase == failover.Held:
		add("token_refused", console.SeverityCritical, "Telegram refuses the token",
			"%s. What is stored is still delivered. Put a valid token from @BotFather into the token file and restart.", s.Cause.Evidence)
	case s.Phase == failover.Starting && v.InfoErr != nil:
		add("bot_api_unreachable", console.SeverityCritical, "The Bot API is not reachable",
			"%v. The listener accepts and what is stored is delivered; dualgram asks again by itself.", v.InfoErr)
	}
	if v.Blind {
		add("blind", console.SeverityCritical, "Polling could not take over",
			"The Bot API does not answer, so a broken webhook could not be replaced. Check the way out of this host: dns, firewall, proxy.")
	}
	if now.Before(v.Limited) {
		add("info_rate_limited", console.SeverityWarning, "Telegram limits getWebhookInfo",
			"Until %s nothing is seen that only Telegram can see, such as updates that don't arrive: the ten seconds are not kept for those. Nothing is to be done if it passes; if it lasts, raise failover.info_interval.", v.Limited.Format(time.RFC3339))
	}
	if s.Frozen {
		add("frozen", console.SeverityCritical, "Failback is frozen",
			"%d automatic failovers within an hour. Updates come by polling. Repair the webhook, then acknowledge.", s.RecentFailovers(now))
	}
	if s.Phase == failover.Polling && !b.opt.Policy.PollingOnly && s.Pin != failover.ModePolling {
		add("on_standby", console.SeverityWarning, "Updates come by polling",
			"Since %s, because of %s. The webhook is tried again by itself.", s.Since.Format(time.RFC3339), s.Cause)
	}
	if !v.Rival.IsZero() {
		add("foreign_poller", console.SeverityCritical, "Another poller uses this token",
			"Seen since %s. Each of the two gets a part of the updates. Find and stop the other instance, or revoke the token.", v.Rival.Format(time.RFC3339))
	}
	ws = append(ws, secretWarnings(v, now)...)
	for _, r := range v.Readings {
		if r.Signal == SignalStore && r.Level == Tripped {
			add("store_failing", console.SeverityCritical, "The store does not commit",
				"%s. Nothing is acknowledged until it does; Telegram keeps the updates. Free or repair the disk.", r.Evidence)
		}
	}
	return append(ws, b.certificateWarnings(now.Add(v.Skew))...)
}

func handoverStatus(h Handover) *console.Handover {
	by := "automatic"
	if h.Cause.Name == failover.CauseOperator {
		by = "operator"
	}
	out := &console.Handover{Epoch: h.Epoch, From: h.From.String(), To: h.To.String(), By: by, Reason: h.Cause.Name,
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

// Events implements [console.EventsProvider]. Each bot has a journal of its own;
// with several bots the numbers are those of one bot's journal and the order is
// by time.
func (s *Supervisor) Events(_ context.Context, after uint64, limit int) ([]console.Event, error) {
	var all []console.Event
	for _, b := range s.bots {
		entries, err := b.opt.Ledger.Journal(after, limit)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			all = append(all, console.Event{Seq: e.Seq, At: e.At, Bot: b.opt.Name, Kind: e.Kind, Data: json.RawMessage(e.Data)})
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].At.Before(all[j].At) })
	if len(all) > limit {
		all = all[:limit]
	}
	return all, nil
}
