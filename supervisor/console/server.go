package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// StatusProvider tells the state of everything. Status is called for each
// request, from many goroutines, and returns within a second: it reads what is
// known and asks nobody.
type StatusProvider interface {
	Status(ctx context.Context) (Status, error)
}

// Options configure a [Server]. Socket and Status are required.
type Options struct {
	// Socket is the path of the unix socket. Its directory has to exist.
	Socket string
	Status StatusProvider
	// Events may be nil: GET /v1/events answers 501 then. So do the commands if
	// Operator is.
	Events   EventsProvider
	Operator Operator
	// Faults may be nil as well: the resources of the faults answer 501 then.
	Faults Faults
	// StopTimeout bounds the wait for requests in progress; 0 means 2 s.
	StopTimeout time.Duration
	// More are further resources.
	More []Route
	// TCP, if not nil, offers the same API on a loopback address, to whoever has its
	// token, and a page.
	TCP *TCPOptions
}

func (o *Options) validate() error {
	switch {
	case o.Socket == "":
		return errors.New("console: no socket path")
	case o.Status == nil:
		return errors.New("console: no status provider")
	}
	if o.StopTimeout <= 0 {
		o.StopTimeout = 2 * time.Second
	}
	return nil
}

// SocketError says why the control socket can't be made.
type SocketError struct {
	Path string
	// Hint says what to do.
	Hint string
	Err  error
}

// Error names the path and the reason.
func (e *SocketError) Error() string {
	return fmt.Sprintf("console: control socket %s: %v", e.Path, e.Err)
}

// Unwrap returns the cause.
func (e *SocketError) Unwrap() error { return e.Err }

// Reasons in a [SocketError].
var (
	ErrInUse     = errors.New("another process answers on it")
	ErrNotSocket = errors.New("a file that is no socket stands there")
)

// Server is the control API. Make it with [Listen], then call Run once.
type Server struct {
	o    Options
	l    *net.UnixListener
	file os.FileInfo
	http *http.Server
	// tcp and web are the second listener and its server; nil if there is none.
	tcp  net.Listener
	web  *http.Server
	stop chan struct{} // closed when no request may wait any longer
}

// Listen makes the socket, so that a failure shows before anything starts.
// Connections queue up in the kernel until Run.
func Listen(o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	l, err := listenUnix(o.Socket)
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, l: l, stop: make(chan struct{})}
	if s.file, err = os.Lstat(o.Socket); err != nil {
		_ = l.Close()
		return nil, &SocketError{o.Socket, "", err}
	}
	api := s.Handler()
	s.http = httpServer(api)
	if o.TCP != nil {
		if s.tcp, err = listenTCP(*o.TCP); err != nil {
			_ = s.Close()
			return nil, err
		}
		s.web = httpServer(tcpHandler(*o.TCP, api))
	}
	return s, nil
}

// TCPAddr is the address of the TCP listener; nil if there is none.
func (s *Server) TCPAddr() net.Addr {
	if s.tcp == nil {
		return nil
	}
	return s.tcp.Addr()
}

func httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ConnContext:       withConn,
	}
}

// probeTimeout bounds the question whether somebody answers on an old socket.
// Connecting to a unix socket waits only while its queue is full, and then
// somebody lives there.
const probeTimeout = time.Second

// maxPath is the room for a path in a unix socket's address on Linux: 108 bytes
// with the final zero.
const maxPath = 107

// listenUnix makes the socket under a temporary name, closes it to others and
// then moves it into place: at its real name it never has another mode than
// 0600, and a stale socket is replaced in one step.
func listenUnix(path string) (*net.UnixListener, error) {
	// The temporary name may fit where this one doesn't, and then nobody could
	// connect.
	if len(path) > maxPath {
		return nil, socketError(path, syscall.ENAMETOOLONG)
	}
	if err := replaceable(path); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".dg") // mode 0700
	if err != nil {
		return nil, socketError(path, err)
	}
	defer os.RemoveAll(dir)
	temp := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temp, Net: "unix"})
	if err != nil {
		return nil, socketError(path, err)
	}
	// The name it would remove is not the one it ends up with.
	l.SetUnlinkOnClose(false)
	if err = os.Chmod(temp, 0o600); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = l.Close()
		return nil, socketError(path, err)
	}
	return l, nil
}

