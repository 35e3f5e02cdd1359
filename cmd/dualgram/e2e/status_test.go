package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// status is what the control socket answers, in the words of its contract.
type status struct {
	Schema   string
	Version  string
	Bots     []botStatus
	Warnings []warning
}

type botStatus struct {
	Next                    string `json:"next"`
	Name                    string
	BotID                   int64 `json:"bot_id"`
	Mode, Phase             string
	Trial                   bool
	Epoch                   uint64
	Reason, Evidence        string
	PendingAtTelegram       *int64 `json:"pending_at_telegram"`
	Waiting                 int64
	Dead, Quarantined, Lost int64
	OpenHoles               int64  `json:"open_holes"`
	StandbyReady            bool   `json:"standby_ready"`
	StandbyError            string `json:"standby_error"`
	Webhook                 *struct {
		URLHost             string `json:"url_host"`
		Registered          bool
		Listening           bool
		CertificateNotAfter time.Time `json:"certificate_not_after"`
	}
	Signals  []struct{ Name, State, Detail string }
	Warnings []warning

	LastHandover *struct {
		From, To, Reason, Evidence string
		OK                         bool
		StartedAt                  time.Time `json:"started_at"`
		FinishedAt                 time.Time `json:"finished_at"`
		TookMS                     float64   `json:"took_ms"`
		Steps                      []struct{ Name, Error string }
	} `json:"last_handover"`
}

type warning struct{ Code, Severity, Title, Text string }

func (b botStatus) warning(code string) bool {
	for _, w := range b.Warnings {
		if w.Code == code {
			return true
		}
	}
	return false
}

// signalState is the state of a signal, "" if there is none of the name.
func (b botStatus) signalState(name string) string {
	for _, s := range b.Signals {
		if s.Name == name {
			return s.State
		}
	}
	return ""
}

