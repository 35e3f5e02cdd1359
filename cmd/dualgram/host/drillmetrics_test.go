package host

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/drill"
	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/warning"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
)

// wellHost is a bot to which nothing happens but the fault, and which is asked
// each second.
type wellHost struct {
	reg    *chaos.Registry
	web    http.Handler
	looked func()
}

func newWellHost() *wellHost {
	h := &wellHost{reg: chaos.New(chaos.Options{Enabled: true}), looked: func() {}}
	h.web = h.reg.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return h
}

func (h *wellHost) Facts(context.Context) (drill.Facts, error) {
	h.looked()
	h.web.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
	zero := 0
	return drill.Facts{Started: time.Now().Add(-time.Hour), Mode: "webhook", Phase: "webhook", StandbyReady: true, Pending: &zero, PendingAt: time.Now()}, nil
}

func (h *wellHost) Events(context.Context, time.Time) ([]drill.Event, error) { return nil, nil }

func (h *wellHost) Inject(_ context.Context, s chaos.Spec) (drill.Fault, error) {
	return h.reg.Inject(s)
}

// kept is a store of records in memory.
type kept struct{ records []drill.Record }

func (k *kept) Append(_ context.Context, r drill.Record) error {
	k.records = append(k.records, r)
	return nil
}
func (k *kept) List(context.Context) ([]drill.Record, error) { return slices.Clone(k.records), nil }
func (k *kept) Get(context.Context, string) (drill.Record, error) {
	return drill.Record{}, drill.ErrNotFound
}

const shortDrill = `
version: 1
name: short
title: A short one
steady-state-hypothesis:
  hold: 2s
  probes: [{name: on-webhook, expr: mode == "webhook"}]
method: [{name: fail, fault: http.status, for: 10s}]
expect: {mode: webhook}
recover_within: 1m
`

func shortOffice(t *testing.T, h drill.Host, k drill.Store, s ...drill.Schedule) (*drill.Drills, *drill.Experiment) {
	t.Helper()
	e, err := drill.Parse("short.yaml", []byte(shortDrill))
	if err != nil {
		t.Fatal(err)
	}
	d, err := drill.New(t.Context(), drill.Options{Bot: "orders", Host: h, Store: k, Policy: drill.Policy{Enabled: true}, Schedules: s,
		Lookup: func(string) (*drill.Experiment, error) { return e, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return d, e
}

func pointer(d ...*drill.Drills) *atomic.Pointer[[]*drill.Drills] {
	p := &atomic.Pointer[[]*drill.Drills]{}
	p.Store(&d)
	return p
}

// TestDrillField: while a drill runs, each line of the log has its ID, and before
// and after it none has.
func TestDrillField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		offices := &atomic.Pointer[[]*drill.Drills]{}
		log := zerolog.New(&out).Hook(drillField{offices}).With().Str("bot", "other").Logger()
		log.Info().Msg("starting")
		h := newWellHost()
		defer func() { _ = h.reg.Close() }()
		d, e := shortOffice(t, h, &kept{})
		offices.Store(&[]*drill.Drills{d})
		log.Info().Msg("before")
		h.looked = func() { log.Info().Msg("within") }
		j, err := d.Do(t.Context(), drill.Request{Experiment: e})
		if err != nil || j.Outcome != drill.Held {
			t.Fatalf("%v %s %q", err, j.Outcome, j.Reasons)
		}
		h.looked = func() {}
		log.Info().Msg("after")
		within := 0
		for line := range strings.Lines(out.String()) {
			var l map[string]string
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			switch id, has := l["drill_id"]; {
			case l["message"] == "within" && id == j.ID:
				within++
			case l["message"] == "within" || has:
				t.Errorf("%s", line)
			}
		}
		if within < 12 {
			t.Errorf("%d lines within the drill", within)
		}
	})
}

