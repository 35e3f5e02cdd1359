package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/rules"

	"github.com/spf13/cobra"
)

const rulesLong = `rules prints the alert rules for Prometheus, as YAML for a file of rule_files. There
is one for each warning that needs a person, and for what no warning sees: a process
that is gone, updates that wait, a handover that took too long, a drill that went
wrong. Each names the page that tells what to do: dualgram runbook NAME.

Each figure can be set. --thresholds lists them; with --from-config a slow handover
is one that takes longer than failover.budget.

--format operator wraps them into a PrometheusRule for the Prometheus operator,
--format alertmanager prints an example of how to route them: what pages, what
waits, what a drill may have caused, and what only follows from something else.

The rules need Prometheus 2.42 or later. dualgram is taken to be scraped as the job
"dualgram", at least once a minute:

  scrape_configs:
    - job_name: dualgram
      static_configs: [{targets: ["127.0.0.1:9464"]}]`

const rulesExample = `  dualgram rules > /etc/prometheus/rules/dualgram.yaml
  dualgram rules --threshold pending_high.warning=200 --threshold on_standby.for=2h
  dualgram rules --runbook-url https://wiki.example.com/dualgram/%s
  dualgram rules --thresholds`

func (a *app) rulesCommand() *cobra.Command {
	var (
		o          rules.Options
		set        []string
		list       bool
		fromConfig bool
		format     = choice{value: "prometheus", allowed: []string{"prometheus", "operator", "alertmanager"}}
	)
	c := &cobra.Command{
		Use: "rules", Short: "Print alert rules for Prometheus", Long: rulesLong, Example: rulesExample, GroupID: groupSetup, Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			o.Values = rules.Values{}
			if fromConfig {
				cfg, err := config.Load(a.configFile(), a.env)
				if err != nil {
					return err
				}
				o.Values["switch_slow.seconds"] = boundFor(cfg.Failover.Budget.Seconds())
			}
			if err := setThresholds(o.Values, set); err != nil {
				return err
			}
			if list {
				return a.printThresholds(o.Values)
			}
			return a.printRules(o, format.value)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Job, "job", rules.DefaultJob, "the `job` that dualgram is scraped as")
	f.StringVar(&o.RunbookURL, "runbook-url", rules.DefaultRunbookURL, "where the pages are; %s in the `URL` stands for the page's name")
	f.StringArrayVar(&set, "threshold", nil, "set a figure, as `KEY=VALUE`; may be repeated")
	f.BoolVar(&list, "thresholds", false, "list the figures instead")
	f.BoolVar(&fromConfig, "from-config", false, "take failover.budget from the configuration")
	f.Var(&format, "format", "what to print")
	return c
}

// setThresholds takes KEY=VALUE pairs.
func setThresholds(v rules.Values, pairs []string) error {
	for _, p := range pairs {
		key, value, ok := strings.Cut(p, "=")
		if !ok {
			return misuse(fmt.Sprintf("--threshold %q is not KEY=VALUE", p), "dualgram rules --thresholds lists the keys")
		}
		err := v.Set(key, value)
		var unknown *rules.UnknownKeyError
		switch {
		case errors.As(err, &unknown):
			fix := "dualgram rules --thresholds lists the keys"
			var keys []string
			for _, t := range rules.Thresholds() {
				keys = append(keys, t.Key)
			}
			if near, ok := config.Nearest(key, keys); ok {
				fix = "did you mean " + near + "?"
			}
			return misuse(err.Error(), fix)
		case err != nil:
			return misuse("--threshold "+err.Error(), "")
		}
	}
	return nil
}

// boundFor is the smallest bound that holds for a handover within the budget.
func boundFor(budget float64) string {
	for _, b := range rules.HandoverBounds {
		if x, err := strconv.ParseFloat(b, 64); err == nil && x >= budget {
			return b
		}
	}
	return rules.HandoverBounds[len(rules.HandoverBounds)-1]
}

// thresholdList is what rules --thresholds prints, dualgram/thresholds/v1.
type thresholdList struct {
	Schema     string             `json:"schema"`
	Thresholds []printedThreshold `json:"thresholds"`
}

type printedThreshold struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Default string `json:"default"`
	Unit    string `json:"unit"`
	Help    string `json:"help"`
}

func (a *app) printThresholds(v rules.Values) error {
	out := thresholdList{Schema: "dualgram/thresholds/v1"}
	rows := [][]cell{header("KEY", "VALUE", "WHAT")}
	for _, t := range rules.Thresholds() {
		p := printedThreshold{Key: t.Key, Value: t.Default, Default: t.Default, Unit: string(t.Unit), Help: t.Help}
		c := text(t.Default)
		if set, ok := v[t.Key]; ok && set != t.Default {
			p.Value, c = set, styled(bold, set)
		}
		out.Thresholds = append(out.Thresholds, p)
		rows = append(rows, []cell{text(t.Key), c, text(t.Help)})
	}
	if a.json() {
		return a.printJSON(out)
	}
	a.printer(a.stdout).table(rows...)
	return nil
}

func (a *app) printRules(o rules.Options, format string) error {
	if format == "alertmanager" {
		if a.json() {
			return misuse("--format alertmanager is YAML only", "leave out --output json")
		}
		b, err := rules.Alertmanager()
		if err != nil {
			return couldNotRun("print: "+err.Error(), "", err)
		}
		_, err = a.stdout.Write(b)
		return printed(err)
	}
	f, err := rules.Make(o)
	if err != nil {
		return misuse(err.Error(), "see dualgram rules --help")
	}
	var b []byte
	switch {
	case format == "operator" && a.json():
		b, err = f.Operator().JSON()
	case format == "operator":
		b, err = f.Operator().YAML()
	case a.json():
		b, err = f.JSON()
	default:
		b, err = f.YAML()
	}
	if err == nil {
		_, err = a.stdout.Write(b)
	}
	return printed(err)
}

// printed is what a failure to print ends in.
func printed(err error) error {
	if err != nil {
		return couldNotRun("print: "+err.Error(), "", err)
	}
	return nil
}
