package notify

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/rs/zerolog"
)

// The styles of a [Heartbeat].
const (
	// StylePlain requests the address with GET while all is well, and is silent
	// otherwise, which every watcher understands.
	StylePlain = "plain"
	// StyleHealthchecks speaks as https://healthchecks.io/docs/http_api/ does: POST
	// to the address while all is well; to it and /start at the start, and to it and
	// /fail, with the reason, while it isn't.
	StyleHealthchecks = "healthchecks"
)

// Styles lists the styles.
func Styles() []string { return []string{StylePlain, StyleHealthchecks} }

// maxReason bounds what is told of why all is not well.
const maxReason = 1000

// HeartbeatOptions is what a [Heartbeat] is made of.
type HeartbeatOptions struct {
	// URL returns the address, which may change. It is a secret.
	URL func() string
	// Interval is from beat to beat; default 1 min.
	Interval time.Duration
	// Style is one of the styles; default [StylePlain].
	Style string
	// Healthy returns why no beat is to be sent; nil if all is well.
	Healthy func(now time.Time) error
	// Beaten is told of each request that was made: a beat, or with a suffix what else
	// the style has. Nil: nobody is. It must not block.
	Beaten func(suffix string, err error)
	Logger zerolog.Logger
	// Transport is nil for one of its own.
	Transport http.RoundTripper
}

// Heartbeat tells a watcher outside, again and again, that all is well. The watcher
// raises the alarm when it hears nothing: the one alarm that outlives the host.
type Heartbeat struct {
	opt  HeartbeatOptions
	call *caller
}

// NewHeartbeat makes a heartbeat; it opens no connection.
func NewHeartbeat(o HeartbeatOptions) *Heartbeat {
	if o.Interval == 0 {
		o.Interval = time.Minute
	}
	if o.Style == "" {
		o.Style = StylePlain
	}
	if o.Beaten == nil {
		o.Beaten = func(string, error) {}
	}
	return &Heartbeat{opt: o, call: newCaller("heartbeat", o.Transport)}
}

// Run beats until the context ends. A beat that can't be sent is lost: the next one
// says the same.
func (h *Heartbeat) Run(ctx context.Context) {
	var next, failed time.Time
	silent := false
	if h.opt.Style == StyleHealthchecks {
		h.beat(ctx, "/start", "", &silent)
	}
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		if now.Before(next) {
			continue
		}
		// A beat that is due waits until all is well.
		if err := h.opt.Healthy(now); err != nil {
			if h.opt.Style == StyleHealthchecks && now.Sub(failed) >= h.opt.Interval {
				failed = now
				h.beat(ctx, "/fail", clean(err.Error()), &silent)
			}
			continue
		}
		next, failed = now.Add(h.opt.Interval), time.Time{}
		h.beat(ctx, "", "ok", &silent)
	}
}

// Beat sends one, whether all is well or not, for whoever tries the address.
func (h *Heartbeat) Beat(ctx context.Context) error { return h.request(ctx, "", "ok") }

// beat makes one request; silent keeps the log from being told the same each time.
func (h *Heartbeat) beat(ctx context.Context, suffix, reason string, silent *bool) {
	err := h.request(ctx, suffix, reason)
	if ctx.Err() != nil {
		return
	}
	switch {
	case err != nil && !*silent:
		h.opt.Logger.Warn().Str("event", "heartbeat").Err(err).Msg("the heartbeat could not be sent, and is tried again")
	case err == nil && *silent:
		h.opt.Logger.Info().Str("event", "heartbeat").Msg("the heartbeat is sent again")
	}
	*silent = err != nil
	h.opt.Beaten(suffix, err)
}

func (h *Heartbeat) request(ctx context.Context, suffix, reason string) error {
	ctx, cancel := context.WithTimeout(ctx, sendDeadline)
	defer cancel()
	method, body := http.MethodGet, []byte(nil)
	if h.opt.Style == StyleHealthchecks {
		method, body = http.MethodPost, []byte(reason[:min(len(reason), maxReason)])
	}
	return h.call.call(ctx, method, below(h.opt.URL(), suffix), body, nil)
}

// below puts a suffix behind the path of an address.
func below(address, suffix string) string {
	u, err := url.Parse(address)
	if err != nil || suffix == "" {
		return address
	}
	return u.JoinPath(suffix).String()
}
