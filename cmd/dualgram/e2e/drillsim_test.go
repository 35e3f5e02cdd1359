package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// simDrill is what `dualgram drill run --sim --output json` prints of a run.
type simDrill struct {
	Journal struct {
		Outcome   string
		Reasons   []string
		Simulated bool
		Fired     uint64
		Timings   struct{ Detect, Switch, Recovery *float64 }
		Pending   *int `json:"max_pending"`
		Timeline  struct {
			Poll time.Time `json:"t_first_poll"`
		}
		Rollbacks []struct{ Status, Exception string }
		Samples   []struct {
			At    time.Time
			Stage string
			Facts struct {
				Mode, Phase string
				Pending     *int
				PendingAt   time.Time `json:"pending_at"`
			}
		}
		Simulator struct {
			Rate      float64
			Shortened []string
			Books     *struct {
				Sent, Delivered, Lost, Waiting, Doubled, Altered int
				OutOfOrder                                       int      `json:"out_of_order"`
				ByPolling                                        int      `json:"by_polling"`
				Switch                                           *float64 `json:"switch_s"`
			}
		}
	}
	Head string
}

// simRun is `dualgram drill run --sim` as its user would: with nothing at hand but the
// binary. Its temporary files go where they can be counted.
type simRun struct {
	*process
	tmp string
}

func runSim(w *world, what string, args ...string) simRun {
	w.t.Helper()
	tmp, err := os.MkdirTemp("", "sim") // short: a socket goes there
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { os.RemoveAll(tmp) })
	cmd := exec.Command(binary, append([]string{"drill", "run", what, "--sim"}, args...)...)
	cmd.Env = append(environment(), "TMPDIR="+tmp)
	return simRun{w.start(cmd, "drill"), tmp}
}

// ended waits for the end and sees that nothing is left.
func (r simRun) ended(within time.Duration) (code int) {
	r.w.t.Helper()
	code = r.wait(within)
	if left, err := os.ReadDir(r.tmp); err != nil || len(left) > 0 {
		r.w.t.Errorf("left behind: %v %v", left, err)
	}
	return code
}

// experiment is a shipped one with other words in it.
func (w *world) experiment(template, file string, replace ...string) string {
	w.t.Helper()
	code, out, errs := w.cli("drill", "show", template)
	if code != 0 {
		w.t.Fatal(errs)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(out, replace[i]) {
			w.t.Fatalf("%s has no %q", template, replace[i])
		}
	}
	return w.write(file, strings.NewReplacer(replace...).Replace(out))
}

// With 50 updates a second, the two outages that a drill owner rehearses each
// quarter: polling takes over within ten seconds, few updates wait meanwhile, the
// steady state returns, and by the simulator's own books nothing is lost, doubled or
// out of order.
func TestDrillSim(t *testing.T) {
	for _, template := range []string{"certificate-expired", "black-hole"} {
		t.Run(template, func(t *testing.T) {
			w := newWorld(t)
			file := w.experiment(template, "short.yaml", "hold: 10s", "hold: 3s", "for: 45s", "for: 16s", "rollbacks: []", "rollbacks: [{action: failback}, {action: ack}]")
			kept := filepath.Join(w.dir, "kept")
			r := runSim(w, file, "--rate", "50", "--chats", "40", "--output", "json", "--keep", kept)
			code := r.ended(150 * time.Second)
			var d simDrill
			if err := json.Unmarshal([]byte(r.stdout.String()), &d); err != nil {
				t.Fatalf("%d %v %s", code, err, r.stderr)
			}
			j := d.Journal
			b := j.Simulator.Books
			if code != 0 || j.Outcome != "held" || !j.Simulated || j.Fired == 0 || b == nil {
				t.Fatalf("exit code %d, %+v", code, j)
			}
			if s := j.Timings.Switch; s == nil || *s > 10 {
				t.Errorf("switch %v", s)
			}
			if b.Switch == nil || *b.Switch > 10 || b.ByPolling < 100 {
				t.Errorf("by the simulator's books, %d by polling, the first after %v", b.ByPolling, b.Switch)
			}
			for _, s := range j.Samples {
				if p := s.Facts.Pending; s.Stage == "fault" && s.Facts.Mode == "polling" && s.Facts.Phase == "polling" && p != nil && s.Facts.PendingAt.After(j.Timeline.Poll) && *p >= 100 {
					t.Errorf("%d pending at %v, after the switch", *p, s.At)
				}
			}
			if j.Pending == nil || j.Timings.Recovery == nil {
				t.Errorf("pending %v, recovery %v", j.Pending, j.Timings.Recovery)
			}
			if b.Sent < 1500 || b.Delivered != b.Sent || b.Lost+b.Doubled+b.OutOfOrder+b.Waiting+b.Altered != 0 {
				t.Errorf("%+v", *b)
			}
			if r := j.Rollbacks; len(r) != 2 || r[0].Status != "succeeded" || r[1].Status != "succeeded" {
				t.Errorf("rollbacks %+v", r)
			}
			if len(j.Simulator.Shortened) == 0 || j.Simulator.Rate != 50 {
				t.Errorf("%+v", j.Simulator)
			}
			for _, name := range []string{"report.html", "report.md", "report.xml", "report.json", "head", "dualgram.db", "dualgram.log"} {
				if st, err := os.Stat(filepath.Join(kept, name)); err != nil || st.Size() == 0 {
					t.Errorf("%s: %v", name, err)
				}
			}
			if page, _ := os.ReadFile(filepath.Join(kept, "report.html")); !strings.Contains(string(page), "own books") || !strings.Contains(string(page), d.Head) {
				t.Error("the page has neither books nor the record's hash")
			}
			t.Logf("switch %.2f s, by the books %.2f s; %d pending at most; recovery %.1f s; %d sent", *j.Timings.Switch, *b.Switch, *j.Pending, *j.Timings.Recovery, b.Sent)
		})
	}
	// What never fires proves nothing, whatever the host does.
	t.Run("never fires", func(t *testing.T) {
		w := newWorld(t)
		file := w.experiment("server-errors", "nowhere.yaml", "hold: 10s", "hold: 3s", "for: 45s", "for: 13s", "{code: 500}", "{code: 500, path: /nowhere}")
		r := runSim(w, file)
		if code := r.ended(120 * time.Second); code != 6 || !r.stdout.contains("invalid") || !r.stdout.contains("never fired") {
			t.Errorf("%d %s %s", code, r.stdout, r.stderr)
		}
	})
	t.Run("Ctrl-C", func(t *testing.T) {
		w := newWorld(t)
		r := runSim(w, "refused")
		eventually(t, 60*time.Second, "the drill to be under way", func() error {
			if !r.stderr.contains("net.refuse begins") {
				return fmt.Errorf("%s", r.stderr)
			}
			return nil
		})
		r.signal(syscall.SIGINT)
		if code := r.ended(20 * time.Second); code != 130 {
			t.Errorf("%d %s %s", code, r.stdout, r.stderr)
		}
	})
}
