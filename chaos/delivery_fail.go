package chaos

import (
	"context"
	"errors"
)

func deliveryFail() kind {
	return kind{Info{
		Kind:     "delivery.fail",
		Layer:    "delivery",
		Unit:     "delivery",
		Doc:      "The bot refuses updates. Never a reason to change the mode.",
		Delay:    "time before the failure",
		Params:   []Param{pointsParam},
		ProdSafe: true,
	}, func(_ *Registry, _ Spec, p *params) (behaviour, error) {
		return behaviour{hook: &hookRule{SeamDelivery, pointMatch(SeamDelivery, p), func(ctx context.Context, f *fault, _ string) error {
			if f.spec.Delay > 0 {
				if err := f.wait(ctx, f.spec.Delay); err != nil {
					return err
				}
			}
			return f.error(errors.New("the bot did not take the update"))
		}}}, nil
	}}
}
