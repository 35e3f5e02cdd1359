// Package chaos puts faults into a running dualgram on purpose: for tests, the
// demo and drills.
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
//
// # What there is for what can go wrong
//
//	certificate expired, another host's, without its chain    tls.expired, tls.wrong_host, tls.incomplete_chain
//	TLS too old; the handshake stalls                         tls.old_version, tls.handshake_stall
//	black hole; refused; the queue is full; no descriptors    net.blackhole, net.refuse, net.stop_accept, net.accept_error
//	reset at a byte, in the body, after the handler           net.reset
//	latency, a narrow line, drips; loss                       net.slow; net.loss_approx
//	slow, hanging, failing, panicking handler                 http.slow, http.hang, http.status, http.panic
//	another secret; duplicates, as an answer is lost          http.wrong_secret; http.answer_lost
//	somebody else answers: our probe; for real, with losses   http.impostor; http.swallow
//	Bot API: 429, 5xx, HTML, 401, each 409                    botapi.429, botapi.5xx, botapi.html, botapi.unauthorized, botapi.conflict
//	Bot API: hangs, is reset, is intercepted                  botapi.hang, botapi.reset
//	Bot API: shows somebody else's webhook                    botapi.foreign_webhook
//	Bot API: the answer is lost, cut short, comes in drips    botapi.answer_lost
//	names on the way out: gone, IPv6 only, somebody else's    botapi.dns, dial.dns
//	names on the way in: as our probe sees them               probe.fail
//	the probe alone is broken                                 probe.fail
//	disk slow, full, failing                                  store.slow, store.fail
//	the bot is slow, or refuses                               delivery.slow, delivery.fail
//	the wall clock is set, or the host was suspended          clock.offset
//	death at a named step                                     crash.at
//
// What can't be made in here, or must not be:
//
//   - Packets that are dropped, doubled or put out of order, and a SYN that nobody
//     answers: TCP hides them from a process. net.loss_approx imitates the delays.
//   - Answers 2xx, 410 and with a Retry-After to Telegram: they lose updates, or the
//     webhook. No parameter allows them.
//   - What Telegram does: reordering, a backlog, an update's 24 hours, a webhook that
//     somebody else sets, a name that is wrong for Telegram's own resolver. That is
//     package telegramsim's.
//   - A process that stands still (SIGSTOP): nothing in it could end that when the
//     lease is over.
//   - Memory that runs out: the system kills the process, which crash.at does.
//   - A body changed on its way: TLS would tell. One that is cut short is net.reset's.
//   - The bot's transport broken rather than the bot: to dualgram a forward that is
//     refused and a file that can't be written are both an update that was not taken.
package chaos
