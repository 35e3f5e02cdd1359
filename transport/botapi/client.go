// Package botapi is a typed client for the few Bot API methods by which updates
// are taken in: getMe, getUpdates, setWebhook, deleteWebhook, getWebhookInfo; and
// for sendMessage, by which an operator is told of trouble.
//
// The guarantees:
//
//   - Whatever goes wrong comes back as one [*Error] with a [Kind] to act on,
//     and it says whether a call that changes something could have taken effect
//     ([Error.MayHaveHappened]). No other package needs to look at an error's
//     text; what has to be told apart by text is in apierror.go.
//   - The bot token is in no error, no wrapped error and nothing handed to
//     Observe. A foreign URL in an error is cut to its host.
//   - A call never outlives the caller's deadline, and is repeated only as far
//     as its [Retry] and that deadline allow. There is one repetition that costs
//     nothing: a call that only reads and that found its idle connection
//     dead is sent once more at once on a new one.
//   - The elements of a getUpdates answer are handed on byte for byte and never
//     decoded; an element that is not JSON doesn't hide the others.
//   - No redirect is followed: Go would send the token on in Referer.
//
// All pools speak HTTP/1.1. A request that is cancelled then takes its
// connection with it; over HTTP/2 only the stream ends and the next calls
// are sent into the same dead connection.
package botapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// DefaultBaseURL is Telegram's own Bot API server.
const DefaultBaseURL = "https://api.telegram.org"

// Options configures a [Client]. Only Token is required.
type Options struct {
	// Token is the bot's token, as BotFather gives it.
	Token string
	// BaseURL is the Bot API server, http or https, with an optional path
	// prefix. Default [DefaultBaseURL].
	BaseURL string
	// CAFile is a PEM file with the authorities to trust instead of the
	// system's, for a Bot API server of one's own.
	CAFile string
	// Proxy is an http, https, socks5 or socks5h URL. Empty: no proxy; the
	// environment is not consulted.
	Proxy string
	// Dial replaces the dialer. Empty: a dialer that notices a dead peer within
	// 25 s.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// WrapDial is put around the dialer, whichever it is.
	WrapDial func(func(ctx context.Context, network, addr string) (net.Conn, error)) func(ctx context.Context, network, addr string) (net.Conn, error)
	// Wrap is put around each http.Transport that the client makes.
	Wrap func(http.RoundTripper) http.RoundTripper
	// UserAgent is sent with each call. Default "dualgram".
	UserAgent string
	// Observe is called once for each attempt, in the goroutine of the call. It
	// must be safe for concurrent use and must not block.
	Observe func(Call)
	// ReadRetry is how getMe and getWebhookInfo are repeated, always within
	// the caller's deadline. Zero: [DefaultReadRetry]; a negative Max: never.
	ReadRetry Retry
}

// Retry says how often, and how far apart, a failed call is repeated. The time
// that all of it may take is the deadline of the caller's context.
type Retry struct {
	// Max is the number of repetitions, so 0 means one attempt.
	Max int
	// MinWait and MaxWait bound the pause, which doubles from MinWait and is
	// jittered downwards by up to half. Defaults 100 ms and 2 s. What
	// Telegram asks for with a 429 is obeyed whatever MaxWait is; if the
	// deadline leaves no room for it the error is returned at once.
	MinWait, MaxWait time.Duration
	// Attempt, if positive, bounds a single attempt, so that one that hangs
	// leaves something of the deadline for the next.
	Attempt time.Duration
}

// DefaultReadRetry is how getMe and getWebhookInfo are repeated: quickly, so
// that one dropped connection fits into a deadline of a second.
var DefaultReadRetry = Retry{Max: 2, MinWait: 100 * time.Millisecond, MaxWait: 400 * time.Millisecond}

// Call is one attempt of one call, for metrics and evidence. It holds neither
// the token nor anything of an update.
type Call struct {
	Method string
	Pool   Pool
	// Code is the HTTP status; 0 if there was no answer.
	Code int
	// Kind is empty for a success.
	Kind     Kind
	Duration time.Duration
	// RetryAfter is how long the server asked to wait; 0 if it didn't.
	RetryAfter time.Duration
	// Attempt counts from 1 within a call.
	Attempt int
	// Date is the server's clock, from the Date header; zero without one.
	Date time.Time
}

