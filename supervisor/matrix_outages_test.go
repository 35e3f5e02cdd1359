package supervisor_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/matrix"
	"dualgram/chaos/pki"
	"dualgram/chaos/telegramsim"
	"dualgram/supervisor"
	"dualgram/transport"
)

// leased is a row of faults that the host carries itself.
func leased(specs ...chaos.Spec) func(*matrixRun) func() {
	return func(r *matrixRun) func() { return r.inject(specs...) }
}

func kindOf(k string, params ...string) chaos.Spec {
	s := chaos.Spec{Kind: chaos.Kind(k)}
	for i := 0; i+1 < len(params); i += 2 {
		if s.Params == nil {
			s.Params = map[string]string{}
		}
		s.Params[params[i]] = params[i+1]
	}
	return s
}

func share(s chaos.Spec, of float64) chaos.Spec { s.Share = of; return s }
func delay(s chaos.Spec, d time.Duration) chaos.Spec {
	s.Delay = d
	return s
}

// along begins several things at once and ends them in the opposite order.
func along(begin ...func(*matrixRun) func()) func(*matrixRun) func() {
	return func(r *matrixRun) func() {
		var heals []func()
		for _, b := range begin {
			heals = append(heals, b(r))
		}
		return func() {
			for i := range heals {
				heals[len(heals)-1-i]()
			}
		}
	}
}

// apiFault makes calls to the Bot API fail. It acts where the others do, so it
// does not count.
func apiFault(f telegramsim.Fault) func(*matrixRun) func() {
	return func(r *matrixRun) func() {
		r.sim.SetFault(f)
		return func() { r.sim.ClearFaults() }
	}
}

func blackhole(addrs ...string) func(*matrixRun) func() {
	return func(r *matrixRun) func() {
		r.acted()
		for _, a := range addrs {
			r.net.Blackhole(a, true)
		}
		return func() {
			for _, a := range addrs {
				r.net.Blackhole(a, false)
			}
		}
	}
}

func refuseNetwork(r *matrixRun) func() {
	r.acted()
	r.net.Refuse(testIP, true)
	r.net.Cut(testIP)
	return func() { r.net.Refuse(testIP, false) }
}

func turn(m frontMood) func(*matrixRun) func() {
	return func(r *matrixRun) func() { return r.front.turns(m, nil) }
}

// stuckChat is the chat of which a front refuses the updates.
const stuckChat = 424242

// everyRate is the full set of rates, for the rows that stand for their class.
var everyRate = []float64{0.05, 1, 50, 500}

// waitBound is how long any update may wait at most where the whole webhook is
// down: the budget, and the backlog that has to drain then.
const waitBound = matrix.Budget + 5*time.Second

