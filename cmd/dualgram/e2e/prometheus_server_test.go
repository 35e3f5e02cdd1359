//go:build prometheus || runbooks

package e2e_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"time"
)

// prometheus is a server that watches one dualgram.
type prometheus struct {
	w    *world
	base string
}

// watch starts a Prometheus at the address, with the rules that `dualgram rules`
// prints for the thresholds. It scrapes and evaluates every second. targets is how it
// finds what it scrapes, one line of a scrape configuration; see [world.itself].
func (w *world) watch(addr, targets string, thresholds ...string) *prometheus {
	w.t.Helper()
	for _, tool := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(tool); err != nil {
			w.t.Fatalf("%v (Debian: prometheus)", err)
		}
	}
	args := []string{"rules"}
	for _, r := range thresholds {
		args = append(args, "--threshold", r)
	}
	code, rules, errs := w.cli(args...)
	if code != 0 {
		w.t.Fatal(errs)
	}
	w.write("rules.yaml", rules)
	config := w.write("prometheus.yaml", `
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: dualgram
    `+targets+`
`)
	cmd := exec.Command("prometheus", "--config.file="+config, "--storage.tsdb.path="+w.file("tsdb"), "--web.listen-address="+addr, "--log.level=warn")
	cmd.Env = environment()
	w.start(cmd, "prometheus")
	p := &prometheus{w, "http://" + addr}
	eventually(w.t, 20*time.Second, "Prometheus is ready", func() error {
		resp, err := http.Get(p.base + "/-/ready")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", resp.Status)
		}
		return nil
	})
	return p
}

// itself lets Prometheus scrape the world's dualgram.
func (w *world) itself() string { return "static_configs: [{targets: [" + w.conf.Observe + "]}]" }
