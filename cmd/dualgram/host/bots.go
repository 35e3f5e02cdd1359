package host

import (
	"context"
	"fmt"
	"net"
	"time"

	"dualgram/chaos"
	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor"
	"dualgram/supervisor/dispatch"
	"dualgram/supervisor/failover"
	"dualgram/transport/botapi"
	"dualgram/transport/delivery"
)

// listeners makes one listener for each address that bots share.
func (h *Host) listeners() (ls []supervisor.ListenerOptions, err error) {
	seen := map[string]bool{}
	for i := range h.cfg.Bots {
		w := &h.cfg.Bots[i].Webhook
		if w.Off || seen[w.Listen] {
			continue
		}
		seen[w.Listen] = true
		l := supervisor.ListenerOptions{
			Address:     w.Listen,
			Listen:      h.listen,
			WrapRequest: h.listenerScope(w.Listen).Request(),
			WrapHandler: h.listenerScope(w.Listen).Handler,
			Responder:   &h.probes,
		}
		if !w.TLS.Off {
			cert, err := h.openCertificate(w)
			if err != nil {
				return nil, err
			}
			l.TLS = h.listenerScope(w.Listen).TLSConfig(cert.tlsConfig())
			l.Refused, l.RenewalFailed, l.Renewal = cert.Refused, cert.renewalFailed, cert.renewal()
			if cert.issuer != nil {
				l.AllowConn = cert.allowConn
			}
		}
		ls = append(ls, l)
	}
	return ls, nil
}

// listen opens the socket with the faults' seam in it. A refused port really is
// closed and opened again.
func (h *Host) listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	bound := ln.Addr().String()
	return h.listenerScope(address).ReopenListener(ln, func() (net.Listener, error) {
		return lc.Listen(context.WithoutCancel(ctx), "tcp", bound)
	}), nil
}

// bots makes the supervisor's options for every bot of the configuration.
func (h *Host) bots(ctx context.Context) ([]supervisor.BotOptions, error) {
	var all []supervisor.BotOptions
	ids := map[int64]string{}
	for i := range h.cfg.Bots {
		o, err := h.bot(ctx, i)
		if err != nil {
			return nil, fmt.Errorf("bot %s: %w", h.cfg.Bots[i].Name, err)
		}
		if other, taken := ids[o.BotID]; taken {
			return nil, fmt.Errorf("bots %s and %s have the same token: two consumers of one queue would take each other's updates; remove one", other, o.Name)
		}
		ids[o.BotID] = o.Name
		all = append(all, o)
	}
	return all, nil
}

func (h *Host) bot(ctx context.Context, i int) (supervisor.BotOptions, error) {
	c := &h.cfg.Bots[i]
	token, warnings, err := config.ReadToken(h.cfg, i)
	if err != nil {
		return supervisor.BotOptions{}, config.Errors{asProblem(err)}
	}
	h.warn(warnings)
	h.conceal(token.Reveal())
	api, err := botapi.New(botapi.Options{Token: token.Reveal(), BaseURL: h.cfg.Telegram.APIURL, CAFile: h.cfg.Telegram.CAFile,
		Proxy: h.cfg.Telegram.Proxy, WrapDial: h.faults.Scope(c.Name).Dial, Wrap: h.faults.Scope(c.Name).RoundTripper, Observe: h.calls.of(c.Name)})
	if err != nil {
		return supervisor.BotOptions{}, err
	}
	h.closers = append(h.closers, api.Close)
	h.apis[c.Name] = api
	ledger, err := h.store.Ledger(api.BotID())
	if err != nil {
		return supervisor.BotOptions{}, err
	}
	f := h.cfg.Failover
	o := supervisor.BotOptions{
		Name: c.Name, BotID: api.BotID(), API: api, Ledger: ledger, AllowedUpdates: allowed(c), Budget: f.Budget,
		Delivery:   dispatch.Options{MaxAttempts: c.Deliver.MaxAttempts, BuryAfter: atLeast(c.Deliver.BuryAfter), Hook: h.faults.Scope(c.Name).Hook(chaos.SeamDelivery)},
		Policy:     h.policy(uint64(api.BotID())),
		Thresholds: thresholds(h.cfg),
		TakeOver:   h.opt.TakeOver,
		Hook:       h.faults.Scope(c.Name).Hook(chaos.SeamHandover),
		Observe:    h.observer(c.Name, api.BotID()),
		WallClock:  h.faults.Scope(c.Name).Clock(time.Now),

		DeleteOnStop: h.cfg.OnStop == "delete",
	}
	var secret *webhookSecret
	if !c.Webhook.Off {
		if secret, err = h.secret(ctx, i, ledger); err != nil {
			return o, err
		}
		if o.Webhook, err = h.webhook(c, secret); err != nil {
			return o, err
		}
	}
	if len(f.Hooks.Veto) > 0 {
		o.Veto, o.VetoDeadline = h.veto(c.Name, f.Hooks.Veto), vetoBudget(f.Hooks.Veto)
	}
	if len(f.Hooks.Notify) > 0 {
		o.Notify = h.notify(c.Name, f.Hooks.Notify)
	}
	o.Handler, err = h.handler(c, secret)
	return o, err
}

