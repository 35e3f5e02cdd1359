package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"dualgram/supervisor/console"
	"dualgram/supervisor/warning"
)

// answering asks who is there. What is known of the process afterwards is what all
// else goes by.
func (k *checkup) answering(ctx context.Context, f *findings) {
	st, err := k.o.Live.Status(ctx)
	k.nothing = errors.Is(err, ErrNobody)
	if err == nil {
		if v, err := k.o.Live.Vitals(ctx); err == nil { // an older one has none
			k.vitals = &v
		}
		k.status = st
		for _, b := range k.bots {
			if i := slices.IndexFunc(st.Bots, func(s console.Bot) bool { return s.Name == b.c.Name }); i >= 0 {
				b.live = &st.Bots[i]
			}
			if k.vitals == nil {
				continue
			}
			if i := slices.IndexFunc(k.vitals.Bots, func(s console.BotVitals) bool { return s.Name == b.c.Name }); i >= 0 {
				b.vitals = &k.vitals.Bots[i]
			}
		}
	}
	switch {
	case k.o.Pre && k.nothing:
		f.pass(LiveAnswers, "none runs here yet")
	case k.o.Pre && err == nil:
		f.fail(LiveAnswers, "Leave --pre out: what a running dualgram has is not touched.", "dualgram runs here already")
	case k.o.Pre:
		f.fail(LiveAnswers, "Run the check as the user that dualgram runs as.", "whether one runs here can't be told: %s", err)
	case err != nil:
		f.fail(LiveAnswers, "", "%s", err)
	case k.vitals != nil:
		f.pass(LiveAnswers, "version %s answers, process %d", st.Version, k.vitals.PID)
	default:
		f.pass(LiveAnswers, "version %s answers", st.Version)
	}
}

// notLive leaves out what only a running dualgram can be asked.
func (k *checkup) notLive(f *findings, codes ...Code) bool {
	if !k.alive() {
		f.skipAll(codes, "dualgram isn't running")
	}
	return !k.alive()
}

func (k *checkup) running(_ context.Context, f *findings) {
	if k.notLive(f, LiveVersion, LiveWarnings) {
		return
	}
	if k.o.Version != k.status.Version {
		f.warn(LiveVersion, "", "%s runs, and this is %s", k.status.Version, k.o.Version)
	} else {
		f.pass(LiveVersion, "%s runs", k.status.Version)
	}
}

func (k *checkup) standby(_ context.Context, b *bot, f *findings) {
	switch {
	case k.notLive(f, LiveStandby):
	case b.live == nil:
		f.skip(LiveStandby, "the running dualgram doesn't know the bot")
	case b.live.StandbyReady:
		f.pass(LiveStandby, "polling could take over")
	case b.live.StandbyError != "":
		f.warn(LiveStandby, "", "polling could not take over: %s", b.live.StandbyError)
	default:
		f.warn(LiveStandby, "", "polling could not take over")
	}
}

// covers says which check a warning of the running dualgram belongs to.
var covers = map[warning.Code]Code{
	warning.StoreFailing: StoreCommits, warning.StoreSlow: StoreCommits,
	warning.ForeignWebhook: WebhookOwner, warning.TokenRefused: APIGetMe, warning.BotAPIUnreachable: APIReached,
	warning.Blind: LiveStandby, warning.ForeignPoller: PollerForeign, warning.Impostor: HTTPProof,
	warning.ListenerLost: PortListen, warning.CertificateRefused: TLSPair, warning.CertificateExpires: TLSExpires,
	warning.CertificateRenewalFailed: TLSExpires, warning.OnStandby: WebhookRegistered, warning.Drift: WebhookSame,
	warning.TelegramErrors: WebhookError, warning.DryRun: ConfigOdd, warning.DrillOverdue: DrillsFresh, warning.BotDown: DeliveryBot,
}

// heed sees to it that nothing is well of which the running dualgram says that it isn't:
// it has looked for longer than a check does.
func (k *checkup) heed(all []Result) []Result {
	rest := 0
	var elsewhere []string // the codes that say what the warnings are
	heed := func(bot string, w console.Warning) {
		s := Warn
		switch w.Severity {
		case console.SeverityInfo:
			return
		case console.SeverityCritical:
			s = Fail
		}
		code, covered := covers[warning.Code(w.Code)]
		if !covered {
			code = LiveWarnings
		}
		r := Result{Code: code, Bot: bot, Status: s, Detail: fmt.Sprintf("%s [%s]", w.Title, w.Code), Fix: sentence(w.Text), Runbook: w.Runbook}
		if !covered {
			rest++
			all = append(all, r)
			return
		}
		if !slices.Contains(elsewhere, string(code)) {
			elsewhere = append(elsewhere, string(code))
		}
		for i, have := range all {
			kind, _ := Lookup(code)
			if have.Code != code || kind.PerBot && have.Bot != bot {
				continue
			}
			if have.Status == Pass || have.Status == Skip && !k.o.Offline {
				r.Bot = have.Bot
				all[i] = r
			}
			return // it is said there already
		}
		all = append(all, r)
	}
	for _, w := range k.status.Warnings {
		heed("", w)
	}
	for _, b := range k.bots {
		if b.live == nil {
			continue
		}
		for _, w := range b.live.Warnings {
			if !slices.ContainsFunc(k.status.Warnings, func(p console.Warning) bool { return p.Code == w.Code }) {
				heed(b.c.Name, w)
			}
		}
	}
	switch {
	case !k.alive() || rest > 0:
	case len(elsewhere) > 0:
		all = append(all, Result{Code: LiveWarnings, Status: Skip, Detail: "what it warns of is at " + names(elsewhere)})
	default:
		all = append(all, Result{Code: LiveWarnings, Status: Pass, Detail: "it warns of nothing"})
	}
	return slices.DeleteFunc(all, func(r Result) bool {
		return r.Code == LiveWarnings && r.Status == Skip && r.Detail == nothingToSee && k.alive()
	})
}

// warns tells whether the running dualgram warns of the bot so.
func (b *bot) warns(code warning.Code) bool {
	return b.live != nil && slices.ContainsFunc(b.live.Warnings, func(w console.Warning) bool { return w.Code == string(code) })
}

// names lists words for a sentence.
func names(list []string) string { return strings.Join(list, ", ") }
