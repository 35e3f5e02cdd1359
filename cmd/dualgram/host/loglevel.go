package host

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor"
	"dualgram/supervisor/console"

	"github.com/rs/zerolog"
)

// LogLevel is a level that can be changed while dualgram runs: a hook of the one
// logger, which itself lets everything through.
type LogLevel struct {
	configured zerolog.Level
	now        atomic.Int32

	mu    sync.Mutex
	until time.Time
	by    *console.Said
	timer *time.Timer
}

// NewLogLevel begins with what the configuration says.
func NewLogLevel(configured zerolog.Level) *LogLevel {
	l := &LogLevel{configured: configured}
	l.now.Store(int32(configured))
	return l
}

// Run implements zerolog.Hook: what is below the level is not written.
func (l *LogLevel) Run(e *zerolog.Event, level zerolog.Level, _ string) {
	if level < zerolog.Level(l.now.Load()) {
		e.Discard()
	}
}

// set changes the level, until the time is over if there is one. over is called when
// it is.
func (l *LogLevel) set(level zerolog.Level, lasts time.Duration, by *console.Said, over func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop()
	l.now.Store(int32(level))
	l.until, l.by = time.Time{}, by
	if level == l.configured {
		l.by = nil
		return
	}
	if lasts <= 0 {
		return
	}
	l.until = time.Now().Add(lasts).Round(0)
	var mine *time.Timer
	mine = time.AfterFunc(lasts, func() {
		l.mu.Lock()
		current := l.timer == mine // else another word was given meanwhile
		if current {
			l.now.Store(int32(l.configured))
			l.until, l.by, l.timer = time.Time{}, nil, nil
		}
		l.mu.Unlock()
		if current {
			over()
		}
	})
	l.timer = mine
}

func (l *LogLevel) stop() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// Close keeps what is in force from ending later.
func (l *LogLevel) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop()
}

func (l *LogLevel) state() console.LogState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return console.LogState{Level: zerolog.Level(l.now.Load()).String(), Configured: l.configured.String(), Until: l.until, By: l.by}
}

// logOf is the log as the control API sees it.
type logOf struct{ h *Host }

func (o logOf) level() (*LogLevel, error) {
	if o.h.opt.Level == nil {
		return nil, &console.Failure{Code: console.CodeUnsupported, Message: "this dualgram's log has a fixed level"}
	}
	return o.h.opt.Level, nil
}

// Log implements [console.LogLeveler].
func (o logOf) Log(context.Context) (console.LogState, error) {
	l, err := o.level()
	if err != nil {
		return console.LogState{}, err
	}
	return l.state(), nil
}

// SetLog implements [console.LogLeveler].
func (o logOf) SetLog(ctx context.Context, order console.LogOrder) (console.LogState, error) {
	l, err := o.level()
	if err != nil {
		return console.LogState{}, err
	}
	level, err := zerolog.ParseLevel(order.Level)
	if err != nil {
		return console.LogState{}, &console.Failure{Code: console.CodeBadRequest, Message: err.Error()}
	}
	order.Reason = config.Redact(order.Reason)
	log := o.h.log
	audited := supervisor.Audited{Name: "log_level", Level: order.Level, By: order.By, Reason: order.Reason, For: order.For}
	if o.h.sup == nil {
		return console.LogState{}, errStarting
	}
	if err := o.h.sup.Audit(ctx, audited); err != nil {
		// Said where somebody will look next.
		log.Error().Err(err).Str("level", order.Level).Stringer("by", order.By).Str("reason", order.Reason).Msg("the level of the log changes, and the journal could not be told")
	}
	l.set(level, order.For, &console.Said{Command: "log_level", At: time.Now(), By: order.By, Reason: order.Reason}, func() {
		log.Log().Str("event", "operator").Str("name", "log_level").Str("level", l.configured.String()).Msg("the level of the log is the configured one again")
	})
	return l.state(), nil
}
