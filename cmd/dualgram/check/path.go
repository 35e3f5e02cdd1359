package check

import (
	"context"
	"crypto/x509"
	"net/netip"
	"strings"
	"time"

	"dualgram/cmd/dualgram/host"
	"dualgram/supervisor/console"
	"dualgram/transport/probe"
)

// pathCodes are what one probe of the webhook tells.
var pathCodes = []Code{DNSExists, DNSIPv4, DNSPublic, DNSSame, DNSSeveral, TCPConnect,
	TLSHandshake, TLSChain, TLSName, TLSDates, TLSExpires, HTTPAnswer, HTTPStatus, HTTPProof}

// Which code a probe's reason belongs to, stage by stage.
var (
	dnsCodes = map[probe.Reason]Code{
		probe.ReasonNXDomain: DNSExists, probe.ReasonDNSTimeout: DNSExists, probe.ReasonDNSFailed: DNSExists,
		probe.ReasonAAAAOnly: DNSIPv4, probe.ReasonReservedAddress: DNSPublic,
	}
	adviceCodes = map[string]Code{probe.AdviceAddressDiffers: DNSSame, probe.AdviceSeveralAddresses: DNSSeveral}
	tlsCodes    = map[probe.Reason]Code{
		probe.ReasonTLSUnknownAuthority: TLSChain, probe.ReasonTLSBadCertificate: TLSChain,
		probe.ReasonTLSWrongHost: TLSName, probe.ReasonTLSExpired: TLSDates, probe.ReasonTLSNotYetValid: TLSDates,
	}
	httpCodes = map[probe.Reason]Code{probe.ReasonHTTPStatus: HTTPStatus, probe.ReasonRedirect: HTTPStatus}
)

// look is a probe and who made it.
type look struct {
	probe.Result
	// ours: the listener is one that can prove itself, so nobody else should answer.
	ours bool
	by   string
}

// path tries the whole way to the webhook, as Telegram would come: by the running
// dualgram's own probe, or to a listener of the check's own, or as a stranger to
// whatever is there.
func (k *checkup) path(ctx context.Context, b *bot, f *findings) {
	defer k.leave(b)
	w := &b.c.Webhook
	if w.Off {
		f.skipAll(pathCodes, pollsOnly)
		return
	}
	o, err := k.probeOptions(b)
	if err != nil {
		f.fail(TLSChain, "Name a file with the authority's certificate in PEM.", "%s", err)
		return
	}
	now := o.Now()
	if k.o.Offline {
		k.filed(b, o, now, f)
		k.leaveOut(f, "--offline")
		return
	}
	l, why := k.lookAt(ctx, b, o)
	if why != "" {
		k.filed(b, o, now, f)
		k.leaveOut(f, why)
		return
	}
	k.judgeDNS(b, l, f)
	k.judgeConnection(b, l, f)
	k.judgeTLS(b, l, o, now, f)
	k.judgeHTTP(l, f)
}

// leaveOut skips what has no result yet.
func (k *checkup) leaveOut(f *findings, why string) {
	for _, c := range pathCodes {
		if _, ok := f.has(c); !ok {
			f.skip(c, "%s", why)
		}
	}
}

// probeOptions are those that dualgram itself would probe with.
func (k *checkup) probeOptions(b *bot) (probe.Options, error) {
	w := &b.c.Webhook
	o, err := host.ProbeOptions(k.cfg, w)
	if err != nil {
		return o, err
	}
	if k.o.Resolver != nil {
		o.Resolver = k.o.Resolver
	}
	if k.o.Roots != nil && o.Roots == nil {
		o.Roots = k.o.Roots
	}
	o.Dial, o.Responder, o.Stranger = k.o.Dial, &k.answers, true
	o.Now = func() time.Time { return k.o.Now().Add(b.skew) }
	if w.Uploads() && b.pair != nil {
		o.Uploaded, o.Roots = true, x509.NewCertPool()
		o.Roots.AppendCertsFromPEM(b.pair.pem)
	}
	return o, nil
}

