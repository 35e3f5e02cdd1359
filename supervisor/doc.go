// Package supervisor takes in the updates of Telegram bots by webhook, falls
// over to getUpdates within seconds when the webhook breaks, and comes back by
// itself once the webhook has proven itself.
//
// What it guarantees:
//
//   - G1, no loss. What Telegram holds for the bot is committed to disk before it
//     is acknowledged, by either transport, and stays until the bot has taken it.
//   - G2, no doubles. There is one accepted record per bot, series of update_ids
//     and update_id, across transports, restarts and handovers. The bot gets each
//     at least once; only a record that was in flight when either process died may
//     repeat, at most one per lane and death.
//   - G3, order. Updates of one lane reach the bot one after another by update_id.
//     Lanes cover each of Telegram's own ordering queues. A failing update holds
//     up its own lane only.
//   - G4, ten seconds. From the onset of a fault, or from the first update it
//     strands, to the first update taken by the other transport, whenever the Bot
//     API answers within 500 ms and loses at most one call.
//   - G5, evidence. Only authenticated evidence about the path moves the mode.
//     Strangers, content, load, the disk, the bot behind us and the clock don't.
//   - G6, no fights. A foreign webhook or poller is named and alarmed, never
//     overpowered.
//   - G7, explained. Each change of mode is journaled with cause, evidence, the
//     timing of every step, and its epoch.
//   - G8, leased faults. Nothing in this package injects faults; the seams that
//     do are handed in, and nothing about them is persisted.
//   - G9, secrets. Token and secret never leave their place; message text is
//     never logged.
//
// The overlap of the transports is made safe instead of being forbidden: a set of
// update_ids decides what is new, not their order, so both transports may deliver
// at once while a handover is under way, and a late delivery is welcome at any
// time.
//
// How it works: the transports report outcomes; once every quarter of a second,
// traffic or not, a detector turns them, and what getWebhookInfo says, into
// readings of its signals; package failover decides; a single worker per bot
// carries out the handover. The state is persisted before anything is done about
// it (where the disk takes longer than a decision can wait, it is on its way there),
// and a start reconciles what was meant with what Telegram has. While it
// runs, no set and no delete is sent but as a job of the state machine, which so
// knows what may still happen late.
//
// # The way of an update
//
// Telegram's POST reaches [dualgram/transport/webhook], a page of getUpdates
// [dualgram/transport/polling]. Either hands the bytes, as they came, to the one
// [dualgram/transport.Sink], whose nil is the only licence to acknowledge: it is
// [dualgram/store], which has them on disk then, once. From there
// [dualgram/supervisor/dispatch] takes them, lane by lane, to a
// [dualgram/transport/delivery.Handler]: the bot.
//
// # The way of a decision
//
// [dualgram/transport/botapi], [dualgram/transport/probe] and the two transports
// report what they see. The signals of this package, a file each, judge it;
// [dualgram/supervisor/failover] decides, purely, in one function; the worker of this
// package does what was decided, step by step, each with a name at which a test lets
// the process die. What people should know of it goes through
// [dualgram/supervisor/warning], to status, log and metrics, to
// [dualgram/supervisor/console] and its page, and to [dualgram/supervisor/notify].
//
// # Where to begin reading
//
// The example of this package is a whole bot. Then failover/step.go, which is what
// all of it is about; then bot.go, where the loop turns; then handover.go. What is
// broken on purpose lives in dualgram/chaos, which nothing here imports: its seams are
// standard interfaces and hooks that are handed in. The program, with its
// configuration, is dualgram/cmd/dualgram.
package supervisor
