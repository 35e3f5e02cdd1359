package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"dualgram/chaos"
	"dualgram/cmd/dualgram/config"
	"dualgram/cmd/dualgram/host"

	"github.com/rs/zerolog"
)

// What the test binary is when it runs as a child.
const (
	childEnv    = "E2E_CHILD"
	childConfig = "E2E_CONFIG"

	childIsHost  = "host"
	childIsTmpfs = "tmpfs"
)

// childHost is `dualgram run` with one thing more: a line "crash POINT" on
// standard input arms a fault by which the process kills itself at that named
// point. It is the same host, built from the same configuration; the product has
// no such surface unless chaos.destructive is set.
func childHost() int {
	cfg, err := config.Load(os.Getenv(childConfig), os.Environ())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	faults := chaos.New(chaos.Options{Enabled: true, Destructive: true, Exit: func(string) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // nothing else happens at this point
	}})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	h, err := host.New(ctx, cfg, host.Options{Version: "e2e", Logger: zerolog.New(os.Stderr).With().Timestamp().Logger(), Faults: faults})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	go func() {
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			point, ok := strings.CutPrefix(in.Text(), "crash ")
			if !ok {
				continue
			}
			if _, err := faults.Inject(chaos.Spec{Kind: "crash.at", For: 5 * time.Minute, Params: map[string]string{"point": point}}); err != nil {
				fmt.Fprintln(os.Stderr, err)
				continue
			}
			fmt.Println("armed", point)
		}
	}()
	if err := h.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	return 0
}

// host starts the test binary in dualgram's place.
func (w *world) host() *process {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = environment(childEnv+"="+childIsHost, childConfig+"="+w.configure())
	return w.start(cmd, "host")
}

// arm lets the process die at the next passage of the point.
func (p *process) arm(point string) {
	p.w.t.Helper()
	if _, err := fmt.Fprintln(p.stdin, "crash", point); err != nil {
		p.w.t.Fatal(err)
	}
	eventually(p.w.t, 5*time.Second, "crash armed", func() error {
		if p.stdout.contains("armed " + point) { // and dead already, perhaps
			return nil
		}
		return errors.Join(fmt.Errorf("stdout: %q", p.stdout.String()), p.running())
	})
}

// died waits until the process has been killed.
func (p *process) died(most time.Duration) {
	p.w.t.Helper()
	p.wait(most)
	ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !ws.Signaled() || ws.Signal() != syscall.SIGKILL {
		p.w.t.Fatalf("%s ended by itself: %v", p.name, p.cmd.ProcessState)
	}
}
