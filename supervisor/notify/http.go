package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"dualgram/transport/botapi"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	attemptTimeout = 10 * time.Second
	// Two repetitions, half a second and then one apart, get over a connection that
	// is lost; for more than that the message is made anew.
	repetitions   = 2
	repeatWaitMin = 500 * time.Millisecond
	repeatWaitMax = time.Second
	maxAnswer     = 64 << 10
	maxRetryAfter = 24 * time.Hour
)

// caller makes requests to an address that is a secret.
type caller struct {
	op     string
	client *retryablehttp.Client
}

// newCaller makes one with connections of its own. A nil transport means one that
// uses no proxy.
func newCaller(op string, transport http.RoundTripper) *caller {
	if transport == nil {
		transport = &http.Transport{TLSHandshakeTimeout: 5 * time.Second, IdleConnTimeout: 30 * time.Second, MaxIdleConnsPerHost: 1,
			ResponseHeaderTimeout: attemptTimeout, ForceAttemptHTTP2: true}
	}
	return &caller{op: op, client: &retryablehttp.Client{
		HTTPClient: &http.Client{Transport: transport, Timeout: attemptTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		RetryMax: repetitions, RetryWaitMin: repeatWaitMin, RetryWaitMax: repeatWaitMax,
		CheckRetry: worthRepeating, Backoff: retryablehttp.LinearJitterBackoff,
		// Its own errors quote the address.
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}}
}

// worthRepeating repeats at once what a lost connection or a restart may explain.
// Who answers 429 wants to be left alone.
func worthRepeating(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, nil //nolint:nilerr // the attempt's error is returned
	}
	if err != nil {
		return true, nil //nolint:nilerr // as above
	}
	return resp.StatusCode >= 500, nil
}

// call makes a request, and wants a 2xx. The error is an [*Error].
func (c *caller) call(ctx context.Context, method, address string, body []byte, header http.Header) error {
	e := &Error{Op: c.op}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		e.Err, e.Hint = errors.New("the address is not a URL"), "write one such as https://example.com/…"
		return e
	}
	e.Target = u.Host
	var content any
	if body != nil {
		content = body
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		e.Err = errors.New("the request can't be built")
		return e
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", "dualgram")
	resp, err := c.client.Do(req)
	if resp != nil {
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	}
	if err != nil {
		e.Err, e.Hint = bare(err), "check the network and the address"
		return e
	}
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return nil
	}
	e.Status = resp.StatusCode
	switch {
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	case resp.StatusCode >= 300 && resp.StatusCode <= 399:
		e.Hint = "redirects are not followed: configure the address that it leads to"
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone:
		e.Hint = "the address is not (or no longer) known there: copy it again"
	default:
		e.Hint = "the receiver refuses it: look at its log"
	}
	return e
}

// bare is the cause without the address that was called.
func bare(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	text := errors.New(botapi.Redact(err.Error()))
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w (no answer in time)", context.DeadlineExceeded)
	case errors.Is(err, context.Canceled):
		return context.Canceled
	}
	return text
}

// retryAfter reads the header, in seconds or as a date.
func retryAfter(v string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.ParseInt(v, 10, 32); err == nil {
		d = time.Duration(n) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
