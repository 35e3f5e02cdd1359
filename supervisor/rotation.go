package supervisor

import (
	"context"
	"fmt"
	"time"

	"dualgram/supervisor/failover"
	"dualgram/supervisor/warning"
)

// CauseSecretRotation is why a registration is renewed when the secret token that
// is wanted is not the one that Telegram has.
const CauseSecretRotation = "secret_rotation"

// renewPause is the pause after a renewal that did not end in an acknowledgement:
// each real set cuts what is in flight.
const renewPause = 30 * time.Second

// The names of an [EventSecret].
const (
	// SecretBegun: a secret is wanted that Telegram does not have; both are taken.
	SecretBegun = "rotation_begun"
	// SecretDone: Telegram has it; the one before is taken for two minutes more.
	SecretDone = "rotation_done"
	// SecretDropped: the one before is refused from now on.
	SecretDropped = "previous_dropped"
	// SecretMigrationBegun and SecretMigrationEnded: requests without the header
	// are let in, with the hours in Seconds, or are refused from now on, with those
	// that were let in as Count.
	SecretMigrationBegun = "migration_begun"
	SecretMigrationEnded = "migration_ended"
)

// rotation is the loop's memory of a change of the secret. All that must outlive
// the process is the identity: a rotation is under way whenever the secret that is
// wanted is not the acknowledged one, so a crash at any point leaves both good and
// the next start goes on.
type rotation struct {
	want  string    // the hash of the secret on its way; empty: none is
	since time.Time // when it was noticed
	tried time.Time // when the last renewal for it was begun
	until time.Time // when the last former secret is dropped; zero: none is to be
}

// watchSecret begins, drives and ends rotations.
func (b *Bot) watchSecret(ctx context.Context, now time.Time) {
	if b.opt.Webhook == nil {
		return
	}
	r, acked := &b.rotation, b.identity.Acked.Secret
	note := func(name, evidence string) {
		b.record(ctx, Event{At: now, Bot: b.opt.Name, Kind: EventSecret, Epoch: b.state.Epoch, Name: name, Evidence: evidence})
	}
	until := b.secrets.sweep(now)
	if until.IsZero() && !r.until.IsZero() {
		note(SecretDropped, "the secret before the present one is refused from now on")
	}
	r.until = until

	want := hash(b.opt.Webhook.params().SecretToken)
	switch {
	case acked == "" || want == "": // never registered: the first set brings it
		return
	case want == acked:
		if r.want != "" {
			note(SecretDone, "Telegram has the new secret; the one before is taken for two minutes more")
			*r = rotation{until: until}
		}
		return
	case r.want != want:
		r.want, r.since, r.tried = want, now, time.Time{}
		note(SecretBegun, "the secret that is wanted is not the one that Telegram has; both are taken")
	}
	if !r.tried.IsZero() && now.Sub(r.tried) < renewPause {
		return
	}
	b.step(ctx, failover.Event{Kind: failover.Renew, At: now, Epoch: b.state.Epoch, Ready: b.renewable(),
		Cause: failover.Cause{Name: CauseSecretRotation, Evidence: "the webhook's secret token was changed"}})
	if b.state.Renews {
		r.tried = now
	}
}

// renewable tells whether a renewal would find everything in order. A set that
// nobody answers leaves nobody knowing which registration there is, so it is not
// sent while there is a doubt about the Bot API or the path.
func (b *Bot) renewable() bool {
	if ready, _ := b.ready(); !ready {
		return false
	}
	for _, r := range b.readings {
		if r.Moves && r.Level != Clear {
			return false
		}
	}
	return b.info.lastErr == nil && b.info.standbyErr == nil && !b.info.lastAt.IsZero()
}

// secretConditions tell of a rotation and a migration while they last.
func (b *Bot) secretConditions(v view, now time.Time) (all []warning.Condition) {
	clock := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	rotating := warning.Condition{Bot: b.opt.Name, Code: warning.SecretRotation, Since: v.Rotating}
	switch s := v.State; {
	case v.Rotating.IsZero() && v.Former.IsZero():
	case v.Rotating.IsZero():
		rotating.Evidence = fmt.Sprintf("Telegram has the new one. The one before is taken until %s, and refused from then on. Nothing is to be done", clock(v.Former))
	case s.Phase == failover.Polling || s.Phase == failover.ToPolling:
		rotating.Evidence = fmt.Sprintf("Since %s. Updates come by polling; the next failback sets the webhook with the new secret. Both are taken until then", clock(v.Rotating))
	case s.Paused:
		rotating.Severity = warning.Warning
		rotating.Evidence = fmt.Sprintf("Since %s, and it waits for the end of the hold: Telegram goes on with the old secret, which is taken until then. End the hold with: dualgram switch auto", clock(v.Rotating))
	default:
		rotating.Evidence = fmt.Sprintf("Since %s. Both secrets are taken. The webhook is set with the new one as soon as nothing speaks against it; if this lasts, the other warnings and signals say what does", clock(v.Rotating))
	}
	if rotating.Evidence != "" {
		all = append(all, rotating)
	}
	if v.Migrating {
		left := "its end is counted from the Bot API's first answer"
		if !v.MigratingUntil.IsZero() {
			left = fmt.Sprintf("for another %s, until %s", v.MigratingUntil.Sub(now).Round(time.Minute), clock(v.MigratingUntil))
		}
		all = append(all, warning.Condition{Bot: b.opt.Name, Code: warning.SecretMigration,
			Evidence: fmt.Sprintf("%d so far; %s", v.Unsigned, left)})
	}
	return all
}
