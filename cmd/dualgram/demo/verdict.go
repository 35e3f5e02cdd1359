package demo

import (
	"fmt"
	"time"

	"dualgram/chaos/telegramsim"
	"dualgram/cmd/dualgram/stage"
)

// Schema names the JSON form of a [Report].
const Schema = "dualgram/demo/v1"

// Limit is what a failover may take, and the verdict be good.
const Limit = 10 * time.Second

// Settings says what the run was given.
type Settings struct {
	Rate     float64 `json:"rate"`
	Chats    int     `json:"chats"`
	HoldDown float64 `json:"hold_down_s"`
}

// Figures are what a part of the run came to.
type Figures = stage.Figures

// Part is an act, or what came before the first.
type Part struct {
	Name  string `json:"name"`
	Title string `json:"title,omitempty"`
	Fault string `json:"fault,omitempty"`
	Figures
	// Failover is the time in seconds from the fault, or from the first update
	// that it stranded if that came later, to the first update that getUpdates
	// handed out; 0 if there was none.
	Failover float64 `json:"failover_s"`
}

// Report is the verdict.
type Report struct {
	Schema   string   `json:"schema"`
	OK       bool     `json:"ok"`
	Setup    Setup    `json:"setup"`
	Settings Settings `json:"settings"`
	Parts    []Part   `json:"parts"`
	Total    Figures  `json:"total"`
	// Slowest is the slowest failover in seconds.
	Slowest float64 `json:"slowest_failover_s"`
	Limit   float64 `json:"limit_s"`
	// Problems says what is not OK; never null.
	Problems []string `json:"problems"`
	Timeline []Line   `json:"timeline"`
	Took     float64  `json:"took_s"`
	// Kept is the directory that was not removed; "" if there is none.
	Kept string `json:"kept,omitempty"`
}

// mark is where an act began.
type mark struct {
	Act, Title, Fault string
	Onset             time.Time
}

// judge compares what Telegram handed out with what the bot has got. Updates are
// counted to the act in which they were sent.
func judge(sent []telegramsim.Record, taken []stage.Delivery, marks []mark) Report {
	r := Report{Schema: Schema, Limit: Limit.Seconds(), Problems: []string{}}
	parts := []Part{{Name: "before"}}
	for _, m := range marks {
		parts = append(parts, Part{Name: m.Act, Title: m.Title, Fault: m.Fault})
	}
	found := stage.Compare(sent, taken, func(at time.Time) (string, *Figures) {
		i := 0
		for i < len(marks) && !at.Before(marks[i].Onset) {
			i++
		}
		return parts[i].Name, &parts[i].Figures
	})
	r.Problems = append(r.Problems, found.Details...)
	for i := range marks {
		end := time.Time{}
		if i+1 < len(marks) {
			end = marks[i+1].Onset
		}
		took, ok := stage.Failover(sent, marks[i].Onset, end)
		p := &parts[i+1]
		p.Failover = took.Seconds()
		r.Slowest = max(r.Slowest, p.Failover)
		switch {
		case !ok:
			r.problem("%s: polling never handed out an update", p.Name)
		case took > Limit:
			r.problem("%s: the failover took %.1f s, more than %.0f s", p.Name, p.Failover, r.Limit)
		}
	}
	for _, p := range parts {
		r.Total.Add(p.Figures)
	}
	r.Parts = parts
	for _, id := range found.Invented {
		r.problem("the bot got update %d, which was never sent", id)
	}
	if found.Altered > 0 {
		r.problem("%d of %d updates did not reach the bot byte for byte as they were sent", found.Altered, r.Total.Delivered)
	}
	for _, c := range []struct {
		n    int
		what string
	}{{r.Total.Lost, "lost"}, {r.Total.Doubled, "doubled"}, {r.Total.OutOfOrder, "out of order"}} {
		if c.n > 0 {
			r.problem("%d of %d updates %s", c.n, r.Total.Sent, c.what)
		}
	}
	if r.Total.Sent == 0 {
		r.problem("no update was sent")
	}
	r.OK = len(r.Problems) == 0
	return r
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	r.OK = false
}
