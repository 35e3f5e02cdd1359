package check

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// door is a listener of the check's own at the webhook's address, before dualgram has
// it, so that the whole way in can be tried. It proves itself to our own probe, and
// answers anybody else with 503: an update that Telegram should try to deliver
// meanwhile is refused, as it would be without a listener, and comes again.
type door struct {
	ln   net.Listener
	srv  *http.Server
	done chan struct{}

	once   sync.Once
	err    error
	shown  bool // it has a certificate, or needs none
	guests int  // bots whose way in has yet to be tried; under checkup.mu
}

// open takes the webhook's address. Bots that share it share the door.
func (k *checkup) open(ctx context.Context, b *bot) error {
	w := &b.c.Webhook
	k.mu.Lock()
	d := k.doors[w.Listen]
	if d == nil {
		d = &door{done: make(chan struct{})}
		k.doors[w.Listen] = d
		for _, other := range k.bots {
			if o := &other.c.Webhook; !o.Off && o.Listen == w.Listen {
				d.guests++
			}
		}
	}
	k.mu.Unlock()
	d.once.Do(func() {
		if d.ln, d.err = k.o.Listen(ctx, "tcp", w.Listen); d.err != nil {
			close(d.done)
			return
		}
		ln := d.ln
		switch {
		case w.TLS.Off:
			d.shown = true
		case b.pair != nil && b.pair.cert != nil:
			d.shown = true
			ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{*b.pair.cert}, MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true})
		default:
			// There is nothing to show yet: the address is taken, to see that it can
			// be, and given back.
			_ = d.ln.Close()
			d.ln = nil
			close(d.done)
			return
		}
		d.srv = &http.Server{Handler: http.HandlerFunc(k.refuse), ReadTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
		go func() {
			defer close(d.done)
			_ = d.srv.Serve(ln) // until it is closed
		}()
	})
	return d.err
}

func (k *checkup) refuse(w http.ResponseWriter, r *http.Request) {
	if k.answers.Exempt(r) {
		k.answers.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusServiceUnavailable)
}

// close gives the address back.
func (d *door) close() {
	d.once.Do(func() { close(d.done) })
	if d.srv != nil {
		_ = d.srv.Close()
	}
	<-d.done
}

// leave closes the door behind the last bot, so that a dualgram which starts meanwhile
// finds its address free.
func (k *checkup) leave(b *bot) {
	k.mu.Lock()
	d := k.doors[b.c.Webhook.Listen]
	last := false
	if d != nil {
		d.guests--
		last = d.guests == 0
	}
	k.mu.Unlock()
	if last {
		d.close()
	}
}

// doorOf is the door of a bot, open or closed again; nil if there was none.
func (k *checkup) doorOf(b *bot) *door {
	k.mu.Lock()
	defer k.mu.Unlock()
	if d := k.doors[b.c.Webhook.Listen]; d != nil && d.err == nil && d.shown {
		return d
	}
	return nil
}
