package drill

import (
	"context"
	"sync"
	"time"
)

// traffic makes the experiment's traffic until the returned function is called,
// which waits for its end. Only a simulator can make any.
func (r *run) traffic() (stop func()) {
	host, ok := r.d.o.Host.(Pusher)
	if !ok || !r.d.o.Simulated || r.exp.Traffic == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		every := newTick(time.Duration(float64(time.Second) / r.exp.Traffic.Rate))
		defer every.Stop()
		for every.wait(ctx) {
			// What can't be pushed shows as traffic that is missing.
			_ = host.Push(ctx)
		}
	})
	return func() {
		cancel()
		done.Wait()
	}
}
