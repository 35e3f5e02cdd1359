//go:build lab && linux

package e2e_test

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"dualgram/chaos/pki"
	"dualgram/chaos/telegramsim"
)

// The lab (`make lab`) puts Debian's nginx between Telegram and dualgram, with the
// configuration that we recommend, and breaks it, or the network before it. Of all
// that dualgram's own listener sees nothing but silence: what is left is Telegram's
// view, the ledger's and the probe's. It needs root, nginx, nftables and iproute2,
// and fails without them.

const (
	// labHold is failover.hold_down. It is doubled, because so soon after the start a
	// failover counts as a relapse: longer than a fault lasts, so that the first
	// failback finds the path healed.
	labHold = 6 * time.Second
	// labBack is what a failback may take from the healing: the hold-down with 10 % of
	// jitter, and what a change takes.
	labBack = 2*labHold + 2*labHold/10 + budget
	// labLinger is how long a fault goes on after the failover.
	labLinger = 3 * time.Second
	// labPatience is how long a row waits for a failover before it gives up.
	labPatience = 20 * time.Second
	// labTrial is how long a trial may take.
	labTrial = 45 * time.Second
)

// labRates are the traffics of which each row is run, in updates a second.
var labRates = []float64{1, 20}

// labRow is one way in which the path breaks.
type labRow struct {
	name  string
	begin func(l *lab)
	heal  func(l *lab) // nil: nginx is put back to how it should be
	// met has to be the result of an attempt to deliver under the fault, or the last
	// error, which shows that Telegram met it. A row without it has to look for
	// itself.
	met string
	// eats: a stranger answers 2xx for us, so that Telegram forgets updates that
	// nobody can bring back. They may not go on being eaten.
	eats bool
	// lasts, if not 0, is how long the fault lasts; no failover is needed as long
	// as no update has to wait for longer than one may take.
	lasts time.Duration
	// chance: which packets are lost is drawn by lot, and now and then a draw holds up an
	// update for longer than is promised: a line that loses so much carries less than 20
	// a second, the queue at Telegram grows while updates come in, and none is missing
	// until its turn. Such a run is told of, and made once more.
	chance bool
	// harmless: there is nothing to fail over for.
	harmless bool
}

var labRows = []labRow{
	{name: "nothing is wrong, reloaded twice", harmless: true, lasts: 20 * time.Second,
		begin: func(l *lab) { l.nginx.reload(); time.Sleep(3 * time.Second); l.nginx.reload() },
		heal: func(l *lab) {
			if n := strings.Count(l.nginx.proc.stderr.String(), "(SIGHUP) received"); n != 2 {
				l.w.t.Errorf("nginx was reloaded %d times", n)
			}
		}},
	{name: "only our own probe is dropped", harmless: true, lasts: 20 * time.Second,
		begin: func(l *lab) { l.fire.unreachable() },
		heal:  (*lab).unblock},
	{name: "expired pair", met: "certificate verify failed",
		begin: func(l *lab) {
			l.nginx.pair(pki.Leaf{NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
			l.nginx.reload()
		}},
	{name: "intermediate removed", met: "certificate verify failed",
		begin: func(l *lab) { l.nginx.pair(pki.Leaf{OmitChain: true}); l.nginx.reload() }},
	{name: "wrong host", met: "certificate verify failed",
		begin: func(l *lab) { l.nginx.pair(pki.Leaf{Hosts: []string{"www.example.test"}}); l.nginx.reload() }},
	{name: "ssl_reject_handshake", met: "unrecognized name",
		begin: func(l *lab) {
			l.nginx.rewrite("server_name "+l.nginx.host+";", "server_name www.example.test;")
		}},
	{name: "502, upstream down", met: "502 Bad Gateway",
		begin: func(l *lab) { l.nginx.rewrite("server "+l.w.conf.Listen+";", "server "+freeAddr(l.w.t)+";") }},
	{name: "403", met: "403 Forbidden",
		begin: func(l *lab) { l.nginx.rewrite("proxy_pass http://dualgram;", "deny all; proxy_pass http://dualgram;") }},
	{name: "60 s stall", met: "cut",
		begin: func(l *lab) { l.nginx.rewrite("server "+l.w.conf.Listen+";", "server "+silent(l.w.t)+";") }},
	{name: "default page that says 200", eats: true,
		begin: func(l *lab) {
			l.nginx.rewrite("proxy_pass http://dualgram;", `return 200 "Welcome to nginx!\n"; proxy_pass http://dualgram;`)
		}},
	{name: "nginx stopped", met: "Connection refused",
		begin: func(l *lab) { l.nginx.stop() },
		heal:  func(l *lab) { l.nginx.start() }},
	{name: "port dropped",
		begin: func(l *lab) { l.fire.blocked() },
		heal:  (*lab).unblock},
	{name: "5 % of packets dropped", lasts: 40 * time.Second,
		begin: func(l *lab) { l.fire.lossy(5) },
		heal:  (*lab).unblock},
	{name: "30 % of packets dropped", lasts: 30 * time.Second, chance: true,
		begin: func(l *lab) { l.fire.lossy(30) },
		heal:  (*lab).unblock},
}

// silent is an address that takes connections and never answers.
func silent(t testing.TB) string {
	ln, err := listenAt(freeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() }) // nobody accepts: the kernel does
	return ln.Addr().String()
}

// lab is a row's surroundings.
type lab struct {
	w     *world
	nginx *nginx
	fire  firewall
	p     *process

	mu   sync.Mutex
	last map[string]int // what Telegram reported as the last error of the webhook
}

// watch follows what Telegram reports until the returned function is called.
func (l *lab) watch() (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
			}
			info, err := l.w.sim.Info(l.w.botID)
			if err != nil || info.LastErrorMessage == "" {
				continue
			}
			l.mu.Lock()
			l.last["last error: "+info.LastErrorMessage] = 1
			l.mu.Unlock()
		}
	})
	return sync.OnceFunc(func() { close(done); wg.Wait() })
}

