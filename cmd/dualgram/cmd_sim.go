package main

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"dualgram/chaos/telegramsim"
	"dualgram/cmd/dualgram/config"

	"github.com/spf13/cobra"
)

const simLong = `sim plays Telegram's Bot API server on this machine, so that a bot host can be
tried without a token and without a network: set telegram.api_url to the address
it prints, and use any well-formed token.

It accepts any port and address for a webhook, as the Bot API server does with
--local. What only a person or a test knows (push an update, break the API, ask
what became of each update) goes to the control address:

  curl -d '{"text":"hello"}' http://127.0.0.1:8082/control/v1/bots/ID/push
  curl http://127.0.0.1:8082/control/v1/truth`

type simFlags struct {
	listen, control, token, rootCA string
	rate                           float64
	chats                          int
	latency                        time.Duration
	seed                           uint64
}

func (a *app) simCommand() *cobra.Command {
	var f simFlags
	c := &cobra.Command{
		Use: "sim", Short: "Play Telegram's Bot API server on this machine", Long: simLong, GroupID: groupRun,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runSim(cmd.Context(), f) },
	}
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8081", "`address` of the Bot API")
	c.Flags().StringVar(&f.control, "control", "127.0.0.1:8082", "`address` of the control surface; it has no authentication, keep it local")
	c.Flags().StringVar(&f.token, "token", simToken, "`token` of the bot to know from the start")
	c.Flags().StringVar(&f.rootCA, "webhook-ca", "", "PEM `file` of the roots to trust for webhooks; default: the system's")
	c.Flags().Float64Var(&f.rate, "rate", 0, "updates a second to make up; 0: none")
	c.Flags().IntVar(&f.chats, "chats", 40, "how many chats they come from")
	c.Flags().DurationVar(&f.latency, "latency", 50*time.Millisecond, "how long each Bot API call takes")
	c.Flags().Uint64Var(&f.seed, "seed", 1, "seed of everything that is random")
	return c
}

// simToken is a token that means something to the simulator only.
const simToken = "700000001:AAH-this-token-is-of-no-use-at-all-0"

func (a *app) runSim(ctx context.Context, f simFlags) error {
	if err := config.CheckToken(f.token); err != nil {
		return misuse("--token: "+err.Error(), "give one of the form 123456789:AAH… with 35 characters behind the colon")
	}
	o := telegramsim.Options{Seed: f.seed, Local: true, KeepEnded: 100_000}
	if f.rootCA != "" {
		pem, err := os.ReadFile(f.rootCA)
		if err != nil {
			return couldNotRun("--webhook-ca: "+err.Error(), "give a PEM file", err)
		}
		o.Roots = x509.NewCertPool()
		if !o.Roots.AppendCertsFromPEM(pem) {
			return misuse("--webhook-ca: "+f.rootCA+" holds no certificate", "give a PEM file")
		}
	}
	api, err := net.Listen("tcp", f.listen)
	if err != nil {
		return startFailure(err)
	}
	control, err := net.Listen("tcp", f.control)
	if err != nil {
		_ = api.Close()
		return startFailure(err)
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	sim := telegramsim.New(o)
	id, err := sim.AddBot(f.token)
	if err != nil {
		sim.Close()
		return couldNotRun(err.Error(), "", err)
	}
	sim.SetKnobs(telegramsim.Knobs{Latency: f.latency, Local: true})
	srv := &http.Server{Handler: sim.ControlHandler(), ReadHeaderTimeout: 10 * time.Second}
	var wg sync.WaitGroup
	errs := make(chan error, 3)
	wg.Go(func() { errs <- sim.Serve(api) })
	wg.Go(func() { errs <- srv.Serve(control) })
	if f.rate > 0 {
		wg.Go(func() {
			errs <- telegramsim.Traffic{Seed: f.seed, Bot: id, Rate: f.rate, Chats: f.chats}.Run(ctx, sim)
		})
	}
	p := a.printer(a.stdout)
	p.printf("Bot API:  http://%s   (telegram.api_url)\n", api.Addr())
	p.printf("Control:  http://%s/control/v1\n", control.Addr())
	p.printf("Bot:      %d, token %s\n", id, f.token)
	var failed error
	select {
	case <-ctx.Done():
	case err := <-errs:
		if ctx.Err() == nil && err != nil && !errors.Is(err, http.ErrServerClosed) {
			failed = err
		}
		if failed == nil {
			<-ctx.Done()
		}
	}
	_ = srv.Close()
	sim.Close()
	_ = api.Close()
	wg.Wait()
	if failed != nil {
		return couldNotRun("sim: "+failed.Error(), "", failed)
	}
	return nil
}
