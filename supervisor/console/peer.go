package console

import (
	"context"
	"net"
	"net/http"
	"os/user"
	"strconv"
)

// TokenUser is the User of a [Caller] that came by TCP: whoever has the token.
const TokenUser = "tcp token"

// Caller is who gave a command: on Linux the process at the other end of the
// socket, as the kernel knows it (SO_PEERCRED, unix(7)); elsewhere the socket's
// owner, since nobody else may use it. The zero value is the program itself.
type Caller struct {
	// User is the login name, "uid 1000" if it has none, or [TokenUser].
	User string `json:"user,omitempty"`
	// UID is -1 for [TokenUser].
	UID int64 `json:"uid"`
	// PID is the process that connected; absent if it is not known.
	PID int64 `json:"pid,omitempty"`
	// Remote is the address that a request by TCP came from.
	Remote string `json:"remote,omitempty"`
}

// String names the user and the process, or the address.
func (c Caller) String() string {
	switch {
	case c.User == "":
		return "the program itself"
	case c.Remote != "":
		return c.User + " from " + c.Remote
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

// CallerOf tells who is at the other end of the request's connection.
func CallerOf(r *http.Request) Caller {
	var by Caller
	switch c := r.Context().Value(connKey{}).(type) {
	case *net.UnixConn:
		by = peer(c)
	case *net.TCPConn:
		// It got past the guard, so it has the token.
		return Caller{User: TokenUser, UID: -1, Remote: r.RemoteAddr}
	default:
		return Caller{}
	}
	by.User = "uid " + strconv.FormatInt(by.UID, 10)
	if u, err := user.LookupId(strconv.FormatInt(by.UID, 10)); err == nil {
		by.User = u.Username
	}
	return by
}
