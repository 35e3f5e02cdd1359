package supervisor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"dualgram/supervisor/failover"
	"dualgram/transport/botapi"
)

// reassertEvery is the least pause between two attempts to put allowed_updates
// right: whoever changes it more often is another program, and is not fought.
const reassertEvery = 10 * time.Minute

// CauseDrift is why a registration is renewed whose allowed_updates somebody changed.
const CauseDrift = SignalDrift

// addressUnknown is what getWebhookInfo shows until Telegram has looked up the
// host (Client.cpp:5945-5980).
const addressUnknown = "<unknown>"

// optionalUpdates are delivered only to who asks for them by name; the others are
// Telegram's default (Client.cpp:16889-16946).
var optionalUpdates = []string{"chat_member", "message_reaction", "message_reaction_count"}

// defaultUpdates are those of Bot API 10.0.
var defaultUpdates = []string{
	"message", "edited_message", "channel_post", "edited_channel_post", "business_connection", "business_message",
	"edited_business_message", "deleted_business_messages", "inline_query", "chosen_inline_result", "callback_query",
	"shipping_query", "pre_checkout_query", "purchased_paid_media", "poll", "poll_answer", "my_chat_member",
	"chat_join_request", "chat_boost", "removed_chat_boost",
}

// sameUpdates tells whether Telegram's list means what was asked for. Telegram
// leaves out a list that equals its default.
func sameUpdates(want, has []string) bool {
	if has == nil {
		if len(want) == 0 {
			return true
		}
		for _, d := range defaultUpdates {
			if !slices.Contains(want, d) {
				return false
			}
		}
		return !slices.ContainsFunc(want, func(w string) bool { return slices.Contains(optionalUpdates, w) })
	}
	a, b := slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(has))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// drift is what differs between a registration and what Telegram says of it.
type drift struct {
	updates bool     // allowed_updates
	others  []string // in words
}

// driftOf compares. The URL is not judged here: another one is somebody else's.
func driftOf(want botapi.SetWebhook, info botapi.WebhookInfo) drift {
	var d drift
	if want.AllowedUpdates != nil && !sameUpdates(want.AllowedUpdates, info.AllowedUpdates) { // nil asks for nothing
		d.updates = true
	}
	if want.MaxConnections > 0 && info.MaxConnections > 0 && want.MaxConnections != info.MaxConnections {
		d.others = append(d.others, fmt.Sprintf("max_connections is %d instead of %d", info.MaxConnections, want.MaxConnections))
	}
	if want.IPAddress != "" && info.IPAddress != "" && info.IPAddress != addressUnknown && want.IPAddress != info.IPAddress {
		d.others = append(d.others, fmt.Sprintf("ip_address is %s instead of %s", info.IPAddress, want.IPAddress))
	}
	if info.HasCustomCertificate != (len(want.Certificate) > 0) {
		d.others = append(d.others, "the uploaded certificate is another one")
	}
	return d
}

// Differences lists, in words, what Telegram has otherwise than the set that was
// asked for. The URL is not judged, because another one is another webhook, and the
// secret can't be seen.
func Differences(asked botapi.SetWebhook, has botapi.WebhookInfo) []string {
	return driftOf(asked, has).words()
}

func (d drift) words() []string {
	all := slices.Clone(d.others)
	if d.updates {
		all = append(all, "allowed_updates differ")
	}
	return all
}

func (d drift) any() bool { return d.updates || len(d.others) > 0 }

func (d drift) read(since time.Time) Reading {
	r := Reading{Signal: SignalDrift}
	if all := d.words(); len(all) > 0 {
		r.Level, r.Since = Tripped, since
		r.Evidence = "somebody changed the registration: " + strings.Join(all, "; ")
	}
	return r
}

// watchDrift compares what Telegram has with what was registered, and puts
// allowed_updates right, which Telegram does in place if nothing else differs
// (Client.cpp:15758-15771). That is a renewal like any other, since a set that is not
// answered may happen after a failover. With a certificate to upload, or another
// secret, it would be a new registration, so then it only says so.
func (b *Bot) watchDrift(ctx context.Context, now time.Time, info botapi.WebhookInfo) {
	before := b.drift
	b.drift = drift{}
	if b.opt.Webhook == nil || b.state.Phase != failover.Webhook || b.state.Busy || b.info.owner == failover.Foreign || info.URL == "" {
		return
	}
	want := b.opt.Webhook.params()
	b.drift = driftOf(want, info)
	if !before.any() {
		b.driftSince = now
	}
	pause := reassertEvery
	if b.state.Cause.Name == failover.CauseSetUnsent { // the last attempt asked for nothing
		pause = renewPause
	}
	if !b.drift.updates || b.info.owner != failover.Ours || len(want.Certificate) > 0 || hash(want.SecretToken) != b.identity.Acked.Secret ||
		b.opt.Policy.DryRun || b.state.Paused || !b.reasserted.IsZero() && now.Sub(b.reasserted) < pause {
		return
	}
	b.step(ctx, failover.Event{Kind: failover.Renew, At: now, Epoch: b.state.Epoch, Ready: b.renewable(),
		Cause: failover.Cause{Name: CauseDrift, Evidence: "somebody changed allowed_updates"}})
	if b.state.Renews {
		b.reasserted = now
		b.log.Warn().Strs("want", want.AllowedUpdates).Strs("has", info.AllowedUpdates).Msg("somebody changed allowed_updates: putting them right")
	}
}
