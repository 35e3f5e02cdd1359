package chaos

import (
	"context"
	"net"
	"os"
	"syscall"
)

func probeFail() kind {
	return kind{Info{
		Kind:  "probe.fail",
		Layer: "probe",
		Unit:  "probe",
		Doc: "Our own look from outside doesn't reach the webhook, while Telegram does: the probe's connections are refused or hang. That alone " +
			"must move nothing.",
		Params:   []Param{{Name: "how", Doc: "refused or hang", Default: "refused"}},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		hangs := p.oneOf("how", "refused", "hang") == "hang"
		return behaviour{probe: &dialRule{nil, func(ctx context.Context, f *fault, _ string, next func() (net.Conn, error)) (net.Conn, error) {
			if !hangs {
				return nil, f.error(&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)})
			}
			if err := f.wait(ctx, 0); err != nil {
				return nil, err
			}
			return next()
		}}}, nil
	}}
}
