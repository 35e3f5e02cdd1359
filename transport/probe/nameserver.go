package probe

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// tries is how often a question is sent by UDP, which may lose it.
	tries = 2
	// maxDatagram is more than any answer to a question without EDNS may have.
	maxDatagram = 4096
)

// NameServer is a Resolver that asks one DNS server and nothing else. A net.Resolver
// with a server of its own looks into the hosts file first, where many a host has its own
// name with a loopback address.
type NameServer struct {
	// Addr is the server's host:port. It has to be a recursive one.
	Addr string
	// Dial opens connections, network being "udp" or "tcp"; default: a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// LookupNetIP implements Resolver. Its errors are *net.DNSError. It waits for an answer
// as long as ctx lets it, and asks a second time when half of that is over.
func (s NameServer) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	kind := dnsmessage.TypeA
	if network == "ip6" {
		kind = dnsmessage.TypeAAAA
	}
	addrs, err := s.lookUp(ctx, kind, strings.TrimSuffix(host, ".")+".")
	if err == nil {
		return addrs, nil
	}
	e := &net.DNSError{Err: err.Error(), Name: host, Server: s.Addr, UnwrapErr: err}
	var code rcodeError
	switch {
	case errors.Is(err, errNoAddress), errors.As(err, &code) && dnsmessage.RCode(code) == dnsmessage.RCodeNameError:
		e.IsNotFound = true
	case timedOut(err):
		e.IsTimeout = true
	default:
		e.IsTemporary = true
	}
	return nil, e
}

var errNoAddress = errors.New("no such record")

// rcodeError is a server's refusal to answer.
type rcodeError dnsmessage.RCode

func (e rcodeError) Error() string { return "the server says " + dnsmessage.RCode(e).String() }

func (s NameServer) lookUp(ctx context.Context, kind dnsmessage.Type, fqdn string) ([]netip.Addr, error) {
	name, err := dnsmessage.NewName(fqdn)
	if err != nil {
		return nil, err
	}
	var id [2]byte
	_, _ = rand.Read(id[:]) // it never fails
	q := question{
		header: dnsmessage.Header{ID: binary.BigEndian.Uint16(id[:]), RecursionDesired: true},
		asked:  dnsmessage.Question{Name: name, Type: kind, Class: dnsmessage.ClassINET},
	}
	msg := dnsmessage.Message{Header: q.header, Questions: []dnsmessage.Question{q.asked}}
	if q.packed, err = msg.Pack(); err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	truncated := false
	for left := tries; left > 0; left-- {
		var until time.Time
		if deadline, ok := ctx.Deadline(); ok && left > 1 {
			until = time.Now().Add(time.Until(deadline) / time.Duration(left))
		}
		addrs, truncated, err = s.exchange(ctx, "udp", q, until)
		if err == nil || !timedOut(err) || ctx.Err() != nil {
			break
		}
	}
	if truncated {
		addrs, _, err = s.exchange(ctx, "tcp", q, time.Time{})
	}
	return addrs, err
}

// question is what is asked.
type question struct {
	header dnsmessage.Header
	asked  dnsmessage.Question
	packed []byte
}

// exchange asks once, and waits for the answer until the time given, if it isn't zero,
// and ctx's end at the latest.
func (s NameServer) exchange(ctx context.Context, network string, q question, until time.Time) (addrs []netip.Addr, truncated bool, err error) {
	if !until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, until)
		defer cancel()
	}
	dial := s.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, network, s.Addr)
	if err != nil {
		return nil, false, err
	}
	defer conn.Close()
	defer hurry(ctx, conn)()

	out := q.packed
	if network == "tcp" { // RFC 1035, 4.2.2
		out = append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)
	}
	if _, err := conn.Write(out); err != nil {
		return nil, false, err
	}
	for {
		in, err := receive(conn, network)
		if err != nil {
			return nil, false, err
		}
		addrs, truncated, err := q.read(in)
		if errors.Is(err, errNotOurs) && network == "udp" {
			continue // anybody can send a datagram
		}
		return addrs, truncated, err
	}
}

func receive(conn net.Conn, network string) ([]byte, error) {
	if network == "udp" {
		b := make([]byte, maxDatagram)
		n, err := conn.Read(b)
		return b[:n], err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(conn, b)
	return b, err
}

var errNotOurs = errors.New("not an answer to the question")

// read takes the addresses out of an answer.
func (q question) read(b []byte) (addrs []netip.Addr, truncated bool, err error) {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil || h.ID != q.header.ID || !h.Response {
		return nil, false, errNotOurs
	}
	asked, err := p.Question()
	if err != nil || asked.Type != q.asked.Type || asked.Class != q.asked.Class || !strings.EqualFold(asked.Name.String(), q.asked.Name.String()) {
		return nil, false, errNotOurs
	}
	if h.Truncated {
		return nil, true, nil
	}
	if h.RCode != dnsmessage.RCodeSuccess {
		return nil, false, rcodeError(h.RCode)
	}
	if err := p.SkipAllQuestions(); err != nil {
		return nil, false, fmt.Errorf("the answer is damaged: %w", err)
	}
	for {
		r, err := p.AnswerHeader()
		switch {
		case errors.Is(err, dnsmessage.ErrSectionDone) && len(addrs) == 0:
			return nil, false, errNoAddress
		case errors.Is(err, dnsmessage.ErrSectionDone):
			return addrs, false, nil
		case err != nil:
		// What the name is an alias of comes along, under its own name.
		case r.Type != q.asked.Type:
			err = p.SkipAnswer()
		case r.Type == dnsmessage.TypeA:
			var a dnsmessage.AResource
			a, err = p.AResource()
			addrs = append(addrs, netip.AddrFrom4(a.A))
		default:
			var a dnsmessage.AAAAResource
			a, err = p.AAAAResource()
			addrs = append(addrs, netip.AddrFrom16(a.AAAA))
		}
		if err != nil {
			return nil, false, fmt.Errorf("the answer is damaged: %w", err)
		}
	}
}
