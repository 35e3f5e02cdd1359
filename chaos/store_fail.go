package chaos

import (
	"context"
	"os"
	"syscall"
)

func storeFail() kind {
	return kind{Info{
		Kind:     "store.fail",
		Layer:    "store",
		Unit:     "commit",
		Doc:      "Commits fail: the disk is full, or gives I/O errors. Nothing may be acknowledged meanwhile.",
		Delay:    "time before the failure",
		Params:   []Param{{Name: "error", Doc: "ENOSPC or EIO", Default: "ENOSPC"}, pointsParam},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		op, errno := "write", syscall.ENOSPC
		if p.oneOf("error", "ENOSPC", "EIO") == "EIO" {
			op, errno = "fdatasync", syscall.EIO
		}
		return behaviour{hook: &hookRule{SeamStore, pointMatch(SeamStore, p), func(ctx context.Context, f *fault, _ string) error {
			if f.spec.Delay > 0 {
				if err := f.wait(ctx, f.spec.Delay); err != nil {
					return err
				}
			}
			return f.error(os.NewSyscallError(op, errno))
		}}}, nil
	}}
}
