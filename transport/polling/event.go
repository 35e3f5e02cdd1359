package polling

import (
	"time"

	"dualgram/transport/botapi"
)

// EventKind names a step of the poller.
type EventKind string

// The steps that Observe is told of.
const (
	// EventFetched: a page that isn't empty has come.
	EventFetched EventKind = "page_fetched"
	// EventCommitted: the sink holds the page.
	EventCommitted EventKind = "page_committed"
	// EventConfirmed: a call that confirmed committed updates was answered.
	EventConfirmed EventKind = "confirmed"
	// EventDrained: the first empty page since the start or the last trouble.
	EventDrained EventKind = "drained"
	// EventError: a call failed; it will be repeated.
	EventError EventKind = "error"
	// EventConflict: a 409. Foreign* are set if it was another poller.
	EventConflict EventKind = "conflict"
	// EventForeignGone: the other poller hasn't shown itself any more.
	EventForeignGone EventKind = "foreign_gone"
	// EventStoreFailed: the sink refused a page; nothing is confirmed.
	EventStoreFailed EventKind = "store_failed"
	// EventPoolReset: the connections were thrown away after network errors.
	EventPoolReset EventKind = "pool_reset"
	// EventLimit: Limit has changed, after pages that failed or that came well.
	EventLimit EventKind = "limit"
	// EventStuck: the page can't be confirmed to its end, or its offset had no
	// effect.
	EventStuck EventKind = "stuck"
	// EventStandbyPage: a standby check was answered with a page, which is
	// committed and not confirmed.
	EventStandbyPage EventKind = "standby_page"
)

// Event is one step, for evidence, logs and metrics. It holds nothing of an
// update but its id.
type Event struct {
	Kind EventKind
	At   time.Time
	// Duration is how long the call, or the commit, took.
	Duration time.Duration
	// Offset is what the call carried; 0 is the head.
	Offset int64
	// Next is the offset that confirms the page; 0 if it has none.
	Next int64
	// Timeout and Limit are what the call asked for; for EventLimit, Limit is
	// the new one.
	Timeout time.Duration
	Limit   int
	// Elements is the number of elements of the page, Size its bytes.
	Elements, Size int
	// New, Duplicates and Quarantined are what the sink said of them.
	New, Duplicates, Quarantined int
	NewSeries                    bool
	// First: the first page of this Run.
	First bool
	// Date is the Bot API's clock at the answer; zero if it gave none.
	Date time.Time
	// Err, Kind and Conflict of a failed call; Err of a failed commit.
	Err       error
	ErrorKind botapi.Kind
	Conflict  botapi.Conflict
	// Wait is the pause before the next call, for errors.
	Wait time.Duration
	// ForeignFirst and ForeignLast are when another poller was first and last
	// seen, since it was last gone.
	ForeignFirst, ForeignLast time.Time
}
