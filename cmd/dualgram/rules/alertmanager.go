package rules

import (
	"slices"

	"github.com/goccy/go-yaml"
)

// alertmanagerFile is as much of an Alertmanager configuration as the example has.
type alertmanagerFile struct {
	Route     route        `yaml:"route"`
	Inhibit   []Inhibition `yaml:"inhibit_rules"`
	Receivers []receiver   `yaml:"receivers"`
}

type route struct {
	Receiver       string   `yaml:"receiver,omitempty"`
	Matchers       []string `yaml:"matchers,omitempty"`
	GroupBy        []string `yaml:"group_by,omitempty"`
	GroupWait      string   `yaml:"group_wait,omitempty"`
	GroupInterval  string   `yaml:"group_interval,omitempty"`
	RepeatInterval string   `yaml:"repeat_interval,omitempty"`
	Routes         []route  `yaml:"routes,omitempty"`
}

// Inhibition says that while one alert fires others are not sent.
type Inhibition struct {
	Source []string `yaml:"source_matchers"`
	Target []string `yaml:"target_matchers"`
	Equal  []string `yaml:"equal"`
}

type receiver struct {
	Name     string          `yaml:"name"`
	Webhooks []webhookTarget `yaml:"webhook_configs"`
}

type webhookTarget struct {
	URL          string `yaml:"url"`
	SendResolved bool   `yaml:"send_resolved"`
}

const alertmanagerHead = `# An example of how to route what dualgram rules makes. Replace the receivers.
#
# Critical pages, a warning waits until somebody is at work. What a fault that was
# injected on purpose may have caused goes to whoever rehearses: it is not silenced,
# since a drill may go wrong. What only follows from something else that fires is
# not sent; that list is made from the registry of warnings.
`

// Alertmanager writes the example.
func Alertmanager() ([]byte, error) {
	f := alertmanagerFile{
		Route: route{Receiver: "chat", GroupBy: []string{"instance", "bot"}, GroupWait: "10s", GroupInterval: "5m", RepeatInterval: "1d",
			Routes: []route{
				{Receiver: "dead-mans-switch", Matchers: []string{`alertname="` + AlertName("watchdog") + `"`}, GroupWait: "0s", GroupInterval: "1m", RepeatInterval: "1m"},
				{Receiver: "rehearsal", Matchers: []string{`drill="true"`}},
				{Receiver: "pager", Matchers: []string{`severity="critical"`}, RepeatInterval: "1h"},
			}},
		Inhibit: Inhibitions(),
	}
	for _, r := range [][2]string{{"chat", "http://127.0.0.1:9096/chat"}, {"pager", "http://127.0.0.1:9096/pager"},
		{"rehearsal", "http://127.0.0.1:9096/rehearsal"}, {"dead-mans-switch", "http://127.0.0.1:9096/dead-mans-switch"}} {
		f.Receivers = append(f.Receivers, receiver{r[0], []webhookTarget{{r[1], r[0] != "dead-mans-switch"}}})
	}
	b, err := yaml.MarshalWithOptions(f, yaml.IndentSequence(true))
	return append([]byte(alertmanagerHead), b...), err
}

// Inhibitions says which alert keeps which others from being sent: what explains them,
// for the same bot, or for all of them if it is about the process. A critical one also
// stands for its own warning.
func Inhibitions() []Inhibition {
	follow := map[string][]string{}
	scope := map[string]Scope{}
	var order []string
	for _, a := range Alerts() {
		if _, seen := scope[a.Name]; !seen {
			order = append(order, a.Name)
		}
		scope[a.Name] = a.Scope
		for _, p := range a.DependsOn {
			if !slices.Contains(follow[p], AlertName(a.Name)) {
				follow[p] = append(follow[p], AlertName(a.Name))
			}
		}
	}
	all := []Inhibition{{[]string{`severity="critical"`, `alertname=~"Dualgram.+"`}, []string{`severity="warning"`}, []string{"alertname", "job", "instance", "bot", "to"}}}
	for _, parent := range order {
		children := follow[parent]
		if len(children) == 0 {
			continue
		}
		slices.Sort(children)
		target := `alertname=~"` + children[0]
		for _, c := range children[1:] {
			target += "|" + c
		}
		equal := []string{"job", "instance"}
		if scope[parent] == OfBot {
			equal = append(equal, "bot")
		}
		all = append(all, Inhibition{[]string{`alertname="` + AlertName(parent) + `"`}, []string{target + `"`}, equal})
	}
	return all
}
