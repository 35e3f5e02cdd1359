// Command bench measures, in one run on one machine, what dualgram's guarantees
// cost: durable intake beside bare net/http and beside bare net/http with a bare
// group-committed bbolt put, the drain of a backlog, and an idle host.
//
// Compare ratios within one run, not figures between runs: the load comes from
// the same cores. make bench runs it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"
	"time"
)

// result is what a run prints with -output json.
type result struct {
	Schema string       `json:"schema"` // dualgram/bench/v1
	Load   string       `json:"load_average"`
	Intake []intakeRow  `json:"intake,omitempty"`
	Drain  *drainResult `json:"drain,omitempty"`
	Idle   []idleRow    `json:"idle,omitempty"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		if err := serve(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "bench: serve:", err)
			os.Exit(3)
		}
		return
	}
	only := flag.String("only", "intake,drain,idle", "what to measure")
	quick := flag.Bool("quick", false, "short rounds: for trying it out, not for figures")
	output := flag.String("output", "table", "table or json")
	profile := flag.String("profile", "", "write a CPU profile of dualgram's intake at 100 connections to this file")
	flag.Parse()
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	r := result{Schema: "dualgram/bench/v1", Load: loadAverage()}
	if err := measure(ctx, &r, *only, *quick, *profile); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(3)
	}
	if *output == "json" {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		_ = enc.Encode(r)
		return
	}
	r.print()
}

func measure(ctx context.Context, r *result, only string, quick bool, profile string) error {
	want := func(what string) bool { return strings.Contains(","+only+",", ","+what+",") }
	var err error
	if want("intake") {
		if r.Intake, err = intake(ctx, quick, profile); err != nil {
			return fmt.Errorf("intake: %w", err)
		}
	}
	if want("drain") {
		n := 100_000
		if quick {
			n = 10_000
		}
		if r.Drain, err = drain(ctx, n); err != nil {
			return fmt.Errorf("drain: %w", err)
		}
	}
	if want("idle") {
		warm, over := 60*time.Second, 120*time.Second
		if quick {
			warm, over = 5*time.Second, 10*time.Second
		}
		if r.Idle, err = idle(ctx, warm, over); err != nil {
			return fmt.Errorf("idle: %w", err)
		}
	}
	return nil
}

func loadAverage() string {
	raw, _ := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(raw))
	if len(f) < 3 {
		return "unknown"
	}
	return strings.Join(f[:3], " ")
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (r result) print() {
	fmt.Printf("load average at the start: %s\n", r.Load)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	if len(r.Intake) > 0 {
		fmt.Printf("\nIntake of 700-byte updates, medians of the rounds; p50 and p99 in ms; the ratio is to net/http + bbolt put\n")
		fmt.Fprintln(w, "conns\ttls\tserver\tupdates/s\tp50\tp99\tratio\t")
		for _, row := range r.Intake {
			fmt.Fprintf(w, "%d\t%v\t%s\t%.0f\t%.2f\t%.2f\t%.2f\t\n", row.Conns, row.TLS, row.Server, row.Rate, row.P50, row.P99, row.Ratio)
		}
		_ = w.Flush()
	}
	if r.Drain != nil {
		fmt.Printf("\nDrain of a backlog of %d by getUpdates, each update committed and taken by a no-op bot: %.0f updates/s; fetched and committed: %.0f updates/s\n",
			r.Drain.Updates, r.Drain.Rate, r.Drain.FetchRate)
	}
	if len(r.Idle) > 0 {
		fmt.Printf("\nAn idle dualgram run, over %.0f s\n", r.Idle[0].Over)
		fmt.Fprintln(w, "mode\tanonymous MB\tCPU % of a core\t")
		for _, row := range r.Idle {
			fmt.Fprintf(w, "%s\t%.1f\t%.3f\t\n", row.Mode, row.AnonMB, row.CPU)
		}
		_ = w.Flush()
	}
}
