package host

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	"dualgram/chaos"
	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor"
	"dualgram/supervisor/dispatch"
	"dualgram/supervisor/failover"
	"dualgram/transport/botapi"
	"dualgram/transport/delivery"
	"dualgram/transport/webhook"
)

// listeners makes one listener for each address that bots share.
func (h *Host) listeners() (ls []supervisor.ListenerOptions, certs map[string]*webhook.Certificate, err error) {
	certs = map[string]*webhook.Certificate{}
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
			WrapHandler: h.faults.Handler,
		}
		if !w.TLS.Off {
			cert, err := webhook.LoadCertificate(w.TLS.CertFile, w.TLS.KeyFile)
			if err != nil {
				return nil, nil, err
			}
			certs[w.Listen] = cert
			l.TLS = h.faults.TLSConfig(&tls.Config{GetCertificate: cert.GetCertificate, MinVersion: tls.VersionTLS12})
			h.reloadCertificate(cert, hostOf(w.PublicURL), w.TLS.CertFile)
		}
		ls = append(ls, l)
	}
	return ls, certs, nil
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
	return h.faults.ReopenListener(ln, func() (net.Listener, error) {
		return lc.Listen(context.WithoutCancel(ctx), "tcp", bound)
	}), nil
}

func (h *Host) reloadCertificate(cert *webhook.Certificate, host, file string) {
	h.reload = append(h.reload, func() {
		changed, err := cert.Reload(time.Now(), host)
		switch {
		case err != nil:
			h.log.Error().Err(err).Str("file", file).Msg("the certificate was not reloaded; the one in service stays")
		case changed:
			h.log.Info().Str("file", file).Time("not_after", cert.Leaf().NotAfter).Msg("a new certificate is in service")
		}
	})
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// bots makes the supervisor's options for every bot of the configuration.
func (h *Host) bots(ctx context.Context, certs map[string]*webhook.Certificate) ([]supervisor.BotOptions, error) {
	var all []supervisor.BotOptions
	ids := map[int64]string{}
	for i := range h.cfg.Bots {
		o, err := h.bot(ctx, i, certs)
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

func (h *Host) bot(ctx context.Context, i int, certs map[string]*webhook.Certificate) (supervisor.BotOptions, error) {
	c := &h.cfg.Bots[i]
	token, warnings, err := config.ReadToken(h.cfg, i)
	if err != nil {
		return supervisor.BotOptions{}, config.Errors{asProblem(err)}
	}
	h.warn(warnings)
	api, err := botapi.New(botapi.Options{Token: token.Reveal(), BaseURL: h.cfg.Telegram.APIURL, CAFile: h.cfg.Telegram.CAFile,
		Proxy: h.cfg.Telegram.Proxy, Wrap: h.faults.RoundTripper})
	if err != nil {
		return supervisor.BotOptions{}, err
	}
	h.closers = append(h.closers, api.Close)
	ledger, err := h.store.Ledger(api.BotID())
	if err != nil {
		return supervisor.BotOptions{}, err
	}
	f := h.cfg.Failover
	o := supervisor.BotOptions{
		Name: c.Name, BotID: api.BotID(), API: api, Ledger: ledger, AllowedUpdates: allowed(c), Budget: f.Budget,
		Delivery:   dispatch.Options{MaxAttempts: c.Deliver.MaxAttempts, BuryAfter: atLeast(c.Deliver.BuryAfter), Hook: h.faults.Hook(chaos.SeamDelivery)},
		Policy:     failover.Policy{HoldDown: atLeast(f.HoldDown), MaxHoldDown: h.opt.MaxHoldDown, DryRun: f.DryRun, Seed: uint64(api.BotID())},
		Thresholds: supervisor.Thresholds{InfoInterval: f.InfoInterval, TLSLead: atLeast(f.TLSLead)},
		TakeOver:   h.opt.TakeOver,
		Hook:       h.faults.Hook(chaos.SeamHandover),
		Observe:    h.opt.Observe,

		DeleteOnStop: h.cfg.OnStop == "delete",
	}
	var secret *webhookSecret
	if !c.Webhook.Off {
		if secret, err = h.secret(ctx, i, ledger); err != nil {
			return o, err
		}
		if o.Webhook, err = h.webhook(c, secret, certs); err != nil {
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

func (h *Host) webhook(c *config.Bot, secret *webhookSecret, certs map[string]*webhook.Certificate) (*supervisor.WebhookOptions, error) {
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
	if c.Webhook.UploadCertificate {
		cert := certs[c.Webhook.Listen]
		if cert == nil {
			return nil, fmt.Errorf("webhook.upload_certificate needs webhook.tls with a cert_file")
		}
		w.Certificate = cert.PEM
	}
	return w, nil
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
		h.log.Warn().Str("where", w.Where.String()).Str("fix", w.Fix).Msg(w.What)
	}
}

func asProblem(err error) config.Problem {
	if p, ok := err.(config.Problem); ok { //nolint:errorlint // ReadToken documents this very type
		return p
	}
	return config.Problem{What: err.Error()}
}

// environment is that of the process without what is dualgram's own: hooks have
// no business with its secrets.
func environment() []string { return scrub(os.Environ()) }
