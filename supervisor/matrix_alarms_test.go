package supervisor_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/matrix"
	"dualgram/chaos/pki"
	"dualgram/chaos/telegramsim"
	"dualgram/supervisor"
	"dualgram/supervisor/failover"
	"dualgram/transport"
	"dualgram/transport/delivery"
)

// silent is the rate of a bot that nobody writes to.
var silent = []float64{0}

func falseAlarms() []fault {
	rows := []fault{
		{name: "scanners from anywhere", prepare: (*matrixRun).allowTelegram, lasts: 60 * time.Second, begin: storm("45.88.7."),
			did: "60 connections a second from foreign addresses: no TLS, broken TLS, wrong secrets, other methods and paths, half requests"},
		{name: "scanners from Telegram's networks", prepare: (*matrixRun).allowTelegram, lasts: 60 * time.Second, begin: storm("149.154.170."),
			did: "the same from addresses that may deliver, so that only the secret tells them apart"},
		{name: "quiet bot", rates: silent, lasts: 2 * time.Hour, begin: nothing,
			did: "no update for two hours"},
		{name: "cold bot with slow dials", rates: []float64{0.01}, lasts: 20 * time.Minute, begin: slowNetwork(500 * time.Millisecond),
			did: "an update every 100 s, each on a new connection that takes 2 s to stand"},
		{name: "slow line", lasts: 60 * time.Second, begin: leased(delay(kindOf("net.slow"), 150*time.Millisecond)),
			did: "each read and write on the webhook's connections is 150 ms late"},
		{name: "loss of 5 % (approx.)", lasts: 2 * time.Minute, begin: leased(kindOf("net.loss_approx", "percent", "5")),
			did: "retransmissions as at a loss of 5 % of the packets hold up the exchanges (loss_approx)"},
		{name: "hiccup of 200 ms", rates: []float64{1, 50, 500}, lasts: 200 * time.Millisecond, begin: hiccup(kindOf("http.status")),
			did: "all 40 connections fail with 500 for 200 ms, with an update for each of 40 chats"},
		{name: "connections cut once", lasts: time.Second, begin: cutOnce,
			did: "every open connection is reset once, with an update for each of 40 chats on the way"},
		{name: "bot behind us is slow", lasts: 60 * time.Second, begin: (*matrixRun).slowBot,
			did: "the bot takes 8 s for each update"},
		{name: "bot behind us is dead", lasts: 60 * time.Second, begin: (*matrixRun).deadBot,
			did: "the bot refuses everything"},
		{name: "poison for the bot", lasts: 60 * time.Second, begin: (*matrixRun).poison,
			did: "the bot refuses the updates of one chat"},
		{name: "updates that don't parse", lasts: 30 * time.Second, begin: (*matrixRun).garbage,
			did: "payloads that no decoder takes: no object, nested 2,000 deep, half a megabyte, bytes that are no UTF-8"},
		{name: "disk full", quiet: true, lasts: 45 * time.Second, begin: leased(kindOf("store.fail", "error", "ENOSPC")),
			did: "no commit succeeds for 45 s (ENOSPC): nothing may be acknowledged, and polling stands before the same disk"},
		{name: "I/O errors", quiet: true, lasts: 20 * time.Second, begin: leased(kindOf("store.fail", "error", "EIO")),
			did: "every fdatasync fails for 20 s"},
		{name: "fsync takes 3 s", quiet: true, lasts: 60 * time.Second, begin: leased(delay(kindOf("store.slow"), 3*time.Second)),
			did: "every commit takes 3 s longer"},
		{name: "fsync takes 8 s", quiet: true, rates: []float64{0.05, 1}, lasts: 2 * time.Minute, begin: leased(delay(kindOf("store.slow"), 8*time.Second)),
			did: "every commit takes 8 s longer, so that deliveries wait in it while nothing else arrives"},
		{name: "Telegram is away", quiet: true, lasts: 90 * time.Second, begin: blackhole(testAPI, telegramIP),
			did: "the Bot API is unreachable and Telegram's connections to us are dead, at once"},
		{name: "Bot API unreachable", lasts: 90 * time.Second, begin: blackhole(testAPI),
			did: "the Bot API is unreachable while deliveries go on"},
		{name: "webhook and Bot API both broken", quiet: true, lasts: 45 * time.Second, begin: along(blackhole(testAPI), wait(15*time.Second), leased(kindOf("tls.expired"))), check: onlyBefore,
			did: "15 s after the Bot API became unreachable the certificate expires, until both heal: a failover would bring nothing (one that follows, to fetch what waits, isn't counted)"},
		{name: "Bot API refuses", lasts: 60 * time.Second, begin: apiFaulty(telegramsim.Fault{Kind: telegramsim.FaultReset}),
			did: "every call to the Bot API is reset"},
		{name: "Bot API answers HTML", lasts: 60 * time.Second, begin: apiFaulty(telegramsim.Fault{Kind: telegramsim.FaultHTML}),
			did: "the front of the Bot API answers 502 with a page"},
		{name: "Bot API's name is gone", lasts: 60 * time.Second, begin: leased(kindOf("botapi.dns")),
			did: "the Bot API's name does not resolve from here"},
		{name: "getWebhookInfo answers 429", lasts: 90 * time.Second, begin: apiFaulty(telegramsim.Fault{Kind: telegramsim.FaultTooMany, Method: "getWebhookInfo", RetryAfter: 20}),
			did: "getWebhookInfo is rate limited with retry_after 20"},
		{name: "Bot API server restarts", lasts: 60 * time.Second, begin: (*matrixRun).serverRestart,
			did: "the Bot API server restarts while 40 of our answers are on their way, over a line of 250 ms: it delivers those again, and answers calls with 502 for 3 s"},
		{name: "probe never good", lasts: 5 * time.Minute, prepare: func(r *matrixRun) { r.net.Blackhole(probeIP, true) }, begin: nothing,
			did: "our own probe can't reach the webhook, and never could"},
		{name: "probe turns bad", lasts: 5 * time.Minute, begin: blackhole(probeIP),
			did: "our own probe can't reach the webhook any more, and Telegram can"},
		{name: "probe's resolver loses the name", lasts: 5 * time.Minute, begin: resolver(),
			did: "the webhook's name does not resolve from here, while Telegram knows its address"},
		{name: "probe's resolver finds somebody else", lasts: 5 * time.Minute, prepare: (*matrixRun).double, begin: resolver(doubleIP),
			did: "the webhook's name leads us, and not Telegram, to another host with a good certificate that answers 200"},
		{name: "one update is eaten", rates: []float64{1, 50}, lasts: 90 * time.Second, prepare: (*matrixRun).proxy, begin: (*matrixRun).eatOne,
			did: "the proxy answers a single update with 200 and keeps it from us: it is told as lost, and one is no pattern"},
		{name: "burst", lasts: 30 * time.Second, begin: (*matrixRun).burst,
			did: "2,000 updates of 200 chats at once"},
		{name: "duplicates", lasts: 60 * time.Second, begin: (*matrixRun).duplicates,
			did: "Telegram sends 20 updates again within a second of our answer, as after a cut at that moment"},
		{name: "new id series", rates: silent, lasts: 60 * time.Second, begin: (*matrixRun).newSeries,
			did: "Telegram starts a new series of update_ids, far below the old one"},
		{name: "an old error", rates: []float64{0.05, 1}, prepare: func(*matrixRun) {}, lasts: 2 * time.Minute, begin: (*matrixRun).oldError,
			did: "last_error shows a failure of before; the process is restarted with it"},
		{name: "restart after 40 s down", quiet: true, lasts: 60 * time.Second, begin: (*matrixRun).downtime,
			did: "the process is stopped, Telegram's back-off grows for 40 s, and it is started again"},
		{name: "our clock is wrong by a day", lasts: 60 * time.Second, prepare: (*matrixRun).ownCertificate, begin: (*matrixRun).fastClock,
			did: "our clock is a day ahead of Telegram's: by ours the certificate ends within the lead, by Telegram's tomorrow"},
		{name: "URL changed by somebody", quiet: true, lasts: 60 * time.Second, begin: (*matrixRun).stolen, check: (*matrixRun).unfought,
			did: "somebody sets a URL of their own, which nothing answers, and deletes it after 60 s: it is named and alarmed, and not overpowered"},
		{name: "max_connections changed by somebody", lasts: 60 * time.Second, begin: foreignSet(url.Values{"url": {testURL}, "secret_token": {secret}, "max_connections": {"2"}}),
			did: "somebody sets our own webhook again with max_connections 2"},
		{name: "allowed_updates changed by somebody", lasts: 60 * time.Second, begin: foreignSet(url.Values{"url": {testURL}, "secret_token": {secret}, "max_connections": {"40"}, "allowed_updates": {`["message","callback_query"]`}}),
			did: "somebody narrows allowed_updates"},
	}
	for i := range rows {
		rows[i].kind = matrix.FalseAlarm
	}
	return rows
}

