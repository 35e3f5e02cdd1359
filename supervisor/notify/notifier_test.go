package notify

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/supervisor/warning"
	"dualgram/transport/botapi"

	"github.com/rs/zerolog"
)

// receiver is a channel that can fail or hang.
type receiver struct {
	mu   sync.Mutex
	fail error
	hang bool
	got  []Message
	at   []time.Duration
	t0   time.Time
}

func (r *receiver) Send(ctx context.Context, m Message) error {
	r.mu.Lock()
	fail, hang := r.fail, r.hang
	r.at = append(r.at, time.Since(r.t0))
	r.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if fail == nil {
		r.mu.Lock()
		r.got = append(r.got, m)
		r.mu.Unlock()
	}
	return fail
}

func (r *receiver) set(fail error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = fail
}

// played runs a notifier in virtual time, with one warning that lasts.
func played(t *testing.T, play func(t *testing.T, good, bad *receiver, reports func() []Report, log *bytes.Buffer)) {
	synctest.Test(t, func(t *testing.T) {
		good, bad := &receiver{t0: time.Now()}, &receiver{t0: time.Now()}
		var log bytes.Buffer
		var mu sync.Mutex
		var seen []Report
		since := time.Now()
		n := New(Options{Rules: Rules{Repeat: -1}, Host: "web1", Version: "v1", Logger: zerolog.New(zerolog.SyncWriter(&log)),
			Channels: []Channel{{"good", good}, {"bad", bad}},
			Look: func(time.Time) Snapshot {
				return Snapshot{Conditions: []warning.Condition{{Bot: "a", Code: warning.Frozen, Since: since, Evidence: "so it is"}}}
			},
			Observe: func(r Report) { mu.Lock(); defer mu.Unlock(); seen = append(seen, r) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); n.Run(ctx) }()
		play(t, good, bad, func() []Report { mu.Lock(); defer mu.Unlock(); return append([]Report(nil), seen...) }, &log)
		cancel()
		<-done
	})
}

// A channel that hangs or fails holds up no other, and is tried again, further and
// further apart, until the message is through.
func TestChannelsApart(t *testing.T) {
	played(t, func(t *testing.T, good, bad *receiver, reports func() []Report, log *bytes.Buffer) {
		bad.set(&Error{Op: "webhook", Err: errors.New("no way")})
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(good.got) != 1 || good.at[0] != 30*time.Second || good.got[0].Host != "web1" || good.got[0].Version != "v1" {
			t.Errorf("the good one got %v at %v", good.got, good.at)
		}
		if n := len(bad.at); n < 16 || n > 20 || bad.at[1]-bad.at[0] != 15*time.Second || bad.at[n-1]-bad.at[n-2] > 4*time.Minute+2*look {
			t.Errorf("tried at %v", bad.at)
		}
		bad.set(nil)
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		if len(bad.got) != 1 || len(bad.got[0].Items) != 1 {
			t.Errorf("the bad one got %v", bad.got)
		}
		if lines := strings.Count(log.String(), `"level":"error"`); lines != 1 {
			t.Errorf("%d lines about it:\n%s", lines, log)
		}
		all := reports()
		if last := all[len(all)-1]; last.Err != nil || last.Failures != 0 {
			t.Errorf("%+v", last)
		}
		if r := all[len(all)-2]; r.Err == nil || r.Failures < 9 {
			t.Errorf("%+v", r)
		}
	})
}

func TestHanging(t *testing.T) {
	played(t, func(t *testing.T, good, bad *receiver, _ func() []Report, _ *bytes.Buffer) {
		bad.mu.Lock()
		bad.hang = true
		bad.mu.Unlock()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if len(good.got) != 1 || len(bad.at) < 2 || bad.at[1]-bad.at[0] < sendDeadline {
			t.Errorf("good %d, bad tried at %v", len(good.got), bad.at)
		}
	})
}

// Who asks to be left alone is.
func TestRetryAfterObeyed(t *testing.T) {
	played(t, func(t *testing.T, _, bad *receiver, _ func() []Report, _ *bytes.Buffer) {
		bad.set(&Error{Op: "telegram", RetryAfter: 47 * time.Minute})
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(bad.at) != 2 || bad.at[1]-bad.at[0] < 47*time.Minute || bad.at[1]-bad.at[0] > 47*time.Minute+2*look {
			t.Errorf("tried at %v", bad.at)
		}
	})
}

func TestTest(t *testing.T) {
	good, bad := &receiver{}, &receiver{fail: errors.New("no")}
	n := New(Options{Channels: []Channel{{"good", good}, {"bad", bad}}, Host: "web1"})
	var reports []Report
	n.Test(t.Context(), func(r Report) { reports = append(reports, r) })
	if len(reports) != 2 || reports[0].Err != nil || reports[1].Err == nil || good.got[0].Status != StatusTest || !strings.Contains(good.got[0].Text(maxMessage), "Nothing is wrong") {
		t.Errorf("%+v", reports)
	}
}

// chat is a Bot API that knows one thing.
type chat struct {
	errs map[string]error
	got  []botapi.SendMessage
}

func (c *chat) SendMessage(_ context.Context, p botapi.SendMessage) error {
	c.got = append(c.got, p)
	return c.errs[p.ChatID]
}

func TestTelegram(t *testing.T) {
	bot := &chat{}
	s := NewTelegram(bot, "-5")
	for _, m := range []Message{message(frozen), message(down), Test(t0)} {
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for n, silent := range []bool{false, true, false} {
		if p := bot.got[n]; p.ChatID != "-5" || p.Silent != silent || p.Text == "" {
			t.Errorf("%d: %+v", n, p)
		}
	}
}

// The errors say what to do, and a group's new number is used from then on.
func TestTelegramRefused(t *testing.T) {
	for name, x := range map[string]struct {
		err  *botapi.Error
		hint string
	}{
		"blocked": {&botapi.Error{Kind: botapi.KindBadRequest, Code: 403}, "/start"},
		"chat":    {&botapi.Error{Kind: botapi.KindBadRequest, Code: 400}, "chat_id"},
		"token":   {&botapi.Error{Kind: botapi.KindUnauthorized, Code: 401}, "token"},
		"limited": {&botapi.Error{Kind: botapi.KindRateLimited, Code: 429, RetryAfter: 9 * time.Second}, ""},
	} {
		err := NewTelegram(&chat{errs: map[string]error{"-5": x.err}}, "-5").Send(t.Context(), message(frozen))
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(e.Hint, x.hint) || e.RetryAfter != x.err.RetryAfter {
			t.Errorf("%s: %#v", name, err)
		}
	}
	bot := &chat{errs: map[string]error{"-5": &botapi.Error{Kind: botapi.KindBadRequest, Code: 400, MigratedTo: -1005}}}
	s := NewTelegram(bot, "-5")
	for range 2 {
		if err := s.Send(t.Context(), message(frozen)); err != nil {
			t.Fatal(err)
		}
	}
	if len(bot.got) != 3 || bot.got[2].ChatID != "-1005" {
		t.Errorf("%+v", bot.got)
	}
}
