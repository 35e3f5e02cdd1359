//go:build runbooks && linux

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/chaos/drill"
	"dualgram/cmd/dualgram/host"
	"dualgram/store"
)

// deviated is a host that did not do in a drill what is expected of it, because a
// program of the operator's forbids each failover.
func deviated() state {
	const veto = "may-fail-over"
	answer := func(w *world, program string) {
		w.t.Helper()
		path, err := exec.LookPath(program)
		if err != nil {
			w.t.Fatal(err)
		}
		next := w.file(veto + ".next")
		if err := os.Symlink(path, next); err != nil {
			w.t.Fatal(err)
		}
		if err := os.Rename(next, w.file(veto)); err != nil {
			w.t.Fatal(err)
		}
	}
	return state{page: "drill_deviated", patience: 2 * time.Minute,
		conf: func(w *world) {
			answer(w, "false")
			// As with the values in use, the fault is over before the failback.
			w.conf.Failover = strings.Replace(w.conf.Failover, "hold_down: 1s", "hold_down: 13s", 1) + fmt.Sprintf(", hooks: {veto: [[%s]]}", w.file(veto))
		},
		begin: func(b *book) {
			b.trialPassed()
			code, printed := b.shell(`dualgram drill run refused --reason "a page is tried"`)
			if code != 1 || !strings.Contains(printed, "did not fail over") {
				b.t.Fatalf("the drill: %d %s", code, printed)
			}
		},
		mend: func(b *book) {
			b.calm()
			answer(b.world, "true")
		}}
}

// overdue is a host with a daily drill, and a history by which it has been due for
// two days.
func overdue() state {
	return state{page: "drill_overdue", patience: 2 * time.Minute,
		conf: func(w *world) {
			// Half a day away from now, so that it doesn't begin by itself.
			daily := drill.Schedule{Experiment: "certificate-expired", Cron: fmt.Sprintf("0 %d * * *", time.Now().UTC().Add(12*time.Hour).Hour())}
			w.inForce(daily, time.Now().Add(-72*time.Hour))
			w.conf.More = strings.Replace(w.conf.More, "drills: {", fmt.Sprintf("drills: {schedules: [{experiment: %s, cron: %q}], ", daily.Experiment, daily.Cron), 1)
		},
		begin: (*book).trialPassed}
}

// inForce writes into the store that a schedule came into force at the time, in a
// bubble where it is that time.
func (w *world) inForce(s drill.Schedule, at time.Time) {
	w.t.Helper()
	synctest.Test(w.t, func(t *testing.T) {
		time.Sleep(time.Until(at))
		st, err := store.Open(store.Options{Path: w.conf.Store})
		if err != nil {
			t.Fatal(err)
		}
		l, err := st.Ledger(w.botID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := drill.New(t.Context(), drill.Options{Bot: w.conf.Name, Store: host.DrillStore(l), Schedules: []drill.Schedule{s}}); err != nil {
			t.Fatal(err)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// calm waits until nothing calls for a failover any more.
func (b *book) calm() {
	b.t.Helper()
	b.p.until(60*time.Second, "all quiet", func(s botStatus) bool {
		return s.Phase == "webhook" && !s.Trial && !slices.ContainsFunc(s.Signals, func(x struct{ Name, State, Detail string }) bool { return x.State != "ok" })
	})
}

// trialPassed waits until a drill may begin.
func (b *book) trialPassed() {
	b.t.Helper()
	b.p.until(60*time.Second, "a proven webhook", func(s botStatus) bool { return s.Phase == "webhook" && !s.Trial })
}
