package host

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
	"dualgram/supervisor/notify"
	"dualgram/supervisor/warning"
	"dualgram/transport/botapi"

	"github.com/prometheus/client_golang/prometheus"
)

// The channels by which people are told.
const (
	channelWebhook   = "webhook"
	channelTelegram  = "telegram"
	channelHeartbeat = "heartbeat"
)

// outward is what leaves the host on its own account: notifications and the
// heartbeat. Nothing of an update does.
type outward struct {
	h        *Host
	secrets  atomic.Pointer[config.Outward]
	notifier *notify.Notifier  // nil: nobody is told
	beat     *notify.Heartbeat // nil: nobody listens

	sent, failed         *prometheus.CounterVec
	beatAt               prometheus.Gauge
	beatsSent, beatsLost prometheus.Counter
}

// openOutward reads the addresses, and makes the channels that are configured.
func (h *Host) openOutward(apis map[string]*botapi.Client) error {
	o := &outward{h: h}
	secrets, warnings, err := config.ReadOutward(h.cfg)
	h.warn(warnings)
	if err != nil {
		return err
	}
	o.secrets.Store(&secrets)
	if err := o.register(h.reg); err != nil {
		return err
	}
	h.reload = append(h.reload, o.reread)
	o.notifier, o.beat = o.channels(apis), o.heartbeat()
	h.outward = o
	return nil
}

// channels makes the notifier; nil if there is no channel.
func (o *outward) channels(apis map[string]*botapi.Client) *notify.Notifier {
	c := o.h.cfg.Notify
	if !c.On() {
		return nil
	}
	repeat := c.Repeat
	if repeat == 0 {
		repeat = -1
	}
	name, _ := os.Hostname()
	opt := notify.Options{Rules: notify.Rules{MinSeverity: warning.Severity(c.MinSeverity), Repeat: repeat},
		Host: name, Version: o.h.opt.Version, Look: o.look, Observe: o.told, Logger: o.h.log}
	if c.Webhook != nil {
		opt.Channels = append(opt.Channels, notify.Channel{Name: channelWebhook, Sender: notify.NewWebhook(notify.WebhookOptions{
			URL:    func() string { return o.secrets.Load().WebhookURL.Reveal() },
			Secret: func() string { return o.secrets.Load().WebhookSecret.Reveal() },
		})})
	}
	if t := c.Telegram; t != nil {
		opt.Channels = append(opt.Channels, notify.Channel{Name: channelTelegram, Sender: notify.NewTelegram(apis[t.Bot], string(t.ChatID))})
	}
	for _, ch := range opt.Channels {
		o.sent.WithLabelValues(ch.Name)
		o.failed.WithLabelValues(ch.Name)
	}
	return notify.New(opt)
}

func (o *outward) heartbeat() *notify.Heartbeat {
	c := o.h.cfg.Heartbeat
	if c == nil {
		return nil
	}
	return notify.NewHeartbeat(notify.HeartbeatOptions{
		URL:      func() string { return o.secrets.Load().HeartbeatURL.Reveal() },
		Interval: c.Interval, Style: c.Style, Healthy: o.healthy, Logger: o.h.log,
		Beaten: func(suffix string, err error) {
			switch {
			case err != nil:
				o.beatsLost.Inc()
			case suffix == "":
				o.beatsSent.Inc()
				o.beatAt.Set(float64(time.Now().UnixMilli()) / 1000)
			}
		},
	})
}

// healthy: the loops tick, and updates can be taken in.
func (o *outward) healthy(now time.Time) error {
	return errors.Join(o.h.sup.Alive(now), o.h.sup.Flowing(now))
}

func (o *outward) look(now time.Time) notify.Snapshot {
	return notify.Snapshot{Conditions: o.h.sup.Conditions(now), Drilled: func(bot string) bool { return o.h.sup.Drilled(bot, now) }}
}

// told counts a notification and writes it down. Of failures in a row the first is
// enough.
func (o *outward) told(r notify.Report) {
	if r.Err == nil {
		o.sent.WithLabelValues(r.Channel).Inc()
	} else {
		o.failed.WithLabelValues(r.Channel).Inc()
	}
	if r.Failures > 1 {
		return
	}
	bots, whole := r.Message.Concerns()
	if whole {
		bots = nil
	}
	o.h.sup.NoteNotice(o.h.life, supervisor.Notice{Channel: r.Channel, Bots: bots, Summary: r.Message.Summary(), Count: len(r.Message.Items), Err: r.Err})
}

// reread takes in files that were replaced; what can't be read is left as it was.
func (o *outward) reread() {
	secrets, _, err := config.ReadOutward(o.h.cfg)
	if err != nil {
		o.h.log.Warn().Str("error", config.Redact(err.Error())).Msg("the addresses of notify and heartbeat were not read again; those in service stay")
		return
	}
	o.secrets.Store(&secrets)
}

// run tells people and the watcher until the context ends.
func (o *outward) run(ctx context.Context, wg *sync.WaitGroup) {
	if o.notifier != nil {
		wg.Go(func() { o.notifier.Run(ctx) })
	}
	if o.beat != nil {
		wg.Go(func() { o.beat.Run(ctx) })
	}
}

func (o *outward) register(reg prometheus.Registerer) error {
	o.sent = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dualgram_notifications_sent_total",
		Help: "Messages by which people were told of warnings."}, []string{"channel"})
	o.failed = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dualgram_notifications_failed_total",
		Help: "Attempts to tell people of warnings that failed."}, []string{"channel"})
	o.beatAt = prometheus.NewGauge(prometheus.GaugeOpts{Name: "dualgram_heartbeat_last_success_timestamp_seconds",
		Help: "When the watcher outside last heard that all is well; 0 if it never did."})
	o.beatsSent = prometheus.NewCounter(prometheus.CounterOpts{Name: "dualgram_heartbeats_sent_total", Help: "Heartbeats that the watcher outside has heard."})
	o.beatsLost = prometheus.NewCounter(prometheus.CounterOpts{Name: "dualgram_heartbeats_failed_total", Help: "Heartbeats that did not get through."})
	all := []prometheus.Collector{o.sent, o.failed}
	if o.h.cfg.Heartbeat != nil {
		all = append(all, o.beatAt, o.beatsSent, o.beatsLost)
	}
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// testerOf tries the channels once the supervisor is there.
type testerOf struct{ h *Host }

// TestNotify implements [console.NotifyTester].
func (t testerOf) TestNotify(ctx context.Context) ([]console.NotifyChannel, error) {
	o := t.h.outward
	if t.h.sup == nil || o == nil {
		return nil, errStarting
	}
	var out []console.NotifyChannel
	add := func(name string, began time.Time, err error) {
		c := console.NotifyChannel{Name: name, OK: err == nil, Took: time.Since(began).Seconds()}
		if err != nil {
			c.Error = config.Redact(err.Error())
		}
		var e *notify.Error
		if errors.As(err, &e) {
			c.Fix = e.Hint
		}
		out = append(out, c)
	}
	if o.notifier != nil {
		began := time.Now()
		o.notifier.Test(ctx, func(r notify.Report) { add(r.Channel, began, r.Err); began = time.Now() })
	}
	if o.beat != nil {
		began := time.Now()
		add(channelHeartbeat, began, o.beat.Beat(ctx))
	}
	return out, nil
}
