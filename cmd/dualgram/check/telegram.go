package check

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"dualgram/transport/botapi"
)

const (
	// reckoned is the time of an answer with which the budget is reckoned.
	reckoned = 500 * time.Millisecond
	// clockNoise is what the Date header's resolution and the call's way may make,
	// clockOff a clock that no NTP has seen.
	clockNoise = 2500 * time.Millisecond
	clockOff   = time.Minute
	// recent is for how long something that Telegram reports is news.
	recent = 10 * time.Minute
)

// telegram asks the Bot API what is harmless: getMe and getWebhookInfo.
func (k *checkup) telegram(ctx context.Context, b *bot, f *findings) {
	codes := []Code{APIReached, APIGetMe, APILatency, APIClock, APIHealth}
	if k.offline(f, codes...) {
		return
	}
	var mu sync.Mutex
	t := k.cfg.Telegram
	var err error
	b.api, err = botapi.New(botapi.Options{Token: b.token.Reveal(), BaseURL: t.APIURL, CAFile: t.CAFile, Proxy: t.Proxy, Dial: k.o.Dial,
		ReadRetry: botapi.Retry{Max: -1}, Observe: func(c botapi.Call) { mu.Lock(); defer mu.Unlock(); b.calls = append(b.calls, c) }})
	if err != nil {
		b.infoErr = err
		f.fail(APIReached, "Correct telegram.api_url, telegram.ca_file and telegram.proxy.", "%s", err)
		return
	}
	me, err := b.api.GetMe(ctx)
	if err == nil {
		// The same call twice: the second finds the connection there, as the running
		// dualgram does.
		if b.info, err = b.api.GetWebhookInfo(ctx); err == nil {
			b.info, err = b.api.GetWebhookInfo(ctx)
		}
	}
	b.at, b.infoErr = k.o.Now(), err
	k.judgeClock(b, err, f)
	if err != nil {
		k.judgeFailure(err, f)
		return
	}
	f.pass(APIReached, "%s", t.APIURL)
	f.pass(APIGetMe, "@%s, bot %d", me.Username, me.ID)
	k.judgeLatency(b, f)
	if at := b.info.LastSynchronizationErrorDate; !at.IsZero() && b.info.Date.Sub(at) < recent {
		f.warn(APIHealth, "", "last_synchronization_error_date is %s ago", short(b.info.Date.Sub(at)))
		return
	}
	f.pass(APIHealth, "nothing lately")
}

// unasked is the check that says why Telegram has told nothing of the webhook; empty
// if it has.
func (b *bot) unasked() Code {
	var e *botapi.Error
	switch {
	case b.infoErr == nil && b.api == nil:
		return APIToken
	case b.infoErr == nil:
		return ""
	case errors.As(b.infoErr, &e) && (e.Kind == botapi.KindUnauthorized || e.Kind == botapi.KindNotFound || e.Kind == botapi.KindMisdirected):
		return APIGetMe
	}
	return APIReached
}

// server is the scheme and host of telegram.api_url; a path can be a secret.
func (k *checkup) server() string {
	u, err := url.Parse(k.cfg.Telegram.APIURL)
	if err != nil {
		return "telegram.api_url"
	}
	return u.Scheme + "://" + u.Host
}

// judgeFailure says which of the two it is: the way to the Bot API, or the token.
func (k *checkup) judgeFailure(err error, f *findings) {
	var e *botapi.Error
	if !errors.As(err, &e) {
		f.fail(APIReached, "", "%s", err)
		return
	}
	words := strings.TrimPrefix(e.Error(), "botapi: ")
	away := k.server() + ": " + words // what doesn't answer is what has to be mended
	switch e.Kind {
	case botapi.KindUnauthorized:
		f.pass(APIReached, "%s", k.server())
		f.fail(APIGetMe, "", "%s", words)
	case botapi.KindNotFound, botapi.KindMisdirected:
		f.pass(APIReached, "%s", k.server())
		f.fail(APIGetMe, "Check telegram.api_url and the token: the server knows no such bot.", "%s", words)
	case botapi.KindDNS:
		f.fail(APIReached, "Look at the name server of this host (/etc/resolv.conf).", "%s", away)
	case botapi.KindTLS:
		f.fail(APIReached, "Look at the clock of this host (timedatectl), install the system's roots (ca-certificates), or name the authority in telegram.ca_file.", "%s", away)
	case botapi.KindRateLimited:
		f.warn(APIReached, "Wait for the time that is named, then check again.", "%s", away)
	case botapi.KindTimeout, botapi.KindRefused, botapi.KindReset, botapi.KindNetwork:
		f.fail(APIReached, "Let this host connect to the server of telegram.api_url, or name a proxy in telegram.proxy.", "%s", away)
	default:
		f.fail(APIReached, "", "%s", away)
	}
}

// judgeLatency looks at calls over a connection that was there.
func (k *checkup) judgeLatency(b *bot, f *findings) {
	var first, slowest time.Duration
	for i, c := range b.calls {
		if i == 0 {
			first = c.Duration
		} else {
			slowest = max(slowest, c.Duration)
		}
	}
	words := fmt.Sprintf("%s over a connection that was there, %s with a new one", short(slowest), short(first))
	switch {
	case slowest > k.cfg.Signals.Info.Deadline:
		f.fail(APILatency, "", "%s: longer than signals.info.deadline, so that getWebhookInfo would never succeed", words)
	case slowest > reckoned:
		f.warn(APILatency, "", "%s", words)
	default:
		f.pass(APILatency, "%s", words)
	}
}

// judgeClock compares with the Date of the last answer, whatever that was.
func (k *checkup) judgeClock(b *bot, err error, f *findings) {
	date := b.info.Date
	var e *botapi.Error
	if errors.As(err, &e) {
		date = e.Date
	}
	if date.IsZero() {
		if err == nil {
			f.skip(APIClock, "the server doesn't tell the time")
		}
		return
	}
	b.skew = date.Sub(b.at)
	off := b.skew.Abs()
	if off < clockNoise {
		b.skew = 0
		f.pass(APIClock, "right, as far as seconds show")
		return
	}
	side := "behind"
	if b.skew < 0 {
		side = "ahead of"
	}
	words := fmt.Sprintf("the clock of this host is %s %s the Bot API's", clockWords(off), side)
	if off >= clockOff {
		f.fail(APIClock, "", "%s", words)
		return
	}
	f.warn(APIClock, "", "%s", words)
}

func clockWords(d time.Duration) string {
	if d >= 48*time.Hour {
		return days(d)
	}
	return d.Round(time.Second).String()
}
