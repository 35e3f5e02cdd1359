//go:build prometheus

package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// A real Prometheus (`make prometheus`; Debian: prometheus) scrapes a real dualgram
// through outages, with the rules that `dualgram rules` prints. It fails without one.
//
// It scrapes and evaluates every second instead of every 15 to 60. Of the rules only
// how long something must have lasted is shortened, and for how long a thing of the
// past is shown; and a handover counts as slow after a quarter of a second, since
// dualgram keeps its ten.
var quickRules = []string{"on_standby.for=1s", "bot_down.for=1s", "fault_active.for=1s", "down.for=2s", "delivery_lag.for=1s", "delivery_lag.warning=3",
	"switch_slow.seconds=0.25", "switch_slow.window=12s"}

// get asks the HTTP API.
func (p *prometheus) get(path string, into any) error {
	resp, err := http.Get(p.base + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	p.w.vault.search(p.w.t, "prometheus "+path, string(raw))
	answer := struct {
		Status, Error string
		Data          any
	}{Data: into}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("%w: %.200s", err, raw)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", path, answer.Error)
	}
	return nil
}

type promAlert struct {
	State               string
	Labels, Annotations map[string]string
}

// firing returns the alerts that fire, as name, severity, and drill if so.
func (p *prometheus) firing() (names []string, all []promAlert, err error) {
	var data struct{ Alerts []promAlert }
	if err := p.get("/api/v1/alerts", &data); err != nil {
		return nil, nil, err
	}
	for _, a := range data.Alerts {
		if a.State != "firing" {
			continue
		}
		all = append(all, a)
		name := a.Labels["alertname"] + " " + a.Labels["severity"]
		if a.Labels["drill"] != "" {
			name += " drill"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names, all, nil
}

// await waits until the alert fires, or no more, and returns how long that took.
func (p *prometheus) await(name string, fires bool, most time.Duration) time.Duration {
	p.w.t.Helper()
	began := time.Now()
	eventually(p.w.t, most, fmt.Sprintf("%s fires: %t", name, fires), func() error {
		names, _, err := p.firing()
		if err == nil && slices.Contains(names, name) != fires {
			err = fmt.Errorf("firing: %s", strings.Join(names, ", "))
		}
		return err
	})
	took := time.Since(began)
	p.w.t.Logf("%s fires: %t, after %.1f s", name, fires, took.Seconds())
	return took
}

// query returns the values of an instant query.
func (p *prometheus) query(expr string) (values []string) {
	p.w.t.Helper()
	var data struct{ Result []struct{ Value []any } }
	if err := p.get("/api/v1/query?query="+url.QueryEscape(expr), &data); err != nil {
		p.w.t.Fatal(err)
	}
	for _, r := range data.Result {
		values = append(values, fmt.Sprint(r.Value[1]))
	}
	return values
}

// TestPrometheus: through a failover, a drill, a bot that is down and a death, the
// alerts that are expected fire and resolve, and no others.
func TestPrometheus(t *testing.T) {
	w := newWorld(t)
	w.conf.Failover = "hold_down: 4s, info_interval: 500ms"
	w.conf.More = "chaos: {enabled: true, leashed: false}"
	p := w.run()
	prom := w.watch(freeAddr(t), w.itself(), quickRules...)
	w.steady(p)
	// Prometheus begins to scrape some seconds after it is ready.
	eventually(t, 20*time.Second, "two scrapes", func() error {
		if got := prom.query(`count_over_time(up{job="dualgram"}[1m]) > 1 and up == 1`); len(got) != 1 {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
	prom.await("DualgramDown critical", false, 10*time.Second)
	prom.await("DualgramWatchdog none", true, 10*time.Second)
	prom.lint(p)
	calm, _, err := prom.firing()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(calm, []string{"DualgramWatchdog none"}) {
		t.Fatalf("nothing is wrong, and there fire %v", calm)
	}

	// The way to the webhook swallows everything.
	w.path.set(pathSilent)
	p.phase("polling", 15*time.Second)
	prom.await("DualgramOnStandby warning", true, 10*time.Second)
	prom.await("DualgramSwitchSlow warning", true, 10*time.Second)
	prom.worded(p)
	w.path.set(pathOpen)
	p.phase("webhook", 30*time.Second)
	prom.await("DualgramOnStandby warning", false, 10*time.Second)
	prom.await("DualgramSwitchSlow warning", false, 30*time.Second)

	// The bot takes nothing, and updates wait.
	w.bot.become(botRefuses)
	prom.await("DualgramBotDown critical", true, 20*time.Second)
	prom.await("DualgramDeliveryLag warning", true, 15*time.Second)
	w.bot.become(botTakes)
	prom.await("DualgramBotDown critical", false, 20*time.Second)
	prom.await("DualgramDeliveryLag warning", false, 20*time.Second)

	// The process is gone.
	p.kill()
	prom.await("DualgramDown critical", true, 10*time.Second)
	p = w.run()
	prom.await("DualgramDown critical", false, 15*time.Second)
	p.phase("webhook", 20*time.Second)

	// The same outage as at first, but on purpose.
	fault := w.fault("tls.expired", "--for", "8s")
	p.phase("polling", 15*time.Second)
	prom.await("DualgramOnStandby warning drill", true, 10*time.Second)
	prom.await("DualgramFaultActive warning drill", true, 10*time.Second)
	if names, _, err := prom.firing(); err != nil || slices.Contains(names, "DualgramOnStandby warning") {
		t.Errorf("a drill's doing is taken for real: %v, %v", names, err)
	}
	fault.wait(20 * time.Second)
	p.phase("webhook", 60*time.Second)
	prom.await("DualgramOnStandby warning drill", false, 10*time.Second)

	if got := prom.query(`max(dualgram_updates_lost_total)`); !slices.Equal(got, []string{"0"}) {
		t.Errorf("lost: %v", got)
	}
	// However Prometheus writes the bound of ten seconds, the rules find it.
	if got := prom.query(`count(dualgram_handover_duration_seconds_bucket{le=~"10(\\.0)?"})`); !slices.Equal(got, []string{"2"}) {
		t.Errorf("buckets of ten seconds: %v", got)
	}
	prom.dashboards()
	prom.healthy()
	prom.only("DualgramWatchdog", "DualgramOnStandby", "DualgramSwitchSlow", "DualgramBotDown", "DualgramDeliveryLag", "DualgramDown", "DualgramFaultActive")
	w.settle(30*time.Second, 1)
	p.stop()
}

// lint has promtool look at what is exported.
func (p *prometheus) lint(d *process) {
	p.w.t.Helper()
	cmd := exec.Command("promtool", "check", "metrics")
	cmd.Stdin = strings.NewReader(d.scrape())
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "dualgram_") {
			p.w.t.Errorf("promtool check metrics: %s", line)
		}
	}
	if _, exited := err.(*exec.ExitError); err != nil && !exited { //nolint:errorlint // exec documents it
		p.w.t.Error(err)
	}
}

// worded checks what a person reads in the alert of a bot that polls.
func (p *prometheus) worded(d *process) {
	p.w.t.Helper()
	_, all, err := p.firing()
	if err != nil {
		p.w.t.Fatal(err)
	}
	for _, a := range all {
		if a.Labels["instance"] != "" {
			// The page that the alert names opens, and is about this alert.
			path, ok := strings.CutPrefix(a.Annotations["runbook_url"], "http://"+d.w.conf.Observe)
			code, body, err := d.observe(path)
			if !ok || code != http.StatusOK || err != nil || !strings.Contains(body, a.Labels["alertname"]) {
				p.w.t.Errorf("%s: %d, %v", a.Annotations["runbook_url"], code, err)
			}
		}
		if a.Labels["alertname"] != "DualgramOnStandby" {
			continue
		}
		if a.Labels["bot"] != "orders" || a.Labels["runbook"] != "on_standby" || a.Annotations["summary"] != "orders: Updates come by polling" ||
			!strings.Contains(a.Annotations["description"], "has changed to polling") || a.Annotations["runbook_url"] != "http://"+d.w.conf.Observe+"/runbooks/on_standby" {
			p.w.t.Errorf("%+v", a)
		}
	}
}

// healthy wants every rule to have been evaluated without an error.
func (p *prometheus) healthy() {
	p.w.t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.get("/api/v1/rules", &data); err != nil {
		p.w.t.Fatal(err)
	}
	n := 0
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			n++
			if r.Health != "ok" || r.LastError != "" {
				p.w.t.Errorf("rule %s: %s %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	if n < 60 {
		p.w.t.Errorf("%d rules", n)
	}
	p.w.vault.search(p.w.t, "the store of Prometheus", stored(p.w.file("tsdb")))
}

// dashboards asks each question of the dashboards. Where it is not about what is
// wrong, there has to be an answer.
func (p *prometheus) dashboards() {
	p.w.t.Helper()
	asked, silent := 0, []string{}
	for _, name := range []string{"overview", "bot", "drills"} {
		code, out, errs := p.w.cli("dashboard", "export", name)
		var d struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal([]byte(out), &d); code != 0 || err != nil {
			p.w.t.Fatal(code, err, errs)
		}
		for _, panel := range d.Panels {
			for _, q := range panel.Targets {
				expr := strings.NewReplacer("$job", ".*", "$instance", ".*", "$bot", ".*", "$__rate_interval", "1m", "$__range", "10m").Replace(q.Expr)
				asked++
				if got := p.query(expr); len(got) == 0 && !strings.Contains(expr, "> 0") {
					silent = append(silent, name+": "+panel.Title)
				}
			}
		}
	}
	p.w.t.Logf("%d queries of dashboards; without an answer: %v", asked, silent)
	// Nothing is wrong, and no drill was run; the bot has no calls to fail.
	for _, s := range silent {
		if !slices.Contains([]string{"overview: Warnings"}, s) {
			p.w.t.Errorf("%s shows nothing", s)
		}
	}
	if asked < 60 {
		p.w.t.Errorf("%d queries", asked)
	}
}

// stored is all that Prometheus has written.
func stored(dir string) string {
	var b strings.Builder
	entries, _ := os.ReadDir(dir + "/wal")
	for _, e := range entries {
		raw, _ := os.ReadFile(dir + "/wal/" + e.Name())
		b.Write(raw)
	}
	return b.String()
}

// only wants no other alert to have fired at any time.
func (p *prometheus) only(expected ...string) {
	p.w.t.Helper()
	var data struct {
		Result []struct{ Metric map[string]string }
	}
	if err := p.get("/api/v1/query?query="+url.QueryEscape(`max_over_time(ALERTS{alertstate="firing"}[10m])`), &data); err != nil {
		p.w.t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range data.Result {
		name := r.Metric["alertname"]
		seen[name] = true
		if !slices.Contains(expected, name) {
			p.w.t.Errorf("%s fired: %v", name, r.Metric)
		}
	}
	for _, name := range expected {
		if !seen[name] {
			p.w.t.Errorf("%s is not on record", name)
		}
	}
}
