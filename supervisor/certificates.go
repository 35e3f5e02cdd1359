package supervisor

import (
	"fmt"
	"strings"
	"time"

	"dualgram/supervisor/failover"
	"dualgram/supervisor/warning"
)

// Skew is Telegram's clock minus ours, as the latest answer of the Bot API showed
// it; 0 until there was one, and for differences that mean nothing.
func (s *Supervisor) Skew() time.Duration {
	var latest time.Time
	var skew time.Duration
	for _, b := range s.bots {
		if v := b.snapshot(); v.InfoAt.After(latest) {
			latest, skew = v.InfoAt, v.Skew
		}
	}
	return skew
}

// CloseConns closes the connections of a listener, and returns how many there
// were: those made with a certificate that was no good prove nothing about the one
// that took its place.
func (s *Supervisor) CloseConns(address string) int {
	l := s.listeners[address]
	if l == nil {
		return 0
	}
	return l.current().CloseConns()
}

// reuploadPause is the least time between two registrations for the sake of a
// certificate. Sooner, the state machine takes a flush for an outage.
const reuploadPause = 2 * time.Minute

// uploaded trips r if the certificate in service is not the one that Telegram was
// given with the webhook, and trusts alone: only a new registration brings the new
// one there. That is planned and no outage, so it is excused: by polling and back
// without a hold-down, and not counted.
func (b *Bot) uploaded(now time.Time, r Reading) Reading {
	w := b.opt.Webhook
	if r.Level != Clear || w.Certificate == nil || b.state.Phase != failover.Webhook || b.state.Busy {
		return r
	}
	if b.identity.Acked.Certificate == hash(string(w.Certificate())) {
		return r
	}
	r.Level, r.Excused = Tripped, true
	r.Evidence = "the certificate in service is not the one that Telegram was given: it is uploaded anew"
	if last := b.state.LastFlush; !last.IsZero() && now.Sub(last) < reuploadPause {
		r.Level = Suspect
	}
	return r
}

// certificateConditions are those of the certificate in service and of the one on
// disk. now is Telegram's clock.
func (b *Bot) certificateConditions(now time.Time) []warning.Condition {
	if b.server == nil || b.server.opt.TLS == nil {
		return nil
	}
	var all []warning.Condition
	o := b.server.opt
	if s, err := b.server.chains.check(o.TLS, b.host, now); err == nil {
		if c, ok := expiry(b.host, s.NotBefore, s.NotAfter, now, o.Renewal); ok {
			all = append(all, c)
		}
	}
	if o.Refused != nil {
		if r := o.Refused(); r.Err != nil {
			all = append(all, warning.Condition{Code: warning.CertificateRefused, Since: r.Since, Evidence: r.Err.Error()})
		}
	}
	if o.RenewalFailed != nil {
		if r := o.RenewalFailed(); r.Err != nil {
			all = append(all, warning.Condition{Code: warning.CertificateRenewalFailed, Since: r.Since, Evidence: r.Err.Error()})
		}
	}
	for i := range all {
		all[i].Bot = b.opt.Name
	}
	return all
}

// The ends that are warned about, and the shares of the certificate's whole life
// that they are at most: of a certificate for 90 days, which is renewed when 30 are
// left, the last 22, 11 and 3 days; of one for 6 days the last 36, 18 and 5 hours.
const (
	infoLeft, infoShare         = 30 * 24 * time.Hour, 4
	warningLeft, warningShare   = 14 * 24 * time.Hour, 8
	criticalLeft, criticalShare = 3 * 24 * time.Hour, 30
)

// ExpirySeverity says how bad it is that a certificate with these bounds ends when
// it does; empty if it isn't. now is Telegram's clock.
func ExpirySeverity(notBefore, notAfter, now time.Time) warning.Severity {
	life, left := notAfter.Sub(notBefore), notAfter.Sub(now)
	switch {
	case left <= min(criticalLeft, life/criticalShare):
		return warning.Critical
	case left <= min(warningLeft, life/warningShare):
		return warning.Warning
	case left <= min(infoLeft, life/infoShare):
		return warning.Info
	}
	return ""
}

// expiry is the condition of an end that comes near.
func expiry(host string, notBefore, notAfter, now time.Time, renewal string) (warning.Condition, bool) {
	severity := ExpirySeverity(notBefore, notAfter, now)
	if severity == "" {
		return warning.Condition{}, false
	}
	if renewal == "" {
		renewal = "Renew it and replace the files; they are read again by themselves"
	}
	c := warning.Condition{Code: warning.CertificateExpires, Severity: severity}
	end := notAfter.UTC().Format("2006-01-02 15:04 MST")
	if left := notAfter.Sub(now); left > 0 {
		c.Evidence = fmt.Sprintf("The one for %s ends on %s, in %s. Shortly before, updates begin to come by polling", host, end, roughly(left))
	} else {
		c.Evidence = fmt.Sprintf("The one for %s ended on %s. Telegram refuses it, and updates come by polling", host, end)
	}
	c.Evidence += ". " + strings.TrimSuffix(renewal, ".")
	return c, true
}

// roughly is a duration for people, in the largest unit of which there are two.
func roughly(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "days"}, {time.Hour, "hours"}, {time.Minute, "minutes"}} {
		if d >= 2*u.unit {
			return fmt.Sprintf("%d %s", d/u.unit, u.name)
		}
	}
	return fmt.Sprintf("%d seconds", d/time.Second)
}
