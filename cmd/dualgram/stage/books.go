package stage

import (
	"bytes"
	"fmt"
	"time"

	"dualgram/chaos/telegramsim"
)

// Figures are what a part of a run came to. Sent and committed are the simulator's
// word, the rest is the sample bot's against it.
type Figures struct {
	Sent      int `json:"sent"`
	Committed int `json:"committed"` // acknowledged to Telegram
	Delivered int `json:"delivered"`
	Lost      int `json:"lost"`
	Doubled   int `json:"doubled"`
	// OutOfOrder counts updates that the bot got before an earlier one of the same
	// ordering queue of Telegram's.
	OutOfOrder int `json:"out_of_order"`
	ByWebhook  int `json:"by_webhook"`
	ByPolling  int `json:"by_polling"`
}

// Add adds another part's.
func (f *Figures) Add(o Figures) {
	f.Sent += o.Sent
	f.Committed += o.Committed
	f.Delivered += o.Delivered
	f.Lost += o.Lost
	f.Doubled += o.Doubled
	f.OutOfOrder += o.OutOfOrder
	f.ByWebhook += o.ByWebhook
	f.ByPolling += o.ByPolling
}

// Comparison is what [Compare] found.
type Comparison struct {
	// Altered counts updates whose bytes were not those that were sent, Invented
	// those that the bot got and that were never sent.
	Altered  int
	Invented []int64
	// Details tells of the first three of each sort of problem.
	Details []string
}

// Compare holds what Telegram sent against what the bot took. part says to which
// part of the run an update belongs that was sent at a time: its name, and where it
// is counted. An update counts as lost if the bot never had it, whatever became of
// it at Telegram.
func Compare(sent []telegramsim.Record, taken []Delivery, part func(sent time.Time) (name string, f *Figures)) (c Comparison) {
	first, count := map[int64]int{}, map[int64]int{}
	for i, t := range taken {
		if count[t.ID]++; count[t.ID] == 1 {
			first[t.ID] = i
		}
	}
	told := map[string]int{}
	detail := func(sort, format string, args ...any) {
		if told[sort]++; told[sort] <= 3 {
			c.Details = append(c.Details, fmt.Sprintf(sort+": "+format, args...))
		}
	}
	last := map[int64]telegramsim.Record{} // queue → the update with the latest place at the bot
	known := map[int64]bool{}
	for _, u := range sent {
		known[u.ID] = true
		name, p := part(u.PushedAt)
		during := ""
		if name != "" {
			during = fmt.Sprintf(", sent during %q", name)
		}
		p.Sent++
		if u.State == telegramsim.StateAcknowledged && !u.Unseen {
			p.Committed++
		}
		n := count[u.ID]
		if n == 0 {
			p.Lost++
			detail("lost", "update %d (%s%s, at Telegram %s)", u.ID, u.Kind, during, u.State)
			continue
		}
		at := taken[first[u.ID]]
		p.Delivered++
		if p.Doubled += n - 1; n > 1 {
			detail("doubled", "update %d (%s%s) came %d times", u.ID, u.Kind, during, n)
		}
		if at.Source == "polling" {
			p.ByPolling++
		} else {
			p.ByWebhook++
		}
		if !bytes.Equal(at.Body, u.Body) {
			c.Altered++
		}
		if u.Queue == 0 {
			continue
		}
		if l, seen := last[u.Queue]; seen && first[l.ID] > first[u.ID] {
			p.OutOfOrder++
			detail("out of order", "update %d (%s%s) came before %d of the same queue", u.ID, u.Kind, during, l.ID)
		} else {
			last[u.Queue] = u
		}
	}
	for _, t := range taken {
		if !known[t.ID] {
			known[t.ID] = true
			c.Invented = append(c.Invented, t.ID)
		}
	}
	return c
}

// Failover is the time from the onset, or from the first update that the fault
// stranded, to the first that getUpdates handed out before end (zero: no end).
// Stranded is what Telegram had and the webhook did not take before that.
func Failover(sent []telegramsim.Record, onset, end time.Time) (time.Duration, bool) {
	var stranded, handed time.Time
	for _, u := range sent {
		for _, at := range u.Returned {
			if at.After(onset) && (end.IsZero() || at.Before(end)) && (handed.IsZero() || at.Before(handed)) {
				handed = at
			}
		}
	}
	for _, u := range sent {
		ended := !u.EndedAt.IsZero()
		if u.PushedAt.After(handed) || ended && (u.EndedAt.Before(onset) || u.By == telegramsim.Webhook && u.EndedAt.Before(handed)) {
			continue
		}
		from := u.PushedAt
		if from.Before(onset) {
			from = onset
		}
		if stranded.IsZero() || from.Before(stranded) {
			stranded = from
		}
	}
	if handed.IsZero() || stranded.IsZero() {
		return 0, false
	}
	return handed.Sub(stranded), true
}
