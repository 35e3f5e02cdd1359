// Package store keeps every update that dualgram has taken in, in one bbolt
// file, until the bot has taken it.
//
// The guarantee: [Ledger.Accept] returns nil only when every update of the
// batch, or an earlier copy of it, is on disk. What is on disk stays until
// [Ledger.Done] or [Ledger.Bury] says otherwise. An update_id is accepted once
// within its series, whichever transport brings it and however often: a set of
// ids decides, never their order, because a webhook acknowledges updates one by
// one and out of order.
//
// # Group commit
//
// One goroutine writes. It takes everything that waits into one transaction,
// so that concurrent calls share an fsync and a lone one doesn't wait for
// company. Memory (the lanes, the holes, the counters, the offset) follows only
// after the transaction is synced: it is never ahead of the disk. A second copy
// of an id that waits in the same group shares that group's outcome.
//
// After a commit that failed nothing is acknowledged, duplicates included,
// until a fresh commit succeeds: bbolt can show a key to the next reader
// although the commit that wrote it returned an error. After an I/O error the
// file is closed, opened again, verified, written back in place (the kernel
// forgets that a page is dirty once its fsync has failed) and read again.
//
// # Series
//
// Telegram assigns update_ids densely: each is the one before it plus one
// (tdlib TQueue.cpp, push). A new queue starts at a random id, and a bot that
// had no updates for a week continues at a random id, which may be lower
// (Bot API, Update.update_id). So ids are grouped in series, numbered from 1,
// and everything is keyed by (series, id). An id belongs to the current series
// if it is at most 200,000 below the lowest id still known and at most
// 1,000,000 above the highest; otherwise to one of the few series before, if it
// is that near to one; otherwise it starts a new one. A lower, unknown id after
// six quiet days starts a new series even if it is near. An id that Telegram
// can't have assigned (not within 1..2^31-1) is kept and deduplicated under
// series 0 and tells nothing about the others.
//
// # Holes
//
// Because ids are dense, a missing one says something: it is late, expired, or
// somebody else took it. [Ledger.Holes] lists the missing ids above the first
// one of the series. A page of getUpdates proves the holes that it passes gone,
// [Ledger.SettleHoles] does so for all of them.
//
// # Layout of the file
//
// Bucket "dualgram" holds the schema version and the clean-end mark. Each bot
// has a bucket named by its numeric id, with the buckets inbox, seen, tries,
// dead, quarantine, journal, state, marks, gone, evidence, and the key head. Keys
// are big endian and increase with time, which bbolt rewards: random keys cost it
// ten times as much. A bucket more is no new schema: it is made when a ledger is
// opened, and a version that doesn't know it leaves it as it is.
package store
