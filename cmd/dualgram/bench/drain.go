package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"dualgram/chaos/telegramsim"
	"dualgram/store"
	"dualgram/supervisor"
	"dualgram/transport/botapi"
	"dualgram/transport/delivery"
)

const benchToken = "700000001:AAH-this-token-is-of-no-use-at-all-0"

// drainResult is how fast a backlog comes in by getUpdates.
type drainResult struct {
	Updates   int     `json:"updates"`
	Rate      float64 `json:"updates_per_s"`        // until the bot has all
	FetchRate float64 `json:"committed_per_second"` // until Telegram's queue is empty
}

// drain takes a backlog from the simulator, which shares the process and its
// cores, into the ledger and to a no-op bot.
func drain(ctx context.Context, n int) (*drainResult, error) {
	dir, err := os.MkdirTemp("", "dualgram-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	sim := telegramsim.New(telegramsim.Options{Seed: 1, Local: true})
	defer sim.Close()
	id, err := sim.AddBot(benchToken)
	if err != nil {
		return nil, err
	}
	for i := range n {
		if _, err := sim.Push(id, telegramsim.Update{Chat: int64(10_000 + i%400), User: int64(10_000 + i%400), Text: filler}); err != nil {
			return nil, err
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	srv := &http.Server{Handler: sim, ReadHeaderTimeout: time.Minute}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() { _ = srv.Close() }()
	wg.Go(func() { _ = srv.Serve(ln) })
	st, err := store.Open(store.Options{Path: filepath.Join(dir, "dualgram.db")})
	if err != nil {
		return nil, err
	}
	defer func() { _ = st.Close() }()
	api, err := botapi.New(botapi.Options{Token: benchToken, BaseURL: "http://" + ln.Addr().String()})
	if err != nil {
		return nil, err
	}
	defer api.Close()
	ledger, err := st.Ledger(id)
	if err != nil {
		return nil, err
	}
	var got atomic.Int64
	sup, err := supervisor.New(ctx, supervisor.Options{Health: st.Health, Bots: []supervisor.BotOptions{{
		Name: "bench", API: api, Ledger: ledger,
		Handler: delivery.Func(func(context.Context, delivery.Update) error { got.Add(1); return nil }),
	}}})
	if err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	began := time.Now()
	go func() { done <- sup.Run(run) }()
	var fetched time.Duration
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for got.Load() < int64(n) && run.Err() == nil && time.Since(began) < 5*time.Minute {
		<-tick.C
		if fetched == 0 && int(ledger.Stats().Accepted) >= n {
			fetched = time.Since(began)
		}
	}
	took := time.Since(began)
	stop()
	if err := <-done; err != nil {
		return nil, err
	}
	if int(got.Load()) < n {
		return nil, fmt.Errorf("only %d of %d updates came", got.Load(), n)
	}
	progress("drain: done")
	return &drainResult{Updates: n, Rate: float64(n) / took.Seconds(), FetchRate: float64(n) / max(fetched, time.Millisecond).Seconds()}, nil
}
