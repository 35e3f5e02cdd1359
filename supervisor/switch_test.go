package supervisor_test

import (
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/telegramsim"

	"github.com/rs/zerolog"
)

// TestSwitchAndBack is the whole story once: webhook, a fault, polling, the
// fault's end, webhook again.
func TestSwitchAndBack(t *testing.T) {
	for _, kind := range []chaos.Kind{"tls.expired", "net.blackhole", "http.status", "net.refuse", "net.reset", "http.hang"} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				if testing.Verbose() {
					w.log = zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, NoColor: true, TimeFormat: "15:04:05.000"}).With().Timestamp().Logger().Level(zerolog.DebugLevel)
					zerolog.TimeFieldFormat = time.RFC3339Nano
				}
				w.sim.SetKnobs(telegramsim.Knobs{Latency: 20 * time.Millisecond, LatencyMax: 200 * time.Millisecond})
				h := w.start(nil)
				if err := h.await("webhook", true, 10*time.Second); err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				traffic := make(chan error, 1)
				go func() {
					traffic <- telegramsim.Traffic{Seed: 1, Bot: w.botID, Rate: 20, Chats: 10}.Run(ctx, w.sim)
				}()
				if err := h.await("webhook", false, 70*time.Second); err != nil {
					t.Fatal(err)
				}
				onset := time.Now()
				lease, err := h.faults.Inject(chaos.Spec{Kind: kind, For: 10 * time.Minute})
				if err != nil {
					t.Fatal(err)
				}
				if err := h.await("polling", false, 10*time.Second); err != nil {
					t.Fatal(err)
				}
				t.Logf("%s: polling after %v", kind, time.Since(onset))
				time.Sleep(5 * time.Second)
				lease.End()
				if err := h.await("webhook", true, 30*time.Second); err != nil {
					t.Fatal(err)
				}
				if err := h.await("webhook", false, 70*time.Second); err != nil {
					t.Fatal(err)
				}
				stop()
				<-traffic
				time.Sleep(3 * time.Second)
				if err := h.stop(); err != nil {
					t.Fatal(err)
				}
				v := judge(w, onset)
				t.Logf("%+v", v.Figures)
				for _, p := range v.Problems {
					t.Error(p)
				}
				w.close()
			})
		})
	}
}
