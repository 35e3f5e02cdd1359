package botapi

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// TestUserTimeout dials the loopback for real: the option is the kernel's.
func TestUserTimeout(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	defer ln.Close()
	c, err := defaultDialer().DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rc, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	get := func(level, opt int) (v int) {
		_ = rc.Control(func(fd uintptr) { v, _ = unix.GetsockoptInt(int(fd), level, opt) })
		return v
	}
	if v := get(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); v != 20000 {
		t.Errorf("TCP_USER_TIMEOUT %d", v)
	}
	if a, i, n := get(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), get(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL), get(unix.IPPROTO_TCP, unix.TCP_KEEPCNT); a != 10 || i != 5 || n != 3 {
		t.Errorf("keep-alive %d %d %d", a, i, n)
	}
}
