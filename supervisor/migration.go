package supervisor

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"dualgram/store"
)

const (
	keyMigration = "secret_migration"
	// countEvery is how often the count of a migration is saved.
	countEvery = time.Minute
)

// migrated is what the ledger keeps of a migration. The times are Telegram's, so
// that neither a restart nor a clock that is set back extends it.
type migrated struct {
	Started time.Time     `json:"started"`
	Taken   int64         `json:"taken"`          // requests without the header
	Over    time.Duration `json:"over,omitempty"` // the longest length that has run out
}

// migration lets in requests without the secret header for a limited time, which
// begins with the first start that asks for it. It is for senders other than
// Telegram's present webhook: a relay, or a registration made without a secret.
type migration struct {
	length time.Duration // 0: off
	open   atomic.Bool
	taken  atomic.Int64

	// What follows belongs to the loop.
	kept    migrated
	loaded  bool // something was in the ledger
	savedAt time.Time
	until   time.Time // by our clock
}

func loadMigration(l Ledger, length time.Duration) (*migration, error) {
	m := &migration{length: length}
	if err := load(l, keyMigration, &m.kept); err != nil {
		return nil, err
	}
	m.loaded = !m.kept.Started.IsZero()
	m.taken.Store(m.kept.Taken)
	m.judge(time.Now())
	return m, nil
}

// judge opens or closes the window, by Telegram's time. Until the Bot API has
// answered for the first time there is no beginning to count from.
func (m *migration) judge(now time.Time) (open bool) {
	open = m.length > 0 && m.length > m.kept.Over && (m.kept.Started.IsZero() || now.Before(m.kept.Started.Add(m.length)))
	m.open.Store(open)
	return open
}

// watchMigration begins and ends the migration, and keeps its count.
func (b *Bot) watchMigration(ctx context.Context, now time.Time) {
	m := b.migration
	if m == nil {
		return
	}
	theirs := now.Add(b.clock.skew)
	known := !b.info.last.Date.IsZero() // Telegram's time, in this process
	open := m.judge(theirs)
	m.until = time.Time{}
	if open && !m.kept.Started.IsZero() {
		m.until = m.kept.Started.Add(m.length).Add(-b.clock.skew)
	}
	next, event := m.kept, ""
	next.Taken = m.taken.Load()
	switch {
	case m.length == 0 && m.loaded: // turned off: what comes later begins anew
		if b.saveMigration(ctx, nil, nil) {
			m.loaded, m.kept = false, migrated{}
		}
		return
	case m.length == 0 || !known:
		return
	case m.kept.Started.IsZero():
		next.Started, event = theirs.Round(0), SecretMigrationBegun
	case !open && m.length > m.kept.Over:
		next.Over, event = m.length, SecretMigrationEnded
	case next.Taken != m.kept.Taken && now.Sub(m.savedAt) >= countEvery:
	default:
		return
	}
	var e *Event
	if event != "" {
		e = &Event{At: now, Bot: b.opt.Name, Kind: EventSecret, Epoch: b.state.Epoch, Name: event, Count: int(next.Taken), Seconds: m.length.Seconds()}
	}
	if b.saveMigration(ctx, &next, e) {
		m.kept, m.loaded, m.savedAt = next, true, now
		m.judge(theirs)
		if e != nil {
			b.emit(*e)
		}
	}
}

// saveMigration writes the record, or deletes it. What can't be written is tried
// again with the next tick.
func (b *Bot) saveMigration(ctx context.Context, m *migrated, e *Event) bool {
	var raw []byte
	var err error
	if m != nil {
		if raw, err = json.Marshal(m); err != nil {
			return false
		}
	}
	var entries []store.Entry
	if e != nil {
		entry, err := e.entry()
		if err != nil {
			return false
		}
		entries = append(entries, entry)
	}
	c, cancel := context.WithTimeout(ctx, saveDeadline)
	defer cancel()
	return b.ledger.Save(c, map[string][]byte{keyMigration: raw}, entries...) == nil
}
