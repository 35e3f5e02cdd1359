package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"dualgram/chaos/telegramsim"
)

// idleRow is what a host costs that has nothing to do.
type idleRow struct {
	Mode   string  `json:"mode"`
	AnonMB float64 `json:"anonymous_mb"`
	CPU    float64 `json:"cpu_percent_of_a_core"`
	Over   float64 `json:"over_s"`
}

// idle runs the real binary, once with a webhook and once polling only, both at
// the same time, against a simulator in this process.
func idle(ctx context.Context, warm, over time.Duration) ([]idleRow, error) {
	dir, err := os.MkdirTemp("", "dualgram-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin := filepath.Join(dir, "dualgram")
	build := exec.CommandContext(ctx, "go", "build", "-o", bin, "dualgram/cmd/dualgram")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("go build: %w", err)
	}
	sim := telegramsim.New(telegramsim.Options{Seed: 1, Local: true})
	defer sim.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	srv := &http.Server{Handler: sim, ReadHeaderTimeout: time.Minute}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() { _ = srv.Close() }()
	wg.Go(func() { _ = srv.Serve(ln) })

	modes := []string{"webhook", "polling"}
	procs := make([]*exec.Cmd, len(modes))
	for i, mode := range modes {
		token := fmt.Sprintf("70000000%d:AAH-this-token-is-of-no-use-at-all-0", i+1)
		if _, err := sim.AddBot(token); err != nil {
			return nil, err
		}
		cfg, err := idleConfig(dir, mode, ln.Addr().String())
		if err != nil {
			return nil, err
		}
		procs[i] = exec.CommandContext(ctx, bin, "run", "--config", cfg)
		procs[i].Env = append(os.Environ(), "BOT_TOKEN="+token)
		if err := procs[i].Start(); err != nil {
			return nil, err
		}
		defer func() {
			_ = procs[i].Process.Signal(os.Interrupt)
			_ = procs[i].Wait()
		}()
	}
	progress("idle: warming up for %v, then measuring for %v", warm, over)
	if err := wait(ctx, warm); err != nil {
		return nil, err
	}
	before := make([]float64, len(procs))
	for i, p := range procs {
		if before[i], err = cpuSeconds(p.Process.Pid); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	if err := wait(ctx, over); err != nil {
		return nil, err
	}
	took := time.Since(began).Seconds()
	var rows []idleRow
	for i, p := range procs {
		after, err := cpuSeconds(p.Process.Pid)
		if err != nil {
			return nil, err
		}
		anon, err := anonMB(p.Process.Pid)
		if err != nil {
			return nil, err
		}
		rows = append(rows, idleRow{Mode: modes[i], AnonMB: anon, CPU: 100 * (after - before[i]) / took, Over: took})
	}
	return rows, nil
}

func idleConfig(dir, mode, api string) (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	addr := ln.Addr().String()
	if err := ln.Close(); err != nil {
		return "", err
	}
	hook := "off"
	if mode == "webhook" {
		// With TLS, so that the probe's handshakes count.
		hook = fmt.Sprintf("{public_url: 'https://%s/hook', listen: '%s', tls: {self_signed: true}, allow_networks: any}", addr, addr)
	}
	file := filepath.Join(dir, mode+".yaml")
	text := fmt.Sprintf("bots:\n  - name: idle\n    token: ${BOT_TOKEN}\n    webhook: %s\n    deliver: {ndjson: {path: %q}}\n"+
		"telegram: {api_url: 'http://%s'}\nstore: {path: %q}\ncontrol: {socket: %q}\nobserve: {listen: off}\nlog: {level: warn}\n",
		hook, filepath.Join(dir, mode+".ndjson"), api, filepath.Join(dir, mode+".db"), filepath.Join(dir, mode+".sock"))
	return file, os.WriteFile(file, []byte(text), 0o600)
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// cpuSeconds is the user and system time of a process so far, from /proc/PID/stat
// in ticks of 10 ms.
func cpuSeconds(pid int) (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(raw), ") ") // the name may hold spaces
	f := strings.Fields(rest)
	if !ok || len(f) < 13 {
		return 0, errors.New("/proc/PID/stat is not as expected")
	}
	user, err1 := strconv.ParseFloat(f[11], 64)
	system, err2 := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100, errors.Join(err1, err2)
}

// anonMB is the anonymous resident memory: the memory map of the store counts as
// file pages.
func anonMB(pid int) (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if v, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(v)[0], 64)
			return kb / 1024, err
		}
	}
	return 0, errors.New("/proc/PID/status has no RssAnon")
}
