package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"dualgram/chaos/telegramsim"
)

// childTmpfs is the test binary as a wrapper: it mounts a small file system at
// E2E_TMPFS, which nobody outside sees, and becomes dualgram.
func childTmpfs() int {
	fail := func(what string, err error) int {
		fmt.Fprintln(os.Stderr, what, err)
		return 125
	}
	if err := mountTmpfs(os.Getenv(childTmpfsDir), os.Getenv(childTmpfsSize)); err != nil {
		return fail("mount", err)
	}
	bin := os.Getenv(childBinary)
	env := environment()
	args := []string{"run", "--config", os.Getenv(childConfig)}
	if more := os.Getenv(childArgs); more != "" {
		args = strings.Fields(more)
	}
	if os.Getenv(childTmpfsFill) != "" {
		if err := os.WriteFile(os.Getenv(childTmpfsDir)+"/filler", make([]byte, 64<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			return fail("fill", err)
		}
	}
	return fail("exec", syscall.Exec(bin, append([]string{bin}, args...), env))
}

const (
	childTmpfsDir  = "E2E_TMPFS"
	childTmpfsSize = "E2E_TMPFS_SIZE"
	childTmpfsFill = "E2E_TMPFS_FILL" // if it is set, the file system is full from the start
	childArgs      = "E2E_ARGS"       // in place of run
	childBinary    = "E2E_BINARY"
)

// runOnTmpfs starts `dualgram run` with dir on a file system of its own. It
// returns the path by which this process reaches it.
func (w *world) runOnTmpfs(dir, size string) (p *process, inside string) {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = environment(childEnv+"="+childIsTmpfs, childConfig+"="+w.configure(), childBinary+"="+binary,
		childTmpfsDir+"="+dir, childTmpfsSize+"="+size)
	cmd.SysProcAttr = ownMounts()
	if err := tryOwnMounts(); err != nil {
		w.t.Skipf("this system lets no user mount a file system of his own: %v", err)
	}
	p = w.start(cmd, "run-on-tmpfs")
	return p, fmt.Sprintf("/proc/%d/root%s", p.cmd.Process.Pid, dir)
}

// The disk is full: deliveries are answered with 503, nothing is acknowledged in
// either mode, the mode stays, and all goes on when there is room again.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"webhook", "polling"} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t)
			dir := w.file("disk")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			w.conf.Store = dir + "/dualgram.db"
			if mode == "polling" {
				w.conf.Webhook = "off"
			}
			p, inside := w.runOnTmpfs(dir, "3m")
			w.diskOut(p, mode, "disk_full", func() {
				err := os.WriteFile(inside+"/filler", make([]byte, 4<<20), 0o600)
				if !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("fill the disk: %v", err)
				}
			}, func() {
				if err := os.Remove(inside + "/filler"); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// The same with a limit on how large files may be, as ulimit -f sets it: each
// write fails, whatever room there is.
func TestFileLimit(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"webhook", "polling"} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t)
			if mode == "polling" {
				w.conf.Webhook = "off"
			}
			if runtime.GOOS != "linux" {
				t.Skip("needs prlimit(2)")
			}
			p := w.run()
			limit := func(n uint64) {
				if err := fileLimit(p.cmd.Process.Pid, n); err != nil {
					t.Fatal(err)
				}
			}
			w.diskOut(p, mode, "", func() { limit(0) }, func() { limit(1 << 62) })
		})
	}
}

// diskOut takes the disk away from a process and gives it back.
func (w *world) diskOut(p *process, mode, metric string, fill, free func()) {
	t := w.t
	t.Helper()
	p.phase(mode, 15*time.Second)
	w.flowing(20)
	w.flows(p, mode)
	epoch := must(p.first()).Epoch
	fill()
	// Large ones, so that what is free inside the store's file is soon used up.
	eventually(t, 20*time.Second, "store failing", func() error {
		for user := range int64(4) {
			text := strings.Repeat("no room for these words ", 150)
			w.vault.text(text[:100])
			must(w.sim.Push(w.botID, telegramsim.Update{User: 900 + user, Text: text}))
		}
		b := must(p.first())
		if !b.warning("store_failing") || b.signalState("store") != "tripped" {
			return fmt.Errorf("warnings %v", b.Warnings)
		}
		return nil
	})
	// What makes room, or needs little, still gets through now and then.
	eventually(t, 5*time.Second, "not ready", func() error {
		code, body, err := p.observe("/readyz")
		if code != 503 {
			err = errors.Join(err, fmt.Errorf("%d %s", code, body))
		}
		return err
	})
	if metric != "" && !strings.Contains(p.scrape(), "dualgram_store_"+metric+" 1") {
		t.Errorf("dualgram_store_%s is not 1", metric)
	}
	// Whatever is acknowledged from here on has to be on disk all the same; and
	// what is not stays at Telegram.
	stuck := w.sim.Pending(w.botID)
	holds(t, 4*time.Second, "the mode stays", func() error {
		b := must(p.first())
		if b.Phase != mode || b.Epoch != epoch {
			return fmt.Errorf("phase %s because of %s: %s", b.Phase, b.Reason, b.Evidence)
		}
		return nil
	})
	if now := w.sim.Pending(w.botID); now < stuck {
		t.Errorf("%d updates were pending with a full disk, and now %d", stuck, now)
	}
	refused := 0
	for _, r := range must(w.sim.Bot(w.botID)).Updates {
		for _, a := range r.Attempts {
			switch a.Status {
			case 503:
				refused++
			case 0, 200:
			default:
				t.Errorf("an attempt was answered with %d %s", a.Status, a.Result)
			}
		}
	}
	if mode == "webhook" && refused == 0 {
		t.Error("nothing was answered with 503")
	}
	free()
	p.until(30*time.Second, "the store works", func(b botStatus) bool {
		return !b.warning("store_failing") && b.signalState("store") == "ok" && b.Phase == mode
	})
	w.flows(p, mode)
	w.settle(60*time.Second, 0)
	if code, _, _ := p.observe("/readyz"); code != 200 {
		t.Errorf("readyz: %d after the disk was freed", code)
	}
	p.stop()
}