func flapping() []fault {
	rows := []fault{
		{name: "certificate flaps", begin: flap(leased(kindOf("tls.expired"))),
			did: "the certificate is expired for 20 s and good for 20 s, for an hour"},
		{name: "black hole flaps", begin: flap(blackhole(testIP)),
			did: "the network is a black hole for 20 s and fine for 20 s, for an hour"},
		{name: "handler flaps", begin: flap(leased(kindOf("http.status"))),
			did: "the handler answers 500 for 20 s and works for 20 s, for an hour"},
	}
	for i := range rows {
		rows[i].kind = matrix.Flapping
		rows[i].rates = []float64{0.05, 1, 5}
	}
	return rows
}

// flap lets a fault come and go for an hour.
func flap(begin func(*matrixRun) func()) func(*matrixRun) func() {
	return func(r *matrixRun) func() {
		for end := time.Now().Add(time.Hour); time.Now().Before(end); {
			heal := begin(r)
			time.Sleep(20 * time.Second)
			heal()
			time.Sleep(20 * time.Second)
		}
		return nil
	}
}

// telegramIP is where Telegram's connections come from.
const telegramIP = "149.154.167.220"

// probeIP is where our own probes come from.
const probeIP = "203.0.113.7"

// doubleIP is a host with our name that isn't ours.
const doubleIP = "5.45.72.77"