// lookAt makes the probe; why says why there is none.
func (k *checkup) lookAt(ctx context.Context, b *bot, o probe.Options) (l look, why string) {
	switch {
	case b.vitals != nil && b.vitals.Probe != nil:
		return look{resultOf(*b.vitals.Probe), true, "the running dualgram"}, ""
	case k.doorOf(b) != nil:
		l.ours, l.by = true, "this check"
	case k.o.Pre && b.c.Webhook.TLS.ACME != nil && b.pair == nil:
		return l, "nothing can listen before the authority has signed a certificate"
	default:
		l.by = "this check, as a stranger"
	}
	p, err := probe.New(o)
	if err != nil {
		return l, err.Error()
	}
	l.Result = p.Probe(ctx, k.telegramsAddress(b))
	return l, ""
}

// telegramsAddress is where Telegram delivers to, as far as that is known.
func (k *checkup) telegramsAddress(b *bot) netip.Addr {
	w := &b.c.Webhook
	if a, err := netip.ParseAddr(w.IPAddress); err == nil {
		return a
	}
	if b.info.URL == w.PublicURL {
		if a, err := netip.ParseAddr(b.info.IPAddress); err == nil {
			return a
		}
	}
	return netip.Addr{}
}

// resultOf reads the result of a probe that another process made.
func resultOf(v console.ProbeVitals) probe.Result {
	r := probe.Result{OK: v.OK, Stage: probe.Stage(v.Stage), Reason: probe.Reason(v.Reason), Detail: v.Detail, Status: v.Status,
		Impostor: v.Impostor, NotBefore: v.NotBefore, NotAfter: v.NotAfter}
	r.Address, _ = netip.ParseAddrPort(v.Address)
	ms := func(f float64) time.Duration { return time.Duration(f * float64(time.Millisecond)) }
	r.Timings = probe.Timings{DNS: ms(v.StagesMS.DNS), Connect: ms(v.StagesMS.Connect), TLS: ms(v.StagesMS.TLS), HTTP: ms(v.StagesMS.HTTP)}
	for _, a := range v.Advice {
		r.Advice = append(r.Advice, probe.Finding{Code: a.Code, Detail: a.Detail})
	}
	return r
}

// split takes a sentence of a probe's apart: what is wrong, and what to do.
func split(detail string) (what, fix string) {
	what, fix, _ = strings.Cut(detail, ": ")
	return what, sentence(fix)
}

// said is what the probe says is wrong, and what to do; empty if it only explains.
func (l look) said() (what, fix string) {
	switch l.Reason {
	case probe.ReasonConnectTimeout, probe.ReasonTLSTimeout:
		return l.Detail, ""
	}
	return split(l.Detail)
}

// stages in their order.
var stages = map[probe.Stage]int{probe.StageDNS: 1, probe.StageConnect: 2, probe.StageTLS: 3, probe.StageHTTP: 4, probe.StageProof: 5}

// passed tells whether a probe got beyond the stage.
func (l look) passed(s probe.Stage) bool { return l.OK || stages[l.Stage] > stages[s] }

// unjudged is a probe that says nothing about the webhook.
func (l look) unjudged() bool { return !l.OK && !l.Reason.Judged() }

func (k *checkup) judgeDNS(b *bot, l look, f *findings) {
	codes := []Code{DNSExists, DNSIPv4, DNSPublic, DNSSame, DNSSeveral}
	hostname := b.url.Hostname()
	note := ""
	if l.Stage == probe.StageDNS {
		if l.unjudged() {
			f.skipAll(codes, l.Detail)
			return
		}
		what, fix := l.said()
		f.fail(dnsCodes[l.Reason], fix, "%s", what)
	}
	for _, a := range l.Advice {
		what, fix := split(a.Detail)
		c, known := dnsCodes[probe.Reason(a.Code)]
		if !known {
			c, known = adviceCodes[a.Code]
		}
		switch {
		case a.Code == probe.AdviceAAAAPresent:
			note = "; it has an IPv6 address, too, which Telegram doesn't use"
		case known && c != DNSSame && c != DNSSeveral && b.info.URL != b.c.Webhook.PublicURL:
			// Telegram would look the name up when the webhook is set, and refuse.
			f.insist(c, fix, "%s", what)
		case known:
			f.warn(c, fix, "%s", what)
		}
	}
	_, address := netip.ParseAddr(hostname)
	for _, c := range codes {
		if _, ok := f.has(c); ok {
			continue
		}
		switch {
		case c != DNSExists && k.failedDNS(f) != "":
			f.skip(c, "%s", prerequisite+string(k.failedDNS(f)))
		case address == nil:
			f.skip(c, "public_url has an address")
		case b.c.Webhook.IPAddress != "":
			f.skip(c, "webhook.ip_address is set, and Telegram doesn't look the name up")
		case c == DNSExists:
			f.pass(c, "%s", hostname)
		case c == DNSIPv4:
			f.pass(c, "%s%s", addressWords(l), note)
		case c == DNSSame && !k.telegramsAddress(b).IsValid() && b.unasked() != "":
			f.skip(c, "%s", prerequisite+string(b.unasked()))
		case c == DNSSame && !k.telegramsAddress(b).IsValid():
			f.skip(c, "Telegram has no webhook of ours, and so no address")
		case c == DNSSame:
			f.pass(c, "Telegram uses %s", k.telegramsAddress(b))
		case c == DNSPublic && !k.cfg.Cloud():
			f.pass(c, "a Bot API server of one's own takes any")
		case c == DNSPublic:
			f.pass(c, "it isn't reserved")
		default:
			f.pass(c, "there are no others")
		}
	}
}