// observer tells the bot's drills what happens, and whoever else wants to know.
func (h *Host) observer(bot string, id int64) func(supervisor.Event) {
	d := &drillHost{h: h, bot: bot, id: id}
	h.drillHosts[bot] = d
	return func(e supervisor.Event) {
		d.observe(e)
		if h.opt.Observe != nil {
			h.opt.Observe(e)
		}
	}
}

// policy is the operator's choice of guards.
func (h *Host) policy(seed uint64) failover.Policy {
	f := h.cfg.Failover
	p := failover.Policy{HoldDown: atLeast(f.HoldDown), MaxHoldDown: atLeast(f.MaxHoldDown), MaxFailovers: f.MaxFailovers, DryRun: f.DryRun, Seed: seed}
	if h.opt.MaxHoldDown > 0 {
		p.MaxHoldDown = h.opt.MaxHoldDown
	}
	return p
}

// thresholds are the figures of the detector.
func thresholds(c *config.Config) supervisor.Thresholds {
	s := c.Signals
	return supervisor.Thresholds{
		InfoInterval: c.Failover.InfoInterval, InfoSuspect: s.Info.Suspect, InfoDeadline: s.Info.Deadline,
		TLSLead:    atLeast(c.Failover.TLSLead),
		FailWindow: s.FailRate.Window, FailShare: float64(s.FailRate.Percent) / 100, FailMin: s.FailRate.Min, FailRow: s.FailRate.Row, FailSpan: s.FailRate.Span,
		Timeout: s.Timeout.After, Stall: s.Stall.After, StallProbe: s.Stall.Doubted,
		Hole: s.Hole.After, HoleGone: s.Hole.Gone, HoleGoneWindow: s.Hole.GoneWindow,
		RedeliveryMin: s.Redelivery.Min, RedeliveryWindow: s.Redelivery.Window, RedeliveryAfter: s.Redelivery.After,
		ErrorConfirm: s.TelegramError.Confirm, ErrorSoft: s.TelegramError.Soft, ErrorWindow: s.TelegramError.Window, ErrorSpan: s.TelegramError.Span,
		ProbeInterval: s.Probe.Interval, ProbeSuspect: s.Probe.Suspect, ProbeBad: s.Probe.Bad, ProbeOf: s.Probe.Of, ProbeImpostors: s.Impostor.Row,
		StandbyInterval: s.Standby.Interval, SlowCommit: s.Store.SlowCommit,
	}
}

// allowed is the list for both transports. No list means Telegram's default, and
// that is said: what is left out stays as somebody narrowed it once.
func allowed(c *config.Bot) []string {
	if c.AllowedUpdates == nil {
		return []string{}
	}
	return c.AllowedUpdates
}

// atLeast returns the shortest duration there is for one of zero: in options zero
// means the default, and whoever writes 0s doesn't.
func atLeast(d time.Duration) time.Duration { return max(d, 1) }

func (h *Host) webhook(c *config.Bot, secret *webhookSecret) (*supervisor.WebhookOptions, error) {
	w := &supervisor.WebhookOptions{
		Listener:       c.Webhook.Listen,
		TrustedProxies: c.Webhook.TrustedProxies,
		Params: botapi.SetWebhook{URL: c.Webhook.PublicURL, IPAddress: c.Webhook.IPAddress,
			MaxConnections: c.Webhook.MaxConnections, AllowedUpdates: allowed(c)},
		Secret:          secret.get,
		SecretMigration: c.Webhook.SecretMigration,
	}
	if !c.Webhook.AllowNetworks.Any {
		w.Networks = c.Webhook.AllowNetworks.Prefixes
	}
	if c.Webhook.Uploads() {
		w.Certificate = h.certs[c.Webhook.Listen].PEM
	}
	var err error
	w.Prober, err = h.prober(c, w.Certificate)
	return w, err
}

func (h *Host) handler(c *config.Bot, secret *webhookSecret) (delivery.Handler, error) {
	if n := c.Deliver.NDJSON; n != nil {
		o := delivery.NDJSONOptions{Path: n.Path}
		if h.opt.Stdout != nil {
			o.Stdout = h.opt.Stdout
		}
		out, err := delivery.NewNDJSON(o)
		if err != nil {
			return nil, err
		}
		h.closers = append(h.closers, func() { _ = out.Close() })
		h.reload = append(h.reload, func() {
			if err := out.Reopen(); err != nil {
				h.log.Error().Err(err).Msg("deliver.ndjson could not be reopened; lines go on to the old file")
			}
		})
		return out, nil
	}
	f := c.Deliver.Forward
	out, err := delivery.NewForward(delivery.ForwardOptions{
		URL: f.URL, Timeout: f.Timeout, Secret: secret.get, OnReply: h.reply(c.Name),
	})
	if err != nil {
		return nil, err
	}
	h.closers = append(h.closers, out.CloseIdle)
	return out, nil
}

func (h *Host) warn(ws []config.Warning) {
	for _, w := range ws {
		h.log.Warn().Str("code", w.Code).Str("where", w.Where.String()).Str("fix", w.Fix).Msg(w.What)
	}
}

func asProblem(err error) config.Problem {
	if p, ok := err.(config.Problem); ok { //nolint:errorlint // ReadToken documents this very type
		return p
	}
	return config.Problem{What: err.Error()}
}
