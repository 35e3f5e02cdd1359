package delivery

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

const secretText = "meet me at nine"

var errBot = errors.New("cannot handle " + secretText)

type plain struct{ f func() error }

func (p plain) Deliver(context.Context, Update) error { return p.f() }

func TestCall(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	ours := &Error{Op: "forward", Kind: KindRefused}
	var nothing map[string]int
	for name, c := range map[string]struct {
		ctx    context.Context
		f      func() error
		kind   Kind
		detail string
	}{
		"taken":            {f: func() error { return nil }},
		"taken too late":   {ctx: late, f: func() error { return nil }},
		"error":            {f: func() error { return errBot }, kind: KindHandler, detail: "*errors.errorString"},
		"error at stop":    {ctx: ended, f: func() error { return errBot }, kind: KindCanceled},
		"error in timeout": {ctx: late, f: func() error { return errBot }, kind: KindTimeout},
		"ours":             {f: func() error { return ours }, kind: KindRefused},
		"panic":            {f: func() error { panic(secretText) }, kind: KindPanic, detail: "string in dualgram/transport/delivery.TestCall.func"},
		"panic with error": {f: func() error { panic(errBot) }, kind: KindPanic, detail: "*errors.errorString in "},
		"nil map":          {f: func() error { nothing[secretText] = 1; return nil }, kind: KindPanic, detail: "(delivery_test.go:"},
		"nil panic":        {f: func() error { panic(nil) }, kind: KindPanic, detail: "*runtime.PanicNilError"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.ctx == nil {
				c.ctx = context.Background()
			}
			direct := Func(func(context.Context, Update) error { return c.f() })
			for _, err := range []error{
				direct.Deliver(c.ctx, Update{}), Call(c.ctx, direct, Update{}), Call(c.ctx, plain{c.f}, Update{}),
			} {
				if got := KindOf(err); got != c.kind {
					t.Fatalf("kind %q, want %q (%v)", got, c.kind, err)
				}
				if err == nil {
					continue
				}
				if strings.Contains(err.Error(), secretText) {
					t.Errorf("the error shows content: %v", err)
				}
				if !strings.Contains(err.Error(), c.detail) {
					t.Errorf("error %q lacks %q", err, c.detail)
				}
				if name == "error" && !errors.Is(err, errBot) {
					t.Error("the cause is lost")
				}
			}
		})
	}
}

func TestKindOf(t *testing.T) {
	for want, err := range map[Kind]error{
		"":           nil,
		KindHandler:  errBot,
		KindTimeout:  context.DeadlineExceeded,
		KindCanceled: context.Canceled,
		KindDNS:      errors.Join(errBot, &Error{Kind: KindDNS}),
	} {
		if got := KindOf(err); got != want {
			t.Errorf("KindOf(%v) = %q, want %q", err, got, want)
		}
	}
}
