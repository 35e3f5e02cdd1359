package botapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	// defaultDeadline is for callers whose context has none: setWebhook waits
	// for a name look-up on Telegram's side.
	defaultDeadline = 30 * time.Second
	// maxAnswer bounds every answer but getUpdates'.
	maxAnswer = 1 << 20
	// maxRetryAfter keeps a nonsensical number from overflowing.
	maxRetryAfter = 24 * time.Hour

	defaultMinWait = 100 * time.Millisecond
	defaultMaxWait = 2 * time.Second
)

// request is what a method asks call for.
type request struct {
	method      string
	pool        Pool
	retry       Retry
	body        []byte
	contentType string
	maxBytes    int64
	// split asks for the elements of the result instead of the result.
	split bool
	// secrets are scrubbed from texts besides the token.
	secrets []string
}

// answer is the outcome of one attempt.
type answer struct {
	result      json.RawMessage
	elements    [][]byte
	description string
	date        time.Time
	size        int
}

// call runs one call: it is the RoundTripper, the retry policy and the backoff
// of a retryablehttp client of its own. An attempt is finished inside
// RoundTrip, body and all, so that policy and observer see what it came to,
// and retryablehttp (whose errors quote the URL) sees only a bare status.
type call struct {
	request
	c *Client

	ans     answer
	err     *Error
	attempt int
	retries int
	// staleRetried: the free repetition on a new connection is used up.
	staleRetried bool
	stale        bool
	maybe        bool
	waiting      bool
	wait         time.Duration
}

// errAttempt stands for an error that is kept in call.err.
var errAttempt = errors.New("attempt failed")

func (c *Client) call(ctx context.Context, r request) (answer, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultDeadline)
		defer cancel()
	}
	if r.maxBytes <= 0 {
		r.maxBytes = maxAnswer
	}
	k := &call{request: r, c: c}
	var body any
	if r.body != nil {
		body = r.body
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, c.endpoint(r.method), body)
	if err != nil {
		return answer{}, &Error{Op: r.method, Kind: KindBadRequest, Description: "the request can't be built", Phase: PhaseStart}
	}
	req.Header.Set("User-Agent", c.userAgent)
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	rc := &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport:     k,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		RetryMax:     max(r.retry.Max, 0) + 1, // one more for the free repetition; checkRetry counts
		CheckRetry:   k.checkRetry,
		Backoff:      func(time.Duration, time.Duration, int, *http.Response) time.Duration { return k.wait },
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	_, err = rc.Do(req) //nolint:bodyclose // k has read and closed it
	switch {
	case k.attempt == 0:
		k.err = k.fail(KindCanceled, PhaseStart)
		k.err.Err = k.redactedCause(err)
	case k.waiting && ctx.Err() != nil:
		// The context ended in the pause before a repetition.
		last := k.err
		k.err = k.fail(contextKind(ctx), last.Phase)
		k.err.Err = k.redactedCause(ctx.Err())
		k.err.Date, k.err.RetryAfter = last.Date, last.RetryAfter
	}
	if k.err != nil {
		k.err.Attempts = k.attempt
		k.err.MayHaveHappened = k.maybe
		return k.ans, k.err
	}
	return k.ans, nil
}

// RoundTrip makes one attempt. It implements http.RoundTripper.
func (k *call) RoundTrip(req *http.Request) (*http.Response, error) {
	k.attempt++
	k.waiting = false
	start := time.Now()
	ctx := req.Context()
	if k.retry.Attempt > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, k.retry.Attempt)
		defer cancel()
	}
	t := &tracker{}
	status, retryAfter := k.exchange(t, req.WithContext(t.watch(ctx)))
	o := Call{Method: k.method, Pool: k.pool, Code: status, Duration: time.Since(start), Attempt: k.attempt, Date: k.ans.date}
	if k.err != nil {
		o.Kind = k.err.Kind
		k.err.Date = k.ans.date
		if retryAfter > k.err.RetryAfter {
			k.err.RetryAfter = retryAfter
		}
		if k.err.Kind != KindRateLimited && k.err.Kind != KindServer {
			k.err.RetryAfter = 0
		}
		o.RetryAfter = k.err.RetryAfter
	}
	k.c.observe(o)
	if k.err != nil && status == 0 {
		return nil, errAttempt
	}
	// No header is passed on: http.Client would put a Location into its errors.
	return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

