package delivery

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"
)

const (
	defaultForwardTimeout = 30 * time.Second
	defaultForwardLanes   = 64

	// maxResponse bounds what is read of the bot's answer. Telegram itself
	// refuses answers with over 1 MiB of parameters (HttpReader.h:109).
	maxResponse = 1 << 20

	// forwardIdle is shorter than the 5 s after which common bot servers (Node,
	// uvicorn, Apache) drop an idle connection, so that a request does not go
	// out on a connection that is just being closed and cost an attempt.
	forwardIdle = 4 * time.Second
)

// ForwardOptions configure a [Forward]. Only URL is required.
type ForwardOptions struct {
	// URL of the bot's endpoint, http or https. Userinfo becomes basic
	// authentication, as Telegram does it.
	URL string
	// Timeout bounds one delivery, from dialling to the end of the answer; 30 s
	// by default.
	Timeout time.Duration
	// Secret returns the value of X-Telegram-Bot-Api-Secret-Token; it is asked
	// for each delivery, so that it can be changed. Nil or an empty value: the
	// header is left out.
	Secret func() string
	// Lanes is how many deliveries run at once at most; as many connections are
	// kept alive. 64 by default.
	Lanes int
	// TLS is used for an https URL; nil means the system's roots.
	TLS *tls.Config
	// Dial opens connections; nil means a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Wrap, if set, goes around the transport.
	Wrap func(http.RoundTripper) http.RoundTripper
	// OnReply is called when the bot's answer asks for a Bot API call, which
	// Telegram would make and dualgram does not. It must not block.
	OnReply func(Reply)
}

// Reply tells of an answer that holds a call of a Bot API method. The answer's
// content is not part of it.
type Reply struct {
	UpdateID int64
	// Format is how the call was written: "json", "form" or "multipart".
	Format string
}

// Forward posts updates to the bot's HTTP endpoint the way Telegram posts them
// to a webhook, so that a bot written for webhooks works behind it unchanged:
// the same bytes, Content-Type and secret header, and besides Dualgram-Update-Id,
// Dualgram-Source (webhook or polling) and Dualgram-Attempt (from 1).
//
// Any 2xx status means taken, whatever becomes of the answer's body. Redirects
// are not followed, and proxies of the environment are not used: those are for
// the way to Telegram, not to the bot.
type Forward struct {
	opts      ForwardOptions
	url       *url.URL
	target    string
	user      *url.Userinfo
	transport *http.Transport
	round     http.RoundTripper
}

// NewForward checks the options; it opens no connection.
func NewForward(o ForwardOptions) (*Forward, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		// The parse error quotes the URL, which may hold a password.
		return nil, errors.New("delivery: forward url does not parse: write it as http://host:port/path")
	}
	target := redactURL(u)
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("delivery: forward url %s: scheme must be http or https", target)
	case u.Hostname() == "":
		return nil, fmt.Errorf("delivery: forward url %s: host is missing", target)
	case u.Fragment != "":
		return nil, fmt.Errorf("delivery: forward url %s: a fragment (#…) is never sent: remove it", target)
	case o.Timeout < 0:
		return nil, fmt.Errorf("delivery: forward timeout %s: must not be negative", o.Timeout)
	case o.Lanes < 0:
		return nil, fmt.Errorf("delivery: forward lanes %d: must not be negative", o.Lanes)
	}
	if o.Timeout == 0 {
		o.Timeout = defaultForwardTimeout
	}
	if o.Lanes == 0 {
		o.Lanes = defaultForwardLanes
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	f := &Forward{opts: o, user: u.User, target: target}
	f.transport = &http.Transport{
		DialContext:            o.Dial,
		MaxIdleConns:           o.Lanes,
		MaxIdleConnsPerHost:    o.Lanes,
		IdleConnTimeout:        forwardIdle,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 256 << 10, // Telegram's own limit
	}
	if u.Scheme == "https" {
		f.transport.DialTLSContext = dialTLS(o.Dial, o.TLS, u.Hostname())
	}
	f.round = f.transport
	if o.Wrap != nil {
		f.round = o.Wrap(f.transport)
	}
	bare := *u
	bare.User = nil
	f.url = &bare
	return f, nil
}

