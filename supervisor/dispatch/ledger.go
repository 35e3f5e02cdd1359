package dispatch

import (
	"context"
	"time"

	"dualgram/store"
)

// Ledger is what the dispatcher needs of a bot's ledger. A record handed out by
// Next keeps its lane busy until Done, Retry, Release or Bury.
type Ledger interface {
	// Next hands out the smallest waiting record of a free lane and makes the
	// lane busy. Lanes held back until now or earlier are free from then on,
	// also for later calls with an earlier now: the dispatcher frees all lanes
	// at the end of an outage by asking with a time far ahead. If there is no
	// record, wait tells when the first held lane is free, 0 if none is held.
	Next(now time.Time) (rec store.Record, ok bool, wait time.Duration, err error)
	// Ready receives when there may be something for Next.
	Ready() <-chan struct{}
	// Done removes the record durably, then frees its lane.
	Done(ctx context.Context, ref store.Ref) error
	// Retry stores the attempts durably and holds the lane until NotBefore.
	Retry(ctx context.Context, ref store.Ref, a store.Attempt) error
	// Release frees the lane as if the record had not been handed out.
	Release(ref store.Ref)
	// Bury moves the record to the dead letters durably, then frees its lane.
	Bury(ctx context.Context, ref store.Ref, b store.Burial) error
}