// CloseIdleConnections is called by retryablehttp when a call failed for good
// without an answer.
func (k *call) CloseIdleConnections() { k.c.pools[k.pool].closeIdle() }

// exchange sends the request and reads the answer into k.ans and k.err. It
// returns the HTTP status, or 0 if there was none, and the Retry-After header.
func (k *call) exchange(t *tracker, req *http.Request) (status int, retryAfter time.Duration) {
	k.ans, k.err, k.stale = answer{}, nil, false
	ctx := req.Context()
	if ctx.Err() != nil {
		k.err = k.fail(contextKind(ctx), PhaseStart)
		k.err.Err = k.redactedCause(ctx.Err())
		return 0, 0
	}
	resp, err := k.c.pools[k.pool].roundTripper().RoundTrip(req)
	if err != nil {
		k.failTransport(ctx, t, err)
		return 0, 0
	}
	defer resp.Body.Close()
	t.reach(phaseBody)
	if d, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		k.ans.date = d
	}
	retryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), k.ans.date)
	body, err := readBody(resp, k.maxBytes)
	k.ans.size = len(body)
	if err != nil {
		if errors.Is(err, errTooLarge) {
			k.err = k.undecided(KindTooLarge, resp.StatusCode)
			k.err.Description = "the answer is longer than " + strconv.FormatInt(k.maxBytes, 10) + " bytes"
			return resp.StatusCode, retryAfter
		}
		k.failTransport(ctx, t, err)
		k.err.Code = resp.StatusCode
		return resp.StatusCode, retryAfter
	}
	k.judge(resp, body)
	return resp.StatusCode, retryAfter
}

// envelope is what wraps every answer (Query.h:195-235).
type envelope struct {
	OK          *bool           `json:"ok"`
	Result      json.RawMessage `json:"result"`
	Description string          `json:"description"`
	ErrorCode   int             `json:"error_code"`
	Parameters  struct {
		RetryAfter int64 `json:"retry_after"`
		MigratedTo int64 `json:"migrate_to_chat_id"`
	} `json:"parameters"`
}

// judge decides what a complete answer means.
func (k *call) judge(resp *http.Response, body []byte) {
	status := resp.StatusCode
	if status >= 300 && status <= 399 {
		k.err = k.undecided(KindProtocol, status)
		k.err.Description = "redirects are not followed; check the API address and what stands before it"
		return
	}
	if k.split && status == http.StatusOK {
		if elements, ok := splitUpdates(body, framed(resp)); ok {
			k.ans.elements = elements
			return
		}
	}
	var e envelope
	if json.Unmarshal(body, &e) != nil || e.OK == nil {
		k.notTheBotAPI(resp, len(body))
		return
	}
	if *e.OK {
		if status != http.StatusOK || len(e.Result) == 0 || k.split {
			k.notTheBotAPI(resp, len(body))
			return
		}
		k.ans.result, k.ans.description = e.Result, k.scrub(e.Description)
		return
	}
	code := e.ErrorCode
	if code == 0 {
		code = status
	}
	k.err = k.fail(kindOfCode(code), PhaseBody)
	k.err.Code, k.err.Description = code, k.scrub(e.Description)
	switch k.err.Kind {
	case KindConflict:
		k.err.Conflict = conflictOf(e.Description)
	case KindBadRequest:
		k.err.Detail = detailOf(e.Description)
	case KindServer, KindProtocol:
		k.maybe = k.maybe || k.changes()
	}
	k.err.RetryAfter, k.err.MigratedTo = clampSeconds(e.Parameters.RetryAfter), e.Parameters.MigratedTo
}

// notTheBotAPI is for an answer without a Bot API envelope: a front's error
// page, a captive portal, a truncated body. Its text isn't kept. Only 5xx
// and 429 are believed; a 401 of a strange proxy must not stop the bot.
func (k *call) notTheBotAPI(resp *http.Response, size int) {
	kind := KindProtocol
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		kind = KindRateLimited
	case resp.StatusCode >= 500 && resp.StatusCode <= 599:
		kind = KindServer
	}
	k.err = k.undecided(kind, resp.StatusCode)
	ct, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		ct = "no content type"
	}
	k.err.Description = "not an answer of the Bot API (" + k.scrub(ct) + ", " + strconv.Itoa(size) + " bytes)"
}

