package probe

import "time"

// Defaults of Judge.
const (
	DefaultBad       = 3
	DefaultOf        = 4
	DefaultImpostors = 2
)

// Verdict is what a Judge makes of the probes of one registration.
type Verdict string

// The verdicts.
const (
	// Unproven: no probe was good yet, so a bad one says as much about the way from
	// this host as about the webhook.
	Unproven Verdict = "unproven"
	Good     Verdict = "good"
	Bad      Verdict = "bad"
	// Impostor holds as long as somebody else answers for us, whether a probe was
	// ever good or not.
	Impostor Verdict = "impostor"
)

// Judge turns results into a verdict. The zero Judge is ready for use, with the
// default thresholds. It must not be used from two goroutines at once.
type Judge struct {
	// Bad of the last Of results make the verdict Bad, once one was good;
	// defaults 3 and 4.
	Bad, Of int
	// Impostors results in a row with an impostor make it Impostor; default 2.
	Impostors int

	proven    bool
	recent    []bool // the last Of results since the first good one: true is bad
	impostors int
	badAt     time.Time
	failing   time.Time
}

// Add takes a result into account and returns the verdict. Results that say nothing
// (Reason.Judged) change nothing. A result of a probe that began before Reset must
// not be added after it.
func (j *Judge) Add(r Result) Verdict {
	if !r.OK && !r.Reason.Judged() {
		return j.Verdict()
	}
	j.impostors++
	if !r.Impostor {
		j.impostors = 0
	}
	switch {
	case r.OK:
		// What was bad before the first good result was the way from here, for all we
		// know: it isn't in recent.
		j.proven, j.failing = true, time.Time{}
	case j.proven && j.failing.IsZero():
		j.failing = r.At
	}
	if !j.proven {
		return j.Verdict()
	}
	j.recent = append(j.recent, !r.OK)
	if over := len(j.recent) - orDefault(j.Of, DefaultOf); over > 0 {
		j.recent = append(j.recent[:0], j.recent[over:]...)
	}
	switch bad := j.bad(); {
	case !bad:
		j.badAt = time.Time{}
	case j.badAt.IsZero():
		j.badAt = r.At
	}
	return j.Verdict()
}

func (j *Judge) bad() bool {
	n := 0
	for _, b := range j.recent {
		if b {
			n++
		}
	}
	return n >= orDefault(j.Bad, DefaultBad)
}

// Verdict returns the verdict on what was added since the last Reset.
func (j *Judge) Verdict() Verdict {
	switch {
	case j.impostors >= orDefault(j.Impostors, DefaultImpostors):
		return Impostor
	case !j.proven:
		return Unproven
	case j.bad():
		return Bad
	}
	return Good
}

// BadSince returns when the last of the results came that made too many bad ones;
// zero if there are not too many now.
func (j *Judge) BadSince() time.Time { return j.badAt }

// FailingSince returns when the first of the bad results came that nothing good
// came after; zero if the last was good, or none ever was in this registration. It
// is earlier than BadSince, and less certain.
func (j *Judge) FailingSince() time.Time { return j.failing }

// Reset forgets everything, for a new registration.
func (j *Judge) Reset() {
	*j = Judge{Bad: j.Bad, Of: j.Of, Impostors: j.Impostors}
}

func orDefault(n, def int) int {
	if n == 0 {
		return def
	}
	return n
}
