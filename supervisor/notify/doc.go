// Package notify tells people, without a Prometheus in between, what warnings
// begin and end; and tells a watcher outside, by a heartbeat, that there is still
// somebody to tell it.
//
// The guarantee: a warning that lasts is told once, within seconds, and again only
// when it gets worse or after [Rules.Repeat]; that it has ended is told once, and
// only if it was told; one that comes and goes is not told each time. Warnings that
// come together are one message, so that a broken host is not ten of them. What an
// injected fault may have caused is marked as a drill. While a channel doesn't work
// nothing piles up: what is told in the end is what is so then, and what came and
// went meanwhile.
//
// [Book] decides, and is pure: it is given the conditions and the time. [Notifier]
// has a goroutine for each [Channel], so that one that hangs holds up no other;
// nothing here is on the way of an update. A message holds what `dualgram status`
// shows: never a token, a secret, or anything of an update.
package notify