func outages() []fault {
	rows := []fault{
		{name: "certificate expired", local: true, rates: everyRate, begin: leased(kindOf("tls.expired")),
			did: "the certificate in service expired yesterday; kept-alive connections are closed"},
		{name: "certificate expires soon", local: true, prepare: (*matrixRun).ownCertificate, begin: (*matrixRun).shortCertificate,
			did: "the certificate in service has 110 s left: the handover comes before Telegram sees anything"},
		{name: "certificate for another host", local: true, begin: leased(kindOf("tls.wrong_host")),
			did: "the certificate in service is for another host"},
		{name: "intermediate missing", begin: leased(kindOf("tls.incomplete_chain")),
			did: "the server sends its leaf without the intermediate"},
		{name: "TLS 1.0 only", begin: leased(kindOf("tls.old_version")),
			did: "the server speaks nothing newer than TLS 1.0"},
		{name: "handshake stalls", begin: leased(kindOf("tls.handshake_stall")),
			did: "the ClientHello is read and never answered"},
		{name: "accepted, then silence", begin: leased(kindOf("net.blackhole")),
			did: "connections are accepted, and nothing sent is read and nothing answered arrives"},
		{name: "network black hole", rates: everyRate, begin: blackhole(testIP),
			did: "every packet between Telegram and the host is dropped, open connections included"},
		{name: "connection refused", begin: refuseNetwork,
			did: "the port answers with RST, open connections are cut"},
		{name: "listener closed", begin: leased(kindOf("net.refuse")),
			did: "the socket is closed behind the server's back"},
		{name: "listener lost", local: true, begin: leased(kindOf("net.accept_error", "error", "lost")),
			did: "accepting fails for good, and the socket can't be had back"},
		{name: "out of descriptors", begin: leased(kindOf("net.accept_error", "error", "EMFILE")),
			did: "accepting fails for want of file descriptors; kept-alive connections are closed"},
		{name: "accepting stops", begin: leased(kindOf("net.stop_accept")),
			did: "connections wait in the kernel's queue for ever"},
		{name: "reset in mid-request", begin: leased(kindOf("net.reset")),
			did: "each connection is reset at its first byte"},
		{name: "loss of 60 % (approx.)", begin: leased(kindOf("net.loss_approx", "percent", "60")), lasts: 20 * time.Second, stays: true, ownPace: true,
			did: "retransmissions as at a loss of 60 % of the packets hold up every exchange (loss_approx: user space can't drop beneath TCP)"},
		{name: "handler answers 500", local: true, rates: everyRate, begin: leased(kindOf("http.status")),
			did: "every request is answered with 500 before the intake sees it"},
		{name: "handler answers 429", local: true, begin: leased(kindOf("http.status", "code", "429")),
			did: "every request is answered with 429"},
		{name: "handler panics", local: true, begin: leased(kindOf("http.panic")),
			did: "the handler panics on every request"},
		{name: "handler hangs", local: true, begin: leased(kindOf("http.hang")), rates: everyRate,
			did: "requests are read and never answered"},
		{name: "answers after 90 s", local: true, begin: leased(delay(kindOf("http.slow"), 90*time.Second)),
			did: "requests wait 90 s, longer than Telegram does"},
		{name: "half of the answers are 500", begin: leased(share(kindOf("http.status"), 0.5)), stays: true, lasts: time.Minute, rates: []float64{1, 50},
			did: "one request in two, drawn, is answered with 500: a retry may help, so the mode may stay as long as nothing waits"},
		{name: "answers don't get back", begin: leased(kindOf("http.answer_lost")),
			did: "updates are stored, and the connection closes before the answer: Telegram sends them again"},
		{name: "answers are reset", begin: leased(kindOf("net.reset", "at", "handler")),
			did: "updates are stored, and a RST takes the place of the answer"},
		{name: "half of the answers don't get back", begin: leased(share(kindOf("http.answer_lost"), 0.5)), stays: true, lasts: time.Minute, rates: []float64{1, 50},
			did: "of one request in two, drawn, the answer is lost after the commit"},
		{name: "one chat is refused", prepare: (*matrixRun).proxy, begin: stick(frontBadGateway),
			did: "a proxy answers 502 to the updates of one chat; the others go on"},
		{name: "one chat hangs", prepare: (*matrixRun).proxy, begin: stick(frontHangs),
			did: "a proxy never answers the updates of one chat; the others go on"},
		{name: "one chat fails in our handler", begin: (*matrixRun).stickHere,
			did: "the handler answers 500 to the updates of one chat; the others go on"},
		{name: "half of the backends are dead", prepare: (*matrixRun).balance, rates: []float64{1, 50},
			begin: func(r *matrixRun) func() { r.spread(); return r.front.half(false) },
			did:   "behind a balancer of connections every second backend swallows what it is sent"},
		{name: "half of the backends refuse", prepare: (*matrixRun).balance, rates: []float64{1, 50}, stays: true, lasts: time.Minute,
			begin: func(r *matrixRun) func() { r.spread(); return r.front.half(true) },
			did:   "behind a balancer of connections every second backend resets: a retry may help, so the mode may stay as long as nothing waits"},
		{name: "proxy answers 502", prepare: (*matrixRun).proxy, begin: turn(frontBadGateway),
			did: "the proxy before dualgram answers 502, and nothing reaches us"},
		{name: "proxy answers 403", prepare: (*matrixRun).proxy, begin: turn(frontForbids),
			did: "the proxy before dualgram answers 403, and nothing reaches us"},
		{name: "proxy hangs", prepare: (*matrixRun).proxy, begin: turn(frontHangs),
			did: "the proxy before dualgram takes requests and never answers"},
		{name: "proxy loses our answers", prepare: (*matrixRun).proxy, begin: turn(frontDrops),
			did: "the proxy hands requests on and drops our answers"},
		{name: "proxy header missing", local: true, prepare: (*matrixRun).proxy, begin: turn(frontNameless),
			did: "the proxy no longer names the client, so that every request is refused"},
		{name: "maintenance page says 200", prepare: (*matrixRun).proxy, begin: turn(frontMaintenance),
			did: "the proxy answers everything with 200 and a page: Telegram believes that its updates were taken (what is eaten before the switch is gone, and counted apart)"},
		{name: "every second update is eaten", prepare: (*matrixRun).proxy, rates: []float64{1, 50}, begin: func(r *matrixRun) func() {
			return r.front.turns(frontMaintenance, func(body []byte) bool { return transport.Scan(body).HasID && transport.Scan(body).ID%2 == 0 })
		}, did: "the proxy answers every second update with 200 and keeps it from us; probes get through"},
		{name: "our URL set again without the secret", begin: foreignSet(url.Values{"url": {testURL}}),
			did: "somebody sets our own URL without the secret token: every delivery is refused with 403"},
		{name: "refused, and a call is lost", begin: along(refuseNetwork, apiFault(telegramsim.Fault{Kind: telegramsim.FaultLoseHang, Method: "deleteWebhook", Count: 1})),
			did: "the port answers with RST, and the answer to deleteWebhook never comes although it happened"},
		{name: "refused, and the delete never arrives", begin: along(refuseNetwork, apiFault(telegramsim.Fault{Kind: telegramsim.FaultHang, Method: "deleteWebhook", Count: 1})),
			did: "the port answers with RST, and the first deleteWebhook is lost on its way"},
		{name: "refused, and an info call is lost", begin: along(refuseNetwork, apiFault(telegramsim.Fault{Kind: telegramsim.FaultHang, Method: "getWebhookInfo", Count: 1})),
			did: "the port answers with RST, and one getWebhookInfo is lost"},
		{name: "refused, and the first poll fails", begin: along(refuseNetwork, apiFault(telegramsim.Fault{Kind: telegramsim.FaultHTML, Method: "getUpdates", Count: 1})),
			did: "the port answers with RST, and the front of the Bot API answers the first poll with an HTML 502"},
		{name: "the name is gone at the next set", lasts: 160 * time.Second, rates: []float64{1, 50}, begin: refusedAnd(),
			did: "the port answers with RST for 20 s; meanwhile the name vanishes from Telegram's resolver, so that sets are refused until it is back"},
		{name: "an IPv6 address only at the next set", lasts: 160 * time.Second, rates: []float64{1, 50}, begin: refusedAnd("2001:db8::1"),
			did: "the port answers with RST for 20 s; meanwhile the name has an AAAA record only for Telegram, so that sets are refused"},
		{name: "a wrong address at the next set", lasts: 160 * time.Second, rates: []float64{1, 50}, begin: refusedAnd(wrongIP),
			did: "the port answers with RST for 20 s; at the failback Telegram's resolver finds a host that swallows everything, and the trial must see it"},
	}
	for i := range rows {
		f := &rows[i]
		f.kind = matrix.Outage
		if f.wait == 0 && !f.ownPace {
			f.wait = waitBound
		}
	}
	return rows
}

