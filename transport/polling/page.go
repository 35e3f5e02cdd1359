package polling

import (
	"crypto/sha256"
	"math"
	"time"

	"dualgram/transport"
	"dualgram/transport/botapi"
)

// page is a page of getUpdates, scanned.
type page struct {
	batch transport.Batch
	// next is the offset that confirms as much of the page as can be told by
	// readable ids; 0 if there are none.
	next int64
	// whole: next confirms the page to its last element.
	whole bool
	// nameless are the hashes of the elements without an id.
	nameless map[[sha256.Size]byte]bool
}

// scanPage makes a batch of what the call with the given offset returned.
// Elements without an id that are in held are left out: the sink has them.
func scanPage(p botapi.Page, offset int64, at time.Time, held map[[sha256.Size]byte]bool) page {
	out := page{whole: true}
	us := make([]transport.Update, 0, len(p.Elements))
	var prev int64
	trusted := true
	for _, raw := range p.Elements {
		u := transport.Scan(raw)
		// Ids rise within a page. One that doesn't was misread from a damaged
		// element: it and what follows confirm nothing.
		if u.HasID && trusted && u.ID > prev && u.ID < math.MaxInt64 {
			prev, out.next, out.whole = u.ID, u.ID+1, true
		} else {
			out.whole = false
			trusted = trusted && !u.HasID
		}
		if !u.HasID {
			if out.nameless == nil {
				out.nameless = map[[sha256.Size]byte]bool{}
			}
			h := sha256.Sum256(raw)
			out.nameless[h] = true
			if held[h] {
				continue
			}
		}
		us = append(us, u)
	}
	out.batch = transport.Batch{
		Source:     transport.SourcePolling,
		ReceivedAt: at,
		Updates:    us,
		Page:       &transport.Page{Offset: offset},
	}
	if out.whole {
		out.batch.Page.Next = out.next
	}
	return out
}

func (e *Event) count(r transport.Receipt) {
	e.New = r.Count(transport.StatusNew)
	e.Duplicates = r.Count(transport.StatusDuplicate)
	e.Quarantined = r.Count(transport.StatusQuarantined)
	e.NewSeries = r.NewSeries
}
