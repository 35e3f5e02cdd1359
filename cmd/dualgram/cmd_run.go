package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"dualgram/chaos/drill"
	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/host"
	"dualgram/store"
	"dualgram/supervisor/console"
	"dualgram/transport/webhook"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

const runLong = `run takes in the updates of every bot of the configuration until it is told to
stop by SIGTERM or Ctrl-C. It then goes on receiving while the bot takes what is
waiting, for at most shutdown_timeout, and leaves the webhook registered.

Certificates and a secret token file are read again by themselves when they change;
a changed secret replaces the old one without refusing an update. SIGHUP does so at
once, and reopens files that log rotation has moved. SIGUSR2 ends the drill under way
and lets none begin until dualgram drill resume.

A bot that already has a webhook elsewhere is never overpowered: run names it and
waits. With --take-over it shows that webhook and how many updates are pending,
and replaces it. No pending update is dropped.`

func (a *app) runCommand() *cobra.Command {
	var takeOver bool
	c := &cobra.Command{
		Use: "run", Short: "Take in updates until told to stop", Long: runLong, GroupID: groupRun,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runHost(cmd.Context(), takeOver) },
	}
	c.Flags().BoolVar(&takeOver, "take-over", false, "replace a webhook that this host did not set")
	return c
}

func (a *app) runHost(ctx context.Context, takeOver bool) error {
	cfg, err := config.Load(a.configFile(), a.env)
	if err != nil {
		return err
	}
	log, level := newLogger(a.stderr, cfg.Log, a.useColor(a.stderr))
	defer level.Close()
	for _, w := range cfg.Warnings {
		log.Warn().Str("code", w.Code).Str("where", w.Where.String()).Str("fix", w.Fix).Msg(w.What)
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	h, err := host.New(ctx, cfg, host.Options{Version: version().Version, Logger: log, Level: level, TakeOver: takeOver, Stdout: a.stdout})
	if err != nil {
		return startFailure(err)
	}
	manager := newSystemd(h)
	ended, managed := make(chan struct{}), make(chan struct{})
	go func() { defer close(managed); manager.run(ctx, ended) }()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	reloads := make(chan struct{})
	go func() {
		defer close(reloads)
		for range hup {
			manager.reload(h.Reload)
		}
	}()
	halts := make(chan os.Signal, 1)
	signal.Notify(halts, syscall.SIGUSR2)
	halted := make(chan struct{})
	go func() {
		defer close(halted)
		for range halts {
			if err := h.HaltDrills(context.WithoutCancel(ctx), drill.Who{User: "SIGUSR2", Reason: "the signal was sent to dualgram"}); err != nil {
				log.Error().Err(err).Msg("drills are halted, and a restart forgets it")
			}
		}
	}()
	log.Info().Str("version", version().Version).Str("config", cfg.File).Str("config_hash", config.Hash(cfg)).
		Str("store", cfg.Store.Path).Str("control", cfg.Control.Socket).Str("control_listen", cfg.Control.Listen).Int("bots", len(cfg.Bots)).Msg("dualgram is running")
	err = h.Run(ctx)
	stop() // also if it ended by itself
	close(ended)
	<-managed
	signal.Stop(hup)
	close(hup)
	<-reloads
	signal.Stop(halts)
	close(halts)
	<-halted
	if err != nil {
		return couldNotRun("stopped: "+config.Redact(err.Error()), "see the log above; what was acknowledged is in the store", err)
	}
	log.Info().Msg("stopped in good order")
	return nil
}

// startFailure turns what New found wrong into an exit code and a fix.
func startFailure(err error) error {
	var problems config.Errors
	if errors.As(err, &problems) {
		return problems
	}
	msg := config.Redact(err.Error())
	var se *store.Error
	var we *webhook.Error
	var ce *console.SocketError
	// A hint stands in the fix, and need not be in the error as well.
	hinted := func(hint string) error {
		return couldNotRun(strings.Replace(msg, " ("+config.Redact(hint)+")", "", 1), hint, err)
	}
	switch {
	case errors.As(err, &se) && se.Hint != "":
		return hinted(se.Hint)
	case errors.As(err, &we) && we.Hint != "":
		return hinted(we.Hint)
	case errors.As(err, &ce) && ce.Hint != "":
		return hinted(ce.Hint)
	case errors.Is(err, syscall.EADDRINUSE):
		return couldNotRun(msg, "another process listens there: find it with ss -ltnp, or choose another address", err)
	case errors.Is(err, syscall.EACCES):
		return couldNotRun(msg, "a port below 1024 needs CAP_NET_BIND_SERVICE; otherwise check the path's permissions", err)
	}
	return couldNotRun(msg, "correct the configuration; dualgram config print tells where each value comes from", err)
}

// newLogger makes the log: JSON lines with stable field names, or lines for
// people.
func newLogger(w io.Writer, c config.Log, color bool) (zerolog.Logger, *host.LogLevel) {
	level, err := zerolog.ParseLevel(strings.ToLower(c.Level))
	if err != nil {
		level = zerolog.InfoLevel
	}
	if c.Format == "console" {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !color, TimeFormat: "15:04:05.000"}
	}
	// The time is added by a hook and not by zerolog.TimeFieldFormat, which is
	// the whole process's.
	hook := host.NewLogLevel(level)
	return zerolog.New(w).Level(zerolog.DebugLevel).Hook(hook, stamp{}), hook
}

// stamp gives each line the time, to the millisecond.
type stamp struct{}

// Run implements zerolog.Hook.
func (stamp) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str("time", time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
}
