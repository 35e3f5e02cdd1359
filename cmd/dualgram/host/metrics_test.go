package host

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/metrics"
	"dualgram/cmd/dualgram/rules"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/procfs"
	"github.com/rs/zerolog"
)

// everything is a configuration in which nothing that has metrics is off.
const everything = `
bots:
  - name: orders
    token: ${TOKEN}
    webhook:
      public_url: https://127.0.0.1:8443/webhook/orders
      listen: 127.0.0.1:0
      tls: {self_signed: true}
    deliver: {forward: {url: "http://127.0.0.1:1/"}}
store: {path: %s/dualgram.db}
control: {socket: %s/control.sock}
observe: {listen: "127.0.0.1:0"}
chaos: {enabled: true, leashed: false}
drills: {schedules: [{experiment: certificate-expired, cron: "30 10 * 1,4,7,10 TUE#1"}]}
notify: {webhook: {url: "${HOOK}"}}
heartbeat: {url: "${HOOK}"}
`

const madeUpToken = "123456789:AAHmadeupmadeupmadeupmadeupmadeup00"

// everythingHost is a real host that is not run.
func everythingHost(t *testing.T) *Host {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "dualgram.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, everything, dir, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, []string{"TOKEN=" + madeUpToken, "HOOK=https://hooks.example.com/x"})
	if err != nil {
		t.Fatal(err)
	}
	h, err := New(t.Context(), cfg, Options{Version: "v0.0.0", Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// late are the metrics that have no series until something is known, because no
// value would be true until then.
var late = []string{
	"dualgram_certificate_not_after_timestamp_seconds", // there may be no certificate
	"dualgram_host_io_stalled_seconds_total",           // not every kernel counts it
	"dualgram_host_io_waiting_seconds_total",
}

// TestCatalogue holds cmd/dualgram/metrics/catalogue.json against a host: no metric
// and no label appears or vanishes unnoticed, and each has its series from the start.
func TestCatalogue(t *testing.T) {
	h := everythingHost(t)
	got := described(t, h.reg)
	families, err := h.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	present := map[string]*dto.MetricFamily{}
	for _, f := range families {
		present[f.GetName()] = f
	}
	for i := range got {
		f := present[got[i].Name]
		switch {
		case f != nil:
			got[i].Type = strings.ToLower(f.GetType().String())
		case !slices.Contains(late, got[i].Name):
			t.Errorf("%s has no series yet: its first event would be lost to rate and increase", got[i].Name)
		case strings.HasSuffix(got[i].Name, "_total"):
			got[i].Type = "counter"
		default:
			got[i].Type = "gauge"
		}
	}
	const golden = "../metrics/catalogue.json"
	want, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(golden, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	old, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(old, want) {
		t.Errorf("catalogue.json is not what a host exports (go test ./cmd/dualgram/host -update writes it); alerts and dashboards depend on it:\n%s",
			difference(metrics.All(), got))
	}
}

// difference names what is in one catalogue only.
func difference(old, now []metrics.Metric) string {
	lines := func(ms []metrics.Metric) (out []string) {
		for _, m := range ms {
			out = append(out, fmt.Sprintf("%s %s{%s} %s", m.Type, m.Name, strings.Join(m.Labels, ","), m.Help))
		}
		return out
	}
	a, b := lines(old), lines(now)
	var s strings.Builder
	for _, l := range a {
		if !slices.Contains(b, l) {
			s.WriteString("- " + l + "\n")
		}
	}
	for _, l := range b {
		if !slices.Contains(a, l) {
			s.WriteString("+ " + l + "\n")
		}
	}
	return s.String()
}

var descShape = regexp.MustCompile(`^Desc\{fqName: "(dualgram_[a-z_]+)", help: ("(?:[^"\\]|\\.)*"),(?: unit: "[a-z]*",)? constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

// described is what a registry's collectors say that they collect, dualgram's own.
func described(t *testing.T, reg *prometheus.Registry) []metrics.Metric {
	t.Helper()
	descs := make(chan *prometheus.Desc)
	go func() { reg.Describe(descs); close(descs) }()
	var out []metrics.Metric
	for d := range descs {
		if !strings.Contains(d.String(), `"dualgram_`) {
			continue
		}
		x := descShape.FindStringSubmatch(d.String())
		if x == nil {
			t.Fatalf("can't read %s", d)
		}
		m := metrics.Metric{Name: x[1], Labels: []string{}}
		if err := json.Unmarshal([]byte(x[2]), &m.Help); err != nil {
			t.Fatal(err)
		}
		for l := range strings.SplitSeq(x[3]+","+x[4], ",") {
			name, _, _ := strings.Cut(l, "=")
			if name = strings.TrimSpace(name); name != "" {
				m.Labels = append(m.Labels, name)
			}
		}
		slices.Sort(m.Labels)
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b metrics.Metric) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// TestMetricsLint: names, units and help are as Prometheus recommends, and no label
// could hold something private.
func TestMetricsLint(t *testing.T) {
	h := everythingHost(t)
	problems, err := testutil.GatherAndLint(h.reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "dualgram_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	labels := []string{"bot", "breaker", "by", "cause", "channel", "class", "code", "drill", "goversion", "hash", "kind", "method", "mode", "outcome", "phase", "reason",
		"result", "revision", "schedule", "severity", "signal", "source", "stage", "state", "step", "to", "version", "which", "why"}
	for _, m := range described(t, h.reg) {
		for _, l := range m.Labels {
			if !slices.Contains(labels, l) {
				t.Errorf("%s: label %s is not among those that are known to hold nothing private", m.Name, l)
			}
		}
		if !strings.HasSuffix(m.Help, ".") {
			t.Errorf("%s: help is not a sentence: %q", m.Name, m.Help)
		}
	}
}

// TestMetricsCardinality: what one more bot costs the Prometheus server.
func TestMetricsCardinality(t *testing.T) {
	families, err := everythingHost(t).reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series, perBot := 0, 0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			n := 1
			if hist := m.GetHistogram(); hist != nil {
				n = len(hist.GetBucket()) + 3 // +Inf, sum, count
			}
			series += n
			if slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == "bot" && l.GetValue() == "orders" }) {
				perBot += n
			}
			for _, l := range m.GetLabel() {
				if strings.Contains(madeUpToken, l.GetValue()) && len(l.GetValue()) > 3 {
					t.Errorf("%s: label %s holds a part of the token", f.GetName(), l.GetName())
				}
			}
		}
	}
	t.Logf("%d series, %d of them the bot's", series, perBot)
	if perBot > 700 {
		t.Errorf("%d series for one bot", perBot)
	}
}

