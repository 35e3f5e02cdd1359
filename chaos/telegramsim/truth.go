package telegramsim

import (
	"encoding/json"
	"slices"
	"time"
)

// State is what became of an update.
type State string

// States of a record.
const (
	StatePending      State = "pending"
	StateAcknowledged State = "acknowledged" // 2xx, or confirmed by a getUpdates offset
	StateExpired      State = "expired"      // its lifetime was over before anybody took it
	StateDropped      State = "dropped"      // given up early: the next retry would come after expiry
	StateCleared      State = "cleared"      // drop_pending_updates, a negative offset, logOut, a series reset
)

// Transport is the way by which an update was acknowledged.
type Transport string

// The two transports.
const (
	Webhook Transport = "webhook"
	Polling Transport = "polling"
)

// Attempt is one delivery by webhook.
type Attempt struct {
	Start        time.Time `json:"start"`
	End          time.Time `json:"end,omitzero"` // zero: in flight
	Status       int       `json:"status,omitempty"`
	RetryAfter   int       `json:"retry_after,omitempty"` // seconds, as answered
	Result       string    `json:"result,omitempty"`      // "200 OK", "Connection refused", "closed", "cut" (by a set, a delete or a restart)
	Connection   int       `json:"connection"`
	Registration int       `json:"registration"` // index in the bot's webhook history
}

// Record is the truth about one update.
type Record struct {
	ID        int64           `json:"id"`
	Series    int             `json:"series"` // 0, 1, …: counts id resets
	Kind      string          `json:"kind"`
	Queue     int64           `json:"queue"` // the server's ordering queue; 0: none
	Chat      int64           `json:"chat,omitempty"`
	User      int64           `json:"user,omitempty"`
	PushedAt  time.Time       `json:"pushed_at"`
	ExpiresAt time.Time       `json:"expires_at"`
	Body      json.RawMessage `json:"body,omitempty"` // exactly as sent
	Attempts  []Attempt       `json:"attempts,omitempty"`
	Returned  []time.Time     `json:"returned,omitempty"` // by getUpdates
	State     State           `json:"state"`
	By        Transport       `json:"by,omitempty"`       // who acknowledged
	EndedAt   time.Time       `json:"ended_at,omitzero"`  // of the first end
	Unseen    bool            `json:"unseen,omitempty"`   // acknowledged by an offset without ever having been handed out
	Again     int             `json:"again,omitempty"`    // planted duplicates
	Foreign   bool            `json:"foreign,omitempty"`  // last handed out to, or acknowledged by, the foreign poller
	FirstTry  time.Time       `json:"first_try,omitzero"` // first attempt or return
}

type recordKey struct {
	series int
	id     int64
}

// Call is one setWebhook, deleteWebhook, logOut or close.
type Call struct {
	Method      string    `json:"method"`
	At          time.Time `json:"at"`
	URL         string    `json:"url,omitempty"`
	Drop        bool      `json:"drop_pending_updates,omitempty"`
	Answered    time.Time `json:"answered,omitzero"`
	Code        int       `json:"code,omitempty"`
	Description string    `json:"description,omitempty"`
	Foreign     bool      `json:"foreign,omitempty"`
}

// Registration is one period for which a webhook was registered.
type Registration struct {
	URL            string    `json:"url"`
	MaxConnections int       `json:"max_connections"`
	IP             string    `json:"ip_address,omitempty"`
	Secret         bool      `json:"secret"`
	Certificate    bool      `json:"certificate"`
	From           time.Time `json:"from"`
	To             time.Time `json:"to,omitzero"`
	Why            string    `json:"why,omitempty"` // of its end
}

// Reply is a Bot API call made in the answer to a webhook request.
type Reply struct {
	At     time.Time         `json:"at"`
	Method string            `json:"method"`
	Args   map[string]string `json:"args"`
}

// Counters are totals since the bot was added.
type Counters struct {
	Pushed       int            `json:"pushed"`
	Filtered     int            `json:"filtered"`
	Discarded    int            `json:"discarded"`
	Webhook      int            `json:"acknowledged_webhook"`
	Polling      int            `json:"acknowledged_polling"`
	Expired      int            `json:"expired"`
	Dropped      int            `json:"dropped"`
	Cleared      int            `json:"cleared"`
	Attempts     int            `json:"attempts"`
	Dials        int            `json:"dials"`
	Conflicts    int            `json:"conflicts"`
	Forgotten    int            `json:"forgotten"` // ended records that KeepEnded let go
	Methods      map[string]int `json:"methods"`
	Acknowledged int            `json:"acknowledged"`
}

