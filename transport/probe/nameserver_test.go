package probe_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"dualgram/transport/probe"
)

const nameServer = "9.9.9.9:53"

// dnsAnswer is what a name server makes of a question; nil is no answer.
type dnsAnswer func(n int, q dnsmessage.Message) []dnsmessage.Message

// serveDNS answers the questions that come to the name server's address, by UDP as by
// TCP. n counts them from 1.
func (w *world) serveDNS(asked *atomic.Int32, udp, tcp dnsAnswer) probe.NameServer {
	serve := func(at string, answer dnsAnswer, prefixed bool) {
		w.rawAt(at, func(c net.Conn) {
			b := make([]byte, 512)
			k, err := c.Read(b)
			if err != nil {
				return
			}
			if prefixed {
				b, k = b[2:], k-2
			}
			var q dnsmessage.Message
			if err := q.Unpack(b[:k]); err != nil || !q.RecursionDesired || len(q.Questions) != 1 {
				w.t.Errorf("asked %+v, %v", q, err)
			}
			for _, m := range answer(int(asked.Add(1)), q) {
				out, err := m.Pack()
				if err != nil {
					w.t.Error(err)
				}
				if m.Questions == nil { // stands for what is no DNS at all
					out = []byte("?")
				}
				if prefixed {
					out = append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)
				}
				_, _ = c.Write(out)
				time.Sleep(time.Millisecond) // one datagram each
			}
			_, _ = io.Copy(io.Discard, c)
		})
	}
	if udp != nil {
		serve("9.9.9.9:5353", udp, false)
	}
	if tcp != nil {
		serve(nameServer, tcp, true)
	}
	return probe.NameServer{Addr: nameServer, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if network == "udp" {
			addr = "9.9.9.9:5353"
		}
		return w.net.Dial(ctx, "tcp", addr)
	}}
}

// reply answers a question with records.
func reply(q dnsmessage.Message, code dnsmessage.RCode, records ...dnsmessage.ResourceBody) dnsmessage.Message {
	q.Response, q.RecursionAvailable, q.RCode = true, true, code
	name := q.Questions[0].Name
	for _, r := range records {
		h := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 60}
		q.Answers = append(q.Answers, dnsmessage.Resource{Header: h, Body: r})
		if alias, ok := r.(*dnsmessage.CNAMEResource); ok {
			name = alias.CNAME
		}
	}
	return q
}

