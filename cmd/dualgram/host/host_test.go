package host

import (
	"context"
	"testing"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor"
	"dualgram/supervisor/failover"
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

// TestScrub: hooks see nothing of dualgram's own environment, nor the variables that
// hold its secrets, nor anything that looks like a token.
func TestScrub(t *testing.T) {
	got := scrub([]string{"PATH=/bin", "DUALGRAM_TOKEN=x", "CREDENTIALS_DIRECTORY=/run", "NOTIFY_SOCKET=/run/n", "WATCHDOG_USEC=1", "HOOK=https://hooks.example.com/x", "BOT=123456789:AAHfakefakefakefakefakefakefakefake0", "HOME=/root"}, "HOOK")
	if len(got) != 2 || got[0] != "PATH=/bin" || got[1] != "HOME=/root" {
		t.Errorf("%q", got)
	}
}

// TestSignalDefaults: what config shows as a default is what the supervisor would
// take by itself.
func TestSignalDefaults(t *testing.T) {
	got, want := thresholds(config.Defaults()), supervisor.Thresholds{}.WithDefaults()
	got.FailBucket, got.Excuse = want.FailBucket, want.Excuse // no keys: the one follows from gobreaker, the other from Telegram
	if got != want {
		t.Errorf("config has\n%+v\nthe supervisor\n%+v", got, want)
	}
	h := Host{cfg: config.Defaults()}
	if p := h.policy(0); p != (failover.Policy{}).WithDefaults() {
		t.Errorf("policy %+v", p)
	}
}
