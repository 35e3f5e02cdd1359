package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"dualgram/cmd/dualgram/config"
)

// listener looks whether the webhook's address can be had, or whether the running
// dualgram accepts there.
func (k *checkup) listener(ctx context.Context, b *bot, f *findings) {
	w := &b.c.Webhook
	switch {
	case w.Off:
		f.skip(PortListen, pollsOnly)
	case k.alive():
		switch {
		case b.live == nil || b.live.Webhook == nil:
			f.skip(PortListen, "the running dualgram has no webhook for the bot")
		case !b.live.Webhook.Listening:
			f.fail(PortListen, "See its log; it opens the address again by itself when it can.", "dualgram doesn't accept connections on %s", b.live.Webhook.Listen)
		default:
			f.pass(PortListen, "dualgram accepts on %s", b.live.Webhook.Listen)
		}
	case !k.o.Pre:
		f.skip(PortListen, "dualgram isn't running")
	default:
		if err := k.open(ctx, b); err != nil {
			fix := ""
			switch {
			case errors.Is(err, syscall.EADDRINUSE):
				_, port, _ := net.SplitHostPort(w.Listen)
				fix = fmt.Sprintf("See what has it with ss -ltnp 'sport = :%s', and stop that, or choose another webhook.listen.", port)
			case errors.Is(err, syscall.EACCES):
				fix = "Give dualgram CAP_NET_BIND_SERVICE, or choose a port from 1024 on and lead the public one to it."
			case errors.Is(err, syscall.EADDRNOTAVAIL):
				fix = "Write an address of this host into webhook.listen, or 0.0.0.0."
			}
			f.fail(PortListen, fix, "%s can't be had: %s", w.Listen, bare(err))
			return
		}
		f.pass(PortListen, "%s is free", w.Listen)
	}
}

// publicPort compares with the ports that Telegram delivers to.
func (k *checkup) publicPort(_ context.Context, b *bot, f *findings) {
	if b.c.Webhook.Off {
		f.skip(PortPublic, pollsOnly)
		return
	}
	_, port, _ := net.SplitHostPort(addressOf(b.c.Webhook.PublicURL))
	switch {
	case !k.cfg.Cloud():
		f.pass(PortPublic, "%s: a Bot API server of one's own takes any", port)
	case !slices.Contains(config.WebhookPorts(), port):
		f.fail(PortPublic, "", "public_url has %s", port)
	default:
		f.pass(PortPublic, "%s", port)
	}
}

// acmePort looks whether the authority's challenge could be answered.
func (k *checkup) acmePort(ctx context.Context, b *bot, f *findings) {
	w := &b.c.Webhook
	switch {
	case w.Off:
		f.skip(PortACME, pollsOnly)
	case w.TLS.ACME == nil:
		f.skip(PortACME, "no authority is asked")
	case w.ACMEChallenge() != config.ChallengeHTTP:
		f.pass(PortACME, "it comes to the webhook's own listener")
	case !k.o.Pre:
		f.skip(PortACME, "dualgram takes %s when the authority asks, and says so if it can't", w.TLS.ACME.HTTPListen)
	default:
		ln, err := k.o.Listen(ctx, "tcp", w.TLS.ACME.HTTPListen)
		if err != nil {
			f.fail(PortACME, "", "%s can't be had: %s", w.TLS.ACME.HTTPListen, bare(err))
			return
		}
		_ = ln.Close()
		f.pass(PortACME, "%s is free", w.TLS.ACME.HTTPListen)
	}
}

// controlSocket looks whether the socket can be made.
func (k *checkup) controlSocket(ctx context.Context, f *findings) {
	path := k.cfg.Control.Socket
	if k.alive() {
		f.pass(PortControl, "%s answers", path)
		return
	}
	dir := filepath.Dir(path)
	st, err := os.Stat(dir)
	there, errSocket := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(dir, "/run/"):
		// RuntimeDirectory= of the unit makes it at each start.
		if u, unit := k.readUnit(defaultUnit); unit != "" && u["RuntimeDirectory"] != "" {
			f.pass(PortControl, "%s is made by RuntimeDirectory=%s of the unit", dir, u["RuntimeDirectory"])
			return
		}
		f.fail(PortControl, fmt.Sprintf("Create it: install -d -m 0700 -o dualgram %s; it is gone after a restart of the host, so better have the unit make it: RuntimeDirectory=dualgram.", dir), "there is no directory %s", dir)
	case err != nil:
		f.fail(PortControl, "", "%s: %s", dir, bare(err))
	case !st.IsDir():
		f.fail(PortControl, "", "%s is no directory", dir)
	case errSocket == nil && there.Mode().Type() != fs.ModeSocket:
		f.fail(PortControl, "Move the file away, or correct control.socket.", "what stands at %s is no socket", path)
	case !writable(dir):
		f.fail(PortControl, "", "nothing can be made in %s by the user that runs this check", dir)
	default:
		if addr := k.cfg.Control.Listen; addr != "" && k.o.Pre {
			ln, err := k.o.Listen(ctx, "tcp", addr)
			if err != nil {
				f.fail(PortControl, "Free the address, or correct control.listen.", "control.listen %s can't be had: %s", addr, bare(err))
				return
			}
			_ = ln.Close()
		}
		f.pass(PortControl, "it can be made at %s", path)
	}
}