// TestNameServer holds what is made of a name server's answers.
func TestNameServer(t *testing.T) {
	a := &dnsmessage.AResource{A: [4]byte{5, 45, 72, 9}}
	b := &dnsmessage.AResource{A: [4]byte{5, 45, 72, 10}}
	aaaa := &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2a00::1").As16()}
	alias := &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("edge.cdn.example.")}
	always := func(code dnsmessage.RCode, records ...dnsmessage.ResourceBody) dnsAnswer {
		return func(_ int, q dnsmessage.Message) []dnsmessage.Message {
			return []dnsmessage.Message{reply(q, code, records...)}
		}
	}
	silent := func(int, dnsmessage.Message) []dnsmessage.Message { return nil }
	tests := []struct {
		name     string
		network  string
		udp, tcp dnsAnswer
		want     []string
		notFound bool
		timeout  bool
		failed   bool
		asked    int32
		took     time.Duration
	}{
		{name: "A", udp: always(0, a, b), want: []string{"5.45.72.9", "5.45.72.10"}, asked: 1},
		{name: "AAAA", network: "ip6", udp: always(0, aaaa), want: []string{"2a00::1"}, asked: 1},
		{name: "an alias", udp: always(0, alias, a), want: []string{"5.45.72.9"}, asked: 1},
		{name: "what wasn't asked", udp: always(0, aaaa, a), want: []string{"5.45.72.9"}, asked: 1},
		{name: "no such name", udp: always(dnsmessage.RCodeNameError), notFound: true, asked: 1},
		{name: "no such record", udp: always(0), notFound: true, asked: 1},
		{name: "an alias of nothing", udp: always(0, alias), notFound: true, asked: 1},
		{name: "SERVFAIL", udp: always(dnsmessage.RCodeServerFailure), failed: true, asked: 1},
		{name: "refused", udp: always(dnsmessage.RCodeRefused), failed: true, asked: 1},
		{name: "nobody there", failed: true},
		{name: "silence", udp: silent, timeout: true, asked: 2, took: time.Second},
		{name: "the first question is lost", udp: func(n int, q dnsmessage.Message) []dnsmessage.Message {
			if n == 1 {
				return nil
			}
			return always(0, a)(n, q)
		}, want: []string{"5.45.72.9"}, asked: 2, took: 500 * time.Millisecond},
		{name: "too long for UDP", udp: func(_ int, q dnsmessage.Message) []dnsmessage.Message {
			m := reply(q, 0)
			m.Truncated = true
			return []dnsmessage.Message{m}
		}, tcp: always(0, a), want: []string{"5.45.72.9"}, asked: 2},
		{name: "strangers answer first", udp: func(_ int, q dnsmessage.Message) []dnsmessage.Message {
			id, name := reply(q, 0, b), reply(q, 0, b)
			id.ID ^= 1
			name.Questions = []dnsmessage.Question{{Name: dnsmessage.MustNewName("other.example."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}
			echo := q
			return []dnsmessage.Message{{}, id, name, echo, reply(q, 0, a)}
		}, want: []string{"5.45.72.9"}, asked: 1},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				var asked atomic.Int32
				s := w.serveDNS(&asked, tc.udp, tc.tcp)
				ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
				defer cancel()
				network := tc.network
				if network == "" {
					network = "ip4"
				}
				begin := time.Now()
				addrs, err := s.LookupNetIP(ctx, network, host)
				took := time.Since(begin).Round(10 * time.Millisecond)
				var got []string
				for _, a := range addrs {
					got = append(got, a.String())
				}
				var dns *net.DNSError
				if fails := tc.notFound || tc.timeout || tc.failed; fails != errors.As(err, &dns) || fails &&
					(dns.IsNotFound != tc.notFound || dns.IsTimeout != tc.timeout || dns.IsTemporary != tc.failed || dns.Name != host) {
					t.Errorf("error %#v", err)
				}
				if !slices.Equal(got, tc.want) || asked.Load() != tc.asked || took != tc.took {
					t.Errorf("got %v, asked %d times, took %v; want %v, %d, %v", got, asked.Load(), took, tc.want, tc.asked, tc.took)
				}
			})
		})
	}
}

// TestNameServerProbe holds that a probe goes by the name server's word.
func TestNameServerProbe(t *testing.T) {
	inWorld(t, func(w *world) {
		var asked atomic.Int32
		w.net.Host(host, "127.0.1.1") // as the hosts file has it
		w.o.Resolver = w.serveDNS(&asked, func(_ int, q dnsmessage.Message) []dnsmessage.Message {
			if q.Questions[0].Type == dnsmessage.TypeA {
				return []dnsmessage.Message{reply(q, 0, &dnsmessage.AResource{A: [4]byte{5, 45, 72, 9}})}
			}
			return []dnsmessage.Message{reply(q, 0)}
		}, nil)
		w.hook(public+":8443", w.good())
		r := w.probe("")
		w.check(r)
		if !r.OK || len(r.Advice) > 0 || asked.Load() != 2 {
			t.Errorf("%+v, asked %d times", r, asked.Load())
		}
	})
}

// TestNameServerSockets goes over real datagrams.
func TestNameServerSockets(t *testing.T) {
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := make([]byte, 512)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			var q dnsmessage.Message
			if err := q.Unpack(b[:n]); err != nil {
				t.Error(err)
				return
			}
			m := reply(q, 0, &dnsmessage.AResource{A: [4]byte{5, 45, 72, 9}})
			out, err := m.Pack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = pc.WriteTo(out, from)
		}
	}()
	defer func() { pc.Close(); <-ended }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	addrs, err := probe.NameServer{Addr: pc.LocalAddr().String()}.LookupNetIP(ctx, "ip4", host)
	if err != nil || len(addrs) != 1 || addrs[0].String() != public {
		t.Errorf("%v, %v", addrs, err)
	}
}
