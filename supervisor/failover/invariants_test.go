package failover

import "time"

// violated checks the invariants of doc.go for one step, from the state before
// it in which what ran out is lifted. It returns "" or what is wrong.
func (w *fuzzed) violated(before, after State, e Event, f Effects) string {
	operator := e.Kind == Operator
	jumped := e.Kind == ClockJumped && e.Epoch == before.Epoch && !before.Busy && before.Phase != Starting && before.Phase != Held
	result := e.Kind != Tick && e.Kind != World && !operator
	same := before == after && f.Job == NoJob && f.Would == NoJob

	// I1. The model's job is none while a result is being delivered.
	if f.Job != NoJob && w.job != NoJob {
		return "I1: a job is ordered while one is under way"
	}
	if after.Busy != (f.Job != NoJob || w.job != NoJob) {
		return "I1: busy without a job, or a job without busy"
	}
	if want := map[Phase]Job{ToPolling: JobToPolling, ToWebhook: JobToWebhook}[after.Phase]; f.Job != NoJob && f.Job != want {
		return "I1: a job that doesn't belong to its phase"
	}
	if after.Phase == ToWebhook && !after.Busy || after.Busy && after.Phase != ToPolling && after.Phase != ToWebhook {
		return "I1: nobody will end this phase"
	}

	// I2.
	retry := before.Phase == ToPolling && after.Phase == ToPolling && e.Kind == Tick
	starts := f.Job != NoJob && !retry
	adopted := f.Job == NoJob && after.Phase == Webhook && after.Trial &&
		(before.Phase != Webhook && before.Phase != ToWebhook) || before.Phase != Webhook && e.Kind == World && after.Phase == Webhook
	ends := after.Phase == Held && (before.Phase != Held || before.Cause.Name != after.Cause.Name)
	if grew := after.Epoch - before.Epoch; grew != 0 && grew != 1 || (grew == 1) != (starts || adopted || ends || jumped) {
		return "I2: the epoch"
	}

	// I3.
	if (result || e.Kind == World) && e.Epoch != before.Epoch && !same {
		return "I3: an event of another epoch changed something"
	}

	// I4.
	moved := modeOf(before) != modeOf(after) && modeOf(before) != ModeNone && modeOf(after) != ModeNone
	if begun := moved && !operator && starts && e.Kind != SetFailed && e.Kind != SetUnsent && e.Kind != SetUnknown; begun {
		switch {
		case before.Pin == modeOf(before):
			return "I4: left a pinned mode"
		case before.Paused:
			return "I4: changed the mode during a hold"
		case w.p.DryRun && before.Pin == ModeNone:
			return "I4: changed the mode in a dry run"
		}
	}
	if f.Automatic && (before.Paused || before.Pin != ModeNone && before.Pin != ModePolling || w.p.DryRun) {
		return "I4: automatic in spite of a hold, a pin or a dry run"
	}
	if w.p.stays(after) && before.Phase != ToWebhook && after.Mode() == ModeWebhook && before.Mode() == ModePolling {
		return "I4: webhook against a pin to polling"
	}

	// I5.
	if before.Frozen && !operator && before.Pin != ModeWebhook && before.Phase == Polling && f.Job == JobToWebhook {
		return "I5: failback of a frozen bot"
	}
	if before.Frozen && !after.Frozen && !(operator && e.Command == Ack) {
		return "I5: a freeze ended by itself"
	}
	if free := !w.p.DryRun && !w.p.PollingOnly && !before.Paused && before.Pin == ModeNone; free && e.Kind == Trip &&
		e.Epoch == before.Epoch && before.Phase == Webhook && !e.Blind && !(e.Excused && e.StoreFailing) && after.Phase != ToPolling {
		return "I5: a failover was blocked"
	}
	if after.RecentFailovers(e.At) >= w.p.MaxFailovers && f.Automatic && f.Job == JobToPolling && !after.Frozen {
		return "I5: one failover too many without a freeze"
	}

	// I6. The state before is w.s: what ran out is a change too.
	if f.Persist != (w.s.durable() != after.durable()) {
		return "I6: persist"
	}

	// I7.
	foreign := e.URL == Foreign && (e.Kind == World || e.Kind == PollFailed && e.Conflict)
	if foreign && f.Job != NoJob {
		return "I7: acted on a foreign webhook"
	}
	if foreign && e.Epoch == before.Epoch && !before.Busy && !e.SentAt.Before(before.Since) && !e.SentAt.Before(before.Registered) &&
		before.Phase != ToPolling && after.Phase != Held {
		return "I7: a foreign webhook went unnoticed"
	}
	if before.Phase == Held && before.Cause.Name == CauseForeign && after.Phase != Held {
		takes := operator && (e.TakeOver || e.Command == TakeOver)
		gone := e.Kind == World && (e.URL == Nobody || before.Intent != ModePolling && (e.URL == Ours || e.URL == OursOther))
		if !takes && !gone {
			return "I7: a hold ended without take-over"
		}
	}
	equal := (e.URL == Ours || e.URL == OursOther) && e.Kind == World && before.Phase == Polling
	if equal && !e.At.Before(before.LateSetUntil) && f.Delete {
		return "I7: deleted a webhook that this epoch didn't set"
	}

	// I8.
	if e.Kind == Renew && after != before && (before.Phase != Webhook || after.Phase != ToWebhook || before.Paused || w.p.stays(before)) {
		return "I8: a renewal outside webhook mode, or in spite of a hold or a pin"
	}
	if e.Kind == Renew && (f.Automatic || after.Failovers != before.Failovers || after.Relapses != before.Relapses) {
		return "I8: a renewal counts as a failover"
	}
	if before.Phase == ToWebhook && before.Renews && after.Phase == ToPolling && e.Kind != SetFailed && e.Kind != SetUnknown {
		return "I8: a renewal left webhook mode although nothing was lost"
	}
	if before.Renews && e.Kind == SetUnsent && after.Phase == Webhook && (after.Trial != before.Untried || after.Registered != before.Registered) {
		return "I8: a renewal that was not sent changed what is known of the registration"
	}
	if before.Renews && e.Kind == PollFailed && e.URL != Foreign && after.Phase == Held {
		return "I8: a renewal's own registration was held for somebody else's"
	}

	// I9.
	if e.Drill && (after.Failovers != before.Failovers || after.Relapses > before.Relapses || after.Frozen != before.Frozen) {
		return "I9: a drill counts as an outage"
	}
	if counts := f.Automatic && f.Job == JobToPolling && !e.Drill; counts && after.Failovers == before.Failovers {
		return "I9: an outage counts as a drill"
	}
	if after.Drill && !before.Drill && !e.Drill {
		return "I9: a drill that nobody runs"
	}
	if after.Drill && after.Phase == Webhook && !after.Trial && after.Since.After(before.Since) {
		return "I9: a drill that never ends"
	}

	// What the journal and the guards promise besides.
	if f.Moved != (w.s.Phase != after.Phase || w.s.Epoch != after.Epoch) {
		return "moved"
	}
	if f.Job != NoJob && f.Would != NoJob {
		return "done and only reported"
	}
	if after.Trial && after.Phase != Webhook && after.Phase != Starting || after.Flush && after.Phase == Webhook {
		return "trial or flush outside its phases"
	}
	if !within(after.HoldDown, w.p.doubled(after.Relapses)) && after.Phase == Polling && e.Kind == Polled && !after.Flush &&
		after.Cause.Name != CausePollerLost {
		return "hold-down"
	}
	return ""
}