// failedDNS is the code of the DNS that failed; empty if none did.
func (k *checkup) failedDNS(f *findings) Code {
	for _, c := range []Code{DNSExists, DNSIPv4, DNSPublic} {
		if r, ok := f.has(c); ok && r.Status == Fail {
			return c
		}
	}
	return ""
}

func addressWords(l look) string {
	if !l.Address.IsValid() {
		return "there is one"
	}
	return l.Address.Addr().String()
}

func (k *checkup) judgeConnection(b *bot, l look, f *findings) {
	switch {
	case l.passed(probe.StageConnect):
		where := ""
		if b.c.Webhook.Probe.Dial != "" {
			where = " (probe.dial; the public address was not tried)"
		}
		f.pass(TCPConnect, "%s%s in %s, by %s", l.Address, where, short(l.Timings.Connect), l.by)
	case l.Stage != probe.StageConnect:
		k.notReached(l, f, TCPConnect)
	case l.unjudged():
		what, fix := l.said()
		f.warn(TCPConnect, fix, "%s", what)
	case k.delivered(b):
		// A router may not lead its own network to its public address.
		f.warn(TCPConnect, "Set webhook.probe.dial to an address by which this host reaches the listener as Telegram does.",
			"Telegram delivers, but this host has no way to its own public address: %s", firstOf(l.Detail))
	case !l.ours && !k.alive() && l.Reason == probe.ReasonRefused && !b.c.Webhook.TLS.Off:
		f.fail(TCPConnect, "Start dualgram, or before an installation use dualgram check --pre, which listens for the check.", "%s", firstOf(l.Detail))
	default:
		what, fix := l.said()
		f.fail(TCPConnect, fix, "%s", what)
	}
}

func firstOf(detail string) string { what, _ := split(detail); return what }

// delivered tells whether Telegram's deliveries come through at present.
func (k *checkup) delivered(b *bot) bool {
	return b.live != nil && b.live.Phase == "webhook" && b.live.Webhook != nil && k.o.Now().Sub(b.live.Webhook.LastArrivalAt) < 5*time.Minute
}

// notReached skips what a probe didn't get to.
func (k *checkup) notReached(l look, f *findings, codes ...Code) {
	for _, c := range codes {
		if _, ok := f.has(c); ok {
			continue
		}
		failed := ""
		for _, r := range f.all {
			if r.Status == Fail {
				failed = string(r.Code)
			}
		}
		switch {
		case failed != "":
			f.skip(c, "%s", prerequisite+failed)
		default:
			f.skip(c, "not reached: %s", firstOf(l.Detail))
		}
	}
}

