package telegramsim

import (
	"io"
	"log"
	"strings"
	"time"
)

// Knobs change how the server behaves. They may be set at any time.
type Knobs struct {
	// Latency is added to every Bot API call, half before and half after it is
	// carried out; up to LatencyMax if that is greater.
	Latency    time.Duration `json:"latency"`
	LatencyMax time.Duration `json:"latency_max"`
	// Local is the server's --local mode.
	Local bool `json:"local"`
	// OpenSSL11 words TLS errors as OpenSSL 1.1 does instead of 3.
	OpenSSL11 bool `json:"openssl11"`
	// ConnectionTimedOut reports unanswered SYNs as "Connection timed out", as
	// production mostly does, instead of "Write timeout expired".
	ConnectionTimedOut bool `json:"connection_timed_out"`
	// DNSDelay is how long a look-up that is not cached takes.
	DNSDelay time.Duration `json:"dns_delay"`
}

// FaultKind says how a Bot API call fails.
type FaultKind string

// Kinds of faults.
const (
	FaultTooMany  FaultKind = "429"       // error 429 with RetryAfter
	FaultError    FaultKind = "error"     // error Code with Description; 500 if none is given
	FaultHTML     FaultKind = "html"      // an HTML page from the front end, status Code; 502 if none is given
	FaultHang     FaultKind = "hang"      // no answer, nothing is carried out
	FaultReset    FaultKind = "reset"     // the connection is reset, nothing is carried out
	FaultLose     FaultKind = "lose"      // carried out, then the connection is reset instead of the answer
	FaultLoseHang FaultKind = "lose_hang" // carried out, but the answer never comes
)

// FaultLate carries the call out after Delay and answers then, whether the
// client still waits or not.
const FaultLate FaultKind = "late"

// Fault makes Bot API calls fail.
type Fault struct {
	Kind        FaultKind     `json:"kind"`
	Method      string        `json:"method"` // any letter case; empty: every method
	Bot         int64         `json:"bot"`    // 0: every bot
	Count       int           `json:"count"`  // how many calls; 0: until cleared
	Share       float64       `json:"share"`  // probability for each call; 0: every call
	Delay       time.Duration `json:"delay"`  // before the failure
	RetryAfter  int           `json:"retry_after"`
	Code        int           `json:"code"`
	Description string        `json:"description"`

	hits int
}

// Knobs returns the present settings.
func (s *Sim) Knobs() Knobs {
	s.lock()
	defer s.unlock()
	return s.knobs
}

// SetKnobs replaces the settings.
func (s *Sim) SetKnobs(k Knobs) {
	s.lock()
	defer s.unlock()
	s.knobs = k
}

// SetFault adds a fault. Where several fit a call, the one added first counts.
func (s *Sim) SetFault(f Fault) {
	s.lock()
	defer s.unlock()
	f.Method = strings.ToLower(f.Method)
	s.faults = append(s.faults, &f)
}

// ClearFaults removes all faults. It returns how many calls each had hit, in
// the order in which they were added.
func (s *Sim) ClearFaults() []int {
	s.lock()
	defer s.unlock()
	hits := make([]int, len(s.faults))
	for i, f := range s.faults {
		hits[i] = f.hits
	}
	s.faults = nil
	return hits
}

// fault picks the fault of a call, nil for none.
func (s *Sim) fault(botID int64, method string) *Fault {
	for _, f := range s.faults {
		switch {
		case f.Method != "" && f.Method != method:
		case f.Bot != 0 && f.Bot != botID:
		case f.Count > 0 && f.hits >= f.Count:
		case f.Share > 0 && s.rng.Float64() >= f.Share:
		default:
			f.hits++
			c := *f
			return &c
		}
	}
	return nil
}

// quiet swallows what net/http would print.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
