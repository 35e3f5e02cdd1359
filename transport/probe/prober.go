package probe

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"
)

// Prober probes one webhook. It may be used from several goroutines at once.
type Prober struct {
	o    Options
	url  *url.URL
	host string     // without port, brackets and final dot
	ip   netip.Addr // host, if it is an address
	port string
	busy atomic.Int32
}

// Responder returns the listener's side of the prober.
func (p *Prober) Responder() *Responder { return p.o.Responder }

// Busy reports whether a probe of this prober is under way.
func (p *Prober) Busy() bool { return p.busy.Load() > 0 }

// Probe probes the webhook once. telegram is the address that Telegram uses (the
// ip_address of getWebhookInfo, or the pinned one); if it isn't valid, the DNS
// decides. Probe returns within Options.Timeout, or soon after ctx is cancelled,
// and leaves nothing behind.
func (p *Prober) Probe(ctx context.Context, telegram netip.Addr) Result {
	p.busy.Add(1)
	defer p.busy.Add(-1)
	start := time.Now()
	within, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()

	a := &attempt{p: p, ctx: within, telegram: telegram.Unmap(), ask: p.challenge()}
	p.o.Responder.add(a.ask)
	defer p.o.Responder.remove(a.ask)

	f := a.run()
	if f != nil && errors.Is(ctx.Err(), context.Canceled) {
		f = &failure{f.stage, ReasonCancelled, "the probe was broken off"}
	}
	r := a.result
	r.OK = f == nil
	if f != nil {
		r.Stage, r.Reason, r.Detail = f.stage, f.reason, f.detail
		r.Impostor = f.stage == StageProof && a.sure
	}
	r.At = time.Now()
	r.Took = r.At.Sub(start)
	return r
}

// challenge makes a challenge that was never made before.
func (p *Prober) challenge() *challenge {
	nonce := make([]byte, 32)
	_, _ = rand.Read(nonce) // it never fails
	mac := hmac.New(sha256.New, p.o.Key)
	mac.Write([]byte("dualgram probe answer\x00"))
	mac.Write(nonce)
	path := p.url.Path
	if path == "" {
		path = "/" // as it arrives
	}
	return &challenge{ask: hex.EncodeToString(nonce), proof: hex.EncodeToString(mac.Sum(nil)), path: path}
}

// failure is where and why a probe ended.
type failure struct {
	stage  Stage
	reason Reason
	detail string
}

// attempt is one probe under way.
type attempt struct {
	p        *Prober
	ctx      context.Context // ends with the probe's time
	telegram netip.Addr
	ask      *challenge
	sure     bool // what is dialled is the webhook, by Telegram's word or the operator's
	result   Result
}

// run goes through the stages until one fails.
func (a *attempt) run() *failure {
	names := a.lookUp()
	defer func() {
		if names != nil {
			a.result.Advice = append(names.advice(a), a.result.Advice...)
		}
	}()
	network, addr, f := a.target(names)
	if f != nil {
		return f
	}
	return a.visit(network, addr)
}

// target decides what to dial.
func (a *attempt) target(names *names) (network, addr string, f *failure) {
	p := a.p
	if p.o.Address != "" {
		a.sure = true
		return "tcp", p.o.Address, nil
	}
	ip := a.telegram
	switch {
	case ip.IsValid():
		a.sure = true
	case names != nil:
		if ip, f = names.decide(a); f != nil {
			return "", "", f
		}
	case p.ip.IsValid():
		ip = p.ip
		if reason, detail := unfit(ip, p.o.AllowReserved); reason != "" {
			return "", "", &failure{StageDNS, reason, detail}
		}
	default: // Pinned, and the address wasn't given
		return "", "", &failure{StageDNS, ReasonLocal, "the address that the webhook is pinned to isn't known; write it in ip_address"}
	}
	network = "tcp"
	if ip.Is4() {
		network = "tcp4"
	}
	return network, net.JoinHostPort(ip.String(), p.port), nil
}

// visit connects, and goes through TLS and HTTP.
func (a *attempt) visit(network, addr string) *failure {
	begin := time.Now()
	conn, f := a.connect(network, addr)
	a.result.Timings.Connect = time.Since(begin)
	if f != nil {
		return f
	}
	// Telegram doesn't say good-bye to TLS either (SslStream.cpp).
	defer conn.Close()
	defer hurry(a.ctx, conn)()

	if a.p.url.Scheme == "https" {
		begin = time.Now()
		conn, f = a.handshake(conn)
		a.result.Timings.TLS = time.Since(begin)
		if f != nil {
			return f
		}
	}
	begin = time.Now()
	f = a.post(conn)
	a.result.Timings.HTTP = time.Since(begin)
	return f
}
