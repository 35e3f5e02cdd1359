//go:build lab && linux

package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The lab's addresses. They exist in its network namespace only, which has a
// loopback interface and nothing else: no packet leaves it.
const (
	telegramNet  = "149.154.160.0/20" // one of those from which Telegram delivers
	telegramAddr = "149.154.167.197"
	frontNet     = "203.0.113.0/24" // for documentation (RFC 5737); nginx has one for each row
	frontPort    = "443"
)

const insideEnv = "E2E_LAB"

// labTools are the programs that the lab needs, and Debian's packages of them.
var labTools = map[string]string{"nginx": "nginx", "nft": "nftables", "ip": "iproute2"}

func init() { elsewhere = enterLab }

// enterLab runs the tests again in namespaces of their own: of the network, where
// packets can be dropped; of mounts, for /etc/hosts; and of processes, so that
// nothing outlives the tests, however they end.
func enterLab() (code int, done bool) {
	if os.Getenv(insideEnv) != "" {
		if err := furnish(); err != nil {
			fmt.Fprintln(os.Stderr, "lab:", err)
			return 1, true
		}
		return 0, false
	}
	if err := labAllowed(); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1, true
	}
	runtime.LockOSThread() // the child dies with the thread that started it
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1, true
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	dieWithUs(cmd.SysProcAttr)
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, true
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), true
	}
	fmt.Fprintln(os.Stderr, "lab: a namespace of its own:", err)
	return 1, true
}

// labAllowed names what is missing, all of it.
func labAllowed() error {
	var errs []error
	if os.Getuid() != 0 {
		errs = append(errs, errors.New("it makes a network namespace and drops packets in it: run it as root"))
	}
	for tool, pkg := range labTools {
		if _, err := exec.LookPath(tool); err != nil {
			errs = append(errs, fmt.Errorf("%w: apt-get install %s", err, pkg))
		}
	}
	return errors.Join(errs...)
}

// furnish makes the namespaces usable, and tries whether packets can be dropped.
func furnish() error {
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	for _, args := range [][]string{
		{"ip", "link", "set", "lo", "up", "mtu", "1500"}, // as many packets as on a real line
		{"ip", "route", "add", "local", telegramNet, "dev", "lo"},
		{"ip", "route", "add", "local", frontNet, "dev", "lo"},
		{"nft", "add table inet try; add chain inet try c { type filter hook input priority 0; }; " +
			"add rule inet try c ip daddr 192.0.2.1 numgen random mod 100 < 5 counter drop; delete table inet try"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
		}
	}
	dir, err := os.MkdirTemp("", "lab-etc")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // the mount stays
	hosts := "127.0.0.1 localhost\n"
	for n := 1; n < 255; n++ {
		hosts += frontAddr(n) + " " + frontHost(n) + "\n"
	}
	file := filepath.Join(dir, "hosts")
	if err := os.WriteFile(file, []byte(hosts), 0o644); err != nil {
		return err
	}
	if err := unix.Mount(file, "/etc/hosts", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount an /etc/hosts: %w", err)
	}
	return nil
}

func frontAddr(n int) string { return "203.0.113." + strconv.Itoa(n) }
func frontHost(n int) string { return "bot" + strconv.Itoa(n) + ".example.test" }

// fromTelegram opens connections from an address of Telegram's.
func fromTelegram(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(telegramAddr)}}
	return d.DialContext(ctx, network, addr)
}

// firewall is a table of nftables for what goes to and from one address.
type firewall struct {
	t     testing.TB
	table string
	addr  string
}

// blocked drops everything that is sent to nginx's port.
func (f firewall) blocked() {
	f.replace("ip daddr " + f.addr + " tcp dport " + frontPort + " counter drop")
}

// unreachable drops what others than Telegram send to nginx's port.
func (f firewall) unreachable() {
	f.replace("ip saddr != " + telegramNet + " ip daddr " + f.addr + " tcp dport " + frontPort + " counter drop")
}

// lossy drops packets between Telegram and nginx, in both directions.
func (f firewall) lossy(percent int) {
	f.replace(fmt.Sprintf("ip saddr %s ip daddr %s numgen random mod 100 < %d counter drop", telegramNet, f.addr, percent),
		fmt.Sprintf("ip saddr %s ip daddr %s numgen random mod 100 < %d counter drop", f.addr, telegramNet, percent))
}

// replace puts the rules in the place of those before, at one stroke. They are
// applied where packets arrive, so that their senders notice nothing.
func (f firewall) replace(rules ...string) {
	f.t.Helper()
	script := fmt.Sprintf("table inet %s\ndelete table inet %s\ntable inet %s {\n chain in {\n  type filter hook input priority filter; policy accept;\n  %s\n }\n}\n",
		f.table, f.table, f.table, strings.Join(rules, "\n  "))
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		f.t.Fatalf("nft: %v: %s", err, out)
	}
}

var packets = regexp.MustCompile(`counter packets (\d+)`)

// open removes the rules, and returns how many packets they have dropped.
func (f firewall) open() (dropped int) {
	f.t.Helper()
	out, err := exec.Command("nft", "list", "table", "inet", f.table).CombinedOutput()
	if err != nil {
		f.t.Fatalf("nft: %v: %s", err, out)
	}
	for _, m := range packets.FindAllSubmatch(out, -1) {
		dropped += must(strconv.Atoi(string(m[1])))
	}
	if out, err := exec.Command("nft", "delete", "table", "inet", f.table).CombinedOutput(); err != nil {
		f.t.Fatalf("nft: %v: %s", err, out)
	}
	return dropped
}
