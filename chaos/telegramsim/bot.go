package telegramsim

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// bot is all that the server knows of one bot. Everything is under Sim.mu.
type bot struct {
	s       *Sim
	id      int64
	token   string
	started time.Time

	queue   queue
	series  int
	allowed mask // 0: default
	hook    *hook
	actor   *actor
	err     lastError
	syncErr time.Time

	setting *call     // set or delete that has no answer yet
	lastSet time.Time // of the last setWebhook that was accepted for checking
	calm    time.Time // until then a further 409 is answered late
	parked  *parked
	lastGet struct {
		offset int64
		at     time.Time
	}
	loggedOut bool
	unloaded  bool // after close, until the next call

	records  []*Record
	byID     map[recordKey]*Record
	ended    int
	calls    []Call
	history  []Registration
	replies  []Reply
	counters Counters
	message  int64 // last message_id handed out
	nextID   int64 // for payload ids
}

// hook is the registered webhook.
type hook struct {
	url    hookURL
	raw    string
	secret string
	maxc   int
	ip     string // as given; empty: resolved
	cert   []byte
	last   netip.Addr // last address in use, kept over a restart
}

type lastError struct {
	at   time.Time
	text string
}

// tokenID reads the bot's id from its token.
func tokenID(token string) (int64, bool) {
	id, rest, ok := strings.Cut(token, ":")
	if !ok || rest == "" || strings.ContainsAny(token, "/? \t\r\n") {
		return 0, false
	}
	v, err := strconv.ParseInt(id, 10, 64)
	return v, err == nil && v > 0
}

func (b *bot) setError(text string) {
	b.err = lastError{time.Now(), text}
}

// maxConnections clamps a max_connections parameter; 0 is missing.
func (s *Sim) maxConnections(v int64, given bool) int {
	def, top := int64(40), int64(100)
	if s.knobs.Local {
		def, top = 100, 100000
	}
	if !given {
		return int(def)
	}
	return int(min(max(v, 1), top))
}
