//go:build linux

package e2e_test

import (
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// manager is systemd, as far as a service hears of it.
type manager struct {
	mu  sync.Mutex
	got []string
}

func listenManager(t *testing.T, path string) *manager {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.got = append(m.got, string(buf[:n]))
			m.mu.Unlock()
		}
	})
	t.Cleanup(func() { c.Close(); wg.Wait() })
	return m
}

// heard waits for a message, from the given one on, and returns the next one's index.
func (m *manager) heard(t *testing.T, from int, most time.Duration, prefix string) int {
	t.Helper()
	at := 0
	eventually(t, most, prefix, func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		i := slices.IndexFunc(m.got[from:], func(s string) bool { return strings.HasPrefix(s, prefix) })
		if i < 0 {
			return fmt.Errorf("heard %q", m.got[from:])
		}
		at = from + i + 1
		return nil
	})
	return at
}

// systemd hears that dualgram is ready once it is, in which mode it is, that it
// lives, reloads and stops; and the bot's token reaches it as a credential.
func TestSystemd(t *testing.T) {
	w := newWorld(t)
	m := listenManager(t, w.file("notify.sock"))
	w.conf.TokenFile = "/nonexistent/token"
	cmd := exec.Command(binary, "run", "--config", w.configure())
	cmd.Env = environment("NOTIFY_SOCKET="+w.file("notify.sock"), "WATCHDOG_USEC=2000000", "DUALGRAM_BOTS_ORDERS_TOKEN_FILE="+w.file("token"))
	p := w.start(cmd, "run")
	at := m.heard(t, 0, 15*time.Second, "READY=1")
	w.steady(p)
	at = m.heard(t, at-1, 5*time.Second, "STATUS=orders: webhook")
	for range 3 {
		at = m.heard(t, at, 2*time.Second, "WATCHDOG=1")
	}
	p.signal(syscall.SIGHUP)
	at = m.heard(t, at, 5*time.Second, "RELOADING=1\nMONOTONIC_USEC=")
	at = m.heard(t, at, 5*time.Second, "READY=1")
	p.term()
	at = m.heard(t, at, 5*time.Second, "STOPPING=1")
	if code := p.wait(20 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.got[at:] {
		if s != "WATCHDOG=1" {
			t.Errorf("%q after STOPPING", s)
		}
	}
}