// Client calls the Bot API for one bot. It is safe for concurrent use. It holds
// the token in closures only, so that printing a Client doesn't print it.
type Client struct {
	botID     int64
	server    string
	endpoint  func(method string) string
	scrub     func(text string, also ...string) string
	userAgent string
	observe   func(Call)
	readRetry Retry
	pools     [poolCount]pool
}

var tokenShape = regexp.MustCompile(`^([0-9]{5,18}):[A-Za-z0-9_-]{30,}$`)

// New makes a client. It makes no call.
func New(o Options) (*Client, error) {
	m := tokenShape.FindStringSubmatch(o.Token)
	if m == nil {
		return nil, errors.New("botapi: the bot token has not the form <digits>:<30 or more letters, digits, _ or ->; copy it again from @BotFather")
	}
	id, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return nil, errors.New("botapi: the number in the bot token is out of range")
	}
	base, err := parseBaseURL(o.BaseURL)
	if err != nil {
		return nil, err
	}
	proxy, err := parseProxy(o.Proxy)
	if err != nil {
		return nil, err
	}
	roots, err := loadRoots(o.CAFile)
	if err != nil {
		return nil, err
	}
	dial := o.Dial
	if dial == nil {
		dial = defaultDialer().DialContext
	}
	if o.WrapDial != nil {
		dial = o.WrapDial(dial)
	}
	c := &Client{
		botID:     id,
		server:    base.Host,
		endpoint:  endpointFunc(base, o.Token),
		scrub:     scrubFunc(o.Token, proxy),
		userAgent: o.UserAgent,
		observe:   o.Observe,
		readRetry: o.ReadRetry,
	}
	if c.userAgent == "" {
		c.userAgent = "dualgram"
	}
	if c.observe == nil {
		c.observe = func(Call) {}
	}
	if c.readRetry == (Retry{}) {
		c.readRetry = DefaultReadRetry
	}
	for i := range c.pools {
		c.pools[i].make = func() (*http.Transport, http.RoundTripper) {
			t := newTransport(Pool(i), dial, proxy, roots)
			if o.Wrap == nil {
				return t, t
			}
			return t, o.Wrap(t)
		}
		c.pools[i].reset()
	}
	return c, nil
}

// BotID is the bot's numeric id, read from the token.
func (c *Client) BotID() int64 { return c.botID }

// Server is the host, and the port if one was given, of the Bot API server.
func (c *Client) Server() string { return c.server }

// ResetPool gives the pool a new http.Transport: no connection of the old one
// is used again. Calls in progress finish on the old one.
func (c *Client) ResetPool(p Pool) {
	if p < poolCount {
		c.pools[p].reset()
	}
}

// Close closes the idle connections of all pools.
func (c *Client) Close() {
	for i := range c.pools {
		c.pools[i].closeIdle()
	}
}

func endpointFunc(base *url.URL, token string) func(string) string {
	prefix := strings.TrimSuffix(base.String(), "/") + "/bot" + token + "/"
	return func(method string) string { return prefix + method }
}

func parseBaseURL(s string) (*url.URL, error) {
	if s == "" {
		s = DefaultBaseURL
	}
	u, err := url.Parse(s)
	if err != nil {
		// The error of url.Parse quotes what it was given.
		return nil, errors.New("botapi: the API address can't be parsed; give it as https://host[:port]")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("botapi: API address %s: give it as https://host[:port]", RedactURL(s))
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, fmt.Errorf("botapi: API address %s: it must not have user, query or fragment", RedactURL(s))
	}
	return u, nil
}

func parseProxy(s string) (*url.URL, error) {
	if s == "" {
		return nil, nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return nil, errors.New("botapi: the proxy address can't be parsed; give it as http://host:port or socks5://host:port")
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return u, nil
	}
	return nil, fmt.Errorf("botapi: proxy scheme %q: use http, https or socks5", u.Scheme)
}

func loadRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("botapi: CA file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("botapi: CA file %s holds no certificate in PEM form", file)
	}
	return roots, nil
}

func tlsConfig(roots *x509.CertPool) *tls.Config {
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
}
