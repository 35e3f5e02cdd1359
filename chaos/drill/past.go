package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// Past is what is remembered of an experiment's runs. It is read from the
// history at the start and kept up to date, so that no guard depends on a store
// that can be read.
type Past struct {
	LastRun     time.Time `json:"last_run,omitzero"`     // that broke something: its start
	LastSuccess time.Time `json:"last_success,omitzero"` // that broke something and held: its start
	LastOutcome Outcome   `json:"last_outcome,omitempty"`
}

// add takes in the evidence of a run.
func (p *Past) add(j *Journal) {
	p.LastOutcome = j.Outcome
	if !j.ran() {
		return
	}
	p.LastRun = j.Start
	if j.Outcome == Held {
		p.LastSuccess = j.Start
	}
}

// recall reads what the records tell of past runs.
func (d *Drills) recall(records []Record) error {
	js, err := journals(records)
	if err != nil {
		return err
	}
	for i := range js {
		d.remember(&js[i])
	}
	return nil
}

// remember takes in the evidence of a run.
func (d *Drills) remember(j *Journal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.pasts[j.Experiment.Name]
	p.add(j)
	d.pasts[j.Experiment.Name] = p
}

// count adds a run to the tally of this process.
func (d *Drills) count(experiment string, o Outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.runs[experiment] == nil {
		d.runs[experiment] = map[Outcome]uint64{}
	}
	if o != "" {
		d.runs[experiment][o]++
	}
}

func (d *Drills) past(experiment string) Past {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pasts[experiment]
}

// Pasts tells what is remembered of each experiment that is scheduled or was run,
// by its name.
func (d *Drills) Pasts() map[string]Past {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := maps.Clone(d.pasts)
	for _, s := range d.o.Schedules {
		out[s.Experiment] = d.pasts[s.Experiment]
	}
	return out
}

// Tally counts the runs that ended since [New], by experiment and outcome; one
// that the last process did not survive is among them. An experiment that is
// scheduled, has ever run or is running is there with no run, too.
func (d *Drills) Tally() map[string]map[Outcome]uint64 {
	pasts := d.Pasts()
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[string]map[Outcome]uint64{}
	for name := range pasts {
		out[name] = map[Outcome]uint64{}
	}
	for name, n := range d.runs {
		out[name] = maps.Clone(n)
	}
	return out
}

// inForce writes down schedules that are new or have changed, so that what is
// overdue is known after a restart too.
func (d *Drills) inForce(ctx context.Context, records []Record) error {
	for _, s := range d.o.Schedules {
		now := Standing{s.Experiment, s.Cron, s.zone().String(), Duration(s.Jitter)}
		since, ok, err := standing(records, now)
		if err != nil {
			return err
		}
		if !ok {
			if err := d.append(ctx, runID(d.born, "schedule-"+s.Experiment), RecordSchedule, now); err != nil {
				return err
			}
			since = d.born
		}
		d.since = append(d.since, since)
	}
	return nil
}

// standing tells since when a schedule has been in force by the history. An
// experiment may have several.
func standing(records []Record, s Standing) (since time.Time, ok bool, err error) {
	for _, r := range records {
		if r.Kind != RecordSchedule {
			continue
		}
		var was Standing
		if err := json.Unmarshal(r.Data, &was); err != nil {
			return since, false, fmt.Errorf("drill: reading record %d: %w", r.Seq, err)
		}
		if was == s {
			return r.At, true, nil
		}
	}
	return since, false, nil
}
