package webhook

import (
	"fmt"
	"runtime"
	"time"
)

// Cause says how a request ended and whose doing that was.
type Cause string

// The causes; the package documentation has the table with their answers.
const (
	CauseOK          Cause = "ok"
	CauseDuplicate   Cause = "duplicate"
	CauseBadPath     Cause = "bad_path"
	CauseBadAddress  Cause = "bad_address"
	CauseProxyHeader Cause = "proxy_header"
	CauseBadMethod   Cause = "bad_method"
	CauseBadSecret   Cause = "bad_secret"
	CauseTooLarge    Cause = "too_large"
	CauseBodyMissing Cause = "body_missing"
	CauseClientGone  Cause = "client_gone"
	CauseStoreFailed Cause = "store_failed"
	CausePanicked    Cause = "panicked"
	CauseHandler     Cause = "handler_failed"
)

// Causes returns every cause, in the order in which they are checked.
func Causes() []Cause {
	return []Cause{
		CauseOK, CauseDuplicate, CauseBadPath, CauseBadAddress, CauseProxyHeader, CauseBadMethod, CauseBadSecret,
		CauseTooLarge, CauseBodyMissing, CauseClientGone, CauseStoreFailed, CausePanicked, CauseHandler,
	}
}

// OK reports whether the update was taken and acknowledged.
func (c Cause) OK() bool { return c == CauseOK || c == CauseDuplicate }

// OnPath reports whether the cause lies on the path from Telegram to the sink and
// is ours: only these, on authenticated requests, speak against the webhook as a
// transport. Strangers, the store and a client that went away don't.
func (c Cause) OnPath() bool {
	switch c {
	case CausePanicked, CauseHandler, CauseProxyHeader, CauseBodyMissing:
		return true
	}
	return false
}

// Outcome is the end of one request. It holds neither the secret nor the path
// nor anything of the body but the update_id.
type Outcome struct {
	// Bot is the route's name; empty for bad_path.
	Bot   string
	Cause Cause
	// Status is the answer's status code; 0 if the connection ended without one.
	Status int
	// Authenticated is true if the request was a POST with the right secret from
	// an address that may send it (for proxy_header: with an unknown address), or,
	// while [Route.Unsigned] allows that, without one from an address that only
	// Telegram should have.
	Authenticated bool
	// Secret is which secret the request had, once that has been looked at.
	Secret SecretUse
	// UpdateID means something only if HasID is true.
	UpdateID int64
	HasID    bool
	// Duplicate is true if the update had been accepted before, first at
	// FirstSeen. It is also set where Cause is client_gone.
	Duplicate   bool
	FirstSeen   time.Time
	Quarantined bool
	// Started is when the request's first byte was read, HeadersAt when its
	// headers were complete; Duration is the time from HeadersAt until the answer
	// was handed to the kernel, or until the request ended without one.
	Started, HeadersAt time.Time
	Duration           time.Duration
	// Remote is the client's address without port; behind a trusted proxy, the
	// address that the proxy named.
	Remote string
	// Err is the sink's error for store_failed, a *PanicError for panicked, what
	// reading or writing failed with for body_missing and client_gone.
	Err error
}

// PanicError is a recovered panic. It names the value only if the runtime made
// it: others might hold what must not be logged.
type PanicError struct {
	Value string // the runtime's message, or the value's type
	Stack []byte
}

func (e *PanicError) Error() string { return "panic: " + e.Value }

func newPanicError(v any) *PanicError {
	e := &PanicError{Value: fmt.Sprintf("%T", v)}
	if r, ok := v.(runtime.Error); ok {
		e.Value = r.Error()
	}
	buf := make([]byte, 16<<10)
	e.Stack = buf[:runtime.Stack(buf, false)]
	return e
}

// Stage is how far an authenticated request in progress has come.
type Stage uint32

// The stages in their order.
const (
	StageHandler    Stage = iota // in a handler of WrapHandler, before the intake
	StageReading                 // reading the body
	StageCommitting              // in Sink.Accept
	StageAnswering               // writing the answer, or in a handler of WrapHandler after the intake
)

func (s Stage) String() string {
	switch s {
	case StageHandler:
		return "handler"
	case StageReading:
		return "reading"
	case StageCommitting:
		return "committing"
	case StageAnswering:
		return "answering"
	}
	return "unknown"
}

// OnPath reports whether a request that is stuck in this stage speaks against
// the webhook as a transport; a commit that takes long doesn't.
func (s Stage) OnPath() bool { return s != StageCommitting }

// InFlight is an authenticated request in progress.
type InFlight struct {
	Bot      string
	Stage    Stage
	UpdateID int64 // means something only if HasID is true
	HasID    bool
	Started  time.Time // when its headers were complete
	// Commit is how long its commit took, once that is over: the part of its age
	// that says nothing about the path.
	Commit time.Duration
	Remote string
}

// Arrivals answers whether Telegram gets through at all: no authenticated POST
// arrived or is in progress since t if InProgress is 0 and Last is before t.
type Arrivals struct {
	// Last is when the headers of the latest authenticated POST were complete;
	// zero if there was none since the route was added.
	Last time.Time
	// InProgress is how many authenticated POSTs have no answer yet.
	InProgress int
	// Oldest is the start of the oldest of them; zero if there is none.
	Oldest time.Time
}

// ConnEventKind says what happened to a connection.
type ConnEventKind string

// The kinds of connection events.
const (
	// ConnRefused: closed before TLS, the address is in no route's networks.
	ConnRefused ConnEventKind = "refused"
	// ConnOverLimit: closed at once, all connections that are allowed are in use
	// by proven clients.
	ConnOverLimit ConnEventKind = "over_limit"
	// ConnEvicted: an older connection without an authenticated request was
	// closed to make room.
	ConnEvicted ConnEventKind = "evicted"
	// ConnHandshake: the TLS handshake failed, see Reason.
	ConnHandshake ConnEventKind = "handshake_failed"
	// ConnAccept: accepting failed for the moment (file descriptors, memory) and is
	// tried again.
	ConnAccept ConnEventKind = "accept_failed"
	// ConnLost: the listener is gone; Run is about to return.
	ConnLost ConnEventKind = "listener_lost"
	// ConnServer: net/http complained, see Err.
	ConnServer ConnEventKind = "server_error"
)

// ConnEvents returns one event of each kind and reason that there is.
func ConnEvents() []ConnEvent {
	var all []ConnEvent
	for _, k := range []ConnEventKind{ConnRefused, ConnOverLimit, ConnEvicted, ConnAccept, ConnLost, ConnServer} {
		all = append(all, ConnEvent{Kind: k})
	}
	for _, r := range []string{"timeout", "closed", "plain_http", "not_tls", "old_version", "alert", "panic", "failed"} {
		all = append(all, ConnEvent{Kind: ConnHandshake, Reason: r})
	}
	return all
}

// ConnEvent is something that happened below HTTP.
type ConnEvent struct {
	Kind ConnEventKind
	// Reason is set for ConnHandshake: "timeout", "closed", "plain_http",
	// "not_tls", "old_version", "alert", "panic" or "failed". "alert" means that the
	// client turned our side down, most often the certificate; Err says why.
	Reason string
	Remote string
	Err    error
}
