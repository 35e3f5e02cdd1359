package check

import (
	"context"
	"slices"

	"dualgram/cmd/dualgram/host"
)

// drills looks whether those that are scheduled are run.
func (k *checkup) drills(ctx context.Context, b *bot, f *findings) {
	switch {
	case len(k.cfg.Drills.Schedules) == 0:
		f.skip(DrillsFresh, "none are scheduled")
		return
	case k.notLive(f, DrillsFresh):
		return
	}
	st, err := k.o.Live.Drills(ctx)
	if err != nil {
		f.skip(DrillsFresh, "the running dualgram doesn't tell: %s", err)
		return
	}
	i := slices.IndexFunc(st.Bots, func(d host.BotDrill) bool { return d.Bot == b.c.Name })
	if i < 0 || len(st.Bots[i].Plans) == 0 && st.Bots[i].Error == "" {
		f.skip(DrillsFresh, "none are scheduled for this bot")
		return
	}
	d := st.Bots[i]
	if d.Error != "" {
		f.fail(DrillsFresh, "See dualgram drill history --verify: no drill runs until its records are whole.", "no drill can run: %s", d.Error)
		return
	}
	var late []string
	for _, p := range d.Plans {
		if !p.OverdueSince.IsZero() {
			late = append(late, p.Experiment+" since "+p.OverdueSince.UTC().Format("2006-01-02"))
		}
	}
	if len(late) > 0 {
		f.warn(DrillsFresh, "", "overdue: %s", names(late))
		return
	}
	f.pass(DrillsFresh, "%d scheduled, none is overdue", len(d.Plans))
}
