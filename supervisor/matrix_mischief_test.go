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
