//go:build prometheus

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"dualgram/runbooks"
)

// alarm is a drill, and the critical alerts that it makes fire.
type alarm struct {
	drill  string
	more   []string // flags of drill run
	alerts []string
	conf   func(w *world)
	// real: what the alert is about is no less so because of a drill.
	real bool
	// edit changes the shipped drill.
	edit *strings.Replacer
}

// alarms holds every critical alert but those of unfired. The drills are the ones that
// the pages of the alerts name, and are as shipped but for what is said here.
var alarms = []alarm{
	// Longer than its ten seconds, after which nobody would be paged.
	{drill: "store-full", more: []string{"--for", "90s"}, alerts: []string{"store_failing", "intake_stalled", "pending_high"}},
	{drill: "impostor-withheld", alerts: []string{"impostor", "failover_withheld"}, conf: func(w *world) {
		w.conf.Webhook = fmt.Sprintf("probe: {dial: %q, ca_file: %s}", w.path.addr, w.write("root.pem", string(w.ca.RootPEM())))
	}},
	{drill: "botapi-hang", alerts: []string{"blind"}},
	{drill: "token-refused", alerts: []string{"token_refused"}},
	{drill: "foreign-webhook", alerts: []string{"foreign_webhook"}},
	{drill: "botapi-conflict", alerts: []string{"foreign_poller"}, conf: func(w *world) { w.conf.Failover = "info_interval: 500ms" }},
	{drill: "listener-lost", alerts: []string{"listener_lost"}},
	{drill: "certificate-expired", alerts: []string{"certificate_expires"}},
	{drill: "bot-down", alerts: []string{"bot_down", "delivery_lag"}},
	{drill: "polling-broken", alerts: []string{"switch_failed"}},
	{drill: "server-errors", alerts: []string{"webhook_error_burn"}},
	{drill: "probe-broken", alerts: []string{"drill_stuck"}, real: true},
	{drill: "swallowed", alerts: []string{"updates_lost"}, real: true, conf: func(w *world) {
		w.conf.More = strings.Replace(w.conf.More, "leashed: false", "leashed: false, destructive: true", 1)
	}},
	// It does not get well within the time that it is given.
	{drill: "refused", alerts: []string{"drill_deviated"}, real: true, edit: strings.NewReplacer("hold: 10s", "hold: 1s", "for: 45s", "for: 20s", "recover_within: 5m", "recover_within: 2s",
		"recover_within: 6m", "recover_within: 2s")},
}

// unfired are the critical alerts that no drill makes fire; promtool covers them.
var unfired = map[string]string{
	"frozen":              "failovers that a drill causes count towards no freeze; the test of its page freezes it",
	"down":                "there is no process to rehearse with; TestPrometheus kills one",
	"bot_api_unreachable": "it is about the start of a process, and no fault is there before it",
}

// drillRules are shortened: these alerts wait for longer than a drill lasts.
var drillRules = []string{"certificate_expires.for=1s", "intake_stalled.after=15", "intake_stalled.for=1s", "pending_high.critical=20", "pending_high.for=1s",
	"delivery_lag.critical=10", "delivery_lag.for=1s", "drill_stuck.for=10s", "webhook_error_burn.for=1s", "webhook_error_burn.min_requests=20"}

// TestAlarms: each critical alert fires in a real Prometheus, at the shipped
// thresholds unless they are among drillRules, because of the drill that its page
// names, and says that a drill is the cause, unless it is real all the same.
func TestAlarms(t *testing.T) {
	w := newWorld(t)
	targets := w.file("targets")
	if err := os.Mkdir(targets, 0o700); err != nil {
		t.Fatal(err)
	}
	prom := w.watch(freeAddr(t), "file_sd_configs: [{files: ["+targets+"/*.yaml], refresh_interval: 1s}]", drillRules...)
	played := map[string]string{}
	t.Run("drills", func(t *testing.T) { // ends when all of them have
		for _, a := range alarms {
			for _, alert := range a.alerts {
				played[alert] = a.drill
			}
			t.Run(a.drill, func(t *testing.T) { newWorld(t).alarm(prom, targets, a) })
		}
	})
	for _, p := range runbooks.List() {
		if p.Kind != runbooks.Alert || p.Severities[0] != runbooks.Critical {
			continue
		}
		if _, excused := unfired[p.Name]; excused == (played[p.Name] != "") {
			t.Errorf("%s: the drill %q makes it fire; excused: %v", p.Name, played[p.Name], excused)
		}
		if p.Drill != played[p.Name] {
			t.Errorf("%s: the page's drill is %q, and it was %q that made it fire", p.Name, p.Drill, played[p.Name])
		}
	}
	prom.healthy()
}

// alarm runs the drill on a host of its own until the alerts have fired.
func (w *world) alarm(prom *prometheus, targets string, a alarm) {
	w.conf.Failover = "hold_down: 4s, info_interval: 500ms"
	w.conf.More = "chaos: {enabled: true, leashed: false}\ndrills: {quiet_after_start: 0s, quiet_after_error: 0s}"
	if a.conf != nil {
		a.conf(w)
	}
	p := w.run()
	if err := os.WriteFile(targets+"/"+w.conf.Observe+".yaml", []byte("- targets: ["+w.conf.Observe+"]\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.flowing(5)
	p.until(60*time.Second, "a proven webhook", func(s botStatus) bool { return s.Phase == "webhook" && !s.Trial })
	name := a.drill
	if a.edit != nil {
		_, shipped, _ := w.cli("drill", "show", a.drill)
		name = w.write("drill.yaml", a.edit.Replace(shipped))
	}
	cmd := exec.Command(binary, append([]string{"drill", "run", name, "--reason", "does anybody hear it?", "--config", w.file("dualgram.yaml")}, a.more...)...)
	cmd.Env = environment()
	run := w.start(cmd, "drill")
	waiting := slices.Clone(a.alerts)
	eventually(w.t, 150*time.Second, "alerts fire", func() error {
		_, all, err := prom.firing()
		if err != nil {
			return err
		}
		waiting = slices.DeleteFunc(waiting, func(alert string) bool {
			return slices.ContainsFunc(all, func(f promAlert) bool {
				return f.Labels["instance"] == w.conf.Observe && f.Labels["runbook"] == alert && f.Labels["severity"] == "critical" && (f.Labels["drill"] == "true") != a.real
			})
		})
		if len(waiting) > 0 {
			return fmt.Errorf("not yet: %s; the drill:\n%s%s", strings.Join(waiting, ", "), run.stdout, run.stderr)
		}
		return nil
	})
	p.kill() // with the drill and its faults
}