// Deliver posts the update once. The error is an [*Error].
func (f *Forward) Deliver(ctx context.Context, u Update) error {
	ctx, cancel := context.WithTimeout(ctx, f.opts.Timeout)
	defer cancel()
	// The round tripper is used without an http.Client: no redirects, no
	// cookies, no Referer, and no url.Error that quotes the URL.
	resp, err := f.round.RoundTrip(f.request(ctx, u))
	if err != nil {
		kind, cause := ioKind(ctx, err)
		return &Error{Op: "forward", Kind: kind, Target: f.target, Detail: certificateTrouble(err), Err: cause}
	}
	taken := resp.StatusCode >= 200 && resp.StatusCode < 300
	format := f.drain(resp, taken && f.opts.OnReply != nil)
	if !taken {
		return &Error{Op: "forward", Kind: KindStatus, Status: resp.StatusCode, Target: f.target}
	}
	if format != "" {
		f.opts.OnReply(Reply{UpdateID: u.ID, Format: format})
	}
	return nil
}

// CloseIdle closes the connections that are kept alive.
func (f *Forward) CloseIdle() { f.transport.CloseIdleConnections() }

func (f *Forward) request(ctx context.Context, u Update) *http.Request {
	r := &http.Request{
		Method:        http.MethodPost,
		URL:           f.url,
		Host:          f.url.Host,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        make(http.Header, 8),
		Body:          io.NopCloser(bytes.NewReader(u.Raw)),
		ContentLength: int64(len(u.Raw)),
		// Lets the transport take another connection when the one it chose was
		// closed before anything was written to it.
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(u.Raw)), nil },
	}
	if len(u.Raw) == 0 {
		r.Body = http.NoBody
	}
	h := r.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "dualgram")
	h.Set("Dualgram-Update-Id", strconv.FormatInt(u.ID, 10))
	h.Set("Dualgram-Source", string(u.Source))
	h.Set("Dualgram-Attempt", strconv.Itoa(u.Attempt))
	if f.opts.Secret != nil {
		if s := f.opts.Secret(); s != "" {
			h.Set("X-Telegram-Bot-Api-Secret-Token", s)
		}
	}
	if f.user != nil {
		pw, _ := f.user.Password()
		r.SetBasicAuth(f.user.Username(), pw)
	}
	return r.WithContext(ctx)
}

// drain reads the answer so that its connection can be used again, and says in
// which format it asks for a Bot API call ("" if it does not). Its errors don't
// matter: the status has decided already.
func (f *Forward) drain(resp *http.Response, look bool) string {
	defer resp.Body.Close()
	body := io.LimitReader(resp.Body, maxResponse)
	if look {
		if format := replyFormat(resp.Header.Get("Content-Type")); format != "" {
			b, err := io.ReadAll(body)
			if err == nil && isReply(format, resp.Header.Get("Content-Type"), b) {
				return format
			}
			return ""
		}
	}
	_, _ = io.Copy(io.Discard, body)
	return ""
}

// dialTLS does the handshake itself, so that its failure can be told from others.
func dialTLS(dial func(context.Context, string, string) (net.Conn, error), cfg *tls.Config, host string) func(context.Context, string, string) (net.Conn, error) {
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg = cfg.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName = host
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c := tls.Client(conn, cfg)
		if err := c.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, handshakeError{err}
		}
		return c, nil
	}
}

// handshakeError marks what went wrong in a TLS handshake.
type handshakeError struct{ error }

func (e handshakeError) Unwrap() error { return e.error }

// certificateTrouble says why the bot's certificate was not accepted; its text
// holds names and dates of the certificate only.
func certificateTrouble(err error) string {
	var e *tls.CertificateVerificationError
	if errors.As(err, &e) {
		return e.Err.Error()
	}
	return ""
}

// tokenShape matches a bot token, plain or percent-encoded.
var tokenShape = regexp.MustCompile(`[0-9]{5,}(?::|%3[aA])[A-Za-z0-9_-]{30,}`)

// redactURL shows where a URL points without what may be secret in it.
func redactURL(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return tokenShape.ReplaceAllString(shown.String(), "<token>")
}
