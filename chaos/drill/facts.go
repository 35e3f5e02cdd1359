package drill

import "time"

// Facts is what a host knows of one bot at one moment. Pointers are nil where
// something is not known; an expression over them is then neither true nor
// false, see [Expr].
type Facts struct {
	At time.Time `json:"at"`
	// Started is when the process started.
	Started time.Time `json:"started,omitzero"`

	// Mode is "webhook", "polling" or "none"; Phase the finer state, such as
	// "to_polling".
	Mode  string `json:"mode"`
	Phase string `json:"phase"`
	// Trial: the webhook is set and not yet proven.
	Trial bool `json:"trial"`
	// StandbyReady: polling could take over now.
	StandbyReady bool `json:"standby_ready"`
	// Frozen, Held and Pinned: the automation may not do as it would.
	Frozen bool `json:"frozen"`
	Held   bool `json:"held"`
	Pinned bool `json:"pinned"`

	// Pending is Telegram's pending_update_count; PendingSince is since when it
	// has been above 0 without a break, zero if it is 0. Nil and zero if Telegram
	// can't be asked. PendingAt is when Telegram was asked.
	Pending      *int      `json:"pending"`
	PendingSince time.Time `json:"pending_since,omitzero"`
	PendingAt    time.Time `json:"pending_at,omitzero"`
	// Waiting is the number of updates in the inbox that the bot has not taken;
	// OldestWaiting when the oldest of them came.
	Waiting       int       `json:"waiting"`
	OldestWaiting time.Time `json:"oldest_waiting,omitzero"`
	OpenHoles     int       `json:"open_holes"`

	// Counts grow only. Expressions see their growth since the drill began.
	Counts Counts `json:"counts"`

	// Warnings are the codes shown now, sorted; Signals those that hold now and
	// move the mode, sorted.
	Warnings []string `json:"warnings"`
	Signals  []string `json:"signals"`
	// Critical are those of the warnings that are critical; Faults the kinds of the
	// faults that are injected, be it by this drill or by somebody else.
	Critical []string `json:"critical,omitempty"`
	Faults   []string `json:"faults,omitempty"`
	// TelegramErrorAt is the last_error_date of getWebhookInfo by this host's clock,
	// zero if there is none.
	TelegramErrorAt time.Time `json:"telegram_error_at,omitzero"`
	// IncidentAt is when the last handover was made that was neither a drill's nor
	// an operator's; zero if that is not known.
	IncidentAt time.Time `json:"incident_at,omitzero"`
}

// Counts are totals since the host's start or longer.
type Counts struct {
	// Received counts updates accepted for the first time, by the transport that
	// brought them; Duplicates those that came again; Delivered those that the bot
	// has taken; Lost those that Telegram no longer has and that never came; Dead
	// those that were buried.
	ReceivedWebhook int64 `json:"received_webhook"`
	ReceivedPolling int64 `json:"received_polling"`
	Duplicates      int64 `json:"duplicates"`
	Delivered       int64 `json:"delivered"`
	Lost            int64 `json:"lost"`
	Dead            int64 `json:"dead"`
	// Registrations counts calls of setWebhook and deleteWebhook, whatever became of
	// them.
	Registrations int64 `json:"registrations"`
}

// Sub returns the growth from b to c.
func (c Counts) Sub(b Counts) Counts {
	return Counts{
		ReceivedWebhook: c.ReceivedWebhook - b.ReceivedWebhook,
		ReceivedPolling: c.ReceivedPolling - b.ReceivedPolling,
		Duplicates:      c.Duplicates - b.Duplicates,
		Delivered:       c.Delivered - b.Delivered,
		Lost:            c.Lost - b.Lost,
		Dead:            c.Dead - b.Dead,
		Registrations:   c.Registrations - b.Registrations,
	}
}
