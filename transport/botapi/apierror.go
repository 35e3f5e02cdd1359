package botapi

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what went wrong, as far as that decides what to do next.
type Kind string

// The kinds of error.
const (
	// KindCanceled: the caller's context was cancelled.
	KindCanceled Kind = "canceled"
	// KindTimeout: no complete answer within the deadline.
	KindTimeout Kind = "timeout"
	// KindDNS: the name of the server or proxy could not be resolved.
	KindDNS Kind = "dns"
	// KindTLS: no TLS connection, or a certificate that isn't trusted.
	KindTLS Kind = "tls"
	// KindRefused: connection refused.
	KindRefused Kind = "refused"
	// KindReset: the connection was closed or reset under the call.
	KindReset Kind = "reset"
	// KindNetwork: any other failure to connect or to transfer.
	KindNetwork Kind = "network"
	// KindRateLimited: 429; see RetryAfter.
	KindRateLimited Kind = "rate_limited"
	// KindConflict: 409; see Conflict.
	KindConflict Kind = "conflict"
	// KindUnauthorized: 401; the token is wrong or revoked.
	KindUnauthorized Kind = "unauthorized"
	// KindNotFound: 404; a wrong API address, or an unknown method.
	KindNotFound Kind = "not_found"
	// KindMisdirected: 421; this server doesn't serve this bot.
	KindMisdirected Kind = "misdirected"
	// KindBadRequest: 400 or another 4xx, and calls refused before they are sent
	// (then Code is 0); see Detail.
	KindBadRequest Kind = "bad_request"
	// KindServer: 5xx.
	KindServer Kind = "server"
	// KindProtocol: an answer that can't be the Bot API's: HTML, a redirect, a
	// truncated body, a wrong type.
	KindProtocol Kind = "protocol"
	// KindTooLarge: the answer is longer than the limit.
	KindTooLarge Kind = "too_large"
)

// Kinds returns every kind of error.
func Kinds() []Kind {
	return []Kind{KindCanceled, KindTimeout, KindDNS, KindTLS, KindRefused, KindReset, KindNetwork, KindRateLimited, KindConflict, KindUnauthorized,
		KindNotFound, KindMisdirected, KindBadRequest, KindServer, KindProtocol, KindTooLarge}
}

// Network reports whether the kind is a failure between us and the server, so
// that a new connection may help.
func (k Kind) Network() bool {
	switch k {
	case KindTimeout, KindDNS, KindTLS, KindRefused, KindReset, KindNetwork:
		return true
	}
	return false
}

// Conflict says which of the Bot API's conflicts a 409 is.
type Conflict string

// The conflicts (Client.cpp:15703, 15754, 16229).
const (
	// ConflictWebhookActive: getUpdates while a webhook is set, or a set or
	// delete is in progress. The call confirmed nothing.
	ConflictWebhookActive Conflict = "webhook_active"
	// ConflictOtherGetUpdates: another getUpdates displaced this one.
	ConflictOtherGetUpdates Conflict = "other_get_updates"
	// ConflictSetWebhook: a setWebhook displaced this getUpdates, even if that
	// setWebhook then failed.
	ConflictSetWebhook Conflict = "set_webhook"
	// ConflictOtherSetWebhook: a later setWebhook or deleteWebhook displaced
	// this one.
	ConflictOtherSetWebhook Conflict = "other_set_webhook"
	// ConflictUnknown: a 409 in words that this version doesn't know.
	ConflictUnknown Conflict = "unknown"
)

// Detail says what a setWebhook was refused for.
type Detail string

// The reasons by which setWebhook is refused (WebhookActor.cpp:705-785,
// Client.cpp:15961-16010). After any of them the bot has no webhook: the old one
// is removed first.
const (
	DetailNone Detail = ""
	// DetailWebhookPort: not 443, 80, 88 or 8443.
	DetailWebhookPort Detail = "webhook_port"
	// DetailWebhookHTTPS: not an https URL.
	DetailWebhookHTTPS Detail = "webhook_https"
	// DetailWebhookDNS: Telegram can't resolve the host.
	DetailWebhookDNS Detail = "webhook_dns"
	// DetailWebhookIP: a reserved, IPv6-only or invalid address.
	DetailWebhookIP Detail = "webhook_ip"
	// DetailWebhookHost: an empty or invalid host.
	DetailWebhookHost Detail = "webhook_host"
	// DetailWebhookConnect: connecting failed at once.
	DetailWebhookConnect Detail = "webhook_connect"
	// DetailWebhookCertificate: the uploaded certificate isn't accepted.
	DetailWebhookCertificate Detail = "webhook_certificate"
	// DetailWebhookURL: the URL can't be parsed.
	DetailWebhookURL Detail = "webhook_url"
	// DetailWebhookSecret: the secret token is too long or has other characters
	// than A-Z, a-z, 0-9, _ and -.
	DetailWebhookSecret Detail = "webhook_secret"
	// DetailWebhookOther: refused in other words; see Description.
	DetailWebhookOther Detail = "webhook_other"
)

