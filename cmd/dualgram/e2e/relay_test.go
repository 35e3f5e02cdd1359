package e2e_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ports hands out TCP ports that nobody else uses: not another test of this
// process, nor one of another run of the suite, nor, since they lie below those
// that the system gives to outgoing connections, a client. So a port stays free
// while its listener is closed or its process is dead.
type ports struct {
	mu     sync.Mutex
	guards []net.Listener // one for each block of ports, on its first
	next   int
}

const portBlock = 50

var thePorts ports

func (p *ports) take() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range 2000 {
		if p.next%portBlock == 0 {
			base := 10000 + portBlock*rand.IntN(20000/portBlock)
			guard, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(base))
			if err != nil {
				continue // another run's
			}
			p.guards = append(p.guards, guard)
			p.next = base + 1
		}
		port := p.next
		p.next++
		if ln, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
			ln.Close()
			return port, nil
		}
	}
	return 0, errors.New("no free port")
}

// listenAt listens on an address that was free a moment ago. A process that is
// just being started holds what this one has closed until it is executed.
func listenAt(addr string) (ln net.Listener, err error) {
	for range 200 {
		if ln, err = net.Listen("tcp", addr); err == nil {
			return ln, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, err
}

func freePort(t testing.TB) int {
	t.Helper()
	port, err := thePorts.take()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func freeAddr(t testing.TB) string { return "127.0.0.1:" + strconv.Itoa(freePort(t)) }

// pathState is what a relay does to connections.
type pathState int

const (
	pathOpen    pathState = iota
	pathRefused           // nobody listens
	pathSilent            // connections are taken, and every byte vanishes
	pathReset             // connections are reset at once
)

// relay passes TCP connections on to an address, until it is told to break the
// path. It stands in for the network between two parties.
type relay struct {
	t      testing.TB
	addr   string
	target string

	mu    sync.Mutex
	ln    net.Listener
	state pathState
	delay time.Duration // of each chunk, in either direction
	conns map[*relayed]struct{}
	wg    sync.WaitGroup
}

// relayed is one connection with its other half.
type relayed struct {
	in, out net.Conn
	starved atomic.Bool // bytes of it have vanished
}

func newRelay(t testing.TB, target string) *relay {
	r := &relay{t: t, addr: freeAddr(t), target: target, conns: map[*relayed]struct{}{}}
	r.listen()
	t.Cleanup(r.close)
	return r
}

func (r *relay) listen() {
	ln, err := listenAt(r.addr)
	if err != nil {
		r.t.Errorf("relay: %v", err)
		return
	}
	r.ln = ln
	r.wg.Go(func() { r.accept(ln) })
}

func (r *relay) accept(ln net.Listener) {
	for {
		in, err := ln.Accept()
		if err != nil {
			return
		}
		r.wg.Go(func() { r.serve(in) })
	}
}

func (r *relay) serve(in net.Conn) {
	c := &relayed{in: in}
	r.mu.Lock()
	state := r.state
	if state == pathReset || state == pathRefused { // accepted just before the listener was closed
		r.mu.Unlock()
		reset(in)
		return
	}
	r.conns[c] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.conns, c)
		r.mu.Unlock()
		in.Close()
	}()
	var wg sync.WaitGroup
	defer wg.Wait()
	if state != pathSilent {
		out, err := net.DialTimeout("tcp", r.target, 5*time.Second)
		if err != nil {
			reset(in)
			return
		}
		defer out.Close()
		r.mu.Lock()
		c.out = out
		r.mu.Unlock()
		wg.Go(func() { r.copy(c, in, out) })
	}
	r.copy(c, c.out, in)
}

// copy moves bytes from one half to the other, or loses them.
func (r *relay) copy(c *relayed, to, from net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			r.mu.Lock()
			state, delay := r.state, r.delay
			r.mu.Unlock()
			if delay > 0 {
				time.Sleep(delay)
			}
			if state == pathSilent || to == nil || c.starved.Load() {
				c.starved.Store(true)
				continue
			}
			if _, err := to.Write(buf[:n]); err != nil {
				from.Close()
				return
			}
		}
		if err != nil {
			if err == io.EOF && to != nil && !c.starved.Load() {
				if tc, ok := to.(*net.TCPConn); ok {
					_ = tc.CloseWrite()
				}
				return
			}
			if to != nil {
				to.Close()
			}
			return
		}
	}
}

// set changes the state of the path, for the connections that are there too.
func (r *relay) set(s pathState) {
	r.mu.Lock()
	old := r.state
	r.state = s
	var cut []*relayed
	for c := range r.conns {
		// What has lost bytes can't go on; what is refused or reset is cut.
		if s == pathRefused || s == pathReset || s == pathOpen && (c.starved.Load() || c.out == nil) {
			cut = append(cut, c)
		}
	}
	ln := r.ln
	r.mu.Unlock()
	switch {
	case s == pathRefused && old != pathRefused:
		ln.Close()
	case s != pathRefused && old == pathRefused:
		r.listen()
	}
	for _, c := range cut {
		r.cut(c)
	}
}

func (r *relay) cut(c *relayed) {
	r.mu.Lock()
	out := c.out
	r.mu.Unlock()
	reset(c.in)
	if out != nil {
		reset(out)
	}
}

func (r *relay) slow(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delay = d
}

func (r *relay) close() {
	r.mu.Lock()
	r.state = pathReset
	ln := r.ln
	var all []*relayed
	for c := range r.conns {
		all = append(all, c)
	}
	r.mu.Unlock()
	ln.Close()
	for _, c := range all {
		r.cut(c)
	}
	r.wg.Wait()
}

// reset ends a connection by RST.
func reset(c net.Conn) {
	if tc, ok := c.(*net.TCPConn); ok {
		_ = tc.SetLinger(0)
	}
	c.Close()
}
