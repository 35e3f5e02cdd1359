package host

import (
	"context"
	"os"
	"strconv"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/console"
)

// vitalsOf answers once the supervisor is there.
type vitalsOf struct{ h *Host }

// Vitals implements console.VitalsProvider.
func (v vitalsOf) Vitals(ctx context.Context, probe bool) (console.Vitals, error) {
	h := v.h
	if h.sup == nil {
		return console.Vitals{}, errStarting
	}
	out := console.Vitals{Schema: console.SchemaVitals, Version: h.opt.Version, PID: os.Getpid(), UID: os.Geteuid(),
		ConfigHash: config.Hash(h.cfg), FileLimit: FileLimit(), Notify: os.Getenv("NOTIFY_SOCKET") != "", Bots: h.sup.Vitals(ctx, probe)}
	if us, err := strconv.ParseFloat(os.Getenv("WATCHDOG_USEC"), 64); err == nil {
		out.WatchdogS = us / 1e6
	}
	if h.observe != nil {
		out.Observe = h.observe.Addr().String()
	}
	s := h.store.Health()
	out.Store = console.StoreVitals{Path: h.cfg.Store.Path, OK: s.OK, Full: s.Full, Since: s.Since,
		LastCommitMS: s.LastCommit.Seconds() * 1000, MaxCommitMS: s.MaxCommit.Seconds() * 1000, Commits: s.Commits, Failures: s.Failures}
	if s.Err != nil {
		out.Store.Error = s.Err.Error()
	}
	if !s.InProgress.IsZero() {
		out.Store.InProgressS = time.Since(s.InProgress).Seconds()
	}
	return out, nil
}
