package supervisor

import (
	"net/netip"
	"time"

	"dualgram/supervisor/failover"
	"dualgram/transport/botapi"
)

// view is what others may read of a bot while the loop goes on.
type view struct {
	State     failover.State
	Readings  []Reading
	Info      botapi.WebhookInfo
	InfoAt    time.Time
	InfoErr   error
	Owner     failover.Owner
	Blind     bool
	Standby   error
	Ticked    time.Time
	Handover  *Handover
	Foreign   string    // the foreign webhook, redacted
	Rival     time.Time // since when another poller has been seen; zero if none
	RivalLast time.Time // when it was seen last
	Skew      time.Duration
	Probe     string     // ok, bad, unproven or disabled
	ProbeSays string     // what the last probe said, if it was bad
	Address   netip.Addr // that probes go to; invalid if the DNS decides
	Limited   time.Time  // until then a 429 forbids getWebhookInfo
	Ready     bool       // a failback would find everything in order
	NotReady  string     // else why not
	// Rotating is since when a change of the secret is under way; Former until
	// when the one before is good; zero if not. Migrating and Unsigned tell of a
	// migration: until when (zero if its end is not known yet) and how many.
	Rotating, Former time.Time
	Migrating        bool
	MigratingUntil   time.Time
	Unsigned         int64
	Orders           orders
	// Deliveries and BotAPI are the states of the two breakers.
	Deliveries, BotAPI string
}

// publish lets readers see where the bot stands.
func (b *Bot) publish(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.view.State = b.state
	b.view.Readings = append(b.view.Readings[:0:0], b.readings...)
	b.view.Info, b.view.InfoAt, b.view.InfoErr, b.view.Owner = b.info.last, b.info.lastAt, b.info.lastErr, b.info.owner
	b.view.Standby = b.info.standbyErr
	b.view.Blind = b.blind()
	b.view.Ticked = now
	b.view.Skew = b.clock.skew
	b.view.Probe, b.view.ProbeSays = b.probeState()
	b.view.Address = b.probe.address
	b.view.Limited = b.info.until
	b.view.Ready, b.view.NotReady = b.ready()
	b.view.Rotating, b.view.Former = b.rotation.since, b.rotation.until
	if m := b.migration; m != nil {
		b.view.Migrating, b.view.MigratingUntil, b.view.Unsigned = m.open.Load(), m.until, m.taken.Load()
	}
	b.view.Orders = b.orders
	b.view.Deliveries, b.view.BotAPI = b.fail.breaker.State().String(), b.breaker.State().String()
	b.view.Foreign = ""
	if b.info.owner == failover.Foreign {
		b.view.Foreign = botapi.RedactURL(b.info.last.URL)
	}
	if b.current != nil {
		h := *b.current
		h.Steps = append([]Step(nil), h.Steps...)
		b.view.Handover = &h
	}
}

// snapshot is the latest published view.
func (b *Bot) snapshot() view {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.view
}
