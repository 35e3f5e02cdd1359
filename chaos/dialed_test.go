package chaos

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// One that begins while a connection is being dialed closes that, too; on a leash it
// does nothing.
func TestDialedMeanwhile(t *testing.T) {
	for _, leashed := range []bool{false, true} {
		r := newRegistry(t, Options{Leashed: leashed})
		near, far := net.Pipe()
		t.Cleanup(func() { near.Close(); far.Close() })
		_, err := r.Dial(func(context.Context, string, string) (net.Conn, error) {
			if _, err := r.Inject(Spec{Kind: "dial.hang", Params: map[string]string{"existing": "close"}}); err != nil {
				t.Error(err)
			}
			return near, nil
		})(t.Context(), "tcp", "api.example:443")
		if err != nil {
			t.Fatal(err)
		}
		if err := near.SetDeadline(time.Now()); errors.Is(err, io.ErrClosedPipe) == leashed || len(r.dialed.open) == 1 != leashed {
			t.Errorf("leashed %v: %v; %d open", leashed, err, len(r.dialed.open))
		}
	}
}

// A fault on dials closes the connections that it would not hit otherwise, if it is
// told to: those of its own part of the process, to its host.
func TestDialedBefore(t *testing.T) {
	for name, c := range map[string]struct {
		spec    Spec
		leashed bool
		cut     string
	}{
		"keep":       {spec: Spec{Kind: "dial.hang"}},
		"close":      {spec: Spec{Kind: "dial.hang", Params: map[string]string{"existing": "close"}}, cut: "a api, a other, b api"},
		"one host":   {spec: Spec{Kind: "dial.refused", Params: map[string]string{"existing": "close", "host": "api.example"}}, cut: "a api, b api"},
		"one bot":    {spec: Spec{Kind: "dial.dns", Scope: "a", Params: map[string]string{"existing": "close"}}, cut: "a api, a other"},
		"leashed":    {spec: Spec{Kind: "dial.hang", Params: map[string]string{"existing": "close"}}, leashed: true},
		"no dialing": {spec: Spec{Kind: "botapi.hang"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t, Options{Leashed: c.leashed})
			ends := map[string]net.Conn{}
			for who, addr := range map[string]string{"a api": "api.example:443", "a other": "other.example:443", "b api": "api.example:443"} {
				near, far := net.Pipe()
				t.Cleanup(func() { near.Close(); far.Close() })
				conn, err := r.Scope(who[:1]).Dial(func(context.Context, string, string) (net.Conn, error) { return near, nil })(t.Context(), "tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				ends[who] = conn
			}
			closed, err := r.Scope("a").Dial(func(context.Context, string, string) (net.Conn, error) { c, _ := net.Pipe(); return c, nil })(t.Context(), "tcp", "api.example:443")
			if err != nil || closed.Close() != nil || len(r.dialed.open) != 3 {
				t.Fatalf("%v; %d open", err, len(r.dialed.open))
			}
			if _, err := r.Inject(c.spec); err != nil {
				t.Fatal(err)
			}
			var cut []string
			for _, who := range slices.Sorted(maps.Keys(ends)) {
				if _, open := r.dialed.open[ends[who].(*dialedConn)]; !open {
					cut = append(cut, who)
				}
			}
			if got := strings.Join(cut, ", "); got != c.cut {
				t.Errorf("closed %q, want %q", got, c.cut)
			}
		})
	}
}
