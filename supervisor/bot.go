package supervisor

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"dualgram/store"
	"dualgram/supervisor/dispatch"
	"dualgram/supervisor/failover"
	"dualgram/transport/polling"
	"dualgram/transport/probe"

	"github.com/rs/zerolog"
	"github.com/sony/gobreaker/v2"
)

// Bot supervises one bot. All its decisions are taken on one goroutine, the
// loop; calls and handovers run beside it and report back by [Bot.post].
type Bot struct {
	opt     BotOptions
	host    string // of the webhook's URL
	ledger  Ledger
	health  func() store.Health
	server  *listener // nil for a bot that only polls
	chain   func(now time.Time) Reading
	log     zerolog.Logger
	metrics *botMetrics
	lanes   *dispatch.Dispatcher
	faults  func() []Fault // injected on purpose; nil: never any

	poller *polling.Poller

	posts chan func()    // run on the loop
	calls sync.WaitGroup // calls beside the loop
	work  chan job       // to the worker

	breaker *gobreaker.CircuitBreaker[struct{}] // guards the Bot API
	fail    *failRate                           // of the present registration; changed under mu
	arrived arrivals
	counts  *intakeCounts

	secrets   secrets    // that the listener takes besides the wanted one
	migration *migration // nil for a bot that only polls

	mu   sync.Mutex // guards view, the loop's state for readers, and fail
	view view

	pollMu    sync.Mutex
	completed chan struct{} // closed when a poll completes; nil if nobody waits

	// What follows belongs to the loop.
	state       failover.State
	identity    identity
	dirty       bool // the state in memory is ahead of the disk
	stall       stall
	telegram    telegramErrors
	drift       drift
	driftSince  time.Time
	reasserted  time.Time // when allowed_updates were last put right
	accepting   time.Time // since when the listener has accepted without a gap
	storeBad    time.Time // when the ledger was last in trouble
	slowCommit  time.Time // when a commit last took long, and tardyCommit half as long
	tardyCommit time.Time
	holeTrip    holeTrip
	probe       probeWatch
	info        infoWatch
	readings    []Reading
	polls       pollWatch
	current     *Handover // the handover under way or just done
	would       string    // the last thing that was decided and not done
	withheld    bool      // in this tick
	vetoed      time.Time // when a veto hook last forbade something
	lost        lossWatch
	orders      orders
	clock       clockWatch
	rotation    rotation
	tookOver    bool
	clearSince  time.Time // since when no signal has been in doubt
}

func newBot(o BotOptions, server *listener, chain func(time.Time) Reading, health func() store.Health, log zerolog.Logger, m *metrics) (*Bot, error) {
	b := &Bot{
		opt: o, ledger: o.Ledger, health: health, server: server, chain: chain,
		log:      log.With().Str("bot", o.Name).Logger(),
		metrics:  m.bot(o.Name),
		posts:    make(chan func(), 64),
		work:     make(chan job, 16),
		stall:    stall{window: o.Thresholds.Stall},
		telegram: telegramErrors{t: o.Thresholds},
		fail:     newFailRate(o.Thresholds),
		counts:   newIntakeCounts(),
	}
	if o.Webhook != nil {
		u, err := url.Parse(o.Webhook.Params.URL)
		if err != nil {
			return nil, fmt.Errorf("supervisor: bot %s: webhook url: %w", o.Name, err)
		}
		b.host = u.Hostname()
	}
	b.breaker = newStandbyBreaker(o.Thresholds)
	d := o.Delivery
	d.Ledger, d.Handler = o.Ledger, o.Handler
	d.Observe = b.delivered
	lanes, err := dispatch.New(d)
	if err != nil {
		return nil, fmt.Errorf("supervisor: bot %s: %w", o.Name, err)
	}
	b.lanes = lanes
	if b.poller, err = b.newPoller(); err != nil {
		return nil, err
	}
	if b.identity, err = loadIdentity(o.Ledger); err != nil {
		return nil, err
	}
	if o.Webhook != nil && o.Webhook.Prober != nil {
		if b.probe.prober, err = o.Webhook.Prober(b.telegramNow); err != nil {
			return nil, fmt.Errorf("supervisor: bot %s: %w", o.Name, err)
		}
		if err := load(o.Ledger, keyProbe, &b.probe.memory); err != nil {
			return nil, err
		}
		b.probe.pinned, _ = netip.ParseAddr(o.Webhook.Params.IPAddress)
		b.probe.address = b.probe.pinned
		b.probe.judge = probe.Judge{Bad: o.Thresholds.ProbeBad, Of: o.Thresholds.ProbeOf, Impostors: o.Thresholds.ProbeImpostors}
	}
	b.secrets.follow(b.identity, time.Now())
	if o.Webhook != nil {
		if b.migration, err = loadMigration(o.Ledger, o.Webhook.SecretMigration); err != nil {
			return nil, err
		}
	}
	if err := load(o.Ledger, keyOrders, &b.orders); err != nil {
		return nil, err
	}
	var s failover.State
	if err := load(o.Ledger, keyState, &s); err != nil {
		return nil, err
	}
	now := time.Now()
	b.state = b.opt.Policy.Restore(s, now)
	b.arrived.hole.t, b.arrived.redelivery.t = o.Thresholds, o.Thresholds
	if s.Phase != failover.Starting {
		// Telegram may have tried while nobody listened, and now waits.
		b.arrived.refusedAt(now)
	}
	b.publish(now)
	return b, nil
}

// telegramNow is the time by Telegram's clock, as far as it is known.
func (b *Bot) telegramNow() time.Time { return time.Now().Add(b.snapshot().Skew) }

// post hands f to the loop. It returns false if the loop has ended.
func (b *Bot) post(ctx context.Context, f func()) bool {
	select {
	case b.posts <- f:
		return true
	case <-ctx.Done():
		return false
	}
}
