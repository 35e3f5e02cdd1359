// Package failover decides which transport takes in a bot's updates.
//
// The guarantee: from one [State] and one [Event], [Policy.Step] computes the
// next state and what has to be done about it, and nothing else. It reads no
// clock, does no I/O, writes no log and keeps no memory of its own, so that each
// decision can be replayed, tabulated and fuzzed. Everything that happens in the
// world comes in as an event; everything that shall happen leaves as an
// [Effects] value, and the caller persists the state before it acts on them.
//
// These hold for every step, and the fuzz test checks them:
//
//   - I1. At most one job is under way: a job is ordered only while none is.
//   - I2. The epoch grows by one exactly when a handover or a renewal starts, when
//     a webhook is adopted, when intake ends because somebody else owns the
//     updates, and when the clock jumped.
//   - I3. A result that carries another epoch than the state's changes nothing.
//   - I4. Without an operator's word nothing begins to leave a pinned mode, and
//     nothing changes the mode during a hold. What is not ours to decide stays:
//     a refused set ends in polling, a late one in webhook, a foreign owner or a
//     refused token in neither.
//   - I5. A freeze forbids failback only; a failover is never blocked by it.
//   - I6. Persist is set if and only if the part of the state that outlives the
//     process changed.
//   - I7. A foreign webhook is never replaced or deleted without take-over.
//   - I8. A renewal begins only in webhook mode and leaves it only if Telegram
//     refused the set or did not answer it; what it was to replace is never taken
//     for somebody else's, and one that could not be sent proves and disproves
//     nothing.
//   - I9. What an injected fault causes is counted neither towards the freeze nor
//     as a relapse, and what nobody injected always is.
//
// Words: a failover goes from webhook to polling, a failback the other way; a
// handover is either. The epoch counts handovers. The trial is the time after a
// registration until the webhook is proven; a relapse is a failover during the
// trial or soon after it was passed. The hold-down is the least time in polling
// before a failback. A renewal sets our own registration anew, as a change of the
// secret or of allowed_updates needs it, and is no handover between the modes. A
// flush is a short round trip through polling which makes Telegram forget the
// back-off that our own downtime earned.
package failover
