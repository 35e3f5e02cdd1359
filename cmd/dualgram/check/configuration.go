package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/host"
)

// refused is the whole report about a configuration that can't be used.
func (k *checkup) refused() []Result {
	var out []Result
	var problems config.Errors
	if errors.As(k.o.Refused, &problems) {
		for _, p := range problems {
			out = append(out, Result{Code: ConfigRefused, Status: Fail, Detail: p.Error(), Fix: p.Fix})
		}
		return out
	}
	return append(out, Result{Code: ConfigRefused, Status: Fail, Detail: k.o.Refused.Error()})
}

func (k *checkup) config(_ context.Context, f *findings) {
	name := k.cfg.File
	if name == "" {
		name = "from the environment"
	}
	bots := "1 bot"
	if n := len(k.cfg.Bots); n != 1 {
		bots = fmt.Sprintf("%d bots", n)
	}
	f.pass(ConfigRefused, "%s, %s, hash %s", name, bots, config.Hash(k.cfg))
	odd := 0
	for _, w := range k.cfg.Warnings {
		f.warn(ConfigOdd, sentence(w.Fix), "%s", w.String())
		odd++
	}
	if odd == 0 {
		f.pass(ConfigOdd, "nothing is odd")
	}
}

func (k *checkup) otherConfig(_ context.Context, f *findings) {
	switch have := config.Hash(k.cfg); {
	case !k.alive():
		f.skip(ConfigOther, "dualgram isn't running")
	case k.vitals == nil:
		f.skip(ConfigOther, "the running version doesn't tell")
	case k.vitals.ConfigHash != have:
		f.warn(ConfigOther, "", "dualgram runs with hash %s, and this one has %s", k.vitals.ConfigHash, have)
	default:
		f.pass(ConfigOther, "the running dualgram has the same, hash %s", have)
	}
}

// proxy speaks of the environment's proxy only where it could be what is missing.
func (k *checkup) proxy(_ context.Context, f *findings) {
	var set []string
	for _, kv := range k.o.Env {
		name, value, _ := strings.Cut(kv, "=")
		switch strings.ToUpper(name) {
		case "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY":
			if value != "" {
				set = append(set, name)
			}
		}
	}
	unreached := false
	for _, b := range k.bots {
		unreached = unreached || b.infoErr != nil
	}
	switch {
	case k.cfg.Telegram.Proxy != "":
		f.pass(ConfigProxy, "telegram.proxy is used")
	case len(set) == 0:
		f.pass(ConfigProxy, "none is set")
	case unreached:
		f.warn(ConfigProxy, "", "%s is set, and dualgram doesn't look at it", strings.Join(set, ", "))
	default:
		f.pass(ConfigProxy, "%s is set and not used, nor needed for the Bot API", strings.Join(set, ", "))
	}
}

func (k *checkup) readToken(_ context.Context, b *bot, f *findings) {
	token, _, err := config.ReadToken(k.cfg, b.index)
	var p config.Problem
	switch {
	case errors.As(err, &p):
		f.fail(APIToken, sentence(p.Fix), "%s", p.Error())
		return
	case err != nil:
		f.fail(APIToken, "", "%s", err.Error())
		return
	}
	b.token = token
	k.hide(token.Reveal())
	id, _, _ := strings.Cut(token.Reveal(), ":")
	if v := token.Variable(); v != "" {
		f.pass(APIToken, "of bot %s, from %s", id, v)
		return
	}
	f.pass(APIToken, "of bot %s, in %s", id, b.c.TokenFile)
}

// secretFiles looks at who may read what must stay secret.
func (k *checkup) secretFiles(_ context.Context, f *findings) {
	looked := 0
	seen := map[string]bool{}
	look := func(path string, forbidden fs.FileMode) {
		st, err := os.Stat(path)
		if path == "" || seen[path] || err != nil || !st.Mode().IsRegular() {
			return // whoever needs it says so
		}
		looked++
		seen[path] = true
		if perm := st.Mode().Perm(); perm&forbidden != 0 {
			f.warn(ConfigFiles, "Run chmod 600 "+path+".", "%s can be read by others (mode %04o)", path, perm)
		}
	}
	for _, b := range k.bots {
		look(b.c.TokenFile, 0o077)
		if w := &b.c.Webhook; !w.Off {
			look(w.SecretTokenFile, 0o077)
			_, key := host.CertificateFiles(k.cfg, w)
			look(key, 0o027) // a group may hold those that serve certificates
		}
	}
	if k.cfg.Control.Listen != "" {
		look(k.cfg.ControlTokenFile(), 0o077)
	}
	if n := k.cfg.Notify.Webhook; n != nil {
		look(n.URLFile, 0o077)
		look(n.SecretFile, 0o077)
	}
	if h := k.cfg.Heartbeat; h != nil {
		look(h.URLFile, 0o077)
	}
	if _, bad := f.has(ConfigFiles); bad {
		return
	}
	if looked == 0 {
		f.skip(ConfigFiles, "there is none")
		return
	}
	f.pass(ConfigFiles, "%d, and others can't read them", looked)
}

// secretFile looks at the file of the webhook's secret. It makes none.
func (k *checkup) secretFile(_ context.Context, b *bot, f *findings) {
	w := &b.c.Webhook
	switch {
	case w.Off:
		f.skip(SecretFile, pollsOnly)
		return
	case !w.SecretToken.IsZero():
		k.hide(w.SecretToken.Reveal())
		f.pass(SecretFile, "from %s", w.SecretToken.Variable())
		return
	case w.SecretTokenFile == "":
		f.pass(SecretFile, "in the store, made at the first start")
		return
	}
	if _, err := os.Stat(w.SecretTokenFile); errors.Is(err, fs.ErrNotExist) {
		f.pass(SecretFile, "%s is made at the start", w.SecretTokenFile)
		return
	}
	s, err := config.RereadSecret(k.cfg, b.index)
	var p config.Problem
	switch {
	case errors.As(err, &p):
		f.fail(SecretFile, sentence(p.Fix), "%s", p.Error())
	case err != nil:
		f.fail(SecretFile, "", "%s", err.Error())
	default:
		k.hide(s.Value.Reveal())
		f.pass(SecretFile, "in %s", w.SecretTokenFile)
	}
}

// pollsOnly is why there is nothing to look at of a webhook.
const pollsOnly = "the bot only polls"

// sentence makes one of a clause.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	if c := s[0]; c >= 'a' && c <= 'z' && !strings.HasPrefix(s, "chmod") && !strings.HasPrefix(s, "dualgram") {
		s = string(c-'a'+'A') + s[1:]
	}
	return strings.TrimRight(s, ".") + "."
}

// delivery looks whether somebody listens where the bot's updates go.
func (k *checkup) delivery(ctx context.Context, b *bot, f *findings) {
	fw := b.c.Deliver.Forward
	if fw == nil {
		f.skip(DeliveryBot, "deliver.ndjson writes to a file")
		return
	}
	addr := addressOf(fw.URL)
	if h, _, _ := net.SplitHostPort(addr); k.o.Offline && !isLoopback(h) {
		f.skip(DeliveryBot, "--offline")
		return
	}
	c, err := k.o.Dial(ctx, "tcp", addr)
	if err != nil {
		f.warn(DeliveryBot, "", "nobody takes connections at %s: %s", addr, bare(err))
		return
	}
	_ = c.Close()
	f.pass(DeliveryBot, "somebody takes connections at %s", addr)
}
