package telegramsim

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Options configure a [Sim]. The zero value is a server in non-local mode on
// real sockets that trusts the system's roots.
type Options struct {
	// Seed determines everything random: ids, backoff, traffic, latencies.
	Seed uint64
	// Local is the server's --local mode: any port, plain http, any address,
	// max_connections up to 100000.
	Local bool
	// Dial opens webhook connections; addr is always an IP and a port. Nil is
	// net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Lookup resolves hosts that are not in the table of [Sim.SetHost]. Nil is
	// the system's resolver, or none at all if Dial is set.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Roots are the certificates trusted by webhook connections of bots that
	// uploaded none. Nil is the system's.
	Roots *x509.CertPool
	// KeepEnded bounds how many ended updates of each bot the truth remembers,
	// the oldest being forgotten first. 0 keeps all, as a verdict needs.
	KeepEnded int
}

// Errors of the control methods.
var (
	ErrUnknownBot = errors.New("telegramsim: unknown bot")
	ErrFiltered   = errors.New("telegramsim: the update's type is not in allowed_updates")
	ErrQueueFull  = errors.New("telegramsim: the bot's queue is full")
	ErrTooOld     = errors.New("telegramsim: the message is over 24 hours old")
	ErrTooBig     = errors.New("telegramsim: the update is over 512 KiB")
	ErrClosed     = errors.New("telegramsim: closed")
	ErrNoUpdate   = errors.New("telegramsim: no such update")
)

// gcInterval is how often expired events leave the queues.
const gcInterval = time.Minute

// Sim is one Bot API server with any number of bots. Its methods may be called
// from any goroutine. All state is under one lock that is never held while
// something waits; what must be closed is closed after it is given back.
type Sim struct {
	o      Options
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	after   []func() // run by unlock
	closed  bool
	rng     *rand.Rand
	lags    map[string]*rand.Rand // by token and method
	knobs   Knobs
	faults  []*Fault
	bots    map[int64]*bot
	tokens  map[string]*bot
	hosts   map[string][]netip.Addr
	cache   map[string]resolved
	servers []*http.Server
	ticks   int64             // source of unique nanoseconds
	running map[string]func() // traffic and foreign pollers of the control surface
	downTil time.Time
	gc      *time.Timer
}

// New starts a server without bots. Close ends it.
func New(o Options) *Sim {
	s := &Sim{
		o:      o,
		rng:    rand.New(rand.NewPCG(o.Seed, o.Seed^0x9e3779b97f4a7c15)),
		lags:   map[string]*rand.Rand{},
		knobs:  Knobs{Local: o.Local},
		bots:   map[int64]*bot{},
		tokens: map[string]*bot{},
		hosts:  map[string][]netip.Addr{},
		cache:  map[string]resolved{},

		running: map[string]func(){},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.gc = s.timer(gcInterval, s.collect)
	return s
}

// Close cuts every connection, drops what is parked, and returns when all
// goroutines have ended.
func (s *Sim) Close() {
	s.lock()
	if s.closed {
		s.unlock()
		return
	}
	s.closed = true
	s.gc.Stop()
	for _, b := range s.bots {
		if b.actor != nil {
			b.actor.close()
		}
		b.drop(nil)
	}
	servers := s.servers
	s.unlock()
	s.cancel()
	for _, srv := range servers {
		_ = srv.Close()
	}
	s.wg.Wait()
}

// Serve answers Bot API calls on ln until [Sim.Close] or until ln fails.
func (s *Sim) Serve(ln net.Listener) error {
	srv := &http.Server{Handler: s, IdleTimeout: 500 * time.Second, ErrorLog: quiet()}
	s.lock()
	if s.closed {
		s.unlock()
		return ErrClosed
	}
	s.servers = append(s.servers, srv)
	s.unlock()
	return srv.Serve(ln)
}

func (s *Sim) lock() { s.mu.Lock() }

// unlock gives the lock back and then does what was put off under it.
func (s *Sim) unlock() {
	after := s.after
	s.after = nil
	s.mu.Unlock()
	for _, f := range after {
		f()
	}
}

// later puts f off until the lock is given back.
func (s *Sim) later(f func()) { s.after = append(s.after, f) }

// spawn runs f in a goroutine that Close waits for. The lock is held.
func (s *Sim) spawn(f func()) {
	if !s.closed {
		s.wg.Go(f)
	}
}

// timer calls f under the lock after d, plus a few nanoseconds in turn (of
// 997): things due at the same instant happen one by one, in the same order
// each time.
func (s *Sim) timer(d time.Duration, f func()) *time.Timer {
	s.ticks++
	return time.AfterFunc(max(d, 0)+time.Duration(s.ticks%997+1), func() {
		s.lock()
		defer s.unlock()
		if !s.closed {
			f()
		}
	})
}

// between returns a random duration in [lo, hi].
func (s *Sim) between(lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + time.Duration(s.rng.Int64N(int64(hi-lo)+1))
}

func (s *Sim) collect() {
	now := time.Now()
	for _, b := range s.bots {
		b.expire(now)
	}
	s.gc = s.timer(gcInterval, s.collect)
}

// AddBot makes a bot known by its token, "<id>:<secret>". Adding the same token
// again returns the same bot; another token of a known id replaces it, as
// revoking does.
func (s *Sim) AddBot(token string) (int64, error) {
	id, ok := tokenID(token)
	if !ok {
		return 0, fmt.Errorf("telegramsim: AddBot: token is not of the form <id>:<secret>")
	}
	s.lock()
	defer s.unlock()
	if s.closed {
		return 0, ErrClosed
	}
	if b := s.bots[id]; b != nil {
		delete(s.tokens, b.token)
		b.token = token
		s.tokens[token] = b
		return id, nil
	}
	b := &bot{s: s, id: id, token: token, started: time.Now(), byID: map[recordKey]*Record{}}
	b.counters.Methods = map[string]int{}
	b.queue.byID = map[int64]*event{}
	s.bots[id] = b
	s.tokens[token] = b
	return id, nil
}

// with runs f on a bot under the lock.
func (s *Sim) with(botID int64, f func(*bot) error) error {
	s.lock()
	defer s.unlock()
	b := s.bots[botID]
	if b == nil {
		return ErrUnknownBot
	}
	if s.closed {
		return ErrClosed
	}
	return f(b)
}