// TestDrillFieldIdle: it costs nothing where nothing runs.
func TestDrillFieldIdle(t *testing.T) {
	d, _ := shortOffice(t, newWellHost(), &kept{})
	f := drillField{pointer(d)}
	if n := testing.AllocsPerRun(100, func() { f.Run(nil, zerolog.InfoLevel, "") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestDrillMetrics: what is scheduled is there from the start, what is run from
// the run's beginning, and each tells what became of it.
func TestDrillMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k := newWellHost(), &kept{}
		defer func() { _ = h.reg.Close() }()
		d, e := shortOffice(t, h, k, drill.Schedule{Experiment: "planned", Cron: "0 9 * * *"})
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(drillMetrics{pointer(d)})
		want := func(name, text string) {
			t.Helper()
			if err := testutil.GatherAndCompare(reg, strings.NewReader(text), name); err != nil {
				t.Error(err)
			}
		}
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Errorf("%v %v", problems, err)
		}
		head := func(name, kind, help string) string {
			return "# HELP " + name + " " + help + "\n# TYPE " + name + " " + kind + "\n"
		}
		const (
			successHelp = "When the last run began that broke something and held; 0 if none ever did."
			overdueHelp = "1 while a scheduled drill has gone without a success for two of its schedule's periods."
			haltedHelp  = "1 while the halt lever is pulled and no drill begins."
			activeHelp  = "1 while the drill is under way, from its gate to its verdict."
		)
		want("dualgram_drill_last_success_timestamp_seconds", head("dualgram_drill_last_success_timestamp_seconds", "gauge", successHelp)+
			`dualgram_drill_last_success_timestamp_seconds{bot="orders",drill="planned"} 0`+"\n")
		overdue := head("dualgram_drill_overdue", "gauge", overdueHelp) + `dualgram_drill_overdue{bot="orders",schedule="planned"} `
		want("dualgram_drill_overdue", overdue+"0\n")
		if n, err := testutil.GatherAndCount(reg, "dualgram_drill_runs_total"); err != nil || n != len(drill.Outcomes()) {
			t.Errorf("%d series of runs, %v", n, err)
		}
		looks := 0
		h.looked = func() {
			if looks++; looks == 5 {
				want("dualgram_drill_active", head("dualgram_drill_active", "gauge", activeHelp)+
					`dualgram_drill_active{bot="orders",drill="planned"} 0`+"\n"+`dualgram_drill_active{bot="orders",drill="short"} 1`+"\n")
				if n, err := testutil.GatherAndCount(reg, "dualgram_drill_runs_total"); err != nil || n != 2*len(drill.Outcomes()) {
					t.Errorf("%d series of runs, %v", n, err)
				}
			}
		}
		began := time.Now()
		if j, err := d.Do(t.Context(), drill.Request{Experiment: e}); err != nil || j.Outcome != drill.Held {
			t.Fatalf("%v %+v", err, j)
		}
		if got := d.Tally()["short"][drill.Held]; got != 1 {
			t.Errorf("%d runs", got)
		}
		if got := d.Pasts()["short"].LastSuccess; !got.Equal(began) {
			t.Errorf("last success %v", got)
		}
		time.Sleep(48*time.Hour - time.Since(began))
		want("dualgram_drill_overdue", overdue+"1\n")
		if err := d.Halt(t.Context(), drill.Who{User: "ann", Reason: "a sale"}); err != nil {
			t.Fatal(err)
		}
		want("dualgram_drill_halted", head("dualgram_drill_halted", "gauge", haltedHelp)+`dualgram_drill_halted{bot="orders"} 1`+"\n")

		// The warnings say the same.
		host := &Host{cfg: config.Defaults()}
		host.cfg.Chaos.Enabled, host.cfg.Chaos.Leashed = true, false
		host.drilling.Store(&[]*drill.Drills{d})
		active := warning.Evaluate(host.drillConditions(time.Now()), time.Now())
		if len(active) != 2 || active[0].Code != warning.DrillOverdue || active[1].Code != warning.DrillHalted {
			t.Fatalf("%+v", active)
		}
		if a := active[0]; a.Bot != "orders" || !strings.Contains(a.Text, "planned has never succeeded") || !a.Since.Equal(began.Add(33*time.Hour)) {
			t.Errorf("%+v", a)
		}
		if !strings.Contains(active[1].Text, "By ann: a sale") || active[1].Severity != warning.Info {
			t.Errorf("%+v", active[1])
		}
	})
}