// statusOf runs `dualgram status` in both forms; they have to agree.
func (w *world) statusOf(code int, table ...string) botStatus {
	w.t.Helper()
	config := w.file("dualgram.yaml")
	got, out, errs := w.cli("status", "--config", config)
	if got != code || errs != "" {
		w.t.Errorf("status: exit code %d, want %d; %s", got, code, errs)
	}
	for _, text := range table {
		if !strings.Contains(out, text) {
			w.t.Errorf("the table does not say %q:\n%s", text, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		w.t.Error("colours without a terminal")
	}
	got, out, errs = w.cli("status", "--config", config, "--output", "json")
	if got != code || errs != "" {
		w.t.Errorf("status --output json: exit code %d, want %d; %s", got, code, errs)
	}
	var st status
	if err := json.Unmarshal([]byte(out), &st); err != nil || st.Schema != "dualgram/status/v1" || len(st.Bots) != 1 {
		w.t.Fatalf("%v: %s", err, out)
	}
	return st.Bots[0]
}

// What `dualgram status` says, and with which exit code, in each state that a bot
// can be in; and what /livez and /readyz say.
func TestStatus(t *testing.T) {
	w := newWorld(t)
	code, _, errs := w.cli("status", "--config", w.configure())
	if code != 3 || !strings.Contains(errs, "no control socket") || !strings.Contains(errs, "is dualgram running?") {
		t.Errorf("status before the start: %d %s", code, errs)
	}
	p := w.run()
	w.steady(p)
	if st, err := os.Stat(w.conf.Socket); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("control socket: %v %v", st, err)
	}
	if st, err := os.Stat(w.conf.Store); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("store: %v %v", st, err)
	}
	b := w.statusOf(0, "orders  webhook", "on trial", "because", "pending", "waiting", hookHost+", listening on "+w.conf.Listen,
		"certificate good for", "last delivery", "polling is ready", "all quiet")
	if b.Mode != "webhook" || b.Phase != "webhook" || b.BotID != w.botID || !b.StandbyReady || b.Webhook == nil || !b.Webhook.Registered || !b.Webhook.Listening {
		t.Errorf("healthy: %+v", b)
	}
	w.health(p, "/livez", 200, "[+]loop ok")
	w.health(p, "/readyz", 200, "[+]intake ok", "[+]standby ok")

	// Polling, because the webhook is down.
	w.path.set(pathSilent)
	p.phase("polling", 15*time.Second)
	w.flows(p, "polling")
	p.until(5*time.Second, "no webhook registered", func(b botStatus) bool { return !b.Webhook.Registered })
	b = w.statusOf(1, "orders  polling", "stall: ", "pending at Telegram", "nothing arrived", "last change", "webhook to polling (automatic)", "took", "Updates come by polling", "[on_standby]")
	if b.Mode != "polling" || b.Webhook.Registered || b.LastHandover == nil || len(b.LastHandover.Steps) < 5 {
		t.Errorf("polling: %+v", b)
	}
	var steps []string
	for _, s := range b.LastHandover.Steps {
		steps = append(steps, s.Name)
	}
	if got := strings.Join(steps, " "); !strings.HasPrefix(got, "intent-persisted delete-sent delete-acked ") || !strings.HasSuffix(got, "mode-persisted") {
		t.Errorf("steps: %s", got)
	}
	w.health(p, "/readyz", 200, "[+]intake ok")
	w.path.set(pathOpen)
	p.phase("webhook", 20*time.Second)

	// Held, because somebody else has set a webhook.
	w.sim.SetHost("other.example.test", "127.0.0.1")
	w.foreignSet("https://other.example.test:8443/elsewhere")
	p.phase("held", 15*time.Second)
	b = w.statusOf(1, "orders  taking nothing", "foreign_webhook", "https://other.example.test:8443", "Somebody else's webhook is set", "dualgram run --take-over")
	if b.Mode != "none" || b.Webhook.Registered || !b.Webhook.Listening {
		t.Errorf("held: %+v", b)
	}
	w.health(p, "/livez", 200)
	w.health(p, "/readyz", 200, "[+]intake ok")
	w.foreignSet("")
	p.phase("webhook", 20*time.Second)
	w.flows(p, "webhook") // without deliveries a trial takes longer

	metrics := p.scrape()
	for _, line := range []string{
		`dualgram_phase{bot="orders",phase="webhook"} 1`,
		`dualgram_phase{bot="orders",phase="held"} 0`,
		`dualgram_handovers_total{bot="orders",by="automatic",cause="stall",to="polling"} 1`,
		`dualgram_handover_duration_seconds_count{bot="orders",to="polling"} 1`,
		`dualgram_updates_lost_total{bot="orders",cause="lost"} 0`,
		`dualgram_signal_trips_total{bot="orders",signal="stall"} 1`,
		"dualgram_store_healthy 1",
		"process_open_fds",
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("metrics don't say %s", line)
		}
	}
	w.settle(20*time.Second, 0)
	eventually(t, 25*time.Second, "the trial passed", func() error {
		b, err := p.first()
		if err == nil && b.Trial {
			err = fmt.Errorf("on trial")
		}
		return err
	})
	p.stop()
	if code, _, errs := w.cli("status", "--config", w.file("dualgram.yaml")); code != 3 || !strings.Contains(errs, "no control socket") {
		t.Errorf("status after the stop: %d %s", code, errs)
	}
	p = w.run()
	p.phase("webhook", 15*time.Second)
	p.kill()
	if code, _, errs := w.cli("status", "--config", w.file("dualgram.yaml")); code != 3 || !strings.Contains(errs, "nobody answers") {
		t.Errorf("status after kill -9: %d %s", code, errs)
	}
}

func (w *world) health(p *process, path string, code int, texts ...string) {
	w.t.Helper()
	got, body, err := p.observe(path + "?verbose")
	if got != code || err != nil {
		w.t.Errorf("%s: %d %v %s", path, got, err, body)
	}
	for _, text := range texts {
		if !strings.Contains(body, text) {
			w.t.Errorf("%s does not say %q: %s", path, text, body)
		}
	}
}
