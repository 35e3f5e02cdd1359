package chaos

import "slices"

// attachment is an injector in use: where it acts, and for which part of the process.
type attachment struct {
	at   seam
	hook Seam   // of seamHook
	name string // of the scope; empty for one without names
}

// attach notes that an injector is in use.
func (s *Scope) attach(at seam) { s.attachHook(at, "") }

func (s *Scope) attachHook(at seam, hook Seam) { s.count(at, hook, 1) }

// detach takes the note back.
func (s *Scope) detach(at seam) { s.count(at, "", -1) }

func (s *Scope) count(at seam, hook Seam, by int) {
	names := s.names
	if len(names) == 0 {
		names = []string{""}
	}
	s.attachMu.Lock()
	defer s.attachMu.Unlock()
	for _, n := range names {
		s.attached[attachment{at, hook, n}] += by
	}
}

// isAttached reports whether an injector is in use that would carry the fault out. A
// fault with a scope needs one of that name.
func (f *fault) isAttached() bool {
	r := f.reg
	r.attachMu.Lock()
	defer r.attachMu.Unlock()
	for a, n := range r.attached {
		if n > 0 && (f.spec.Scope == "" || a.name == f.spec.Scope) && slices.Contains(f.b.seams(), a.at) && (a.at != seamHook || f.b.hook.on(a.hook)) {
			return true
		}
	}
	return false
}

// seams lists where the behaviour does something.
func (b *behaviour) seams() (out []seam) {
	for at, acts := range map[seam]bool{seamConn: b.conn != nil, seamTLS: b.tls != nil, seamRequest: b.request != nil, seamHTTP: b.http != nil,
		seamAPI: b.api != nil, seamDial: b.dial != nil, seamHook: b.hook != nil, seamProbe: b.probe != nil || b.look != nil,
		seamClock: b.clock != nil} {
		if acts {
			out = append(out, at)
		}
	}
	return out
}

// on reports whether the rule acts on a seam of hooks; an empty one means all.
func (r *hookRule) on(s Seam) bool { return r.seam == "" || r.seam == s }
