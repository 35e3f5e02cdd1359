package supervisor

import (
	"encoding/hex"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dualgram/transport/webhook"
)

const (
	// secretGrace is how long a secret stays good after Telegram acknowledged its
	// successor. A set that nobody waited for any more may happen up to 60 s late,
	// and what is under way then takes up to Telegram's own time-out of 60 s
	// (WebhookActor.cpp:231).
	secretGrace = 2 * time.Minute
	// mostFormer bounds the secrets that were sent and never acknowledged.
	mostFormer = 8
)

// formerSecret is a secret token that was replaced, as its hash.
type formerSecret struct {
	Secret string `json:"secret"`
	// Until is when it stops being good; zero while Telegram may still have it
	// registered.
	Until time.Time `json:"until,omitzero"`
}

// intend notes a registration that is about to be sent. What was sent before and
// never acknowledged may be there all the same.
func (i *identity) intend(next fingerprint, now time.Time) {
	if i.Intended.Secret != i.Acked.Secret {
		i.retire(i.Intended.Secret, time.Time{})
	}
	i.Intended = next
	i.remember(next.URL)
	i.prune(now)
}

// acknowledge notes the registration that Telegram has now. The secrets of those
// before it have had their day.
func (i *identity) acknowledge(next fingerprint, now time.Time) {
	until := now.Add(secretGrace)
	for k := range i.Former {
		if i.Former[k].Until.IsZero() {
			i.Former[k].Until = until
		}
	}
	i.retire(i.Intended.Secret, until)
	i.retire(i.Acked.Secret, until)
	i.Intended, i.Acked = next, next
	i.prune(now)
}

// retire notes a secret among the former ones, where it may be already.
func (i *identity) retire(secret string, until time.Time) {
	if secret == "" || slices.ContainsFunc(i.Former, func(f formerSecret) bool { return f.Secret == secret }) {
		return
	}
	i.Former = append(i.Former, formerSecret{secret, until})
}

// prune forgets the former secrets that are not good any more, or are in use
// again.
func (i *identity) prune(now time.Time) {
	i.Former = slices.DeleteFunc(i.Former, func(f formerSecret) bool {
		return f.over(now) || f.Secret == i.Acked.Secret || f.Secret == i.Intended.Secret
	})
	if n := len(i.Former); n > mostFormer {
		i.Former = slices.Delete(i.Former, 0, n-mostFormer)
	}
}

func (f formerSecret) over(now time.Time) bool { return !f.Until.IsZero() && !now.Before(f.Until) }

// secrets is which secret tokens the listener takes besides the one that is
// wanted now: what Telegram has registered, or may have, or had a moment ago.
// The worker changes it before it sends a set, the listener's goroutines read it.
type secrets struct {
	mu    sync.Mutex
	good  []formerSecret
	ready atomic.Pointer[[]webhook.Digest]
}

// follow takes over what the identity says.
func (s *secrets) follow(i identity, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := []formerSecret{{Secret: i.Acked.Secret}, {Secret: i.Intended.Secret}}
	for _, f := range i.Former {
		// What was read from disk has wall time only; what is known here already
		// keeps its monotonic reading.
		for _, old := range s.good {
			if old.Secret == f.Secret && old.Until.Equal(f.Until) {
				f = old
			}
		}
		next = append(next, f)
	}
	s.good = next
	s.publish(now)
}

// sweep drops what is over by now. It returns when the last former secret will
// be: zero if there is none that has an end.
func (s *secrets) sweep(now time.Time) (until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.good)
	s.good = slices.DeleteFunc(s.good, func(f formerSecret) bool { return f.over(now) })
	for k := range s.good {
		u := &s.good[k].Until
		if u.Sub(now) > secretGrace { // the clock was set back
			*u = now.Add(secretGrace)
		}
		if u.After(until) {
			until = *u
		}
	}
	if len(s.good) != n {
		s.publish(now)
	}
	return until
}

func (s *secrets) publish(now time.Time) {
	all := make([]webhook.Digest, 0, len(s.good))
	for _, f := range s.good {
		raw, err := hex.DecodeString(f.Secret)
		if err == nil && len(raw) == len(webhook.Digest{}) && !f.over(now) {
			all = append(all, webhook.Digest(raw))
		}
	}
	s.ready.Store(&all)
}

// digests is what the listener asks for each request.
func (s *secrets) digests() []webhook.Digest {
	if all := s.ready.Load(); all != nil {
		return *all
	}
	return nil
}

// wanted returns what the listener calls for the secret that is wanted now.
func (b *Bot) wanted() func() []string {
	if b.opt.Webhook.Secret == nil {
		one := []string{b.opt.Webhook.Params.SecretToken}
		return func() []string { return one }
	}
	return func() []string { return []string{b.opt.Webhook.Secret()} }
}
