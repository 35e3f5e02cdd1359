package console

import (
	"context"
	"net"
	"net/http"
	"os/user"
	"strconv"
)

// Caller is who gave a command: on Linux the process at the other end of the
// socket, as the kernel knows it (SO_PEERCRED, unix(7)); elsewhere the socket's
// owner, since nobody else may use it. The zero value is the program itself.
type Caller struct {
	// User is the login name, or "uid 1000" if it has none.
	User string `json:"user,omitempty"`
	UID  int64  `json:"uid"`
	// PID is the process that connected; absent if it is not known.
	PID int64 `json:"pid,omitempty"`
}

// String names the user and the process.
func (c Caller) String() string {
	switch {
	case c.User == "":
		return "the program itself"
	case c.PID == 0:
		return c.User
	}
	return c.User + " (pid " + strconv.FormatInt(c.PID, 10) + ")"
}

// connKey is the context's key for the connection that a request came by.
type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// CallerOf tells who is at the other end of a request to one of [Options.Routes].
func CallerOf(r *http.Request) Caller { return callerOf(r.Context()) }

// callerOf tells who is at the other end of the request's connection.
func callerOf(ctx context.Context) Caller {
	c, ok := ctx.Value(connKey{}).(*net.UnixConn)
	if !ok {
		return Caller{}
	}
	by := peer(c)
	by.User = "uid " + strconv.FormatInt(by.UID, 10)
	if u, err := user.LookupId(strconv.FormatInt(by.UID, 10)); err == nil {
		by.User = u.Username
	}
	return by
}
