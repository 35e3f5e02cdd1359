package check

import (
	"context"
	"fmt"
	"strings"
	"time"

	"dualgram/supervisor"
	"dualgram/supervisor/warning"
	"dualgram/transport/botapi"
)

const (
	// manyPending are warned about, and tooManyPending are more than that.
	manyPending    = 50
	tooManyPending = 100
)

// registration compares what Telegram has with the configuration.
func (k *checkup) registration(_ context.Context, b *bot, f *findings) {
	w := &b.c.Webhook
	foreign := b.info.URL != "" && b.info.URL != w.PublicURL
	if b.live != nil {
		// The running dualgram knows which URLs it has registered itself, and which
		// it has not.
		foreign = b.live.ForeignWebhook != ""
	}
	k.judgeOwner(b, foreign, f)
	k.judgeRegistered(b, foreign, f)
	k.judgePending(b, f)
	if foreign || b.info.URL == "" {
		why := "no webhook is registered"
		if foreign {
			why = prerequisite + string(WebhookOwner)
		}
		f.skipAll([]Code{WebhookSame, WebhookError, SecretAgrees}, why)
		return
	}
	k.judgeSame(b, f)
	k.judgeError(b, f)
}

func (k *checkup) judgeOwner(b *bot, foreign bool, f *findings) {
	pending := fmt.Sprintf("with %d pending", b.info.PendingUpdateCount)
	switch {
	case foreign && b.c.Webhook.Off:
		f.fail(WebhookOwner, "Stop what serves it; then dualgram run --take-over deletes it, or dualgram switch auto --take-over if dualgram runs.",
			"Telegram delivers to %s, %s, and webhook: off wants to poll", botapi.RedactURL(b.info.URL), pending)
	case foreign && !k.alive():
		f.fail(WebhookOwner, "Stop what serves it, then dualgram run --take-over; if this dualgram registered it earlier, it replaces it without.",
			"Telegram delivers to %s, %s", botapi.RedactURL(b.info.URL), pending)
	case foreign:
		f.fail(WebhookOwner, "", "Telegram delivers to %s, %s", botapi.RedactURL(b.info.URL), pending)
	case b.info.URL == "":
		f.pass(WebhookOwner, "none is registered")
	default:
		f.pass(WebhookOwner, "the one that is registered is ours")
	}
}

func (k *checkup) judgeRegistered(b *bot, foreign bool, f *findings) {
	switch {
	case b.c.Webhook.Off:
		f.skip(WebhookRegistered, pollsOnly)
	case !k.alive():
		f.skip(WebhookRegistered, "dualgram isn't running")
	case b.live == nil:
		f.skip(WebhookRegistered, "the running dualgram doesn't know the bot")
	case foreign:
		f.skip(WebhookRegistered, "%s", prerequisite+string(WebhookOwner))
	case b.live.Phase == "webhook" && b.info.URL != "":
		trial := ""
		if b.live.Trial {
			trial = ", on trial"
		}
		f.pass(WebhookRegistered, "updates come by webhook%s", trial)
	case b.live.Phase == "webhook":
		f.warn(WebhookRegistered, "It is noticed and mended within seconds: check again.", "Telegram has no webhook, though dualgram is in webhook mode")
	case b.live.Pin == "polling":
		f.pass(WebhookRegistered, "updates come by polling, as an operator has pinned it")
	default:
		f.warn(WebhookRegistered, "", "updates come by %s: %s", b.live.Mode, strings.TrimSuffix(b.live.Reason+": "+b.live.Evidence, ": "))
	}
}

func (k *checkup) judgePending(b *bot, f *findings) {
	n := b.info.PendingUpdateCount
	switch {
	case !k.alive() && n > 0:
		f.pass(WebhookPending, "%d, which come at the start", n)
	case !k.alive():
		f.pass(WebhookPending, "none")
	case n >= tooManyPending:
		f.fail(WebhookPending, "", "%d", n)
	case n >= manyPending:
		f.warn(WebhookPending, "", "%d", n)
	default:
		f.pass(WebhookPending, "%d", n)
	}
}

