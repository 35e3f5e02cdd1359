package host

import (
	"fmt"
	"net/url"
	"strings"

	"dualgram/chaos"
	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/console"
)

// listenerScope is where the faults of the bots behind an address act.
func (h *Host) listenerScope(address string) *chaos.Scope {
	return h.faults.Scope(h.behind(address)...)
}

// behind names the bots whose webhooks come in at an address.
func (h *Host) behind(address string) (names []string) {
	for i := range h.cfg.Bots {
		if b := &h.cfg.Bots[i]; !b.Webhook.Off && b.Webhook.Listen == address {
			names = append(names, b.Name)
		}
	}
	return names
}

// incoming tells which layers act on what Telegram sends.
func incoming(layer string) bool { return layer == "net" || layer == "tls" || layer == "http" }

// perBot tells which kinds can be kept to one bot of several. The store is one
// file, and a crash takes everything with it.
func perBot(k chaos.Info) bool { return k.Layer != "store" && k.Layer != "crash" }

// keep restricts a spec to one bot of the configuration, or says why it can't be.
func (h *Host) keep(s *chaos.Spec, bot string, k chaos.Info) error {
	var b *config.Bot
	var names []string
	for i := range h.cfg.Bots {
		names = append(names, h.cfg.Bots[i].Name)
		if h.cfg.Bots[i].Name == bot {
			b = &h.cfg.Bots[i]
		}
	}
	refuse := func(message, fix string) error {
		return &console.Failure{Code: console.CodeRefused, Message: message, Fix: fix}
	}
	switch {
	case b == nil:
		return &console.Failure{Code: console.CodeUnknownBot, Message: fmt.Sprintf("there is no bot %q", bot), Fix: "the bots are: " + strings.Join(names, ", ")}
	case incoming(k.Layer) && b.Webhook.Off:
		return refuse(fmt.Sprintf("bot %s has no webhook (webhook: off), and %s acts on webhooks", bot, k.Kind), "choose another bot, or a fault of another layer")
	case len(names) == 1:
		return nil
	case !perBot(k):
		return refuse(fmt.Sprintf("%s can't be kept to one bot: all bots share what it breaks", k.Kind), "leave the bot out: it then concerns all of them")
	}
	s.Scope = bot
	shared := h.behind(b.Webhook.Listen)
	if !incoming(k.Layer) || len(shared) == 1 {
		return nil
	}
	if k.Layer != "http" {
		return refuse(fmt.Sprintf("%s can't be kept to bot %s: it shares the listener %s with %s", k.Kind, bot, b.Webhook.Listen, strings.Join(others(shared, bot), ", ")),
			"leave the bot out, or give it a listener of its own")
	}
	own := webhookPath(b)
	for i := range h.cfg.Bots {
		if o := &h.cfg.Bots[i]; o != b && !o.Webhook.Off && o.Webhook.Listen == b.Webhook.Listen && strings.HasPrefix(webhookPath(o), own) {
			return refuse(fmt.Sprintf("%s can't be kept to bot %s: the path of bot %s begins with its path", k.Kind, bot, o.Name), "leave the bot out")
		}
	}
	params := map[string]string{"path": own}
	for name, v := range s.Params {
		params[name] = v
	}
	s.Params = params
	return nil
}

func webhookPath(b *config.Bot) string {
	u, err := url.Parse(b.Webhook.PublicURL)
	if err != nil || u.Path == "" {
		return "/"
	}
	return u.Path
}

func others(names []string, but string) (out []string) {
	for _, n := range names {
		if n != but {
			out = append(out, n)
		}
	}
	return out
}