func (k *checkup) judgeTLS(b *bot, l look, o probe.Options, now time.Time, f *findings) {
	codes := []Code{TLSHandshake, TLSChain, TLSName, TLSDates, TLSExpires}
	if b.url.Scheme != "https" {
		f.skipAll(codes, "public_url is plain http")
		return
	}
	bad, ofChain := tlsCodes[l.Reason]
	switch {
	case l.passed(probe.StageTLS):
		f.pass(TLSHandshake, "in %s", short(l.Timings.TLS))
		f.pass(TLSChain, "as served, without fetching anything")
		f.pass(TLSName, "%s", b.url.Hostname())
		f.pass(TLSDates, "by Telegram's clock")
		k.timeLeft(f, l.NotBefore, l.NotAfter, now, "")
	case l.Stage == probe.StageTLS && ofChain:
		f.pass(TLSHandshake, "in %s", short(l.Timings.TLS))
		what, fix := l.said()
		f.fail(bad, fix, "%s", what)
		if bad == TLSName { // dates and chain are looked at before the name
			f.pass(TLSChain, "as served, without fetching anything")
			f.pass(TLSDates, "by Telegram's clock")
		}
		if bad != TLSDates && !l.NotAfter.IsZero() {
			k.timeLeft(f, l.NotBefore, l.NotAfter, now, "")
		}
		k.notReached(l, f, codes...)
	case l.Stage == probe.StageTLS:
		what, fix := l.said()
		if !l.ours && k.turnedAway(b, l) {
			f.skip(TLSHandshake, "the listener turns strangers away before TLS, as allow_networks says")
		} else {
			f.fail(TLSHandshake, fix, "%s", what)
		}
		k.filed(b, o, now, f)
		k.notReached(l, f, codes...)
	default:
		k.filed(b, o, now, f)
		k.notReached(l, f, codes...)
	}
}

// turnedAway tells whether a connection was ended as dualgram ends a stranger's.
func (k *checkup) turnedAway(b *bot, l look) bool {
	closed := l.Reason == probe.ReasonTLSClosed || l.Reason == probe.ReasonReset
	return closed && !b.c.Webhook.AllowNetworks.Any && !b.c.Webhook.TLS.Off
}

func (k *checkup) judgeHTTP(l look, f *findings) {
	codes := []Code{HTTPAnswer, HTTPStatus, HTTPProof}
	what, fix := l.said()
	bad, known := httpCodes[l.Reason]
	if !known {
		bad = HTTPAnswer
	}
	switch {
	case l.OK:
		f.pass(HTTPAnswer, "in %s", short(l.Timings.HTTP))
		f.pass(HTTPStatus, "%d", l.Status)
		f.pass(HTTPProof, "proven to %s", l.by)
	case l.Stage == probe.StageProof:
		f.pass(HTTPAnswer, "in %s", short(l.Timings.HTTP))
		f.pass(HTTPStatus, "%d", l.Status)
		f.fail(HTTPProof, fix, "%s", what)
	case l.Stage == probe.StageHTTP && !l.ours && (l.Status == 401 || l.Status == 403):
		f.pass(HTTPAnswer, "in %s", short(l.Timings.HTTP))
		f.skip(HTTPStatus, "a stranger is refused with %d, as it should be", l.Status)
		f.skip(HTTPProof, "only a running dualgram can prove itself to its own probe")
	case l.Stage == probe.StageHTTP && bad == HTTPStatus:
		f.pass(HTTPAnswer, "in %s", short(l.Timings.HTTP))
		f.fail(HTTPStatus, fix, "%s", what)
		k.notReached(l, f, codes...)
	case l.Stage == probe.StageHTTP:
		f.fail(bad, fix, "%s", what)
		k.notReached(l, f, codes...)
	default:
		k.notReached(l, f, codes...)
	}
}

// strangers looks whether a request with a wrong secret is refused. It is sent with
// an empty update, so that nothing happens if it is taken.
func (k *checkup) strangers(ctx context.Context, b *bot, f *findings) {
	w := &b.c.Webhook
	switch {
	case w.Off:
		f.skip(HTTPRefuses, pollsOnly)
		return
	case k.offline(f, HTTPRefuses):
		return
	case k.doorOf(b) != nil:
		f.skip(HTTPRefuses, "dualgram isn't running: this check has its address")
		return
	}
	o, err := k.probeOptions(b)
	if err != nil {
		f.skip(HTTPRefuses, "%s", prerequisite+string(TLSChain))
		return
	}
	o.Responder = nil // nobody is to let it in
	p, err := probe.New(o)
	if err != nil {
		f.skip(HTTPRefuses, "%s", err)
		return
	}
	l := look{Result: p.Probe(ctx, k.telegramsAddress(b))}
	switch {
	case l.Stage == probe.StageProof:
		f.fail(HTTPRefuses, "", "a wrong secret is answered with %d", l.Status)
	case l.Stage == probe.StageHTTP && l.Status >= 300:
		f.pass(HTTPRefuses, "a wrong secret is refused with %d", l.Status)
	case k.turnedAway(b, l) && k.alive():
		f.pass(HTTPRefuses, "strangers are turned away before TLS, as allow_networks says")
	default:
		f.skip(HTTPRefuses, "not reached: %s", firstOf(l.Detail))
	}
}