// reported is what Telegram has reported while it was watched.
func (l *lab) reported() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.last)
}

// unblock lets packets through again; some have to have been dropped.
func (l *lab) unblock() {
	l.w.t.Helper()
	n := l.fire.open()
	if n == 0 {
		l.w.t.Error("no packet was dropped: the row shows nothing")
	}
	l.w.t.Logf("%d packets dropped", n)
}

// Each way in which nginx or the way to it can break: polling takes over within
// ten seconds, nothing is lost, doubled or reordered, and after the healing the
// webhook is back by itself.
func TestLab(t *testing.T) {
	results := &labTable{}
	t.Run("nginx", func(t *testing.T) {
		for i, run := range labRuns() {
			t.Run(fmt.Sprintf("%s at %g per second", run.name, run.rate), func(t *testing.T) {
				results.put(i, labResult{row: run, failed: true})
				r := runLabRow(t, i+1, run)
				results.put(i, r)
				if r.late == "" {
					return
				}
				t.Logf("%s: once more", r.late)
				t.Run("once more", func(t *testing.T) {
					run.chance = false
					results.put(i, runLabRow(t, i+1+len(labRuns()), run))
				})
			})
		}
	})
	results.print(os.Stdout)
}

// labRun is a row with one traffic.
type labRun struct {
	labRow
	rate float64
}

func labRuns() (runs []labRun) {
	for _, row := range labRows {
		for _, rate := range labRates {
			runs = append(runs, labRun{row, rate})
		}
	}
	return runs
}

