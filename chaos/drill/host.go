package drill

import (
	"context"
	"time"

	"dualgram/chaos"
)

// Host is one bot of a running dualgram, as its drills see it. All methods may
// be called from any goroutine.
type Host interface {
	// Facts returns what is known now. It asks nobody and takes well under a
	// second; an error counts as a failed sample.
	Facts(ctx context.Context) (Facts, error)
	// Inject makes a fault active. When it returns without an error the fault acts
	// until its lease ends; [chaos.Registry.Inject] is the usual implementation.
	Inject(ctx context.Context, s chaos.Spec) (Fault, error)
	// Events returns what has happened at or after since, oldest first.
	Events(ctx context.Context, since time.Time) ([]Event, error)
}

// Fault is the hold on an injected fault. [chaos.Lease] is one.
type Fault interface {
	// Renew makes the lease end in d from now.
	Renew(d time.Duration) error
	// End ends the fault. When it returns the fault acts no more. Ending twice is
	// fine.
	End()
	// Done is closed when the fault has ended, for whatever reason.
	Done() <-chan struct{}
	// Status describes the fault and counts its effects, also after its end.
	Status() chaos.Status
}

// Rollbacker is a [Host] that can be asked to tidy up sooner than it would by
// itself. A method's rollbacks need it.
type Rollbacker interface {
	// Rollback asks for one of [Actions].
	Rollback(ctx context.Context, action string) error
}

// Planner is a [Host] that can say beforehand what it could not do.
type Planner interface {
	// Plan returns the error that Inject would return because of the fault itself or
	// of the configuration, such as a seam that is missing. Nothing changes.
	Plan(ctx context.Context, s chaos.Spec) error
}

// Event is something that a drill's timeline is made of.
type Event struct {
	At   time.Time `json:"at"`
	Kind EventKind `json:"kind"`
	// Name is the signal's or the operator's command; else empty.
	Name string `json:"name,omitempty"`
	// Detail is a clause for people. It holds no secret and no message text.
	Detail string `json:"detail,omitempty"`
}

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	// EventDetected: a signal that moves the mode began to hold. Name is the
	// signal.
	EventDetected EventKind = "detected"
	// EventDecided: the decision to fail over is on disk.
	EventDecided EventKind = "decided"
	// EventDeleteAcked: deleteWebhook was acknowledged, or its answer was lost and
	// polling has begun all the same.
	EventDeleteAcked EventKind = "delete_acked"
	// EventFirstPoll: getUpdates answered for the first time after the failover.
	EventFirstPoll EventKind = "first_poll"
	// EventFirstUpdate: the first new update came by polling after the failover.
	EventFirstUpdate EventKind = "first_update"
	// EventWebhookSet: setWebhook was acknowledged in a failback.
	EventWebhookSet EventKind = "webhook_set"
	// EventWebhookProven: the failback's trial was passed.
	EventWebhookProven EventKind = "webhook_proven"
	// EventOperator: a person intervened. Name is the command.
	EventOperator EventKind = "operator"
)