// BotTruth is the truth about one bot.
type BotTruth struct {
	ID        int64          `json:"id"`
	Pending   int            `json:"pending"`
	NextID    int64          `json:"next_id"`
	Series    int            `json:"series"`
	URL       string         `json:"url"`
	LastError string         `json:"last_error,omitempty"`
	ErrorAt   time.Time      `json:"last_error_at,omitzero"`
	Parked    bool           `json:"parked"` // a getUpdates waits
	InFlight  int            `json:"in_flight"`
	Conns     int            `json:"connections"`
	Updates   []Record       `json:"updates"`
	Calls     []Call         `json:"calls"`
	Webhooks  []Registration `json:"webhooks"`
	Replies   []Reply        `json:"replies"`
	Counters  Counters       `json:"counters"`
}

// Truth is a copy of everything the server knows.
type Truth struct {
	At   time.Time  `json:"at"`
	Bots []BotTruth `json:"bots"` // by id
}

// Truth returns a copy of the audit trail.
func (s *Sim) Truth() Truth {
	s.lock()
	defer s.unlock()
	t := Truth{At: time.Now()}
	for _, b := range s.bots {
		t.Bots = append(t.Bots, b.truth())
	}
	slices.SortFunc(t.Bots, func(a, b BotTruth) int { return int(a.ID - b.ID) })
	return t
}

// Bot returns the part of the truth about one bot.
func (s *Sim) Bot(botID int64) (BotTruth, error) {
	var t BotTruth
	err := s.with(botID, func(b *bot) error { t = b.truth(); return nil })
	return t, err
}

// Record returns the truth about one update of the bot's newest series that has
// the id.
func (s *Sim) Record(botID, updateID int64) (Record, error) {
	var r Record
	err := s.with(botID, func(b *bot) error {
		for series := b.series; series >= 0; series-- {
			if rec := b.byID[recordKey{series, updateID}]; rec != nil {
				r = rec.copy()
				return nil
			}
		}
		return ErrNoUpdate
	})
	return r, err
}

// Pending returns how many updates the bot's queue holds, as
// pending_update_count does: with those in flight and expired ones that were
// not collected yet. -1 for an unknown bot.
func (s *Sim) Pending(botID int64) int {
	n := -1
	_ = s.with(botID, func(b *bot) error { n = b.queue.len(); return nil })
	return n
}

func (r *Record) copy() Record {
	c := *r
	c.Attempts = slices.Clone(r.Attempts)
	c.Returned = slices.Clone(r.Returned)
	return c
}

func (b *bot) truth() BotTruth {
	t := BotTruth{
		ID: b.id, Pending: b.queue.len(), NextID: b.queue.tail, Series: b.series,
		LastError: b.err.text, ErrorAt: b.err.at, Parked: b.parked != nil,
		Calls: slices.Clone(b.calls), Webhooks: slices.Clone(b.history), Replies: slices.Clone(b.replies),
		Counters: b.counters,
	}
	t.Counters.Acknowledged = t.Counters.Webhook + t.Counters.Polling
	t.Counters.Methods = map[string]int{}
	for k, v := range b.counters.Methods {
		t.Counters.Methods[k] = v
	}
	if b.hook != nil {
		t.URL = b.hook.raw
	}
	if b.actor != nil {
		t.Conns = len(b.actor.conns)
		for _, c := range b.actor.conns {
			if c.ev != nil {
				t.InFlight++
			}
		}
	}
	t.Updates = make([]Record, len(b.records))
	for i, r := range b.records {
		t.Updates[i] = r.copy()
	}
	return t
}

// end writes down the end of an update. The first end stands, except that an
// acknowledgement of something given up is worth more than that.
func (b *bot) end(r *Record, state State, by Transport, now time.Time) {
	if r.State == StateAcknowledged || r.State != StatePending && state != StateAcknowledged {
		return
	}
	if r.State == StatePending {
		r.EndedAt = now
		b.ended++
	}
	r.State, r.By = state, by
	r.Unseen = state == StateAcknowledged && r.FirstTry.IsZero()
	switch {
	case by == Webhook:
		b.counters.Webhook++
	case by == Polling:
		b.counters.Polling++
	case state == StateExpired:
		b.counters.Expired++
	case state == StateDropped:
		b.counters.Dropped++
	case state == StateCleared:
		b.counters.Cleared++
	}
	if keep := b.s.o.KeepEnded; keep > 0 && b.ended > keep+keep/4 {
		b.prune(keep)
	}
}

func (b *bot) prune(keep int) {
	over := b.ended - keep
	kept := b.records[:0]
	for _, r := range b.records {
		if over > 0 && r.State != StatePending {
			over--
			b.ended--
			b.counters.Forgotten++
			delete(b.byID, recordKey{r.Series, r.ID})
			continue
		}
		kept = append(kept, r)
	}
	clear(b.records[len(kept):])
	b.records = kept
}