// runLabRow breaks what works, waits for the failover, heals and waits for the way
// back. It ends early only where nothing could be measured.
func runLabRow(t *testing.T, n int, row labRun) labResult {
	w := newWorldFrom(t, fromTelegram)
	l := &lab{w: w, last: map[string]int{}, fire: firewall{t: t, table: fmt.Sprint("row", n), addr: frontAddr(n)}}
	l.nginx = newNginx(w, n)
	w.sim.SetHost(l.nginx.host, frontAddr(n))
	w.conf.PublicURL = "https://" + l.nginx.host + "/webhook/orders"
	w.conf.TLS = "off"
	w.conf.Networks = "telegram"
	w.conf.Webhook = "trusted_proxies: [127.0.0.1/32]\n      probe: {ca_file: " + w.write("root.pem", string(w.ca.RootPEM())) + "}"
	w.conf.Failover = "hold_down: " + labHold.String()
	l.p = w.run()
	l.p.phase("webhook", 15*time.Second)
	w.flowing(row.rate)
	l.p.until(labTrial, "trial passed", func(b botStatus) bool { return b.Phase == "webhook" && !b.Trial })

	r := labResult{row: row, onset: time.Now()}
	unwatch := l.watch()
	defer unwatch()
	row.begin(l)
	patience := labPatience
	if row.lasts > 0 {
		patience = row.lasts
	}
	failed := l.wait(patience, func(truth telegramsim.BotTruth) bool { return !handedOut(truth, r.onset).IsZero() })
	if failed {
		r.signal = l.cause()
		time.Sleep(labLinger)
	}
	unwatch()
	r.healed = time.Now()
	if row.heal != nil {
		row.heal(l)
	} else {
		l.nginx.repair()
	}
	back := func(truth telegramsim.BotTruth) bool {
		r.back = firstByWebhook(truth, w.bot, r.healed)
		return !r.back.IsZero()
	}
	if l.wait(labBack+budget, back) {
		time.Sleep(labLinger) // what comes after has to be good as well,
		l.wait(labBack+budget, back)
		// and what was stranded just before the healing may still have to be fetched.
	}
	w.traffic()
	w.flow.Wait()
	l.wait(45*time.Second, func(truth telegramsim.BotTruth) bool {
		if truth.Pending > 0 {
			return false
		}
		if row.eats {
			truth, _ = uneaten(truth, w.bot, r.onset)
		}
		return w.missing(truth) == 0
	})
	r.judge(t, l)
	w.quietly(l.p)
	r.failed = t.Failed()
	return r
}

// wait waits for something to become true of Telegram's side, and returns whether
// it did.
func (l *lab) wait(most time.Duration, is func(telegramsim.BotTruth) bool) bool {
	l.w.t.Helper()
	for deadline := time.Now().Add(most); ; time.Sleep(100 * time.Millisecond) {
		truth, err := l.w.sim.Bot(l.w.botID)
		if err != nil {
			l.w.t.Fatal(err)
		}
		if is(truth) {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

// missing counts the updates that the bot has not got.
func (w *world) missing(truth telegramsim.BotTruth) int {
	got := map[int64]bool{}
	for _, t := range w.bot.record() {
		got[t.ID] = true
	}
	n := 0
	for _, r := range truth.Updates {
		if !got[r.ID] {
			n++
		}
	}
	return n
}

// cause is the signal that dualgram names; the verdict does not depend on it.
func (l *lab) cause() string {
	b, err := l.p.first()
	if err != nil || b.LastHandover == nil || b.LastHandover.From != "webhook" {
		return ""
	}
	return b.LastHandover.Reason
}

// labTable collects the results of rows that run at once.
type labTable struct {
	mu   sync.Mutex
	rows map[int]labResult
}

func (t *labTable) put(i int, r labResult) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows == nil {
		t.rows = map[int]labResult{}
	}
	t.rows[i] = r
}

func (t *labTable) print(f *os.File) {
	t.mu.Lock()
	defer t.mu.Unlock()
	head := []string{"behind nginx", "updates/s", "detect", "failover s", "longest wait s", "lost", "eaten", "doubled", "reordered", "mode changes", "failback s", ""}
	lines := [][]string{head}
	for i := range labRuns() {
		if r, ran := t.rows[i]; ran {
			lines = append(lines, r.cells())
		}
	}
	widths := make([]int, len(head))
	for _, l := range lines {
		for i, c := range l {
			widths[i] = max(widths[i], len([]rune(c)))
		}
	}
	for n, l := range lines {
		for i, c := range l {
			fmt.Fprintf(f, "| %-*s ", widths[i], c)
		}
		fmt.Fprintln(f, "|")
		if n == 0 {
			for i := range l {
				fmt.Fprint(f, "|", strings.Repeat("-", widths[i]+2))
			}
			fmt.Fprintln(f, "|")
		}
	}
}
