package host

import (
	"context"
	"testing"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor"
)

// TestBudgetAgrees: what the configuration adds up is what the supervisor may
// take in fact.
func TestBudgetAgrees(t *testing.T) {
	cfg := config.Defaults()
	cfg.Bots = []config.Bot{config.DefaultBot()}
	for _, hooks := range [][]config.Hook{nil, {{"/bin/true"}}, {{"/bin/true"}, {"/bin/false"}}} {
		cfg.Failover.Hooks.Veto = hooks
		o := supervisor.BotOptions{Thresholds: supervisor.Thresholds{InfoInterval: cfg.Failover.InfoInterval}}
		if len(hooks) > 0 {
			o.Veto = func(context.Context, supervisor.Handover) error { return nil }
			o.VetoDeadline = vetoBudget(hooks)
		}
		if got, want := config.BudgetSum(cfg).Sum, o.Worst(); got != want {
			t.Errorf("%d veto hooks: the configuration allows for %v, the supervisor may take %v", len(hooks), got, want)
		}
	}
}

// TestScrub: hooks see nothing of dualgram's own environment, nor anything that
// looks like a token.
func TestScrub(t *testing.T) {
	got := scrub([]string{"PATH=/bin", "DUALGRAM_TOKEN=x", "CREDENTIALS_DIRECTORY=/run", "BOT=123456789:AAHfakefakefakefakefakefakefakefake0", "HOME=/root"})
	if len(got) != 2 || got[0] != "PATH=/bin" || got[1] != "HOME=/root" {
		t.Errorf("%q", got)
	}
}
