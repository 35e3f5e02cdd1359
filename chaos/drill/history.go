package drill

import (
	"context"
	"encoding/json"
	"fmt"
)

// Journals returns the runs that are kept, oldest first.
func (d *Drills) Journals(ctx context.Context) ([]Journal, error) {
	records, err := d.o.Store.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("drill: reading the history: %w", err)
	}
	return journals(records)
}

func journals(records []Record) ([]Journal, error) {
	var out []Journal
	for _, r := range records {
		if r.Kind != RecordRun {
			continue
		}
		var j Journal
		if err := json.Unmarshal(r.Data, &j); err != nil {
			return nil, fmt.Errorf("drill: reading record %d: %w", r.Seq, err)
		}
		out = append(out, j)
	}
	return out, nil
}

// Report gathers what a report of a run is made of. The error is [ErrNotFound]
// if there is no such run.
func (d *Drills) Report(ctx context.Context, id string) (*Report, error) {
	rec, err := d.o.Store.Get(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("drill: reading the record %s: %w", id, err)
	}
	if rec.Kind != RecordRun {
		return nil, fmt.Errorf("%s is a record of a %s: %w", id, rec.Kind, ErrNotFound)
	}
	r := &Report{Head: rec.Hash}
	if err := json.Unmarshal(rec.Data, &r.Journal); err != nil {
		return nil, fmt.Errorf("drill: reading the record %s: %w", id, err)
	}
	all, err := d.Journals(ctx)
	if err != nil {
		return nil, err
	}
	for _, j := range all {
		if j.Experiment.Name == r.Journal.Experiment.Name && j.Start.Before(r.Journal.Start) && j.ran() {
			r.Past = append(r.Past, j)
		}
	}
	return r, nil
}