// failTransport is for an attempt that ended without a complete answer.
func (k *call) failTransport(ctx context.Context, t *tracker, err error) {
	phase := t.phase()
	kind := transportKind(ctx, phase, err)
	if t.reused() && phase < phaseBody && !t.answered() && kind != KindCanceled && kind != KindTimeout {
		// The server closed the idle connection; net/http has several words
		// for it, not all of them typed.
		kind, k.stale = KindReset, true
	}
	if k.changes() && t.maybeWritten(err) {
		k.maybe = true
	}
	k.err = k.fail(kind, phase.name())
	k.err.Err = k.redactedCause(err)
}

func (k *call) fail(kind Kind, phase Phase) *Error {
	return &Error{Op: k.method, Kind: kind, Phase: phase}
}

// undecided is for an answer that doesn't say whether the call took effect.
func (k *call) undecided(kind Kind, code int) *Error {
	k.maybe = k.maybe || k.changes()
	e := k.fail(kind, PhaseBody)
	e.Code = code
	return e
}

// changes reports whether the method does more than read. getUpdates confirms
// by its offset, but sending the same again confirms nothing else.
func (k *call) changes() bool {
	return !strings.HasPrefix(strings.ToLower(k.method), "get")
}

func (k *call) scrub(text string) string { return k.c.scrub(text, k.secrets...) }

// checkRetry implements retryablehttp.CheckRetry on the outcome of the attempt.
func (k *call) checkRetry(ctx context.Context, _ *http.Response, _ error) (bool, error) {
	if k.err == nil || ctx.Err() != nil {
		return false, nil //nolint:nilerr // retryablehttp returns what the attempt did
	}
	if k.stale && !k.staleRetried && !k.changes() {
		k.staleRetried = true
		k.c.pools[k.pool].closeIdle()
		k.wait, k.waiting = 0, true
		return true, nil
	}
	if k.retries >= k.retry.Max || !retryable(k.err.Kind) {
		return false, nil
	}
	wait := k.retry.pause(k.retries)
	if k.err.RetryAfter > 0 {
		wait = k.err.RetryAfter
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return false, nil
	}
	k.retries++
	k.wait, k.waiting = wait, true
	return true, nil
}

func retryable(kind Kind) bool {
	switch kind {
	case KindTimeout, KindDNS, KindRefused, KindReset, KindNetwork, KindRateLimited, KindServer, KindProtocol:
		return true
	}
	return false
}

// pause is the wait before repetition n, from 0.
func (r Retry) pause(n int) time.Duration {
	lo, hi := r.MinWait, r.MaxWait
	if lo <= 0 {
		lo = defaultMinWait
	}
	if hi <= 0 {
		hi = defaultMaxWait
	}
	d := lo
	for range n {
		if d >= hi {
			break
		}
		d *= 2
	}
	d = min(d, max(lo, hi))
	return d - rand.N(d/2+1)
}

var errTooLarge = errors.New("too large")

// readBody reads at most limit bytes. resp.ContentLength only sizes the buffer.
func readBody(resp *http.Response, limit int64) ([]byte, error) {
	if resp.ContentLength > limit {
		return nil, errTooLarge
	}
	var buf bytes.Buffer
	if n := resp.ContentLength; n > 0 {
		buf.Grow(int(min(n, 4<<20)) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return buf.Bytes(), err
	}
	if n > limit {
		return nil, errTooLarge
	}
	return buf.Bytes(), nil
}

// framed reports whether the end of the body was marked by more than the end of
// the connection, so that it can't have been cut off.
func framed(resp *http.Response) bool {
	if resp.ContentLength >= 0 || resp.Uncompressed {
		return true
	}
	return len(resp.TransferEncoding) > 0 && resp.TransferEncoding[0] == "chunked"
}

func clampSeconds(n int64) time.Duration {
	if n <= 0 {
		return 0
	}
	return time.Duration(min(n, int64(maxRetryAfter/time.Second))) * time.Second
}

// parseRetryAfter reads seconds or a date; a date is taken relative to the
// server's own clock.
func parseRetryAfter(s string, date time.Time) time.Duration {
	if s == "" {
		return 0
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return clampSeconds(n)
	}
	at, err := http.ParseTime(s)
	if err != nil {
		return 0
	}
	if date.IsZero() {
		date = time.Now()
	}
	return min(max(at.Sub(date), 0), maxRetryAfter)
}
