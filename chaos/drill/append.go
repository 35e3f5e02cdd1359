package drill

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// owed is the evidence of a run that could not be written when it was due: the
// store may be what was broken. It is written before whatever comes next.
type owed struct {
	id   string
	data *Journal
}

// append writes a record behind the last one.
func (d *Drills) append(ctx context.Context, id string, kind RecordKind, data any) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	// The caller may have gone; what has happened is written down all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	err := d.settle(ctx)
	if err == nil {
		err = d.write(ctx, id, kind, data)
	}
	if j, ok := data.(*Journal); ok && err != nil && kind == RecordRun {
		d.owed = append(d.owed, owed{id, j})
	}
	return err
}

// settle writes what is owed. d.writing is held.
func (d *Drills) settle(ctx context.Context) error {
	for len(d.owed) > 0 {
		if err := d.write(ctx, d.owed[0].id, RecordRun, d.owed[0].data); err != nil {
			return err
		}
		d.owed = d.owed[1:]
	}
	return nil
}

// write writes one record. d.writing is held.
func (d *Drills) write(ctx context.Context, id string, kind RecordKind, data any) error {
	for try := 0; ; try++ {
		r, err := link(d.last, id, kind, time.Now(), data)
		if err != nil {
			return err
		}
		if err = d.o.Store.Append(ctx, r); err == nil {
			d.last = r
			return nil
		}
		// An append that was told to have failed may have happened.
		if try > 0 || !errors.Is(err, ErrSeq) || !d.catchUp(ctx) {
			return fmt.Errorf("drill: writing the record %s: %w", id, err)
		}
		if d.last.ID == id {
			return nil
		}
	}
}

// catchUp takes over the records that the store has behind the last that is known,
// if they are its successors. d.writing is held.
func (d *Drills) catchUp(ctx context.Context) bool {
	records, err := d.o.Store.List(ctx)
	if err != nil {
		return false
	}
	var chain []Record
	if d.last.Seq > 0 {
		chain = append(chain, d.last)
	}
	for _, r := range records {
		if r.Seq > d.last.Seq {
			chain = append(chain, r)
		}
	}
	if _, err := Verify(chain, ""); err != nil || len(chain) == 0 || chain[len(chain)-1].Seq == d.last.Seq {
		return false
	}
	d.last = chain[len(chain)-1]
	return true
}
