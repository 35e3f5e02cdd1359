package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/store"
	"dualgram/supervisor/console"

	"github.com/prometheus/common/expfmt"
)

// reportEvents is how far back the events of a bug report go.
const reportEvents = time.Hour

// maxReportPart bounds one part: the stacks of many connections are alike.
const maxReportPart = 8 << 20

// reportOf makes the parts of a bug report.
type reportOf struct{ h *Host }

// reportPart is one of them.
type reportPart struct {
	name, doc string
	make      func(context.Context, *Host) (any, error)
}

// reportParts are all that the running process knows and another's eyes may see.
var reportParts = []reportPart{
	{"status.json", "what each bot does, and what is wrong", func(ctx context.Context, h *Host) (any, error) { return statusOf{h}.Status(ctx) }},
	{"vitals.json", "the process and its store", func(ctx context.Context, h *Host) (any, error) { return vitalsOf{h}.Vitals(ctx, false) }},
	{"config.json", "the configuration, without secrets, the paths of URLs and the arguments of hooks", func(_ context.Context, h *Host) (any, error) { return reportConfig(h.cfg), nil }},
	{"events.json", "the journal of the last hour", func(ctx context.Context, h *Host) (any, error) {
		return eventsOf{h}.Events(ctx, console.EventsQuery{Since: time.Now().Add(-reportEvents), Limit: console.MaxEvents, Tail: true})
	}},
	{"metrics.txt", "what /metrics says now", func(_ context.Context, h *Host) (any, error) { return h.metricsText() }},
	{"store.json", "what is in the store, in numbers", func(_ context.Context, h *Host) (any, error) { return h.storeNumbers() }},
	{"inbox.json", "what waits, without the numbers of chats", func(ctx context.Context, h *Host) (any, error) { return h.inboxNumbers(ctx) }},
	{"drills.json", "drills, the halt lever, schedules", func(ctx context.Context, h *Host) (any, error) { return h.drillsStatus(ctx) }},
	{"faults.json", "injected faults", func(ctx context.Context, h *Host) (any, error) { return h.orders.Chaos(ctx) }},
	{"log.json", "what is logged", func(ctx context.Context, h *Host) (any, error) { return logOf{h}.Log(ctx) }},
	{"goroutines.txt", "where each goroutine is", func(context.Context, *Host) (any, error) { return goroutines() }},
	{"build.txt", "how this program was built", func(context.Context, *Host) (any, error) { return buildText(), nil }},
	{"host.json", "the machine: processors, memory, load, limits", func(context.Context, *Host) (any, error) { return MachineFacts(), nil }},
}

// Parts implements [console.Reporter].
func (reportOf) Parts() []console.ReportPart {
	out := make([]console.ReportPart, len(reportParts))
	for i, p := range reportParts {
		out[i] = console.ReportPart{Name: p.name, Doc: p.doc}
	}
	return out
}

// Part implements [console.Reporter].
func (r reportOf) Part(ctx context.Context, name string) ([]byte, error) {
	for _, p := range reportParts {
		if p.name != name {
			continue
		}
		if r.h.sup == nil {
			return nil, errStarting
		}
		v, err := p.make(ctx, r.h)
		if err != nil {
			return nil, err
		}
		data, err := plainText(v)
		if err != nil {
			return nil, err
		}
		if len(data) > maxReportPart {
			data = append(data[:maxReportPart:maxReportPart], "\n[cut]\n"...)
		}
		return r.h.scrub(data), nil
	}
	return nil, nil
}

// plainText is what is text already, or JSON for people.
func plainText(v any) ([]byte, error) {
	if raw, ok := v.([]byte); ok {
		return raw, nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return b.Bytes(), err
}

func (h *Host) metricsText() ([]byte, error) {
	families, err := h.reg.Gather()
	var b bytes.Buffer
	for _, f := range families {
		if _, werr := expfmt.MetricFamilyToText(&b, f); werr != nil {
			return nil, werr
		}
	}
	if b.Len() > 0 {
		err = nil // a part of it is better than nothing
	}
	return b.Bytes(), err
}

func goroutines() ([]byte, error) {
	var b bytes.Buffer
	err := pprof.Lookup("goroutine").WriteTo(&b, 2)
	return b.Bytes(), err
}

func buildText() []byte {
	s := fmt.Sprintf("%s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if info, ok := debug.ReadBuildInfo(); ok {
		s += info.String()
	}
	return []byte(s)
}

// storeNumbers is what each ledger holds.
func (h *Host) storeNumbers() (any, error) {
	type ledger struct {
		Bot   string      `json:"bot"`
		Stats store.Stats `json:"stats"`
	}
	out := struct {
		Health  store.Health `json:"health"`
		Error   string       `json:"error,omitempty"`
		Usage   store.Usage  `json:"usage"`
		Avail   float64      `json:"file_system_avail_bytes"`
		Ledgers []ledger     `json:"ledgers"`
	}{Health: h.store.Health()}
	if out.Health.Err != nil {
		out.Error, out.Health.Err = out.Health.Err.Error(), nil
	}
	out.Usage, _ = h.store.Usage()
	out.Avail, _ = available(h.cfg.Store.Path)
	for i := range h.cfg.Bots {
		name := h.cfg.Bots[i].Name
		l, err := h.drillHosts[name].ledger()
		if err != nil {
			return nil, err
		}
		out.Ledgers = append(out.Ledgers, ledger{name, l.Stats()})
	}
	return out, nil
}

// inboxNumbers is what waits: how long and how often tried, not whose it is.
func (h *Host) inboxNumbers(ctx context.Context) (any, error) {
	var out []console.InboxLanes
	var errs []error
	for i := range h.cfg.Bots {
		in, err := h.sup.Inbox().Lanes(ctx, h.cfg.Bots[i].Name, console.DefaultInbox)
		errs = append(errs, err)
		for j := range in.Lanes {
			l := &in.Lanes[j]
			l.Lane = fmt.Sprintf("%.1s#%d", l.Lane, j+1) // its kind
			l.Next.Lane = l.Lane
		}
		out = append(out, in)
	}
	return out, errors.Join(errs...)
}

// LocalReport is what can be told without the running process: the parts of a report
// about this program, this machine and this configuration, which may be nil.
func LocalReport(cfg *config.Config) (map[string][]byte, error) {
	out := map[string][]byte{"build.txt": buildText()}
	parts := map[string]any{"host.json": MachineFacts()}
	if cfg != nil {
		parts["config.json"] = reportConfig(cfg)
	}
	for name, v := range parts {
		data, err := plainText(v)
		if err != nil {
			return nil, err
		}
		out[name] = []byte(config.Redact(string(data)))
	}
	return out, nil
}
