package webhook

import (
	"net/http"
	"net/netip"
	"testing"
	"time"
)

// TestFormerSecret: a secret that was replaced is good as long as its digest is
// listed, and each request looks anew.
func TestFormerSecret(t *testing.T) {
	former := []Digest{DigestOf("before"), DigestOf("before that")}
	inBubble(t, Options{}, func(rt *Route) { rt.Former = func() []Digest { return former } }, func(g *rig) {
		p := g.dial(telegram)
		for _, c := range []struct {
			token string
			want  SecretUse
		}{{secret, SecretCurrent}, {"before", SecretPrevious}, {"before that", SecretPrevious}, {"Before", SecretWrong}, {"befor", SecretWrong}, {"", SecretWrong}} {
			p.send(request1("POST", hookPath, body, SecretHeader+": "+c.token))
			status := p.answer().StatusCode
			outs := g.outcomes()
			o := outs[len(outs)-1]
			if good := c.want != SecretWrong; o.Secret != c.want || o.Authenticated != good || (status == 200) != good {
				t.Errorf("%q: status %d, %+v", c.token, status, o)
			}
		}
		former = nil
		p.send(request1("POST", hookPath, body, SecretHeader+": before"))
		if status := p.answer().StatusCode; status != 403 {
			t.Errorf("a secret that was dropped: %d", status)
		}
	})
}

// TestDigestIsStable: digests outlive the process.
func TestDigestIsStable(t *testing.T) {
	// printf %s abc | sha256sum
	want := Digest{0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23}
	if got := DigestOf("abc"); got != want {
		t.Errorf("%x", got)
	}
}

// TestUnsigned: while a missing header is allowed, a wrong one still is not; and
// a request that anybody could send is taken but proves nothing.
func TestUnsigned(t *testing.T) {
	for _, c := range []struct {
		name   string
		nets   bool
		allow  bool
		lines  []string
		status int
		auth   bool
	}{
		{"from Telegram's networks", true, true, nil, 200, true},
		{"from anywhere", false, true, nil, 200, false},
		{"no longer allowed", true, false, nil, 403, false},
		{"wrong", true, true, []string{SecretHeader + ": x"}, 403, false},
		{"empty", true, true, []string{SecretHeader + ": "}, 403, false},
		{"doubled", true, true, []string{SecretHeader + ": " + secret, SecretHeader + ": " + secret}, 403, false},
		{"right", false, true, []string{SecretHeader + ": " + secret}, 200, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Options{}, func(rt *Route) {
				rt.Unsigned = func() bool { return c.allow }
				if c.nets {
					rt.Networks = telegramNets
				}
			}, func(g *rig) {
				p := g.dial(telegram)
				p.send(request1("POST", hookPath, body, c.lines...))
				if status := p.answer().StatusCode; status != c.status {
					t.Errorf("status %d, want %d", status, c.status)
				}
				o := g.only()
				if o.Authenticated != c.auth || o.Cause.OK() != (c.status == 200) {
					t.Errorf("outcome %+v", o)
				}
				if missing := c.lines == nil && c.allow; (o.Secret == SecretMissing) != missing {
					t.Errorf("secret %q", o.Secret)
				}
				if a := g.s.Arrivals("orders"); a.Last.IsZero() == c.auth {
					t.Errorf("arrivals %+v: what anybody can send must not look like Telegram", a)
				}
				if n := len(g.sink.got()); (n == 1) != (c.status == 200) {
					t.Errorf("%d updates accepted", n)
				}
			})
		})
	}
}

// TestUnsignedBehindProxy: a proxy that doesn't name the client leaves nothing to
// go by.
func TestUnsignedBehindProxy(t *testing.T) {
	inBubble(t, Options{}, func(rt *Route) {
		rt.Unsigned = func() bool { return true }
		rt.Networks, rt.TrustedProxies = telegramNets, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	}, func(g *rig) {
		p := g.dial("10.1.2.3")
		p.send(request1("POST", hookPath, body))
		p.answer()
		if o := g.only(); o.Cause != CauseProxyHeader || o.Authenticated {
			t.Errorf("outcome %+v", o)
		}
	})
}

// TestUnsignedStaysInvisible: an unsigned request in progress that anybody could
// have sent is not in flight, and what a handler answers in its place is not our
// failure on the path to Telegram.
func TestUnsignedStaysInvisible(t *testing.T) {
	o := Options{WrapHandler: func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			w.WriteHeader(http.StatusBadGateway)
		})
	}}
	inBubble(t, o, func(rt *Route) { rt.Unsigned = func() bool { return true } }, func(g *rig) {
		p := g.dial(telegram)
		p.send(request1("POST", hookPath, body))
		time.Sleep(time.Second / 2)
		if n := len(g.s.InFlight("orders")); n != 0 {
			t.Errorf("%d in flight", n)
		}
		p.answer()
		if o := g.only(); o.Cause != CauseHandler || o.Authenticated {
			t.Errorf("outcome %+v", o)
		}
	})
}
