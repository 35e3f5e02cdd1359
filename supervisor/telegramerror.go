package supervisor

import (
	"fmt"
	"net/http"
	"time"

	"dualgram/transport/botapi"
)

// telegramTimeout is how long a delivery may take until Telegram reports that it
// timed out (WebhookActor.cpp:231); a report of one tells of what began so long
// before.
const telegramTimeout = 60 * time.Second

// dateNoise is what the resolution of last_error_date and the calls on the way may
// make of two moments that are the same.
const dateNoise = 2 * time.Second

// registeredNoise is the same for the moment of a registration, with clocks that
// differ by less than is corrected.
const registeredNoise = dateNoise + skewNoise

// reported is what Telegram says of its last failed delivery.
type reported struct {
	date    time.Time // by Telegram's clock, in whole seconds
	message string
}

// report is one change of what Telegram says.
type report struct {
	reported
	botapi.WebhookError
	got  time.Time // when we learned of it
	hard bool
}

// own is what explains a report by what we did ourselves. It speaks of our host,
// not of the path.
type own struct {
	// answered is when we last answered an authenticated delivery with the status.
	answered func(status int) time.Time
	// storeBad is when the ledger last was in trouble, listening since when we
	// have been accepting without a gap.
	storeBad, listening time.Time
	registered          time.Time     // when the webhook was set or adopted
	skew                time.Duration // Telegram's clock minus ours
}

// explains tells whether the report says nothing new about the path.
func (o own) explains(r report) bool {
	at := r.date.Add(-o.skew)
	recent := func(t time.Time, within time.Duration) bool { return !t.IsZero() && at.Sub(t) <= within }
	switch {
	case !r.Path():
		return true
	case at.Add(dateNoise).Before(o.listening):
		return true // it happened while we were down
	case at.Add(registeredNoise).Before(o.registered):
		return true // a set that changes nothing leaves what was reported before
	case r.Class == botapi.WebhookErrorHTTP:
		// What we answered is judged where it is answered. Who stands in front
		// gives up on a slow disk with a 504.
		return recent(o.answered(r.Status), dateNoise+time.Second) ||
			r.Status == http.StatusGatewayTimeout && recent(o.storeBad, telegramTimeout+dateNoise)
	case r.Class == botapi.WebhookErrorTimeout:
		return at.Sub(o.listening) < telegramTimeout+dateNoise || recent(o.storeBad, telegramTimeout+dateNoise)
	case r.Class == botapi.WebhookErrorRefused, r.Class == botapi.WebhookErrorClosed:
		return at.Sub(o.listening) < dateNoise
	}
	return false
}

// telegramErrors sees a delivery that Telegram newly reports as failed. The
// report stays in getWebhookInfo for ever, so only a change counts, and the first
// answer for a webhook that we didn't set ourselves is the baseline.
type telegramErrors struct {
	t       Thresholds
	known   bool
	base    reported
	news    []report
	pending int       // in the latest sample
	sampled time.Time // when that was sent
}

// registered starts over. fresh: the webhook has just been set, which makes
// Telegram forget (Client.cpp:15944-15957).
func (w *telegramErrors) registered(fresh bool) {
	*w = telegramErrors{t: w.t, known: fresh}
}

// sample takes in one answer of getWebhookInfo. It returns the class of what is
// new; empty if nothing is.
func (w *telegramErrors) sample(info botapi.WebhookInfo, sent, got time.Time, o own) botapi.WebhookErrorClass {
	w.pending, w.sampled = info.PendingUpdateCount, sent
	now := reported{info.LastErrorDate, info.LastErrorMessage}
	if w.known && now.date.Equal(w.base.date) && now.message == w.base.message {
		return botapi.WebhookErrorNone
	}
	first := !w.known
	w.known, w.base = true, now
	if first || now.message == "" {
		return botapi.WebhookErrorNone
	}
	r := report{reported: now, WebhookError: botapi.ClassifyWebhookError(now.message), got: got}
	r.hard = r.Hard()
	if o.explains(r) {
		return r.Class
	}
	w.news = append(w.news, r)
	return r.Class
}

// read judges the reports. delivered is when we last acknowledged a delivery; a
// hard report after which one came through counts like the soft ones, of which it
// takes several. trial: the webhook is not proven yet, so nothing has to wait for
// a report to count.
func (w *telegramErrors) read(now, delivered time.Time, trial bool) Reading {
	r := Reading{Signal: SignalTelegramError, Moves: true}
	for len(w.news) > 0 && now.Sub(w.news[0].got) > w.t.ErrorWindow {
		if len(w.news) == 1 && w.standing(w.news[0], delivered, trial) {
			break // nothing has contradicted it
		}
		w.news = w.news[1:]
	}
	if len(w.news) == 0 {
		return r
	}
	first, last := w.news[0], w.news[len(w.news)-1]
	r.Level, r.Since = Suspect, first.got
	r.Evidence = fmt.Sprintf("Telegram reports %s", last.words())
	if w.standing(last, delivered, trial) && now.Sub(last.got) >= w.t.ErrorConfirm && w.sampled.After(last.got) {
		r.Level, r.Since = Tripped, last.got
		return r
	}
	if len(w.news) >= w.t.ErrorSoft && last.date.Sub(first.date) >= w.t.ErrorSpan {
		r.Level = Tripped
		r.Evidence = fmt.Sprintf("Telegram reported %d failures in %.0f s, the last: %s", len(w.news), last.got.Sub(first.got).Seconds(), last.words())
	}
	return r
}

// standing tells whether a report is hard and nothing since speaks against it.
func (w *telegramErrors) standing(n report, delivered time.Time, trial bool) bool {
	return n.hard && !delivered.After(n.got) && (w.pending > 0 || trial)
}

// words is the report for people.
func (n report) words() string {
	return fmt.Sprintf("%q: %s", botapi.ShowWebhookError(n.message), n.Hint())
}