// replaceable says whether nothing of value stands at the path.
func replaceable(path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return socketError(path, err)
	case st.Mode().Type() != fs.ModeSocket:
		return &SocketError{path, "set control.socket to another path, or move the file away", ErrNotSocket}
	}
	c, err := net.DialTimeout("unix", path, probeTimeout)
	if err == nil {
		_ = c.Close()
		return &SocketError{path, "stop the other dualgram, or give this one a control.socket of its own", ErrInUse}
	}
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// No permission, a full queue: whoever made it may be alive.
	return &SocketError{path, "stop the other dualgram, or remove the socket if there is none", fmt.Errorf("can't tell whether somebody answers on it: %w", err)}
}

func socketError(path string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint = "create the directory " + filepath.Dir(path) + " (systemd: RuntimeDirectory=), or set control.socket"
	case errors.Is(err, fs.ErrPermission):
		hint = fmt.Sprintf("let the user dualgram runs as (uid %d) write to %s, or set control.socket", os.Geteuid(), filepath.Dir(path))
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENAMETOOLONG):
		hint = "the path is too long for a unix socket; set control.socket to a shorter one"
	}
	return &SocketError{path, hint, err}
}

// Run serves until ctx ends, then lets requests in progress finish, for
// StopTimeout at most, and removes the socket if it is still its own. It
// returns nil after such an end, else why it could not go on.
func (s *Server) Run(ctx context.Context) error {
	err := s.serve(ctx, s.l)
	s.remove()
	return err
}

// serve is Run on any listener, and on that of TCP if there is one. It returns when
// both have ended; the first that fails ends the other.
func (s *Server) serve(ctx context.Context, l net.Listener) error {
	type listening struct {
		srv *http.Server
		l   net.Listener
	}
	all := []listening{{s.http, l}}
	if s.web != nil {
		all = append(all, listening{s.web, s.tcp})
	}
	served := make(chan error, len(all))
	for _, x := range all {
		go func() { served <- x.srv.Serve(x.l) }()
	}
	var err error
	left := len(all)
	select {
	case err = <-served:
		err = fmt.Errorf("console: serve: %w", err)
		left--
	case <-ctx.Done():
	}
	if s.stop != nil {
		close(s.stop)
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.StopTimeout)
	defer cancel()
	for _, x := range all {
		if x.srv.Shutdown(stop) != nil {
			_ = x.srv.Close()
		}
	}
	for range left {
		<-served //nolint:errcheck // ErrServerClosed
	}
	return err
}

// Close gives up a server that is not run.
func (s *Server) Close() error {
	err := s.http.Close()
	_ = s.l.Close()
	if s.tcp != nil {
		_ = s.web.Close()
		_ = s.tcp.Close()
	}
	s.remove()
	return err
}

// remove takes the socket away, unless a successor has replaced it.
func (s *Server) remove() {
	if st, err := os.Lstat(s.o.Socket); err == nil && os.SameFile(st, s.file) {
		_ = os.Remove(s.o.Socket)
	}
}

// Handler is the API without the socket.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(r.Pattern, r.Handler)
	}
	mux.HandleFunc("/", notFound)
	return mux
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	st, err := s.o.Status.Status(r.Context())
	if err != nil {
		WriteFailure(w, "status", err)
		return
	}
	st.Schema = SchemaStatus
	st.Bots, st.Warnings, st.Faults = notNil(st.Bots), notNil(st.Warnings), notNil(st.Faults)
	for i := range st.Bots {
		b := &st.Bots[i]
		b.Signals, b.Warnings = notNil(b.Signals), notNil(b.Warnings)
		if b.LastHandover != nil && b.LastHandover.Steps == nil {
			h := *b.LastHandover // the provider's own stays as it is
			h.Steps = []Step{}
			b.LastHandover = &h
		}
	}
	WriteJSON(w, http.StatusOK, st)
}

func notNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// WriteJSON answers with a value. One that can't be encoded becomes a 500.
func WriteJSON(w http.ResponseWriter, code int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		fail(w, CodeInternal, "encode the answer: "+err.Error(), "report this as a bug")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write(append(data, '\n'))
}
