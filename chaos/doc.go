// Package chaos puts faults into a running dualgram on purpose: for tests, the
// demo and, later, drills.
//
// The guarantee: an injected fault can't outlive its lease. Each fault carries
// a deadline on the monotonic clock and one on the wall clock, which are looked at
// on every single use, at the place where the fault acts, so that one whose lease
// is over by either is inert whatever has become of its runner, of a suspended host
// or of a clock that was set. A lease can be renewed, but never beyond
// [MaxLease] after the injection; nothing is ever written to disk, so a crash
// and a restart end every fault. Whatever waits inside a fault stops waiting
// when the fault ends, and connections on which a fault made bytes vanish are
// reset then: nothing half-eaten stays in service.
//
// # How it is wired
//
// A [Registry] holds the active faults. Its injectors are standard interfaces,
// so the packages under test know nothing of chaos: [Registry.Listener] under
// TLS, [Registry.TLSConfig], [Registry.Handler] outside the HTTP handler,
// [Registry.RoundTripper] and [Registry.Dial] on the way to the Bot API, and
// [Registry.Hook] for named points in the store, the delivery and the handover.
// With no fault active each of them costs one atomic load; with chaos disabled
// they return what they were given.
//
// # Three locks
//
// A registry is disabled unless told otherwise and then refuses every
// injection. A leashed one takes injections, lists them and counts what they
// would have done, and does nothing. Kinds marked as destructive need a switch
// of their own.
//
// # Shares and counts
//
// [Spec.Share] and [Spec.Count] speak of the unit that a kind acts on, see
// [Info.Unit]: a fault on the listener hits or spares a connection as a whole,
// a TLS fault a handshake, an HTTP fault a request, a Bot API fault a call, a
// hook fault one passage of a point. Draws come from the fault's own generator,
// seeded with [Spec.Seed]; the same uses in the same order give the same draws.
// The fire counter counts units that were hit: a drill whose fault never fired
// has proved nothing.
package chaos
