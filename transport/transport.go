// Package transport holds the words that every way of taking in updates shares:
// an [Update] as Telegram sent it, the [Batch] in which it arrives, and the
// [Sink] that makes it durable.
//
// The guarantee: a transport tells Telegram that it has an update only after
// [Sink.Accept] returned nil for it, and Accept returns nil only when the
// update is on disk. Nothing between the wire and the bot decodes an update
// and encodes it again; [Scan] reads what dualgram needs to know and leaves the
// bytes alone.
package transport

import (
	"context"
	"time"
)

// Source names the transport by which an update came in.
type Source string

// The two transports.
const (
	SourceWebhook Source = "webhook"
	SourcePolling Source = "polling"
)

// Update is one update: the bytes that Telegram sent, and what a tolerant scan
// found in them. Fields other than Raw may be missing from a body that does not
// parse; the update is kept all the same.
type Update struct {
	// ID is Telegram's update_id. It means something only if HasID is true.
	ID    int64
	HasID bool
	// Kind is the name of the update's payload field, such as "message" or
	// "callback_query"; empty if none was found.
	Kind string
	// Lane is the delivery queue: updates of one lane reach the bot one after
	// another by update_id. Empty means that the scan found nothing to order by:
	// the update gets a lane of its own.
	Lane string
	// Queue names the ordering queue that Telegram keeps the update in, where the
	// updates of such a queue can fall into several lanes; else it is empty.
	// Updates of one queue, too, reach the bot one after another by update_id.
	Queue string
	// Raw is the update's JSON object exactly as received.
	Raw []byte
}

// Page is what makes a [Batch] a page of getUpdates. It is nil for a webhook
// delivery.
type Page struct {
	// Offset is the offset parameter of the call that returned the page; 0 if
	// the call went from the head of Telegram's queue.
	Offset int64
	// Next is the offset that confirms exactly this page: the last update_id in
	// it plus one. It is 0 if the page is empty or its last element carries no
	// readable update_id, and is then not stored.
	Next int64
}

// Batch is a group of updates that arrived together and is accepted or refused
// as a whole.
type Batch struct {
	Source     Source
	ReceivedAt time.Time
	Updates    []Update
	// Page is set for polling only. The sink stores Page.Next in the same
	// transaction as the updates.
	Page *Page
}

// Status says what became of one update of a batch.
type Status uint8

// What can become of an update.
const (
	// StatusNew: stored for the first time.
	StatusNew Status = iota
	// StatusDuplicate: an update with this id was stored before.
	StatusDuplicate
	// StatusQuarantined: stored, but without an update_id it can't be ordered
	// or deduplicated and waits for a person.
	StatusQuarantined
)

// Item is the fate of one update of a batch.
type Item struct {
	Status Status
	// FirstSeen is when the id was first committed, by this host's clock; the
	// zero time unless Status is StatusDuplicate.
	FirstSeen time.Time
}

// Receipt is what a [Sink] returns for a batch that is durable.
type Receipt struct {
	// Items has one element for each update of the batch, in its order.
	Items []Item
	// NewSeries is true if the batch started a new series of update_ids: from
	// then on an offset of the old series means nothing.
	NewSeries bool
}

// Count returns how many items of the receipt have the given status.
func (r Receipt) Count(s Status) int {
	n := 0
	for i := range r.Items {
		if r.Items[i].Status == s {
			n++
		}
	}
	return n
}

// Sink makes updates durable.
type Sink interface {
	// Accept returns nil only when every update of the batch, or an earlier copy
	// of it, is committed to disk, and it is the only licence to acknowledge
	// the batch to Telegram. On any error nothing of the batch may be
	// acknowledged. Accept may be called from many goroutines at once. The sink
	// does not keep Raw after it returns.
	Accept(ctx context.Context, b Batch) (Receipt, error)
}

// Hook is called at a named point of a procedure. A nil Hook does nothing.
// Faults and crash tests are handed in through hooks; an error makes the
// procedure fail at that point as if the step itself had failed.
type Hook func(ctx context.Context, point string) error

// At calls the hook if there is one.
func (h Hook) At(ctx context.Context, point string) error {
	if h == nil {
		return nil
	}
	return h(ctx, point)
}
