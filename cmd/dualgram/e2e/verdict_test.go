package e2e_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dualgram/chaos/telegramsim"
)

// verdict compares what Telegram sent with what the bot has got. It asks
// dualgram nothing.
type verdict struct {
	Sent, Delivered, Repeats, Reordered int
	ByWebhook, ByPolling                int // acknowledged to Telegram
	Problems                            []string
}

func (v verdict) String() string {
	return fmt.Sprintf("sent %d, delivered %d, repeated %d, out of order %d; acknowledged by webhook %d, by polling %d",
		v.Sent, v.Delivered, v.Repeats, v.Reordered, v.ByWebhook, v.ByPolling)
}

// settle stops the traffic, waits until Telegram has nothing left and the bot
// has got everything, and judges. deaths is how often a process or the bot died
// with updates in flight: each lane may repeat one update for each.
func (w *world) settle(most time.Duration, deaths int) verdict {
	w.t.Helper()
	if w.traffic != nil {
		w.traffic()
		w.flow.Wait()
	}
	eventually(w.t, most, "everything delivered", func() error { return w.undelivered(w.botID, w.bot) })
	v := w.judge(w.botID, w.bot, deaths)
	for _, p := range v.Problems {
		w.t.Error(p)
	}
	if !w.t.Failed() {
		w.t.Log(v)
	}
	return v
}

// undelivered tells what is still on its way to a bot.
func (w *world) undelivered(botID int64, bot *sampleBot) error {
	truth, err := w.sim.Bot(botID)
	if err != nil {
		return err
	}
	got := map[int64]bool{}
	for _, t := range bot.record() {
		got[t.ID] = true
	}
	missing := 0
	for _, r := range truth.Updates {
		if !got[r.ID] {
			missing++
		}
	}
	if missing > 0 || truth.Pending > 0 {
		return fmt.Errorf("%d pending at Telegram, %d not delivered (last error %q)", truth.Pending, missing, truth.LastError)
	}
	return nil
}

// lane is the bot's side of an update's order, found without dualgram's help:
// the chat, else the poll, else the user.
func lane(r telegramsim.Record) string {
	switch {
	case r.Chat != 0:
		return fmt.Sprint("chat ", r.Chat)
	case strings.HasPrefix(r.Kind, "poll"):
		return fmt.Sprint("poll ", r.Queue)
	default:
		return fmt.Sprint("user ", r.User)
	}
}

func (w *world) judge(botID int64, bot *sampleBot, deaths int) verdict {
	truth, err := w.sim.Bot(botID)
	if err != nil {
		return verdict{Problems: []string{fmt.Sprintf("no truth: %v", err)}}
	}
	return judge(truth, bot, deaths)
}

func judge(truth telegramsim.BotTruth, bot *sampleBot, deaths int) verdict {
	var v verdict
	bad := func(format string, args ...any) {
		if len(v.Problems) < 20 {
			v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
		}
	}
	sent := map[int64]telegramsim.Record{}
	for _, r := range truth.Updates {
		sent[r.ID] = r
	}
	bot.mu.Lock()
	record, strange := slices.Clone(bot.taken), slices.Clone(bot.strange)
	bot.mu.Unlock()
	for _, s := range strange {
		bad("the bot got a strange request: %s", s)
	}

	count := map[int64]int{}
	repeats := map[string]int{} // by lane
	newest := map[int64]int64{}
	for _, t := range record {
		r, ok := sent[t.ID]
		if !ok {
			bad("the bot got update %d, which Telegram never sent", t.ID)
			continue
		}
		if t.Body != string(r.Body) {
			bad("update %d (%s, by %s) is not what Telegram sent, byte for byte: %d bytes, want %d", r.ID, r.Kind, t.Source, len(t.Body), len(r.Body))
		}
		if count[t.ID]++; count[t.ID] > 1 {
			v.Repeats++
			if repeats[lane(r)]++; repeats[lane(r)] > deaths {
				bad("update %d (%s, %s) came %d times, %d repeats in its lane are allowed", r.ID, r.Kind, lane(r), count[t.ID], deaths)
			}
		}
		if r.Queue != 0 {
			if newest[r.Queue] > t.ID {
				v.Reordered++
				bad("update %d (%s, queue %d) came after %d of the same queue", r.ID, r.Kind, r.Queue, newest[r.Queue])
			}
			newest[r.Queue] = max(newest[r.Queue], t.ID)
		}
	}
	for _, r := range truth.Updates {
		v.Sent++
		if count[r.ID] > 0 {
			v.Delivered++
		} else {
			bad("update %d (%s, %s by %q) never reached the bot", r.ID, r.Kind, r.State, r.By)
		}
		switch {
		case r.State != telegramsim.StateAcknowledged:
			bad("update %d (%s) ended as %s at Telegram", r.ID, r.Kind, r.State)
		case r.Unseen:
			bad("update %d (%s) was confirmed without ever having been handed out", r.ID, r.Kind)
		case r.By == telegramsim.Webhook:
			v.ByWebhook++
		default:
			v.ByPolling++
		}
	}
	for _, c := range truth.Calls {
		if c.Drop {
			bad("%s asked to drop pending updates", c.Method)
		}
	}
	return v
}

// failover is how long it took from the onset, or from the first update that it
// stranded, until getUpdates first handed one of them out.
func (w *world) failover(onset time.Time) (time.Duration, error) {
	truth, err := w.sim.Bot(w.botID)
	if err != nil {
		return 0, err
	}
	var stranded, handed time.Time
	for _, r := range truth.Updates {
		if !r.EndedAt.IsZero() && r.EndedAt.Before(onset) || r.By != telegramsim.Polling {
			continue
		}
		from := r.PushedAt
		if from.Before(onset) {
			from = onset
		}
		if stranded.IsZero() || from.Before(stranded) {
			stranded = from
		}
		for _, at := range r.Returned {
			if at.After(onset) && (handed.IsZero() || at.Before(handed)) {
				handed = at
			}
		}
	}
	if stranded.IsZero() || handed.IsZero() {
		return 0, errors.New("nothing was stranded and then polled")
	}
	return handed.Sub(stranded), nil
}

// budget is the guarantee that a failover keeps.
const budget = 10 * time.Second

// inBudget fails the test if the failover after the onset took too long.
func (w *world) inBudget(onset time.Time) {
	w.t.Helper()
	d, err := w.failover(onset)
	switch {
	case err != nil:
		w.t.Errorf("failover: %v", err)
	case d > budget:
		w.t.Errorf("the failover took %v", d)
	default:
		w.t.Logf("failover in %v", d.Round(10*time.Millisecond))
	}
}
