package acme

import (
	"crypto/x509"
	"testing"
	"time"

	protocol "github.com/mholt/acmez/v3/acme"
)

func challenge(host, token, answer string) protocol.Challenge {
	return protocol.Challenge{Type: string(HTTP01), Token: token, KeyAuthorization: answer,
		Identifier: protocol.Identifier{Type: "dns", Value: host}}
}

func TestDue(t *testing.T) {
	const day = 24 * time.Hour
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	leaf := func(life time.Duration) *x509.Certificate {
		return &x509.Certificate{NotBefore: start, NotAfter: start.Add(life)}
	}
	for _, c := range []struct {
		name      string
		leaf      *x509.Certificate
		suggested time.Duration // after the start; 0: none
		at        time.Duration
		want      bool
	}{
		{"none", nil, 0, 0, true},
		{"new", leaf(90 * day), 0, 0, false},
		{"90 days, a minute too early", leaf(90 * day), 0, 60*day - time.Minute, false},
		{"90 days, a third left", leaf(90 * day), 0, 60 * day, true},
		{"6 days, a third left", leaf(6 * day), 0, 4 * day, true},
		{"expired", leaf(90 * day), 0, 100 * day, true},
		{"the authority wants it later", leaf(90 * day), 70 * day, 60 * day, true},
		{"the authority wants it sooner, as before a revocation", leaf(90 * day), 2 * day, 2 * day, true},
		{"not yet", leaf(90 * day), 2 * day, day, false},
	} {
		var suggested time.Time
		if c.suggested != 0 {
			suggested = start.Add(c.suggested)
		}
		if got := due(c.leaf, suggested, start.Add(c.at)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestPause: the first hour of refusals stays below five attempts, which is what
// Let's Encrypt allows; nobody is asked less than four times a day.
func TestPause(t *testing.T) {
	if pauseAfter(0, false) != lookEvery {
		t.Error("after a success")
	}
	attempts, at := 1, time.Duration(0)
	for n := 1; at < time.Hour; n++ {
		if at += pauseAfter(n, true); at < time.Hour {
			attempts++
		}
	}
	if attempts >= 5 {
		t.Errorf("%d attempts in the first hour", attempts)
	}
	for n := 1; n < 100; n++ {
		for _, answered := range []bool{true, false} {
			p, next := pauseAfter(n, answered), pauseAfter(n+1, answered)
			if p <= 0 || next < p || p > lastPause {
				t.Errorf("%d failures: %v, then %v", n, p, next)
			}
		}
	}
	if pauseAfter(1, false) != firstAway || pauseAfter(99, false) != lastAway || pauseAfter(99, true) != lastPause {
		t.Error("the bounds")
	}
}

func TestServerName(t *testing.T) {
	for in, want := range map[string]string{
		"Bot.Example.com": "bot.example.com",
		"203.0.113.7":     "7.113.0.203.in-addr.arpa",
		"2001:db8::1":     "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
	} {
		if got := serverName(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
