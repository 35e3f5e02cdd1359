package warning

import "time"

// Severity is how soon a person is needed.
type Severity string

// The severities.
const (
	// Info: good to know; nobody is needed.
	Info Severity = "info"
	// Warning: look at it today.
	Warning Severity = "warning"
	// Critical: updates wait, or nothing would keep them coming; look now.
	Critical Severity = "critical"
)

// above says whether s is worse than t.
func (s Severity) above(t Severity) bool {
	rank := map[Severity]int{Info: 0, Warning: 1, Critical: 2}
	return rank[s] > rank[t]
}

// Code is the stable name of a warning: in status, log, metrics, alerts, and of
// its runbook.
type Code string

// The codes. Those of the process come first.
const (
	StoreFailing Code = "store_failing"
	StoreSlow    Code = "store_slow"
	FaultActive  Code = "fault_active"

	ForeignWebhook           Code = "foreign_webhook"
	TokenRefused             Code = "token_refused"
	BotAPIUnreachable        Code = "bot_api_unreachable"
	FailoverWithheld         Code = "failover_withheld"
	Blind                    Code = "blind"
	ForeignPoller            Code = "foreign_poller"
	Impostor                 Code = "impostor"
	ListenerLost             Code = "listener_lost"
	CertificateRefused       Code = "certificate_refused"
	CertificateExpires       Code = "certificate_expires"
	CertificateRenewalFailed Code = "certificate_renewal_failed"
	Frozen                   Code = "frozen"
	OnStandby                Code = "on_standby"
	Hole                     Code = "hole"
	ProbeBad                 Code = "probe_bad"
	ProbeUnproven            Code = "probe_unproven"
	Drift                    Code = "drift"
	SecretMigration          Code = "secret_migration"
	SecretRotation           Code = "secret_rotation"
	Redelivery               Code = "redelivery"
	TelegramErrors           Code = "telegram_errors"
	InfoRateLimited          Code = "info_rate_limited"
	BotDown                  Code = "bot_down"
	AutomationHeld           Code = "automation_held"
	PinnedWebhook            Code = "pinned_webhook"
	PinnedPolling            Code = "pinned_polling"
	DryRun                   Code = "dry_run"
	DrillOverdue             Code = "drill_overdue"
	DrillHalted              Code = "drill_halted"
)

// Scope is what a warning is about.
type Scope string

// The scopes.
const (
	Process Scope = "process" // all bots alike
	Bot     Scope = "bot"
)

// Kind is one line of the registry.
type Kind struct {
	Code Code
	// Severity is that of a condition which names none.
	Severity Severity
	// Also lists further severities that a condition may have.
	Also []Severity
	// Scope is [Bot] if empty.
	Scope Scope
	// Title is a few words without a full stop.
	Title string
	// Text says what it means and what to do. {evidence}, {since} and {bot} stand
	// for those of the condition.
	Text string
	// DependsOn names what this only follows from: while one of them is visible,
	// for the same bot or for the process, this is muted. A parent becomes visible
	// no later than its children.
	DependsOn []Code
	// TimeToVisible is how long the condition must have lasted; 0 means at once.
	TimeToVisible time.Duration
}

// Runbook is the name of the page that tells what to do.
func (k Kind) Runbook() string { return string(k.Code) }

// Severities lists what a condition of this kind may have, the usual one first.
func (k Kind) Severities() []Severity { return append([]Severity{k.Severity}, k.Also...) }

// Kinds lists the registry, the most urgent first. The caller must not change it.
func Kinds() []Kind { return kinds }

// Lookup returns the kind of a code.
func Lookup(c Code) (Kind, bool) {
	i, ok := index[c]
	if !ok {
		return Kind{}, false
	}
	return kinds[i], true
}

var index = func() map[Code]int {
	m := make(map[Code]int, len(kinds))
	for i, k := range kinds {
		m[k.Code] = i
	}
	return m
}()
