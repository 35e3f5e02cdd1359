package supervisor

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"dualgram/transport/botapi"
	"dualgram/transport/webhook"
)

// registration is the fingerprint of a set with the secret.
func registration(secret string) fingerprint {
	return fingerprintOf(botapi.SetWebhook{URL: "https://a/hook", SecretToken: secret})
}

// TestFormerSecrets: what Telegram may have registered is good, and what it had is
// for two minutes more.
func TestFormerSecrets(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) // as read from disk: no monotonic reading
	var i identity
	var s secrets
	good := func(when string, want ...string) {
		t.Helper()
		s.follow(i, at)
		s.sweep(at)
		got := s.digests()
		for _, name := range []string{"a", "b", "c", ""} {
			if is := slices.Contains(got, webhook.DigestOf(name)); is != slices.Contains(want, name) {
				t.Errorf("%s: %q is good: %v", when, name, is)
			}
		}
	}
	good("never registered")
	i.intend(registration("a"), at)
	good("a sent", "a")
	i.acknowledge(registration("a"), at)
	good("a acknowledged", "a")
	i.intend(registration("b"), at)
	good("b sent", "a", "b")
	i.intend(registration("c"), at)
	good("b never answered, c sent", "a", "b", "c")
	i.acknowledge(registration("c"), at)
	good("c acknowledged", "a", "b", "c")
	at = at.Add(secretGrace - 1)
	good("in the grace", "a", "b", "c")
	i.intend(registration("a"), at)
	good("a again", "a", "b", "c")
	i.acknowledge(registration("a"), at)
	at = at.Add(1)
	good("b's grace is over", "a", "c")
	at = at.Add(secretGrace)
	good("c's as well", "a")
	i.prune(at)
	if len(i.Former) != 0 {
		t.Errorf("kept: %+v", i.Former)
	}
	for n := range 20 {
		i.intend(registration(fmt.Sprint(n)), at)
	}
	if len(i.Former) > mostFormer {
		t.Errorf("%d are kept", len(i.Former))
	}
	good("many", "a")
}

// TestFormerSecretAndTheClock: a clock that is set back does not keep a secret
// good for longer than its grace.
func TestFormerSecretAndTheClock(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	i := identity{Acked: registration("b"), Intended: registration("b"),
		Former: []formerSecret{{hash("a"), at.Add(365 * 24 * time.Hour)}}}
	var s secrets
	s.follow(i, at)
	if until := s.sweep(at); !until.Equal(at.Add(secretGrace)) {
		t.Errorf("until %v", until)
	}
	s.sweep(at.Add(secretGrace))
	if slices.Contains(s.digests(), webhook.DigestOf("a")) {
		t.Error("still good")
	}
}