// Phase is how far an attempt had come when it ended.
type Phase string

// The phases of an attempt, in their order.
const (
	PhaseStart   Phase = "start"
	PhaseDNS     Phase = "dns"
	PhaseConnect Phase = "connect"
	PhaseTLS     Phase = "tls"
	// PhaseSend: a connection is there; bytes of the request may have gone out.
	PhaseSend Phase = "send"
	// PhaseWait: the request is written, no byte of an answer has come.
	PhaseWait Phase = "wait"
	// PhaseBody: the headers of the answer have come.
	PhaseBody Phase = "body"
)

// Error is what every failed call returns. Neither it nor anything it wraps
// holds the token, a secret or an answer's body.
type Error struct {
	// Op is the Bot API method.
	Op   string
	Kind Kind
	// Code is the HTTP status or the Bot API's error_code; 0 if there was no
	// answer.
	Code int
	// Description is the Bot API's text, redacted, or ours for an answer that
	// isn't the Bot API's.
	Description string
	// RetryAfter is how long Telegram wants to be left alone; 0 if it
	// didn't say.
	RetryAfter time.Duration
	// MigratedTo is the new number of a group that has become a supergroup; 0 if
	// that isn't why.
	MigratedTo int64
	// Conflict is set for KindConflict.
	Conflict Conflict
	// Detail is set if setWebhook was refused for what it was given.
	Detail Detail
	// MayHaveHappened is true if the call could have taken effect all the same:
	// some attempt may have been written, and it got no definite answer.
	MayHaveHappened bool
	// Phase is how far the last attempt had come.
	Phase Phase
	// Date is the server's clock at the answer; zero without one.
	Date time.Time
	// Attempts is how many attempts were made.
	Attempts int
	// Err is the cause below HTTP: a redacted text. It matches errors.Is for
	// context.Canceled, context.DeadlineExceeded, io.EOF,
	// io.ErrUnexpectedEOF and the errno, if it was one of them.
	Err error
}

// Error is one line for an operator.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("botapi: ")
	b.WriteString(e.Op)
	b.WriteString(": ")
	b.WriteString(string(e.Kind))
	if e.Code != 0 {
		fmt.Fprintf(&b, " (%d)", e.Code)
	}
	if e.Kind == KindTimeout && e.Phase != "" {
		fmt.Fprintf(&b, " in phase %s", e.Phase)
	}
	if e.Description != "" {
		b.WriteString(": ")
		b.WriteString(e.Description)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, " (retry after %s)", e.RetryAfter)
	}
	if e.MayHaveHappened {
		b.WriteString(" (it may have taken effect)")
	}
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of the [*Error] in err's tree; empty if there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// cause is an error below HTTP with its text redacted. It wraps only values
// that can't hold a URL.
type cause struct {
	text string
	is   []error
}

func (c *cause) Error() string   { return c.text }
func (c *cause) Unwrap() []error { return c.is }

// conflictOf tells the 409s apart. The Bot API gives them no codes of their own.
func conflictOf(description string) Conflict {
	d := strings.ToLower(description)
	switch {
	case strings.Contains(d, "webhook is active"):
		return ConflictWebhookActive
	case strings.Contains(d, "other getupdates"):
		return ConflictOtherGetUpdates
	case strings.Contains(d, "other setwebhook"):
		return ConflictOtherSetWebhook
	case strings.Contains(d, "by setwebhook"):
		return ConflictSetWebhook
	}
	return ConflictUnknown
}

// detailOf tells apart why setWebhook was refused.
func detailOf(description string) Detail {
	d := strings.ToLower(description)
	has := func(s string) bool { return strings.Contains(d, s) }
	switch {
	case has("secret token"):
		return DetailWebhookSecret
	case has("certificate size"):
		return DetailWebhookCertificate
	case has("invalid webhook url"):
		return DetailWebhookURL
	case !has("bad webhook"):
		return DetailNone
	case has("ports"):
		return DetailWebhookPort
	case has("https url"):
		return DetailWebhookHTTPS
	case has("resolve host"), has("name or service"):
		return DetailWebhookDNS
	case has("reserved"), has("ipv6"), has("ip address"):
		return DetailWebhookIP
	case has("host is"):
		return DetailWebhookHost
	case has("failed to connect"), has("can't connect"):
		return DetailWebhookConnect
	case has("certificate"), has("ssl"):
		return DetailWebhookCertificate
	}
	return DetailWebhookOther
}

// kindOfCode maps an error_code that the Bot API itself gave.
func kindOfCode(code int) Kind {
	switch {
	case code == 401:
		return KindUnauthorized
	case code == 404:
		return KindNotFound
	case code == 409:
		return KindConflict
	case code == 421:
		return KindMisdirected
	case code == 429:
		return KindRateLimited
	case code >= 500 && code <= 599:
		return KindServer
	case code >= 400 && code <= 499:
		return KindBadRequest
	}
	return KindProtocol
}
