// Package host puts a running dualgram together from its configuration: the
// store, a Bot API client and a webhook listener for each bot, the supervisor,
// the control socket, the observe listener.
//
// The guarantee: whatever can be found wrong without Telegram's help is an error
// of [New], before any webhook is touched; and [Host.Run] ends in the order that
// loses nothing: intake goes on while the lanes drain, then the listeners close,
// then the store.
package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"dualgram/chaos"
	"dualgram/chaos/drill"
	"dualgram/cmd/dualgram/config"
	"dualgram/store"
	"dualgram/supervisor"
	"dualgram/supervisor/console"
	"dualgram/supervisor/console/page"
	"dualgram/transport/botapi"
	"dualgram/transport/probe"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
)

// Options is what a [Host] is made of besides its configuration.
type Options struct {
	Version string
	Logger  zerolog.Logger
	// Simulated says that Telegram is played; nil means that it is the real one.
	Simulated *Simulated
	// TakeOver replaces a foreign webhook found at the start.
	TakeOver bool
	// Faults is the registry whose injectors are built in; nil means one made
	// from the configuration's chaos section.
	Faults *chaos.Registry
	// Observe sees each event of each bot. It must not block.
	Observe func(supervisor.Event)
	// HoldDown is the policy's upper bound of the hold-down; 0 means the default.
	MaxHoldDown time.Duration
	// Level, if not nil, is the hook of Logger that says what is logged.
	Level *LogLevel
	// Exit ends the process at a named point, for crash.at; nil means kill -9.
	Exit func(point string)
	// Stdout is where deliver.ndjson writes for the path "-"; nil means os.Stdout.
	Stdout interface{ Write([]byte) (int, error) }
}

// Host is a dualgram that is ready to run.
type Host struct {
	cfg *config.Config
	opt Options
	log zerolog.Logger
	// plainLog is log without the ID of the drill under way, for lines that have one.
	plainLog zerolog.Logger
	store    *store.Store
	faults   *chaos.Registry
	orders   *faultOrders
	// drillHosts and offices are by the bot's name; life ends with the host's.
	drillHosts map[string]*drillHost
	offices    map[string]*drillOffice
	drilling   atomic.Pointer[[]*drill.Drills]
	life       context.Context
	endLife    context.CancelFunc
	sup        *supervisor.Supervisor
	console    *console.Server
	page       *page.Page
	begun      sync.WaitGroup // drills of the page
	observe    net.Listener
	reg        *prometheus.Registry
	calls      *botapiMetrics
	certs      map[string]*certificate // by listen address
	closers    []func()
	reload     []func()
	probes     probe.Responder // answers the probes of all bots, on every listener
	secrets    []*webhookSecret
	apis       map[string]*botapi.Client // by the bot's name
	outward    *outward
	keptMu     sync.Mutex
	kept       []string // secrets, for scrub
	// acmeTurn lets one certificate be obtained at a time: they may share a port.
	acmeTurn sync.Mutex
}