// stuck pushes updates of the chat that is stuck.
func (r *matrixRun) stuck() {
	r.push(telegramsim.Update{Chat: stuckChat, User: stuckChat, Text: "stuck"})
	r.push(telegramsim.Update{Chat: stuckChat, User: stuckChat, Text: "stuck behind it"})
}

// stick puts the front into a mood for one chat.
func stick(m frontMood) func(*matrixRun) func() {
	return func(r *matrixRun) func() {
		heal := r.front.turns(m, ofChat(stuckChat))
		r.stuck()
		return heal
	}
}

func (r *matrixRun) stickHere() func() {
	heal := r.inject(kindOf("http.status", "chat", strconv.Itoa(stuckChat)))
	r.stuck()
	return heal
}

// ownCertificate lets the run replace the certificate in service.
func (r *matrixRun) ownCertificate() {
	r.certify(time.Now().AddDate(0, 3, 0))
	r.listen = func(o *supervisor.ListenerOptions, _ *chaos.Registry) {
		cfg := o.TLS.Clone()
		cfg.Certificates = nil
		cfg.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return r.pair.Load(), nil }
		o.TLS = cfg
	}
}

func (r *matrixRun) certify(until time.Time) {
	p, err := r.ca.Issue(time.Now(), pki.Leaf{Hosts: []string{testHost}, NotBefore: time.Now().AddDate(0, 0, -7), NotAfter: until})
	if err != nil {
		r.t.Fatal(err)
	}
	c := p.TLS()
	r.pair.Store(&c)
}

func (r *matrixRun) shortCertificate() func() {
	r.acted()
	r.certify(time.Now().Add(110 * time.Second))
	return func() { r.certify(time.Now().AddDate(0, 3, 0)) }
}

// wrongIP swallows every connection.
const wrongIP = "5.45.72.66"

// refusedAnd refuses connections for a while, during which Telegram's resolver
// comes to find something else for the webhook's name, to the end of the row.
func refusedAnd(ips ...string) func(*matrixRun) func() {
	return func(r *matrixRun) func() {
		r.net.Blackhole(wrongIP, true)
		heal := refuseNetwork(r)
		r.sim.SetHost(testHost, ips...)
		r.sim.FlushDNS()
		short := time.AfterFunc(20*time.Second, heal)
		return func() {
			if short.Stop() {
				heal()
			}
			r.sim.SetHost(testHost, testIP)
			r.sim.FlushDNS()
		}
	}
}

// foreignSet sets the webhook as somebody else with the token would.
func foreignSet(params url.Values) func(*matrixRun) func() {
	return func(r *matrixRun) func() {
		r.acted()
		r.foreign++
		r.stranger("setWebhook", params)
		return nil
	}
}

// stranger calls the Bot API from another host.
func (r *matrixRun) stranger(method string, params url.Values) {
	tr := &http.Transport{DialContext: r.net.From("45.99.0.1").Dial, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr}).PostForm("http://"+testAPI+"/bot"+testToken+"/"+method, params)
	if err != nil {
		r.problem("the stranger's %s: %v", method, err)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		r.problem("the stranger's %s was answered with %s", method, resp.Status)
	}
}