func (k *checkup) judgeSame(b *bot, f *findings) {
	w := &b.c.Webhook
	asked := botapi.SetWebhook{URL: w.PublicURL, IPAddress: w.IPAddress, MaxConnections: w.MaxConnections, AllowedUpdates: b.c.AllowedUpdates}
	if asked.AllowedUpdates == nil {
		asked.AllowedUpdates = []string{} // Telegram's default, which dualgram asks for
	}
	if w.Uploads() && b.pair != nil {
		asked.Certificate = b.pair.pem
	}
	diff := supervisor.Differences(asked, b.info)
	switch {
	case b.info.URL != w.PublicURL && !w.Off:
		f.warn(WebhookSame, "Restart dualgram: it registers the URL of its configuration.", "an earlier URL of this dualgram is registered")
	case len(diff) > 0 && !k.alive():
		f.pass(WebhookSame, "not yet, and made so at the start: %s", names(diff))
	case len(diff) > 0:
		f.warn(WebhookSame, "", "%s", strings.Join(diff, "; "))
	default:
		f.pass(WebhookSame, "allowed_updates, max_connections, ip_address, certificate")
	}
}

// fixes say what to do about each class of last error.
var fixes = map[botapi.WebhookErrorClass]string{
	botapi.WebhookErrorTLS:      "Look at the tls checks above; after a repair the error stays until the webhook is registered anew.",
	botapi.WebhookErrorTimeout:  "Let Telegram's networks (149.154.160.0/20, 91.108.4.0/22) through the firewall, and see what in front of dualgram hangs.",
	botapi.WebhookErrorRefused:  "Start what listens on the public port, or lead the port to webhook.listen.",
	botapi.WebhookErrorClosed:   "See the log of what stands in front: it cuts connections.",
	botapi.WebhookErrorDNS:      "Give the host of public_url an A record with a public address.",
	botapi.WebhookErrorNetwork:  "See the routes and the firewall on the way to this host.",
	botapi.WebhookErrorProtocol: "See which program listens on the public port: it doesn't speak HTTP/1.1 as Telegram reads it.",
	botapi.WebhookErrorTelegram: "Nothing is to be done here: the failure is on Telegram's side.",
}

// httpFix is for an answer other than 2xx.
func httpFix(status int) string {
	switch {
	case status >= 300 && status < 400:
		return "Write the URL that the redirect leads to as public_url."
	case status == 404:
		return "Lead the path of public_url to dualgram in the proxy."
	case status == 410:
		return "Find what answers 410 under public_url and stop it: after 23 hours of that Telegram removes the webhook."
	case status == 429:
		return "Lift the proxy's limit of requests for Telegram's networks."
	case status >= 500:
		return "See that dualgram runs and its store commits, and where the proxy leads."
	}
	return ""
}

// judgeError says what Telegram's last error means. It stays in getWebhookInfo after
// the trouble is over.
func (k *checkup) judgeError(b *bot, f *findings) {
	i := b.info
	e := botapi.ClassifyWebhookError(i.LastErrorMessage)
	refused := e.Class == botapi.WebhookErrorHTTP && (e.Status == 401 || e.Status == 403)
	if e.Class == botapi.WebhookErrorNone {
		f.pass(WebhookError, "none")
		f.pass(SecretAgrees, "no delivery was refused for it")
		return
	}
	ago := i.Date.Sub(i.LastErrorDate)
	when := "just now"
	if ago >= time.Second {
		when = short(ago) + " ago"
	}
	words := strings.TrimSuffix(fmt.Sprintf("%q %s: %s", botapi.ShowWebhookError(i.LastErrorMessage), when, e.Hint()), ": ")
	// After a success nothing is pending, or something has arrived since.
	over := b.live != nil && b.live.Webhook != nil && b.live.Webhook.LastArrivalAt.Add(b.skew).After(i.LastErrorDate.Add(clockNoise)) && !b.warns(warning.TelegramErrors)
	code, other := WebhookError, SecretAgrees
	if refused {
		code, other = SecretAgrees, WebhookError
	}
	f.pass(other, "none of that kind")
	fix := fixes[e.Class]
	if e.Class == botapi.WebhookErrorHTTP && !refused {
		fix = httpFix(e.Status)
	}
	switch {
	case over:
		f.pass(code, "deliveries came through since; the last was %s", words)
	case ago >= recent && i.PendingUpdateCount == 0:
		f.pass(code, "nothing lately; the last was %s", words)
	case e.Class == botapi.WebhookErrorTelegram:
		f.warn(code, fix, "%s", words)
	case e.Hard() || refused:
		f.fail(code, fix, "%s", words)
	default:
		f.warn(code, fix, "%s", words)
	}
}
