package probe

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// scripted is a connection whose peer has said all that it will.
type scripted struct{ *strings.Reader }

func (scripted) Write(b []byte) (int, error)      { return len(b), nil }
func (scripted) Close() error                     { return nil }
func (scripted) LocalAddr() net.Addr              { return nil }
func (scripted) RemoteAddr() net.Addr             { return nil }
func (scripted) SetDeadline(time.Time) error      { return nil }
func (scripted) SetReadDeadline(time.Time) error  { return nil }
func (scripted) SetWriteDeadline(time.Time) error { return nil }

// FuzzAnswer holds that no answer that was written without the challenge is taken for
// ours, that none crashes the prober, and that no word of it gets into a result.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 204 No Content\r\nDualgram-Probe-Proof: 00\r\n\r\n",
		"HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\n", "HTTP/1.1 103 E\r\n\r\nHTTP/1.0 502 Bad Gateway\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 999 zzmarker\r\n\r\n",
		"zzmarker\r\n", "HTTP/1.1 zzmarker\r\n\r\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := New(Options{URL: "http://bot.example.com/hook", Address: "10.0.0.1:80", Pinned: true,
			Dial: func(context.Context, string, string) (net.Conn, error) { return scripted{strings.NewReader(text)}, nil }})
		if err != nil {
			t.Fatal(err)
		}
		r := p.Probe(t.Context(), netip.Addr{})
		if r.OK {
			t.Errorf("good: %q", text)
		}
		if r.Impostor != (r.Stage == StageProof) || r.Impostor && r.Status/100 != 2 {
			t.Errorf("%+v of %q", r, text)
		}
		if strings.Contains(r.Detail, "zzmarker") {
			t.Errorf("the answer stands in %q", r.Detail)
		}
	})
}
