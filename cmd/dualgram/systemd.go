package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"dualgram/cmd/dualgram/host"
	"dualgram/supervisor/console"

	"github.com/coreos/go-systemd/v22/daemon"
)

// tellEvery is how often systemd may learn something new.
const tellEvery = time.Second

// systemd tells the service manager how dualgram is, as sd_notify(3) has it: READY
// once the loops tick, STATUS with the mode of each bot, RELOADING and STOPPING, and
// WATCHDOG for as long as the loops go on.
type systemd struct {
	// absent: nobody listens, so that there is nothing to look at.
	absent bool
	// send passes a message on; it does nothing where there is no systemd.
	send func(message string)
	// alive and status are the host's.
	alive  func(now time.Time) error
	status func(ctx context.Context) string
	// watchdog is how long systemd waits for a sign of life; 0: for ever.
	watchdog time.Duration
	// monotonic is the time since the boot, in microseconds.
	monotonic func() int64
}

func newSystemd(h *host.Host) *systemd {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		watchdog = 0 // a variable that makes no sense
	}
	return &systemd{
		absent: os.Getenv("NOTIFY_SOCKET") == "",
		// One that can't be told is not there, or knows better than we what is wrong.
		send:  func(message string) { _, _ = daemon.SdNotify(false, message) },
		alive: h.Supervisor().Alive, watchdog: watchdog, monotonic: monotonicMicroseconds,
		status: func(ctx context.Context) string {
			st, err := h.Supervisor().Status(ctx)
			if err != nil {
				return ""
			}
			return statusLine(st)
		},
	}
}

// statusLine is what systemctl status shows.
func statusLine(st console.Status) string {
	var parts []string
	warnings := map[string]bool{}
	for _, w := range st.Warnings {
		warnings[w.Code] = w.Severity != console.SeverityInfo
	}
	for _, b := range st.Bots {
		parts = append(parts, fmt.Sprintf("%s: %s", b.Name, strings.ReplaceAll(b.Phase, "_", " ")))
		for _, w := range b.Warnings {
			warnings[b.Name+"/"+w.Code] = w.Severity != console.SeverityInfo
		}
	}
	n := 0
	for code, counts := range warnings {
		// What concerns the process stands with each bot as well.
		_, own, ofBot := strings.Cut(code, "/")
		if _, twice := warnings[own]; counts && !(ofBot && twice) {
			n++
		}
	}
	if n > 0 {
		parts = append(parts, plural(n, "warning")+", see dualgram status")
	}
	return clean(strings.Join(parts, "; "))
}

// run tells systemd until the context ends, and that dualgram stops; then it shows
// that it lives until done is closed: how long that may take is TimeoutStopSec's.
func (s *systemd) run(ctx context.Context, done <-chan struct{}) {
	if s.absent {
		return
	}
	ticker := time.NewTicker(s.every())
	defer ticker.Stop()
	var told string
	var petted time.Time
	ready := false
	for {
		now := time.Now()
		if s.alive(now) == nil {
			if !ready {
				ready = true
				s.send(daemon.SdNotifyReady)
			}
			if s.watchdog > 0 && now.Sub(petted) >= s.watchdog/2-s.every() {
				petted = now
				s.send(daemon.SdNotifyWatchdog)
			}
		}
		if line := s.status(ctx); line != "" && line != told {
			told = line
			s.send("STATUS=" + line)
		}
		select {
		case <-ctx.Done():
			s.stop(done)
			return
		case <-ticker.C:
		}
	}
}

// every is the pause between two looks.
func (s *systemd) every() time.Duration {
	if s.watchdog > 0 {
		return min(tellEvery, s.watchdog/8)
	}
	return tellEvery
}

func (s *systemd) stop(done <-chan struct{}) {
	s.send(daemon.SdNotifyStopping + "\nSTATUS=stopping: the bots take what is waiting")
	ticker := time.NewTicker(s.every())
	defer ticker.Stop()
	for {
		if s.watchdog > 0 {
			s.send(daemon.SdNotifyWatchdog)
		}
		select {
		case <-done:
			return
		case <-ticker.C:
		}
	}
}

// reload tells that the files are read again, and that they have been.
func (s *systemd) reload(f func()) {
	s.send(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, s.monotonic()))
	f()
	s.send(daemon.SdNotifyReady)
}
