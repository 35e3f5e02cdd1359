package supervisor_test

import (
	"fmt"
	"time"

	"dualgram/chaos/telegramsim"
)

// figures are what a run came to, from the simulator's truth and the sample
// bot's record alone.
type figures struct {
	Sent, Delivered, Lost, Expired, Repeats, Reordered int
	Failover                                           time.Duration // from the onset, or the first update it stranded
}

type verdict struct {
	Figures  figures
	handed   time.Time // when getUpdates first handed one out after the onset
	Problems []string
}

// judge compares what Telegram handed out with what the bot has got. onset is
// when the fault began.
func judge(w *testWorld, onset time.Time) verdict {
	var v verdict
	bad := func(format string, args ...any) {
		if len(v.Problems) < 20 {
			v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
		}
	}
	truth, err := w.sim.Bot(w.botID)
	if err != nil {
		bad("no truth: %v", err)
		return v
	}
	first := map[int64]int{} // id → position of its first delivery
	count := map[int64]int{}
	taken := w.bot.record()
	for i, t := range taken {
		if _, ok := first[t.ID]; !ok {
			first[t.ID] = i
		}
		count[t.ID]++
	}
	type queue struct {
		id int64
		at int
	}
	last := map[int64]queue{}
	for _, r := range truth.Updates {
		v.Figures.Sent++
		at, ok := first[r.ID]
		switch {
		case ok:
			v.Figures.Delivered++
			v.Figures.Repeats += count[r.ID] - 1
		case r.State == telegramsim.StateExpired || r.State == telegramsim.StateDropped:
			v.Figures.Expired++
			bad("update %d (%s) expired at Telegram, pushed %v, ended %v", r.ID, r.Kind, r.PushedAt, r.EndedAt)
			continue
		default:
			v.Figures.Lost++
			bad("update %d (%s, %s by %s) never reached the bot", r.ID, r.Kind, r.State, r.By)
			continue
		}
		if r.Queue != 0 {
			if l, seen := last[r.Queue]; seen && l.at > at {
				v.Figures.Reordered++
				bad("update %d (%s, queue %d, chat %d, user %d) came before %d of the same queue", r.ID, r.Kind, r.Queue, r.Chat, r.User, l.id)
			}
			last[r.Queue] = queue{r.ID, at}
		}
		delete(count, r.ID)
	}
	for id := range count {
		bad("the bot got update %d, which Telegram never sent", id)
	}
	v.Figures.Failover, v.handed = failoverTime(truth, onset)
	return v
}

// failoverTime is the time from the onset, or from the first update stranded by
// it if that came later, until getUpdates first handed one out.
func failoverTime(truth telegramsim.BotTruth, onset time.Time) (took time.Duration, handed time.Time) {
	var stranded time.Time
	for _, r := range truth.Updates {
		if r.EndedAt.IsZero() || r.EndedAt.After(onset) {
			from := r.PushedAt
			if from.Before(onset) {
				from = onset
			}
			if r.By == telegramsim.Polling && (stranded.IsZero() || from.Before(stranded)) {
				stranded = from
			}
		}
		for _, at := range r.Returned {
			if at.After(onset) && (handed.IsZero() || at.Before(handed)) {
				handed = at
			}
		}
	}
	if stranded.IsZero() || handed.IsZero() {
		return 0, handed
	}
	return handed.Sub(stranded), handed
}
