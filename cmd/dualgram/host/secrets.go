package host

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/store"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
	"dualgram/supervisor/failover"
)

const (
	// keySecret is where the ledger keeps a secret that no file holds.
	keySecret = "webhook_secret"
	// lookEvery is the pause between two looks at the secret token files. A change
	// counts when two looks in a row agree, because a file may be read while it is
	// being written.
	lookEvery = 2 * time.Second
)

// webhookSecret is the secret token that one bot's webhook should have, wherever
// it comes from: its file, a variable, or the ledger. What has changed about it
// is the supervisor's business.
type webhookSecret struct {
	h      *Host
	bot    int // in the configuration
	name   string
	ledger *store.Ledger
	value  atomic.Pointer[string]

	mu     sync.Mutex // one look or rotation at a time
	seen   string     // new content of the file that one look saw
	reason string     // why the last look failed
}

// secret finds the bot's secret token. A file that is missing is made, and so is
// a secret in the ledger if nothing else is configured.
func (h *Host) secret(ctx context.Context, i int, ledger *store.Ledger) (*webhookSecret, error) {
	s := &webhookSecret{h: h, bot: i, name: h.cfg.Bots[i].Name, ledger: ledger}
	h.secrets = append(h.secrets, s)
	if !s.stored() {
		found, err := config.ReadSecret(h.cfg, i)
		if err != nil {
			return nil, config.Errors{asProblem(err)}
		}
		h.warn(found.Warnings)
		s.set(found.Value.Reveal())
		if s.inFile() {
			h.reload = append(h.reload, func() { s.look(true) })
		}
		return s, nil
	}
	raw, err := ledger.Load(keySecret)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		raw = []byte(freshSecret())
		if err := ledger.Save(ctx, map[string][]byte{keySecret: raw}); err != nil {
			return nil, err
		}
	}
	s.set(string(raw))
	return s, nil
}

// freshSecret returns 32 characters of A-Z and 2-7.
func freshSecret() string { return rand.Text() + rand.Text()[:6] }

func (s *webhookSecret) set(v string) {
	s.h.conceal(v)
	s.value.Store(&v)
}

// get returns the secret; a bot without a webhook has none.
func (s *webhookSecret) get() string {
	if s == nil {
		return ""
	}
	return *s.value.Load()
}

func (s *webhookSecret) inFile() bool {
	w := &s.h.cfg.Bots[s.bot].Webhook
	return w.SecretToken.IsZero() && w.SecretTokenFile != ""
}

func (s *webhookSecret) stored() bool {
	w := &s.h.cfg.Bots[s.bot].Webhook
	return w.SecretToken.IsZero() && w.SecretTokenFile == ""
}

// look reads the file again. A new secret is taken over at once if that is sure,
// because somebody said that the file is ready, else at the second look that
// finds it.
func (s *webhookSecret) look(sure bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	file := s.h.cfg.Bots[s.bot].Webhook.SecretTokenFile
	log := s.h.log.With().Str("bot", s.name).Str("file", file).Logger()
	found, err := config.RereadSecret(s.h.cfg, s.bot)
	if err != nil {
		s.seen = ""
		// A file that is being replaced is gone or empty for a moment.
		if reason := err.Error(); reason != s.reason {
			s.reason = reason
			log.Warn().Str("error", config.Redact(reason)).Msg("the secret token was not read again; the one in service stays")
		}
		return
	}
	s.reason = ""
	switch v := found.Value.Reveal(); {
	case v == s.get():
		s.seen = ""
	case !sure && v != s.seen:
		s.seen = v
	default:
		s.seen = ""
		s.set(v)
		log.Info().Msg("a new secret token is in the file; the one before is taken until Telegram has the new one, and two minutes more")
	}
}

// rotate replaces a secret that lives in the ledger by a fresh one. It is durable,
// with its line in the journal, before anybody uses it.
func (s *webhookSecret) rotate(ctx context.Context, by console.Caller, reason string) error {
	if !s.stored() {
		e := &console.Failure{Code: console.CodeRefused,
			Message: fmt.Sprintf("the secret of bot %s comes from a variable, which can't change while dualgram runs", s.name),
			Fix:     "set the variable to a new value and restart: the old secret is taken until Telegram has the new one"}
		if s.inFile() {
			file := s.h.cfg.Bots[s.bot].Webhook.SecretTokenFile
			e.Message = fmt.Sprintf("the secret of bot %s is in %s, which is yours to write", s.name, file)
			e.Fix = "write a new one there, for example with: openssl rand -hex 16 > " + file + " — it is noticed within seconds"
		}
		return e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := supervisor.Event{At: time.Now(), Bot: s.name, Kind: supervisor.EventOperator, Name: "rotate_secret",
		Cause: failover.CauseOperator, Evidence: config.Redact(reason), By: &by}
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	fresh := freshSecret()
	if err := s.ledger.Save(ctx, map[string][]byte{keySecret: []byte(fresh)}, store.Entry{At: e.At, Kind: e.Kind, Data: data}); err != nil {
		return &console.Failure{Code: console.CodeNotSaved, Err: err,
			Message: "the new secret could not be saved, so the present one stays: " + err.Error(), Fix: "free or repair the disk, then try again"}
	}
	s.set(fresh)
	s.h.log.Info().Str("bot", s.name).Str("event", e.Kind).Str("name", e.Name).Stringer("by", by).Str("reason", e.Evidence).Msg("operator's command")
	return nil
}

// watchSecrets looks at the secret token files until the context ends.
func (h *Host) watchSecrets(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, s := range h.secrets {
			if s.inFile() {
				s.look(false)
			}
		}
	}
}

// rotatorOf answers once the supervisor is there.
type rotatorOf struct{ h *Host }

func (r rotatorOf) RotateSecret(ctx context.Context, bot string, by console.Caller, reason string) error {
	if r.h.sup == nil {
		return errStarting
	}
	for i := range r.h.cfg.Bots {
		if r.h.cfg.Bots[i].Name != bot {
			continue
		}
		for _, s := range r.h.secrets {
			if s.bot == i {
				return s.rotate(ctx, by, reason)
			}
		}
		return &console.Failure{Code: console.CodeRefused, Message: fmt.Sprintf("bot %s only polls: it has no secret", bot)}
	}
	return &console.Failure{Code: console.CodeUnknownBot, Message: fmt.Sprintf("there is no bot %q", bot), Fix: "dualgram status names the bots"}
}