// modeOf is the mode for which a state stands: in between, the mode that is
// meant.
func modeOf(s State) Mode {
	if s.Phase == Starting || s.Phase == Held {
		return ModeNone
	}
	return s.Mode()
}

// heal makes the world healthy, lifts what operators may have forbidden, and
// demands that the bot works soon and is in its proper mode after a hold-down.
func (w *fuzzed) heal() {
	if w.url == Foreign {
		w.url = Nobody
	}
	w.p.DryRun = false // a bot that may not act can't be blamed for not working
	w.round()          // a job that is under way ends; it may have been pinned
	w.step(say(SwitchAuto))
	w.step(say(Ack))
	works := func() bool {
		set := w.url == Ours || w.url == OursOther // drift of parameters is the detector's
		return w.s.Phase == Webhook && set || w.s.Phase == Polling && w.url == Nobody
	}
	for n := 0; !works(); n++ {
		if n == 5 && w.s.Phase == Held {
			w.url = Nobody // an equal webhook: its owner gives it up
		}
		if n == 90 {
			w.fail("liveness: not working after 90 s of a healthy world")
		}
		w.round()
	}
	if w.p.PollingOnly {
		return
	}
	for n := 0; w.s.Phase != Webhook || w.s.Trial; n++ {
		if n == 40 {
			w.fail("liveness: no proven webhook after 40 min of a healthy world")
		}
		w.at = w.at.Add(time.Minute)
		w.round()
		w.step(Event{Kind: Proven})
	}
}

// round is a second of a healthy world.
func (w *fuzzed) round() {
	w.at = w.at.Add(time.Second)
	w.finish(0)
	w.step(Event{Kind: World, URL: w.url})
	w.step(drained())
	w.finish(0)
}
