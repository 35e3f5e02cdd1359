package supervisor

import (
	"context"
	"sync"
	"time"

	"dualgram/supervisor/console"
	"dualgram/transport/probe"
)

// Vitals is what each bot's part knows beside its status. With look, each webhook is
// probed once more, beside the probes that count: this one is forgotten.
func (s *Supervisor) Vitals(ctx context.Context, look bool) []console.BotVitals {
	out := make([]console.BotVitals, len(s.bots))
	var probes sync.WaitGroup
	for i, b := range s.bots {
		v := b.snapshot()
		out[i] = console.BotVitals{Name: b.opt.Name, SkewS: v.Skew.Seconds()}
		if b.server != nil {
			out[i].Connections = b.server.current().MaxConns()
		}
		if look && b.probe.prober != nil {
			probes.Go(func() { out[i].Probe = probeVitals(b.probe.prober.Probe(ctx, v.Address)) })
		}
	}
	probes.Wait()
	return out
}

func probeVitals(r probe.Result) *console.ProbeVitals {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	out := &console.ProbeVitals{OK: r.OK, Stage: string(r.Stage), Reason: string(r.Reason), Detail: r.Detail, Status: r.Status,
		Impostor: r.Impostor, Advice: []console.ProbeAdvice{}, NotBefore: r.NotBefore, NotAfter: r.NotAfter, TookMS: ms(r.Took),
		StagesMS: console.ProbeStageTime{DNS: ms(r.Timings.DNS), Connect: ms(r.Timings.Connect), TLS: ms(r.Timings.TLS), HTTP: ms(r.Timings.HTTP)}}
	if r.Address.IsValid() {
		out.Address = r.Address.String()
	}
	for _, a := range r.Advice {
		out.Advice = append(out.Advice, console.ProbeAdvice{Code: a.Code, Detail: a.Detail})
	}
	return out
}
