package supervisor

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"dualgram/transport/webhook"
)

// chainEvery is how often the certificate in service is looked at.
const chainEvery = time.Second

// chainWatch returns a function that judges the certificate in service at the
// given time, at most once a second. It is nil where somebody else terminates
// TLS.
func chainWatch(l *listener, o BotOptions, m *metrics) func(time.Time) Reading {
	if l.opt.TLS == nil {
		return nil
	}
	u, _ := url.Parse(o.Webhook.Params.URL) // validated
	host := u.Hostname()
	var last Reading
	var looked time.Time
	return func(now time.Time) Reading {
		if looked.IsZero() || now.Sub(looked) >= chainEvery || now.Before(looked) {
			state, err := l.chains.check(l.opt.TLS, host, now)
			last, looked = chainReading(state, err, now, o.Thresholds.TLSLead), now
			if err == nil {
				m.certificateEnd.WithLabelValues(o.Name).Set(seconds(state.NotAfter))
			}
		}
		return last
	}
}

// chainMemo remembers verdicts on chains. To verify signatures each second would be
// most of what an idle host does.
type chainMemo struct {
	mu     sync.Mutex
	byHost map[string]chainVerdict
}

// chainVerdict is a verdict on the chain whose leaf is at the address.
type chainVerdict struct {
	leaf  *byte
	at    time.Time
	state webhook.CertState
}

// chainMemory is how long a verdict holds: the roots of this host may change.
const chainMemory = time.Minute

// check judges the chain that a new connection for the host would be shown, at the
// time now.
func (c *chainMemo) check(cfg *tls.Config, host string, now time.Time) (webhook.CertState, error) {
	pair, err := serving(cfg, host)
	if err != nil {
		return webhook.CertState{}, err
	}
	leaf := &pair.Certificate[0][0]
	c.mu.Lock()
	defer c.mu.Unlock()
	v, known := c.byHost[host]
	// Before and after its time a chain is judged anew, as that is what changes.
	if known && v.leaf == leaf && !now.Before(v.at) && now.Sub(v.at) < chainMemory &&
		now.After(v.state.NotBefore) == v.at.After(v.state.NotBefore) && now.After(v.state.NotAfter) == v.at.After(v.state.NotAfter) {
		return v.state, nil
	}
	chain, err := parsed(pair)
	if err != nil {
		return webhook.CertState{}, err
	}
	v = chainVerdict{leaf, now, webhook.CheckChain(chain, now, host, 0)}
	if c.byHost == nil {
		c.byHost = make(map[string]chainVerdict)
	}
	c.byHost[host] = v
	return v.state, nil
}

// serving returns the pair that a new connection for the host would be shown, asking
// the configuration just as a handshake does. The hello carries no connection, which
// tells a hook that nobody is there. The pair is not empty.
func serving(cfg *tls.Config, host string) (*tls.Certificate, error) {
	hello := &tls.ClientHelloInfo{
		ServerName:        host,
		SupportedVersions: []uint16{tls.VersionTLS13, tls.VersionTLS12},
		CipherSuites:      []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
		SupportedCurves:   []tls.CurveID{tls.X25519, tls.CurveP256},
		SupportedPoints:   []uint8{0},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.PSSWithSHA256, tls.PKCS1WithSHA256,
			tls.ECDSAWithP384AndSHA384, tls.Ed25519},
	}
	if net.ParseIP(host) != nil {
		hello.ServerName = "" // no server name is sent for an address
	}
	if cfg.GetConfigForClient != nil {
		c, err := cfg.GetConfigForClient(hello)
		if err != nil {
			return nil, err
		}
		if c != nil {
			cfg = c
		}
	}
	var pair *tls.Certificate
	if cfg.GetCertificate != nil {
		p, err := cfg.GetCertificate(hello)
		if err != nil {
			return nil, err
		}
		pair = p
	}
	if pair == nil {
		if len(cfg.Certificates) == 0 {
			return nil, errors.New("no certificate is configured")
		}
		pair = &cfg.Certificates[0]
	}
	if len(pair.Certificate) == 0 || len(pair.Certificate[0]) == 0 {
		return nil, errors.New("the certificate is empty")
	}
	return pair, nil
}

// parsed returns the pair's chain, the leaf first.
func parsed(pair *tls.Certificate) ([]*x509.Certificate, error) {
	chain := make([]*x509.Certificate, 0, len(pair.Certificate))
	for i, der := range pair.Certificate {
		if i == 0 && pair.Leaf != nil {
			chain = append(chain, pair.Leaf)
			continue
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	return chain, nil
}

// chainReading reads the verdict on the certificate in service by the clock of
// Telegram's side. An unknown authority is not judged here: a host without root
// certificates sees every chain so.
func chainReading(s webhook.CertState, err error, now time.Time, lead time.Duration) Reading {
	r := Reading{Signal: SignalTLS, Moves: true}
	switch {
	case err != nil:
		r.Level, r.Evidence = Tripped, fmt.Sprintf("the certificate in service can't be read: %v", err)
	case s.Status.Fatal():
		r.Level, r.Evidence = Tripped, "the certificate in service: "+s.Detail
	case !now.Add(lead).Before(s.NotAfter):
		r.Level, r.Evidence = Tripped, fmt.Sprintf("the certificate in service: it expires on %s, within %v", s.NotAfter.UTC().Format("2006-01-02 15:04:05 MST"), lead)
	}
	return r
}
