package supervisor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"dualgram/store"
	"dualgram/supervisor/dispatch"
	"dualgram/supervisor/failover"
	"dualgram/supervisor/warning"
	"dualgram/transport"
	"dualgram/transport/botapi"
	"dualgram/transport/delivery"
	"dualgram/transport/probe"
	"dualgram/transport/webhook"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// API is what the supervisor needs of the Bot API; *botapi.Client is one.
type API interface {
	GetUpdates(ctx context.Context, p botapi.GetUpdates) (botapi.Page, error)
	SetWebhook(ctx context.Context, p botapi.SetWebhook) (botapi.Result, error)
	DeleteWebhook(ctx context.Context, dropPending bool) (botapi.Result, error)
	GetWebhookInfo(ctx context.Context) (botapi.WebhookInfo, error)
	ResetPool(p botapi.Pool)
}

// Ledger is what the supervisor needs of the store; *store.Ledger is one.
type Ledger interface {
	transport.Sink
	dispatch.Ledger
	Load(key string) ([]byte, error)
	Save(ctx context.Context, values map[string][]byte, entries ...store.Entry) error
	Journal(after uint64, limit int) ([]store.Entry, error)
	JournalTail(limit int) ([]store.Entry, error)
	PollOffset() (next int64, ok bool)
	Tick(ctx context.Context, serverDate time.Time) error
	Holes() []store.Hole
	SettleHoles(ctx context.Context, before time.Time) (store.Settled, error)
	Stats() store.Stats
}

// Options is what a [Supervisor] runs with.
type Options struct {
	Bots      []BotOptions
	Listeners []ListenerOptions
	// Health reports the store's commits; (*store.Store).Health is one.
	Health func() store.Health
	// Registry takes the metrics; nil means none are kept.
	Registry prometheus.Registerer
	Logger   zerolog.Logger
	// ShutdownTimeout bounds the drain of the lanes at the end; default 15 s.
	ShutdownTimeout time.Duration
	// Faults lists those that were injected on purpose and act now, and for two
	// minutes at least those that have ended. A failover that one of them causes is
	// a drill's: it is not counted. Nil: there never are any. It is called often and
	// from many goroutines.
	Faults func() []Fault
	// Conditions lists warnings that others than the supervisor know of, such as
	// those about drills. Nil: there are none. It is called often and from many
	// goroutines, and must not ask anybody.
	Conditions func(now time.Time) []warning.Condition
}

// ListenerOptions describes one address that webhooks are received on. Bots may
// share it, told apart by path.
type ListenerOptions struct {
	// Address is host:port; it is the name by which bots refer to the listener.
	Address string
	// TLS is nil behind a proxy that terminates it.
	TLS *tls.Config
	// Listen opens the socket; nil means net.Listen("tcp", Address).
	Listen func(ctx context.Context, address string) (net.Listener, error)
	// WrapListener, WrapRequest and WrapHandler are seams for faults; nil means none.
	WrapListener func(net.Listener) net.Listener
	WrapRequest  func(*http.Request) *http.Request
	WrapHandler  func(http.Handler) http.Handler
	// Responder answers the probes of the bots behind this listener; nil: there
	// are none.
	Responder *probe.Responder
	// AllowConn lets a peer from outside of every bot's networks in as far as the
	// handler; see [webhook.Options]. Nil lets none in.
	AllowConn func(netip.Addr) bool
	// Refused returns the certificate pair on disk that is not in service, and
	// RenewalFailed what keeps dualgram from renewing its own; both are warned about,
	// and nil where there is no such thing. Renewal says in a sentence how the
	// certificate is renewed; empty: the operator replaces the files.
	Refused, RenewalFailed func() webhook.Refusal
	Renewal                string
	// MaxConns bounds the open connections; 0 derives it from the process's limit.
	MaxConns int
}

// WebhookOptions describes a bot's webhook.
type WebhookOptions struct {
	// Listener is the Address of one of the supervisor's listeners.
	Listener string
	// Params is the full set of parameters of setWebhook. What is omitted is
	// reset by Telegram, so all that matters stands here.
	Params botapi.SetWebhook
	// Certificate returns the certificate to upload, for one that may be replaced
	// while the bot runs: each set takes the present one, in place of that in
	// Params. Nil means that in Params.
	Certificate func() []byte
	// Secret returns the secret token that is wanted now, for one that may be
	// replaced while the bot runs, in place of that in Params. Within a tick of a
	// change the listener takes both, the webhook is set with the new one as soon
	// as nothing speaks against it, and two minutes after Telegram's
	// acknowledgement the old one is refused. Nil means that in Params. It is
	// called for each request.
	Secret func() string
	// SecretMigration is how long requests without the secret header are taken,
	// from the first start with it on, by Telegram's clock; 0 means never.
	SecretMigration time.Duration
	// Networks that may deliver; empty means any. TrustedProxies may speak for
	// others by X-Forwarded-For.
	Networks       []netip.Prefix
	TrustedProxies []netip.Prefix
	// Prober makes what looks at the webhook from outside, given Telegram's clock;
	// its Responder must be the listener's. Nil: nobody does.
	Prober func(now func() time.Time) (Prober, error)
}