// TestPressure: microseconds become seconds, and a kernel that doesn't count says
// nothing instead of zero.
func TestPressure(t *testing.T) {
	p := pressure{func() (procfs.PSIStats, error) {
		return procfs.PSIStats{Some: &procfs.PSILine{Total: 2_500_000}, Full: &procfs.PSILine{Total: 1_000_000}}, nil
	}}
	if err := testutil.CollectAndCompare(p, strings.NewReader(`
# HELP dualgram_host_io_stalled_seconds_total How long all processes of this host that had something to do were waiting for a disk. Absent where the kernel doesn't count it.
# TYPE dualgram_host_io_stalled_seconds_total counter
dualgram_host_io_stalled_seconds_total 1
# HELP dualgram_host_io_waiting_seconds_total How long at least one process of this host was waiting for a disk, as the kernel counts it. Absent where it doesn't.
# TYPE dualgram_host_io_waiting_seconds_total counter
dualgram_host_io_waiting_seconds_total 2.5
`)); err != nil {
		t.Error(err)
	}
	p.read = func() (procfs.PSIStats, error) { return procfs.PSIStats{}, os.ErrNotExist }
	if n := testutil.CollectAndCount(p); n != 0 {
		t.Errorf("%d series", n)
	}
}

// TestHandoverBounds: what the alert on slow handovers may be set to is a class in
// which they are counted, and the promised ten seconds are one.
func TestHandoverBounds(t *testing.T) {
	families, err := everythingHost(t).reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "dualgram_handover_duration_seconds" {
			continue
		}
		var bounds []string
		for _, b := range f.GetMetric()[0].GetHistogram().GetBucket() {
			bounds = append(bounds, strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64))
		}
		if !slices.Equal(bounds, rules.HandoverBounds) || !slices.Contains(bounds, "10") {
			t.Errorf("%v, and alerts may use %v", bounds, rules.HandoverBounds)
		}
		return
	}
	t.Error("there is no such histogram")
}
