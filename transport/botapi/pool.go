package botapi

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Pool names one of the client's sets of connections. They are apart so that a
// stuck poll can't hold up deleteWebhook, nor either of them the info call.
type Pool uint8

// The pools, and what goes over them.
const (
	// PoolPoll: getUpdates.
	PoolPoll Pool = iota
	// PoolControl: setWebhook, deleteWebhook.
	PoolControl
	// PoolInfo: getMe, getWebhookInfo.
	PoolInfo
	// PoolNotify: sendMessage.
	PoolNotify
	poolCount
)

// String is the pool's name, for labels.
func (p Pool) String() string {
	switch p {
	case PoolPoll:
		return "poll"
	case PoolControl:
		return "control"
	case PoolInfo:
		return "info"
	case PoolNotify:
		return "notify"
	}
	return "unknown"
}

const (
	dialTimeout         = 5 * time.Second
	tlsHandshakeTimeout = 5 * time.Second
	// Idle connections go before the middleboxes forget them.
	idleConnTimeout = 30 * time.Second
	// A silent peer is noticed by keep-alive after 10 s + 3 × 5 s, and one that
	// takes no data after 20 s, where the platform can: keep-alive doesn't
	// run while data is unacknowledged.
	keepAliveIdle     = 10 * time.Second
	keepAliveInterval = 5 * time.Second
	keepAliveCount    = 3
	tcpUserTimeout    = 20 * time.Second
	maxHeaderBytes    = 64 << 10
)

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// pool is one http.Transport that can be thrown away.
type pool struct {
	make func() (*http.Transport, http.RoundTripper)

	mu        sync.Mutex
	transport *http.Transport
	wrapped   http.RoundTripper
}

func (p *pool) roundTripper() http.RoundTripper {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wrapped
}

func (p *pool) reset() {
	t, w := p.make()
	p.mu.Lock()
	old := p.transport
	p.transport, p.wrapped = t, w
	p.mu.Unlock()
	if old != nil {
		// Also makes connections close that become idle later.
		old.CloseIdleConnections()
	}
}

func (p *pool) closeIdle() {
	p.mu.Lock()
	t := p.transport
	p.mu.Unlock()
	t.CloseIdleConnections()
}

func newTransport(p Pool, dial dialFunc, proxy *url.URL, roots *x509.CertPool) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	t := &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        tlsConfig(roots),
		TLSHandshakeTimeout:    tlsHandshakeTimeout,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		Protocols:              &protocols,
	}
	if p == PoolControl {
		// A set may be given up and a delete sent right after it.
		t.MaxIdleConnsPerHost = 2
	}
	if proxy != nil {
		t.Proxy = http.ProxyURL(proxy)
	}
	return t
}

func defaultDialer() *net.Dialer {
	return &net.Dialer{
		Timeout: dialTimeout,
		KeepAliveConfig: net.KeepAliveConfig{
			Enable:   true,
			Idle:     keepAliveIdle,
			Interval: keepAliveInterval,
			Count:    keepAliveCount,
		},
		Control: setUserTimeout,
	}
}
