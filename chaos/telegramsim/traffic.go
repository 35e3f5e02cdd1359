package telegramsim

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// Traffic is a seeded stream of realistic updates for one bot: mostly messages
// in a few busy chats, with edits, button presses, inline queries, channel
// posts and the occasional checkout or poll.
type Traffic struct {
	Seed uint64
	Bot  int64
	// Rate is updates per second on average; the gaps are exponential.
	Rate float64
	// Chats is how many chats there are; 0 is 50. Every fourth is a group. How
	// busy they are follows Zipf's law.
	Chats int
	// Kinds weighs the types; nil is a mix typical of bots.
	Kinds map[string]int
	// Max ends the traffic after that many updates; 0: no end.
	Max int
	// Pushed, if not nil, is told of every update that was queued.
	Pushed func(id int64, u Update)
}

func usualMix() map[string]int {
	return map[string]int{
		"message": 620, "edited_message": 50, "callback_query": 180, "inline_query": 60, "chosen_inline_result": 10,
		"channel_post": 30, "edited_channel_post": 5, "my_chat_member": 10, "poll_answer": 10, "poll": 5,
		"pre_checkout_query": 5, "shipping_query": 5, "chat_join_request": 5, "business_message": 5,
	}
}

// samples are texts in several scripts, with what breaks careless code: emoji
// of several code points, right-to-left, line breaks, quotes, NUL's neighbours.
var samples = [...]string{
	"hello", "/start", "/order 42", "Привет, как дела?", "今天天气怎么样？", "مرحبا بالعالم", "שלום", "नमस्ते दुनिया",
	"👩‍👩‍👧‍👦 family", "🇩🇪🇫🇷 flags", "a\nb\n\nc", `quote " and back\slash`, "<b>not html</b> & so", "e\u0301 combining", "\u202eright to left\u202c",
	"zero\u200bwidth", "tab\tand \u2028 line separator", "สวัสดีชาวโลก", "Zażółć gęślą jaźń", "ok",
}

// Run pushes updates until ctx ends, Max is reached or the simulator is closed.
// It returns nil in these cases.
func (t Traffic) Run(ctx context.Context, s *Sim) error {
	if t.Rate <= 0 {
		return fmt.Errorf("telegramsim: traffic: rate is %v, want more than 0", t.Rate)
	}
	g := newGenerator(t)
	next := time.Now()
	for n := 0; t.Max == 0 || n < t.Max; n++ {
		gap := time.Duration(g.rng.ExpFloat64() / t.Rate * float64(time.Second))
		next = next.Add(gap)
		if wait := time.Until(next); !s.pause(ctx, wait) {
			return nil
		}
		u := g.next()
		id, err := s.Push(t.Bot, u)
		switch {
		case errors.Is(err, ErrClosed):
			return nil
		case errors.Is(err, ErrFiltered), errors.Is(err, ErrQueueFull):
			continue
		case err != nil:
			return err
		}
		if t.Pushed != nil {
			t.Pushed(id, u)
		}
	}
	return nil
}

// generator draws updates.
type generator struct {
	rng   *rand.Rand
	kinds []string // in a fixed order
	sums  []int
	zipf  []float64
}

func newGenerator(t Traffic) *generator {
	g := &generator{rng: rand.New(rand.NewPCG(t.Seed, 0x7261666669630a))}
	mix := t.Kinds
	if mix == nil {
		mix = usualMix()
	}
	sum := 0
	for _, k := range kinds { // not over the map: its order is random
		if mix[k] > 0 {
			sum += mix[k]
			g.kinds, g.sums = append(g.kinds, k), append(g.sums, sum)
		}
	}
	chats := t.Chats
	if chats <= 0 {
		chats = 50
	}
	total := 0.0
	for i := range chats {
		total += 1 / math.Pow(float64(i+1), 1.1)
		g.zipf = append(g.zipf, total)
	}
	return g
}

func (g *generator) next() Update {
	x := g.rng.Float64() * g.zipf[len(g.zipf)-1]
	chat := 0
	for g.zipf[chat] < x {
		chat++
	}
	u := Update{Kind: "message", User: 10_000_000 + int64(chat), Text: g.text()}
	if len(g.sums) > 0 {
		r := g.rng.IntN(g.sums[len(g.sums)-1])
		for i, s := range g.sums {
			if r < s {
				u.Kind = g.kinds[i]
				break
			}
		}
	}
	if chat%4 == 3 { // a group with a handful of people
		u.Chat = -1_001_000_000_000 - int64(chat)
		u.User = 20_000_000 + int64(chat)*10 + g.rng.Int64N(7)
	}
	switch u.Kind {
	case "channel_post", "edited_channel_post":
		u.Chat = -1_002_000_000_000 - int64(chat)
	case "callback_query":
		u.Inline = g.rng.IntN(10) == 0
		u.Text = fmt.Sprintf("action:%d", g.rng.IntN(20))
	case "poll", "poll_answer":
		u.Poll = 5_100_000_000_000_000_000 + int64(chat)
	}
	return u
}

func (g *generator) text() string {
	t := samples[g.rng.IntN(len(samples))]
	if g.rng.IntN(50) == 0 {
		t = strings.Repeat(t+" ", 1+g.rng.IntN(4000/(len(t)+1)))
	}
	return t
}
