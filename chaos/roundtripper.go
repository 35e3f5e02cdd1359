package chaos

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// RoundTripper returns rt with the botapi.* faults around it. Its errors name
// no URL: that holds the bot's token.
func (s *Scope) RoundTripper(rt http.RoundTripper) http.RoundTripper {
	if !s.Enabled() {
		return rt
	}
	s.attach(seamAPI)
	return &roundTripper{s, rt}
}

type roundTripper struct {
	reg  *Scope
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	tab := t.reg.load()
	if tab == nil {
		return t.next.RoundTrip(req)
	}
	return tripThrough(tab.api, t.next, req)
}

// CloseIdleConnections lets http.Client reach the transport beneath.
func (t *roundTripper) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type tripFunc func(*http.Request) (*http.Response, error)

func (f tripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// tripThrough hands the call to the first fault that hits it, with the faults
// after it in the way of the network.
func tripThrough(fs []*fault, next http.RoundTripper, req *http.Request) (*http.Response, error) {
	for i, f := range fs {
		rule := f.b.api
		if rule.match != nil && !rule.match(req) || !f.fire() {
			continue
		}
		return rule.trip(f, req, tripFunc(func(r *http.Request) (*http.Response, error) {
			return tripThrough(fs[i+1:], next, r)
		}))
	}
	return next.RoundTrip(req)
}

var methodsParam = Param{
	Name: "methods",
	Doc:  "only these methods of the Bot API, separated by commas, such as getUpdates,setWebhook",
}

// methodMatch reads methodsParam; nil means every call. The Bot API takes
// method names in any case.
func methodMatch(p *params) func(*http.Request) bool {
	names := p.list("methods")
	if len(names) == 0 {
		return nil
	}
	return func(r *http.Request) bool {
		return slices.ContainsFunc(names, func(n string) bool { return calls(r, n) })
	}
}

// calls tells whether it is a call of the method.
func calls(r *http.Request, method string) bool {
	return strings.EqualFold(method, r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
}

// instead makes a behaviour that lets the call wait for Spec.Delay and then
// answers in Telegram's place; the call is never made.
func instead(p *params, answer func(f *fault, req *http.Request) (*http.Response, error)) behaviour {
	return behaviour{api: &apiRule{methodMatch(p), func(f *fault, req *http.Request, _ http.RoundTripper) (*http.Response, error) {
		closeBody(req)
		if f.spec.Delay > 0 {
			if err := f.wait(req.Context(), f.spec.Delay); err != nil {
				return nil, err
			}
		}
		return answer(f, req)
	}}}
}

// closeBody does what a RoundTripper owes its caller, also when it fails.
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// response makes an answer. It has no Date: what a client learns from that
// header is the server's clock, and this is not the server.
func response(req *http.Request, code int, contentType, body string) *http.Response {
	return &http.Response{
		Status:        strconv.Itoa(code) + " " + http.StatusText(code),
		StatusCode:    code,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{"Content-Type": {contentType}},
		Body:          io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       req,
	}
}

// apiError makes an error answer in the Bot API's form. retryAfter, in
// seconds, is left out if it is 0.
func apiError(req *http.Request, code int, description string, retryAfter int64) *http.Response {
	extra := ""
	if retryAfter > 0 {
		extra = fmt.Sprintf(`,"parameters":{"retry_after":%d}`, retryAfter)
	}
	r := response(req, code, "application/json",
		fmt.Sprintf(`{"ok":false,"error_code":%d,"description":%q%s}`, code, description, extra))
	if retryAfter > 0 {
		r.Header.Set("Retry-After", strconv.FormatInt(retryAfter, 10))
	}
	return r
}

// errReset is what a read from a connection that the peer reset returns.
func errReset() error {
	return &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
}
