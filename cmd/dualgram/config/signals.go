package config

import (
	"fmt"
	"time"
)

// Signals are the figures that the detector judges by. The defaults suit nearly
// everybody; the budget's arithmetic holds for whatever is written here.
type Signals struct {
	Info          InfoCalls           `key:"info"`
	FailRate      FailRateSignal      `key:"fail_rate"`
	Timeout       TimeoutSignal       `key:"timeout"`
	Stall         StallSignal         `key:"stall"`
	Hole          HoleSignal          `key:"hole"`
	Redelivery    RedeliverySignal    `key:"redelivery"`
	TelegramError TelegramErrorSignal `key:"telegram_error"`
	Probe         ProbeSignal         `key:"probe"`
	Impostor      ImpostorSignal      `key:"impostor"`
	Standby       StandbySignal       `key:"standby"`
	Store         StoreSignal         `key:"store"`
}

// InfoCalls is how getWebhookInfo is called; its steady pause is
// failover.info_interval.
type InfoCalls struct {
	// Suspect is the pause between two calls while a signal is suspect.
	Suspect time.Duration `key:"suspect"`
	// Deadline is that of each call.
	Deadline time.Duration `key:"deadline"`
}

// FailRateSignal trips when Percent of at least Min deliveries failed within Window by our
// own doing, or Row in a row over at least Span.
type FailRateSignal struct {
	Window  time.Duration `key:"window"`
	Percent int           `key:"percent"`
	Min     int           `key:"min"`
	Row     int           `key:"row"`
	Span    time.Duration `key:"span"`
}

// TimeoutSignal trips when a delivery has been in progress for so long.
type TimeoutSignal struct {
	After time.Duration `key:"after"`
}

// StallSignal trips when updates were pending for so long and none arrived. Doubted is the
// time while the probe or the listener are in doubt as well.
type StallSignal struct {
	After   time.Duration `key:"after"`
	Doubted time.Duration `key:"doubted"`
}

// HoleSignal trips when the same update_id was missing for so long while later ones arrived;
// or so many that were missing were no longer at Telegram within GoneWindow.
type HoleSignal struct {
	After      time.Duration `key:"after"`
	Gone       int           `key:"gone"`
	GoneWindow time.Duration `key:"gone_window"`
}

// RedeliverySignal trips at Min deliveries within Window of what had been acknowledged
// After earlier or more.
type RedeliverySignal struct {
	Min    int           `key:"min"`
	Window time.Duration `key:"window"`
	After  time.Duration `key:"after"`
}

// TelegramErrorSignal trips at a hard error that stands for Confirm, or Soft others within
// Window, at least Span apart.
type TelegramErrorSignal struct {
	Confirm time.Duration `key:"confirm"`
	Soft    int           `key:"soft"`
	Window  time.Duration `key:"window"`
	Span    time.Duration `key:"span"`
}

// ProbeSignal trips when Bad of the last Of probes are bad. Suspect is the pause between two
// probes while something is suspect.
type ProbeSignal struct {
	Interval time.Duration `key:"interval"`
	Suspect  time.Duration `key:"suspect"`
	Bad      int           `key:"bad"`
	Of       int           `key:"of"`
}

// ImpostorSignal trips when Row probes in a row were answered by somebody else.
type ImpostorSignal struct {
	Row int `key:"row"`
}

// StandbySignal is how often it is checked that polling could take over.
type StandbySignal struct {
	Interval time.Duration `key:"interval"`
}

// StoreSignal trips when a commit has been in progress for so long.
type StoreSignal struct {
	SlowCommit time.Duration `key:"slow_commit"`
}

func defaultSignals() Signals {
	const ms = time.Millisecond
	return Signals{
		Info:          InfoCalls{Suspect: 500 * ms, Deadline: time.Second},
		FailRate:      FailRateSignal{Window: 4 * time.Second, Percent: 50, Min: 5, Row: 3, Span: 1500 * ms},
		Timeout:       TimeoutSignal{After: 2250 * time.Millisecond},
		Stall:         StallSignal{After: 3 * time.Second, Doubted: time.Second},
		Hole:          HoleSignal{After: 4 * time.Second, Gone: 2, GoneWindow: time.Minute},
		Redelivery:    RedeliverySignal{Min: 2, Window: 10 * time.Second, After: time.Second},
		TelegramError: TelegramErrorSignal{Confirm: time.Second, Soft: 2, Window: 10 * time.Second, Span: 2 * time.Second},
		Probe:         ProbeSignal{Interval: 4 * time.Second, Suspect: 500 * ms, Bad: 3, Of: 4},
		Impostor:      ImpostorSignal{Row: 2},
		Standby:       StandbySignal{Interval: 30 * time.Second},
		Store:         StoreSignal{SlowCommit: 2 * time.Second},
	}
}

// signals checks that each figure makes sense. Zero would mean the default to the
// supervisor and something else to whoever wrote it.
func (l *loader) signals() {
	s := &l.cfg.Signals
	for key, d := range map[string]time.Duration{
		"info.suspect": s.Info.Suspect, "info.deadline": s.Info.Deadline,
		"fail_rate.window": s.FailRate.Window, "fail_rate.span": s.FailRate.Span, "timeout.after": s.Timeout.After,
		"stall.after": s.Stall.After, "stall.doubted": s.Stall.Doubted, "hole.after": s.Hole.After, "hole.gone_window": s.Hole.GoneWindow,
		"redelivery.window": s.Redelivery.Window, "redelivery.after": s.Redelivery.After,
		"telegram_error.confirm": s.TelegramError.Confirm, "telegram_error.window": s.TelegramError.Window, "telegram_error.span": s.TelegramError.Span,
		"probe.interval": s.Probe.Interval, "probe.suspect": s.Probe.Suspect, "standby.interval": s.Standby.Interval, "store.slow_commit": s.Store.SlowCommit,
	} {
		if d <= 0 {
			l.wrong("signals."+key, "is zero", "write a duration such as 3s, or leave the key out")
		}
	}
	for key, n := range map[string]int{
		"fail_rate.min": s.FailRate.Min, "fail_rate.row": s.FailRate.Row, "hole.gone": s.Hole.Gone, "redelivery.min": s.Redelivery.Min,
		"telegram_error.soft": s.TelegramError.Soft, "probe.bad": s.Probe.Bad, "probe.of": s.Probe.Of, "impostor.row": s.Impostor.Row,
	} {
		if n < 1 {
			l.wrong("signals."+key, fmt.Sprintf("is %d", n), "write a number from 1, or leave the key out")
		}
	}
	if p := s.FailRate.Percent; p < 1 || p > 100 {
		l.wrong("signals.fail_rate.percent", fmt.Sprintf("is %d", p), "write a number from 1 to 100")
	}
	if s.Probe.Bad > s.Probe.Of {
		l.wrong("signals.probe.bad", fmt.Sprintf("%d of the last %d probes can't be bad", s.Probe.Bad, s.Probe.Of), "make it at most signals.probe.of")
	}
	if s.FailRate.Window < 500*time.Millisecond && s.FailRate.Window > 0 {
		l.wrong("signals.fail_rate.window", "is shorter than the 500ms in which deliveries are counted", "write 1s or more")
	}
}