// params is what setWebhook is to be called with now.
func (o *WebhookOptions) params() botapi.SetWebhook {
	p := o.Params
	if o.Certificate != nil {
		p.Certificate = o.Certificate()
	}
	if o.Secret != nil {
		p.SecretToken = o.Secret()
	}
	return p
}

// BotOptions describes one bot.
type BotOptions struct {
	Name   string
	BotID  int64 // Telegram's number of the bot
	API    API
	Ledger Ledger
	// Webhook is nil for a bot that only polls.
	Webhook        *WebhookOptions
	AllowedUpdates []string
	Handler        delivery.Handler
	Delivery       dispatch.Options // Ledger, Handler and Observe are set here
	Policy         failover.Policy
	Thresholds     Thresholds
	// Budget (10 s) bounds a failover, from the first update that a fault strands
	// to the first update taken by polling. Options whose worst case exceeds it
	// are refused; see [BotOptions.Worst].
	Budget time.Duration
	// TakeOver replaces a foreign webhook found at the start.
	TakeOver bool
	// DeleteOnStop deletes the webhook when the supervisor stops. By default it
	// stays, and Telegram keeps what it can't deliver.
	DeleteOnStop bool
	// Veto is asked before each automatic handover, for at most VetoDeadline
	// (500 ms by default); an error forbids it, a time-out doesn't. Notify is
	// told of each complete handover.
	Veto         func(ctx context.Context, h Handover) error
	VetoDeadline time.Duration
	Notify       func(ctx context.Context, h Handover)
	// WallClock tells the wall clock's time, which may jump; nil means time.Now.
	WallClock func() time.Time
	// Hook is called at the named steps of a handover.
	Hook transport.Hook
	// Observe sees each event as it happens. It must not block.
	Observe func(Event)
}

func (o *BotOptions) validate() error {
	switch {
	case o.Name == "":
		return errors.New("supervisor: a bot needs a name")
	case o.API == nil || o.Ledger == nil || o.Handler == nil:
		return fmt.Errorf("supervisor: bot %s needs an API, a Ledger and a Handler", o.Name)
	}
	if o.Webhook != nil {
		u, err := url.Parse(o.Webhook.Params.URL)
		if err != nil || u.Host == "" {
			return fmt.Errorf("supervisor: bot %s: the webhook's URL has no host", o.Name)
		}
	}
	if o.VetoDeadline == 0 {
		o.VetoDeadline = DefaultVetoDeadline
	}
	if o.WallClock == nil {
		o.WallClock = time.Now
	}
	o.Policy.PollingOnly = o.Webhook == nil
	o.Policy = o.Policy.WithDefaults()
	o.Thresholds = o.Thresholds.WithDefaults()
	if o.Budget == 0 {
		o.Budget = DefaultBudget
	}
	if worst := o.Worst(); o.Webhook != nil && worst > o.Budget {
		return fmt.Errorf("supervisor: bot %s: a failover could take %v, which is more than the budget of %v: shorten the thresholds or raise the budget", o.Name, worst, o.Budget)
	}
	return o.Policy.Validate()
}

// DefaultBudget is the guarantee.
const DefaultBudget = 10 * time.Second

// firstPoll is what the first getUpdates takes with a Bot API that answers within
// 500 ms.
const firstPoll = 500 * time.Millisecond

// Worst is the longest that a failover can take while the Bot API answers within
// 500 ms and loses at most one call: until the next getWebhookInfo, one lost
// call, the slowest signal's confirmation, the veto, deleteWebhook and its one
// repetition, the first poll.
func (o *BotOptions) Worst() time.Duration {
	t := o.Thresholds.WithDefaults()
	sum := t.InfoInterval + t.InfoDeadline + max(t.Stall, t.Timeout, t.Hole) + 2*deleteDeadline + firstPoll
	if o.Veto != nil {
		sum += o.VetoDeadline
	}
	return sum
}
