// Package delivery hands updates to the bot: to a Go function ([Func]), to an
// HTTP endpoint ([Forward]) or to a file of JSON lines ([NDJSON]).
//
// The guarantee: a [Handler] returns nil only when the bot has taken the
// update. Any error means that it may not have, and the update comes again. So
// the bot sees every update at least once, and tells a repeat by its update_id.
//
// Updates of one lane come one after another, in order of their update_id, the
// next one only after the one before was taken; updates of different lanes come
// at the same time. The bytes are those that Telegram sent, never decoded and
// encoded again.
//
// No error and no callback of this package carries anything of an update's
// content, of the bot's answers, or of what a Go handler's error or panic says:
// all of these can hold message text.
package delivery

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"dualgram/transport"
)

// Update is one update on its way to the bot.
type Update struct {
	// ID is Telegram's update_id: the key by which a bot recognises a repeat.
	ID int64
	// Source is the transport by which the update came in.
	Source transport.Source
	// ReceivedAt is when it came in, by this host's clock.
	ReceivedAt time.Time
	// Attempt counts the deliveries of this update from 1, across restarts. A
	// delivery that a stop or a crash cut short is not counted, so an update
	// with Attempt 1 can still be a repeat.
	Attempt int
	// Kind is the name of the payload field, such as "message"; empty if none
	// was found.
	Kind string
	// Raw is the update's JSON exactly as Telegram sent it. A handler must not
	// change it, nor keep it after it returned. It may be broken JSON: content
	// is never a reason to hold an update back from the bot.
	Raw []byte
}

// Handler takes updates for the bot.
type Handler interface {
	// Deliver returns nil when the bot has taken the update, which is then
	// forgotten. Any error means that the update comes again, after a pause. It
	// is called concurrently for different lanes, never for one lane, and must
	// return soon after ctx ended: a lane waits for its handler.
	Deliver(ctx context.Context, u Update) error
}

// Func is a Go function as a [Handler]. A panic in it, or an error that it
// returns, means that the update was not taken.
type Func func(ctx context.Context, u Update) error

// Deliver calls the function. See [Call] for its errors.
func (f Func) Deliver(ctx context.Context, u Update) error {
	return guard(ctx, f, u)
}

// Call delivers by h and makes whatever goes wrong an [*Error]: a panic becomes
// one of [KindPanic] that says where it happened, and an error of the handler's
// own becomes one of [KindHandler] (or [KindTimeout], [KindCanceled] if ctx
// ended) that wraps it without showing its text.
func Call(ctx context.Context, h Handler, u Update) error {
	if f, ok := h.(Func); ok {
		return guard(ctx, f, u)
	}
	return guard(ctx, h.Deliver, u)
}

func guard(ctx context.Context, f func(context.Context, Update) error, u Update) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &Error{Op: "handle", Kind: KindPanic, Detail: fmt.Sprintf("%T in %s", v, panicSite())}
		}
	}()
	return classify(ctx, f(ctx, u))
}

// panicSite names the function and line that panicked. The value of the panic
// is left out because it can quote the update.
func panicSite() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs[:])])
	seen := false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			seen = true
		case seen && f.Function != "" && !strings.HasPrefix(f.Function, "runtime."):
			return fmt.Sprintf("%s (%s:%d)", f.Function, base(f.File), f.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
