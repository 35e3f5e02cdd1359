package console

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// peer asks the kernel who connected. If it doesn't say, it is the socket's
// owner: nobody else may use it.
func peer(c *net.UnixConn) Caller {
	owner := Caller{UID: int64(os.Geteuid())}
	raw, err := c.SyscallConn()
	if err != nil {
		return owner
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			owner = Caller{UID: int64(cred.Uid), PID: int64(cred.Pid)}
		}
	})
	return owner
}
