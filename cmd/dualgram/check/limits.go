package check

import (
	"context"
	"fmt"
)

const (
	// filesReserve are for the store, the Bot API, the sockets and the runtime.
	filesReserve = 64
	// filesPerBot are the Bot API's and the bot's connections.
	filesPerBot = 8
)

// filesNeeded is how many files must be open at once where every bot has all of its
// connections.
func (k *checkup) filesNeeded() uint64 {
	n := filesReserve
	for i := range k.cfg.Bots {
		n += filesPerBot
		if w := &k.cfg.Bots[i].Webhook; !w.Off {
			n += w.MaxConnections
		}
	}
	return uint64(n)
}

// files compares the limit of open files with the connections.
func (k *checkup) files(_ context.Context, f *findings) {
	limit, whose := k.o.FileLimit(), "of this shell"
	if k.vitals != nil {
		limit, whose = k.vitals.FileLimit, "of the running dualgram"
	}
	need := k.filesNeeded()
	words := fmt.Sprintf("the limit %s is %d, and %d may be needed", whose, limit, need)
	switch {
	case limit == 0:
		f.skip(LimitFiles, "not known on this system")
	case limit < need:
		f.fail(LimitFiles, "", "%s", words)
	case limit < 4*need: // strangers hold connections, too
		f.warn(LimitFiles, "", "%s, besides those of strangers", words)
	default:
		f.pass(LimitFiles, "%s", words)
	}
}
