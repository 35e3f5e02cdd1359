// Package dispatch moves updates from the ledger to the bot.
//
// The guarantee: an update leaves the ledger only after the bot has taken it,
// and the next one of its lane is handed out only after that removal is
// durable. So each lane reaches the bot in order, one at a time, and after a
// crash of either side at most one update per lane comes twice: the one that
// was in flight. A failing update holds its own lane and no other.
//
// # When an update fails
//
// It is tried again after 0.5 s, then after twice as long each time, up to a
// minute. The number of attempts is stored with it before its lane is free, so
// it goes on counting across restarts.
//
// It is buried (kept as a dead letter, its lane goes on) only when it alone fails.
// A failure counts as alone if, since the failure before, other updates were taken
// at their first attempt, and at least as many as failed at theirs: a bot that
// turns down most of what it gets is broken, not one of the updates. An update is
// buried after MaxAttempts failures, all but the first alone, the pauses before
// those adding up to BuryAfter, if over the whole time, too, most first attempts
// were taken. Failures that no update can cause, such as a refused connection,
// never count as alone, nor does what happened before this process started: a
// restart delays a burial and can't hasten one.
//
// # When the bot is down
//
// After failures of three different updates with none taken in between and none
// for two seconds (or of as many as there are lanes, at once), or three failures in
// a row of a kind that no update can cause, the bot counts as down. Updates that
// have failed alone before don't count. It then gets at most two probes at a time:
// one with an update that has never failed, one with an update that has, so that
// updates that fail whatever the bot's state can't hide that it is back. Each kind
// of probe pauses 0.5 s to 15 s. The first update taken ends the outage, and all
// lanes go on at once. An outage buries nothing.
//
// # When the ledger fails
//
// An update that the bot has taken and that can't be removed is not handed out
// again: its lane waits and the removal is tried until it succeeds.
package dispatch