// resolver changes what the webhook's name resolves to for our own probe.
func resolver(ips ...string) func(*matrixRun) func() {
	return func(r *matrixRun) func() {
		r.acted()
		r.net.Host(testHost, ips...)
		return func() { r.net.Host(testHost, testIP) }
	}
}

// double starts a host that answers everything under our name with 200.
func (r *matrixRun) double() {
	pair, err := r.ca.Issue(time.Now(), pki.Leaf{Hosts: []string{testHost}})
	if err != nil {
		r.t.Fatal(err)
	}
	ln, err := r.net.Listen(doubleIP + ":443")
	if err != nil {
		r.t.Fatal(err)
	}
	srv := &http.Server{ErrorLog: discardLog, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{pair.TLS()}})) })
	r.cleanup = append(r.cleanup, func() { _ = srv.Close(); wg.Wait() })
}

func nothing(r *matrixRun) func() { r.acted(); return nil }

// apiFaulty makes the Bot API fail as the row's own fault.
func apiFaulty(f telegramsim.Fault) func(*matrixRun) func() {
	return func(r *matrixRun) func() {
		r.sim.SetFault(f)
		return func() {
			for _, n := range r.sim.ClearFaults() {
				r.fired.Add(uint64(n))
			}
		}
	}
}

// onlyBefore counts the failovers before the fault's end only: what broke did
// break, and what waits may be fetched once that can succeed.
func onlyBefore(r *matrixRun, s *matrix.Sample) {
	s.Failovers = 0
	for _, e := range r.story() {
		if e.Kind == supervisor.EventPhase && e.To == failover.ToPolling.String() && e.At.After(r.onset) && e.At.Before(r.healed) {
			s.Failovers++
		}
	}
}

// wait lets a first fault show before the onset of the next.
func wait(d time.Duration) func(*matrixRun) func() {
	return func(r *matrixRun) func() {
		time.Sleep(d)
		r.begun()
		return func() {}
	}
}

func slowNetwork(oneWay time.Duration) func(*matrixRun) func() {
	return func(r *matrixRun) func() {
		r.acted()
		r.net.SetLatency(testIP, oneWay)
		return func() { r.net.SetLatency(testIP, 0) }
	}
}

// everyChat pushes one update for each of 40 chats.
func (r *matrixRun) everyChat() {
	for i := range 40 {
		r.push(telegramsim.Update{User: int64(5000 + i), Text: "one of forty"})
	}
}

// spread makes Telegram open all its connections, which come 20 a second, and
// use them in turn from then on.
func (r *matrixRun) spread() {
	for range 3 {
		r.everyChat()
		time.Sleep(800 * time.Millisecond)
	}
	r.begun()
}

func hiccup(s chaos.Spec) func(*matrixRun) func() {
	return func(r *matrixRun) func() {
		r.spread()
		heal := r.inject(s)
		r.everyChat()
		return heal
	}
}

func cutOnce(r *matrixRun) func() {
	r.spread()
	r.everyChat()
	time.Sleep(time.Millisecond)
	r.fired.Add(uint64(r.net.Cut(testIP)))
	return nil
}

