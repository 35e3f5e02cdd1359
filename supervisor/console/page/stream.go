package page

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	// every is how often the page is rendered for those who look on.
	every = time.Second
	// heartbeat keeps proxies and tunnels from taking a quiet stream for a dead one.
	heartbeat = 15 * time.Second
	// backlog is how many messages wait for one client.
	backlog = 8
	// patience is how long one message may take to be written.
	patience = 5 * time.Second
	// lookFor bounds one look at the providers.
	lookFor = 2 * time.Second
)

// client is one who looks on.
type client struct {
	messages chan message
	gone     chan struct{} // closed when it is dropped
}

// message is one server-sent event.
type message struct {
	id   uint64
	name string
	data []byte
}

// change is the data of hello and patch.
type change struct {
	// Boot tells the processes apart: another one may have another page.
	Boot    string            `json:"boot,omitempty"`
	Title   string            `json:"title"`
	Now     time.Time         `json:"now"`
	Regions map[string]string `json:"regions"`
}

// Run keeps those who look on up to date until the context ends; then the streams
// end.
func (p *Page) Run(ctx context.Context) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			p.mu.Lock()
			p.over = true
			for c := range p.clients {
				p.drop(c)
			}
			p.mu.Unlock()
			return
		case <-ticker.C:
			p.tick(ctx)
		}
	}
}

// tick tells everybody what has changed. What can't be read now is told later.
func (p *Page) tick(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.clients) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	v, regions, err := p.render(ctx)
	if err != nil {
		return
	}
	changed := map[string]string{}
	for _, r := range regions {
		if key := r.key(); p.sent[r.ID] != key {
			p.sent[r.ID] = key
			changed[r.ID] = r.HTML
		}
	}
	if len(changed) == 0 {
		return
	}
	m := p.message("patch", change{Title: v.Title, Now: v.Now, Regions: changed})
	for c := range p.clients {
		select {
		case c.messages <- m:
		default:
			p.drop(c) // it comes back, and begins with everything
		}
	}
}

// render looks and renders. The lock is held.
func (p *Page) render(ctx context.Context) (*view, []region, error) {
	v, err := p.looked(ctx, time.Now())
	if err != nil {
		return nil, nil, err
	}
	regions, err := p.t.regions(v)
	return v, regions, err
}

// message numbers an event. The lock is held.
func (p *Page) message(name string, c change) message {
	p.seq++
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it is not put into a page as it is, and would be a third longer
	_ = e.Encode(c)        // strings and times can be encoded
	return message{p.seq, name, bytes.TrimSpace(b.Bytes())}
}

// drop forgets a client. The lock is held.
func (p *Page) drop(c *client) {
	if _, there := p.clients[c]; there {
		delete(p.clients, c)
		close(c.gone)
	}
}

// join takes in a client, who is told everything first. full says that there are too
// many.
func (p *Page) join(ctx context.Context) (c *client, full bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || len(p.clients) >= p.o.MaxClients {
		return nil, true, nil
	}
	v, regions, err := p.render(ctx)
	if err != nil {
		return nil, false, err
	}
	all := make(map[string]string, len(regions))
	alone := len(p.clients) == 0
	for _, r := range regions {
		all[r.ID] = r.HTML
		if alone { // others still have to be told what has changed since the last tick
			p.sent[r.ID] = r.key()
		}
	}
	c = &client{messages: make(chan message, backlog), gone: make(chan struct{})}
	c.messages <- p.message("hello", change{Boot: v.Started.Format(time.RFC3339Nano) + " " + p.t.hash, Title: v.Title, Now: v.Now, Regions: all})
	p.clients[c] = struct{}{}
	return c, false, nil
}

// leave forgets a client that has gone.
func (p *Page) leave(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(c)
}

// stream answers GET /events.
func (p *Page) stream(w http.ResponseWriter, r *http.Request) {
	c, full, err := p.join(r.Context())
	if full || err != nil {
		text := "too many look on already, or dualgram is stopping"
		if err != nil {
			text = err.Error()
		}
		w.Header().Set("Retry-After", "10")
		http.Error(w, text, http.StatusServiceUnavailable)
		return
	}
	defer p.leave(c)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold it back
	out := &writer{w: w, c: http.NewResponseController(w)}
	if out.write("retry: 2000\n\n") != nil {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case m := <-c.messages:
			err = out.write(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", m.id, m.name, m.data))
		case <-beat.C:
			err = out.write(": still here\n\n")
		case <-c.gone:
			return
		case <-r.Context().Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// writer writes pieces, each within its time.
type writer struct {
	w http.ResponseWriter
	c *http.ResponseController
}

func (o *writer) write(s string) error {
	// Not every ResponseWriter has deadlines; a real connection does.
	_ = o.c.SetWriteDeadline(time.Now().Add(patience))
	if _, err := o.w.Write([]byte(s)); err != nil {
		return err
	}
	return o.c.Flush()
}
