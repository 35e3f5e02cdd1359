package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/console"
)

const (
	// controlTimeout bounds a request: the socket is local and the answers are
	// at hand.
	controlTimeout = 5 * time.Second
	maxAnswer      = 16 << 20
)

// control asks a running dualgram over its socket, or its TCP listener.
type control struct {
	socket string // empty for TCP
	at     string // where it is and who says so, for messages
	start  string // the command that would start one
	http   *http.Client
}

// control finds the socket in the configuration, or takes what --control says.
func (a *app) control() (*control, error) {
	switch path, isSocket := strings.CutPrefix(a.controlFlag, "unix:"); {
	case isSocket:
		c := newControl(path, config.Origin{})
		c.at = path + " (--control)"
		return c, nil
	case a.controlFlag != "":
		return a.tcpControl()
	}
	socket, origin, err := config.ControlSocket(a.configFile(), a.env)
	if err != nil {
		return nil, err
	}
	c := newControl(socket, origin)
	if a.configFlag != "" {
		c.start += " --config " + a.configFlag
	}
	return c, nil
}

func newControl(socket string, origin config.Origin) *control {
	return &control{socket: socket, at: fmt.Sprintf("%s (control.socket, %s)", socket, origin), start: "dualgram run", http: &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", socket)
			},
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// get asks for a resource such as /v1/status and decodes the answer, which has
// to be of the schema.
func (c *control) get(ctx context.Context, path string, query url.Values, schema string, out any) error {
	return c.do(ctx, http.MethodGet, path, query, nil, controlTimeout, schema, out)
}

// post sends a body and decodes the answer, which has to be of the schema.
func (c *control) post(ctx context.Context, path string, body any, schema string, out any) error {
	return c.do(ctx, http.MethodPost, path, nil, body, controlTimeout, schema, out)
}

// do is one request that is answered within the limit, by an object of the schema.
func (c *control) do(ctx context.Context, method, path string, query url.Values, body any, limit time.Duration, schema string, out any) error {
	answer, err := c.send(ctx, method, path, query, body, limit)
	if err != nil {
		return err
	}
	var named struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(answer, &named); err != nil {
		return couldNotRun(fmt.Sprintf("what answers on %s is not dualgram: %v", c.at, err), "check control.socket, or --control", err)
	}
	if named.Schema != schema {
		return couldNotRun(fmt.Sprintf("the running dualgram answers %s, and this command reads %s", named.Schema, schema), "use the command of the version that runs; see dualgram version", nil)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return couldNotRun("read the answer: "+err.Error(), "use the command of the version that runs; see dualgram version", err)
	}
	return nil
}

// send is one request that is answered within the limit; it returns the body of an
// answer that is no error.
func (c *control) send(ctx context.Context, method, path string, query url.Values, body any, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	u := url.URL{Scheme: "http", Host: "dualgram", RawQuery: query.Encode()}
	u.RawPath = path
	var err error
	if u.Path, err = url.PathUnescape(path); err != nil {
		return nil, couldNotRun(err.Error(), "", err)
	}
	var send io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, couldNotRun(err.Error(), "", err)
		}
		send = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), send)
	if err != nil {
		return nil, couldNotRun(err.Error(), "", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, refused(resp.Status, answer)
	}
	return answer, nil
}

// errFaultEnded: the fault that was asked for is over.
var errFaultEnded = errors.New("the fault is over")

// refused turns an answer that is an error into an exit code.
func refused(status string, answer []byte) error {
	var e console.Error
	if json.Unmarshal(answer, &e) != nil || e.Message == "" {
		e.Message = "answered " + status
	}
	switch e.Code {
	case console.CodeUnauthorized:
		return misuse("dualgram doesn't take the control token: "+e.Message, "name the file that it has in control.token_file: DUALGRAM_CONTROL_TOKEN_FILE")
	case console.CodeBadRequest, console.CodeUnknownBot, console.CodeNotFound:
		return misuse(e.Message, e.Fix)
	case console.CodeEnded:
		return &failure{code: exitNotOK, message: e.Message, fix: e.Fix, err: errFaultEnded}
	case console.CodeRefused, console.CodeNotSaved, console.CodeForbidden:
		return &failure{code: exitNotOK, message: e.Message, fix: e.Fix}
	}
	return couldNotRun("dualgram: "+e.Message, e.Fix, nil)
}

// notSocket says whether something else stands at the path: Linux refuses the
// connection then, as it does for a socket that nobody listens on.
func (c *control) notSocket() bool {
	st, err := os.Stat(c.socket)
	return c.socket != "" && err == nil && st.Mode().Type() != fs.ModeSocket
}

// unreachable says why nobody answered.
func (c *control) unreachable(err error) error {
	at := c.at
	switch {
	case c.socket == "" && errors.Is(err, syscall.ECONNREFUSED):
		return couldNotRun("nobody answers on "+at, "is dualgram running, with control.listen set to that address?", err)
	case c.notSocket():
		return couldNotRun("what stands at "+at+" is no socket", "correct control.socket", err)
	case errors.Is(err, fs.ErrNotExist):
		return couldNotRun("no control socket at "+at, "is dualgram running? Start it with: "+c.start+". If it runs with another configuration, name that with --config", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return couldNotRun("nobody answers on "+at, "dualgram ended without removing its socket; start it again with: "+c.start, err)
	case errors.Is(err, fs.ErrPermission):
		return couldNotRun("no permission to use "+at, "run this command as the user dualgram runs as, for example with sudo -u dualgram", err)
	case errors.Is(err, context.DeadlineExceeded):
		return couldNotRun(fmt.Sprintf("dualgram did not answer within %s on %s", config.FormatDuration(controlTimeout), at), "it runs but hangs; look at its log, then restart it", err)
	}
	// The URL in the error is made up and would only puzzle.
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	return couldNotRun(fmt.Sprintf("ask dualgram on %s: %v", at, err), "", err)
}