// New puts everything together and takes the store, the sockets and the
// addresses. A Host that is made must be run or closed.
func New(ctx context.Context, cfg *config.Config, o Options) (_ *Host, err error) {
	// A goroutine that comes back from fsync would otherwise wait behind every
	// runnable connection of a host with one core.
	if runtime.GOMAXPROCS(0) < 2 {
		runtime.GOMAXPROCS(2)
	}
	h := &Host{cfg: cfg, opt: o, log: o.Logger, faults: o.Faults, reg: prometheus.NewRegistry(), certs: map[string]*certificate{}, apis: map[string]*botapi.Client{}}
	defer func() {
		if err != nil {
			h.Close()
		}
	}()
	if h.faults == nil {
		exit := o.Exit
		if exit == nil {
			exit = killed
		}
		h.faults = chaos.New(chaos.Options{Enabled: cfg.Chaos.Enabled, Leashed: cfg.Chaos.Leashed, Destructive: cfg.Chaos.Destructive, Exit: exit})
		h.closers = append(h.closers, func() { _ = h.faults.Close() })
	}
	h.plainLog = h.log.Hook(faultField{h.faults})
	h.log = h.plainLog.Hook(drillField{&h.drilling})
	h.orders = &faultOrders{h: h}
	h.drillHosts = map[string]*drillHost{}
	h.life, h.endLife = context.WithCancel(context.WithoutCancel(ctx))
	h.reg.MustRegister(faultMetrics{h.faults}, drillMetrics{&h.drilling}, newPressure(), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := registerInfo(h.reg, o.Version, config.Hash(cfg)); err != nil {
		return nil, err
	}
	if h.calls, err = registerBotAPI(h.reg); err != nil {
		return nil, err
	}

	problems, odd := CheckDrills(cfg, time.Now())
	if len(problems) > 0 {
		return nil, problems
	}
	h.warn(odd)

	// The control socket first: a second instance is told so before it looks at
	// the store.
	if err := h.openPage(); err != nil {
		return nil, err
	}
	if err := h.openConsole(); err != nil {
		return nil, err
	}
	commits := newCommitTimes()
	if h.store, err = store.Open(store.Options{Path: cfg.Store.Path, Hook: h.faults.Hook(chaos.SeamStore), Holder: "dualgram run",
		Observe: func(took time.Duration, _ error) { commits.Observe(took.Seconds()) }}); err != nil {
		return nil, err
	}
	listeners, err := h.listeners()
	if err != nil {
		return nil, err
	}
	bots, err := h.bots(ctx)
	if err != nil {
		return nil, err
	}
	// All that can fail comes before the supervisor, which has to be run once it
	// is made.
	if cfg.Observe.Listen != "" {
		if h.observe, err = net.Listen("tcp", cfg.Observe.Listen); err != nil {
			return nil, fmt.Errorf("observe.listen: %w", err)
		}
	}
	if err := registerStore(h.reg, h.store, cfg.Store.Path, commits); err != nil {
		return nil, err
	}
	if err := h.openOutward(h.apis); err != nil {
		return nil, err
	}
	if err := h.openDrills(ctx, bots); err != nil {
		return nil, err
	}
	h.sup, err = supervisor.New(ctx, supervisor.Options{
		Bots: bots, Listeners: listeners, Health: h.store.Health, Registry: h.reg,
		Logger: h.log, ShutdownTimeout: cfg.ShutdownTimeout, Faults: h.orders.supervised, Conditions: h.drillConditions,
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

// Close gives up a host that is not run.
func (h *Host) Close() {
	if h.endLife != nil {
		h.endLife()
	}
	if h.console != nil {
		_ = h.console.Close()
	}
	if h.observe != nil {
		_ = h.observe.Close()
	}
	if h.store != nil {
		_ = h.store.Close()
	}
	h.finish()
}

func (h *Host) finish() {
	for _, f := range h.closers {
		f()
	}
}

// Supervisor is the running core.
func (h *Host) Supervisor() *supervisor.Supervisor { return h.sup }

// Faults is the registry whose injectors are built in.
func (h *Host) Faults() *chaos.Registry { return h.faults }

// ObserveAddr is the address of the observe listener; nil if it is off.
func (h *Host) ObserveAddr() net.Addr {
	if h.observe == nil {
		return nil
	}
	return h.observe.Addr()
}

// Reload reads the certificates and secret tokens again, and reopens files that
// log rotation may have moved.
func (h *Host) Reload() {
	for _, f := range h.reload {
		f()
	}
}

// Run works until the context ends, and returns why it could not go on.
func (h *Host) Run(ctx context.Context) error {
	side, stopSide := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	errs := make(chan error, 2)
	wg.Go(func() {
		if err := h.console.Run(side); err != nil {
			errs <- fmt.Errorf("control socket: %w", err)
		}
	})
	wg.Go(func() { h.watchSecrets(side) })
	wg.Go(func() { h.page.Run(side) })
	if h.observe != nil {
		srv := &http.Server{Handler: h.observeHandler(), ReadHeaderTimeout: 10 * time.Second}
		wg.Go(func() {
			if err := srv.Serve(h.observe); err != nil && !errors.Is(err, http.ErrServerClosed) {
				errs <- fmt.Errorf("observe listener: %w", err)
			}
		})
		wg.Go(func() {
			<-side.Done()
			c, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			_ = srv.Shutdown(c)
		})
	}
	for _, c := range h.certs {
		wg.Go(func() { h.keepCertificate(side, c) })
	}
	// No fault shall hinder the end.
	defer context.AfterFunc(ctx, func() { h.endLife(); h.orders.stop() })()
	h.runDrills(h.life, &wg)
	h.outward.run(h.life, &wg)
	err := h.sup.Run(ctx)
	h.endLife()
	h.orders.stop()
	h.orders.watches.Wait()
	stopSide()
	wg.Wait()
	h.begun.Wait() // nobody can begin one any more
	close(errs)
	all := []error{err}
	for e := range errs {
		all = append(all, e)
	}
	all = append(all, h.store.Close())
	h.finish()
	return errors.Join(all...)
}

func (h *Host) observeHandler() http.Handler {
	alive := console.Check{Name: "loop", Run: func(context.Context) error { return h.sup.Alive(time.Now()) }}
	ready := console.Check{Name: "intake", Run: func(context.Context) error { return h.sup.Ready() }}
	standby := console.Check{Name: "standby", Info: true, Run: func(ctx context.Context) error {
		s, err := h.sup.Status(ctx)
		if err != nil {
			return err
		}
		for _, b := range s.Bots {
			if !b.StandbyReady {
				return fmt.Errorf("bot %s: polling could not take over", b.Name)
			}
		}
		return nil
	}}
	return h.withPage(console.Observe(promhttp.HandlerFor(h.reg, promhttp.HandlerOpts{EnableOpenMetrics: true}),
		[]console.Check{alive}, []console.Check{ready, standby}))
}