func (r *matrixRun) slowBot() func() {
	r.acted()
	r.bot.set(8*time.Second, nil)
	return func() { r.bot.set(0, nil); r.resumed = time.Now() }
}

var errBotDown = errors.New("the bot is down")

func (r *matrixRun) deadBot() func() {
	r.bot.set(0, func(delivery.Update) error { r.acted(); return errBotDown })
	return func() { r.bot.set(0, nil); r.resumed = time.Now() }
}

func (r *matrixRun) poison() func() {
	bad := map[int64]bool{}
	for range 3 {
		bad[r.push(telegramsim.Update{Chat: stuckChat, User: stuckChat, Text: "poison"})] = true
	}
	r.bot.set(0, func(u delivery.Update) error {
		if bad[u.ID] {
			r.acted()
			return errBotDown
		}
		return nil
	})
	return func() { r.bot.set(0, nil); r.resumed = time.Now() }
}

func (r *matrixRun) garbage() func() {
	for _, payload := range []string{
		`"message":7`, `"message":[[[]]]`, `"message":{"chat":"no id"}`, `"message":{"chat":{"id":1e99}}`,
		`"x":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000),
		`"message":{"text":"` + strings.Repeat("x", 500<<10) + `"}`,
		"\"message\":{\"text\":\"\xff\xfe\"}",
	} {
		_, body, _ := strings.Cut(payload, ":")
		if _, err := r.sim.PushRaw(r.botID, "message", []byte(body)); err != nil {
			r.problem("push: %v", err)
		}
		r.acted()
	}
	return nil
}

func (r *matrixRun) eatOne() func() {
	var once sync.Once
	return r.front.turns(frontMaintenance, func(body []byte) (mine bool) {
		if transport.Scan(body).HasID {
			once.Do(func() { mine = true })
		}
		return mine
	})
}

func (r *matrixRun) serverRestart() func() {
	r.net.SetLatency(testIP, 125*time.Millisecond)
	r.spread()
	time.Sleep(3 * time.Second) // until all of that has been acknowledged
	r.begun()
	r.everyChat()
	time.Sleep(200 * time.Millisecond) // they are here, and the answers not there yet
	r.sim.Restart(3*time.Second, false)
	r.foreign++ // all webhooks start anew
	r.acted()
	return func() { r.net.SetLatency(testIP, 0) }
}

func (r *matrixRun) burst() func() {
	for i := range 2000 {
		r.push(telegramsim.Update{User: int64(6000 + i%200), Text: "burst"})
	}
	r.acted()
	return nil
}

func (r *matrixRun) duplicates() func() {
	for i := range 20 {
		id := r.push(telegramsim.Update{User: int64(8000 + i), Text: "twice"})
		for range 40 {
			if rec, err := r.sim.Record(r.botID, id); err == nil && rec.State == telegramsim.StateAcknowledged {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err := r.sim.Redeliver(r.botID, id); err != nil {
			r.problem("redeliver: %v", err)
		}
		r.acted()
		time.Sleep(200 * time.Millisecond)
	}
	return nil
}

func (r *matrixRun) newSeries() func() {
	for i := range 20 {
		r.push(telegramsim.Update{User: int64(8000 + i), Text: "the old series"})
	}
	for i := 0; i < 100 && r.sim.Pending(r.botID) > 0; i++ {
		time.Sleep(100 * time.Millisecond)
	}
	if err := r.sim.ResetSeries(r.botID, 2_000_001+r.rng.Int64N(1000)); err != nil {
		r.problem("new series: %v", err)
	}
	r.foreign++ // Telegram starts the webhook anew with it
	for i := range 20 {
		r.push(telegramsim.Update{User: int64(8000 + i), Text: "the new series"})
	}
	r.acted()
	return nil
}

func (r *matrixRun) oldError() func() {
	heal := r.inject(chaos.Spec{Kind: "http.status", Count: 1})
	r.push(telegramsim.Update{User: 9001, Text: "refused once"})
	time.Sleep(3 * time.Second)
	heal()
	time.Sleep(10 * time.Second)
	if err := r.h.stop(); err != nil {
		r.problem("stop: %v", err)
	}
	r.h = r.start(nil)
	return nil
}

func (r *matrixRun) downtime() func() {
	r.acted()
	if err := r.h.stop(); err != nil {
		r.problem("stop: %v", err)
	}
	for i := range 3 {
		r.push(telegramsim.Update{User: int64(9100 + i), Text: "while it was down"})
	}
	time.Sleep(40 * time.Second)
	r.h = r.start(nil)
	r.resumed = time.Now()
	return nil
}

// fastClock moves Telegram's clock a day behind ours, and lets the certificate
// end when by our clock it is within the lead.
func (r *matrixRun) fastClock() func() {
	r.acted()
	r.skew.Store(int64(-24 * time.Hour))
	time.Sleep(5 * time.Second) // until that is known
	r.certify(time.Now().Add(100 * time.Second))
	return func() {
		r.certify(time.Now().AddDate(0, 3, 0))
		r.skew.Store(0)
	}
}

// stolen points the bot at somebody else's host, where nobody listens.
func (r *matrixRun) stolen() func() {
	r.sim.SetHost("other.example.com", "5.45.72.44")
	heal := foreignSet(url.Values{"url": {"https://other.example.com/"}})(r)
	return func() {
		r.foreign++
		if heal != nil {
			heal()
		}
		r.stranger("deleteWebhook", nil)
	}
}

// unfought fails the run if the bot's webhook was set or deleted by us while it
// was somebody else's, or if nobody was told.
func (r *matrixRun) unfought(*matrix.Sample) {
	truth, err := r.sim.Bot(r.botID)
	if err != nil {
		return
	}
	for _, c := range truth.Calls {
		theirs := strings.Contains(c.URL, "other.example.com")
		if c.At.After(r.onset) && c.At.Before(r.onset.Add(r.f.lasts)) && !theirs {
			r.problem("%s was called while the webhook was somebody else's", c.Method)
		}
	}
	if !hasPhase(r.story(), failover.Held.String(), r.onset) {
		r.problem("somebody else's webhook was not noticed")
	}
}

func hasPhase(story []supervisor.Event, phase string, after time.Time) bool {
	for _, e := range story {
		if e.Kind == supervisor.EventPhase && e.To == phase && e.At.After(after) {
			return true
		}
	}
	return false
}

// allowTelegram lets only Telegram's networks deliver.
func (r *matrixRun) allowTelegram() {
	tune := r.tune
	r.tune = func(o *supervisor.BotOptions) {
		tune(o)
		o.Webhook.Networks = telegramNetworks()
	}
}

// storm sends what scanners send, from the addresses of a /24 network.
func storm(network string) func(*matrixRun) func() {
	return func(r *matrixRun) func() {
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() { r.scan(ctx, network+strconv.Itoa(i+1), i) })
		}
		return func() { stop(); wg.Wait() }
	}
}

// scan makes five attempts a second until the context ends.
func (r *matrixRun) scan(ctx context.Context, from string, kind int) {
	dial := r.net.From(from).Dial
	tr := &http.Transport{DialContext: dial, TLSClientConfig: r.clientTLS(), DisableKeepAlives: kind%2 == 0}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: 5 * time.Second}
	for ; ctx.Err() == nil; kind++ {
		r.acted()
		switch kind % 6 {
		case 0, 1: // no TLS, or garbage
			r.knock(ctx, from, []string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00\x05hello"}[kind%6])
		case 2:
			if c, err := dial(ctx, "tcp", testIP+":443"); err == nil {
				_ = tls.Client(c, &tls.Config{ServerName: testHost, RootCAs: nil, Time: time.Now, MaxVersion: tls.VersionTLS11}).HandshakeContext(ctx)
				_ = c.Close()
			}
		default:
			method, path, token := http.MethodPost, "/webhook", "Wrong_secret"
			switch kind % 6 {
			case 3:
				path, token = "/.env", secret
			case 4:
				method = http.MethodGet
			}
			req, err := http.NewRequestWithContext(ctx, method, "https://"+testHost+path, strings.NewReader(`{"update_id":1,"message":{}}`))
			if err != nil {
				continue
			}
			req.Header.Set("X-Telegram-Bot-Api-Secret-Token", token)
			if resp, err := client.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode/100 == 2 {
					r.problem("a stranger's %s %s was answered with %s", method, path, resp.Status)
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// knock sends bytes and leaves.
func (r *matrixRun) knock(ctx context.Context, from, what string) {
	c, err := r.net.From(from).Dial(ctx, "tcp", testIP+":443")
	if err != nil {
		return
	}
	_, _ = io.WriteString(c, what)
	select {
	case <-ctx.Done():
	case <-time.After(50 * time.Millisecond):
	}
	_ = c.Close()
}
