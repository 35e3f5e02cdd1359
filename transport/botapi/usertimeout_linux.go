package botapi

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// setUserTimeout bounds how long written data may stay unacknowledged. Without
// it the kernel resends for about 15 minutes. A kernel that refuses the option
// is no reason not to connect.
func setUserTimeout(network, _ string, c syscall.RawConn) error {
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return nil
	}
	return c.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(tcpUserTimeout.Milliseconds()))
	})
}
