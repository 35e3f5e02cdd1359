package botapi

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// WebhookErrorClass says what kind of failure a last_error_message tells of.
type WebhookErrorClass string

// The classes.
const (
	// WebhookErrorNone: there is no message.
	WebhookErrorNone WebhookErrorClass = ""
	// WebhookErrorHTTP: an answer other than 2xx; [WebhookError.Status] has it.
	WebhookErrorHTTP WebhookErrorClass = "http"
	// WebhookErrorTLS: the handshake failed, or the chain was not accepted.
	WebhookErrorTLS WebhookErrorClass = "tls"
	// WebhookErrorTimeout: no connection, or no full answer, for a minute
	// (WebhookActor.cpp:231), so it tells of what began a minute before.
	WebhookErrorTimeout WebhookErrorClass = "timeout"
	// WebhookErrorRefused: nobody listens on the port.
	WebhookErrorRefused WebhookErrorClass = "refused"
	// WebhookErrorClosed: a connection that was there was reset.
	WebhookErrorClosed WebhookErrorClass = "closed"
	// WebhookErrorDNS: the host's name did not resolve, or to nothing usable.
	WebhookErrorDNS WebhookErrorClass = "dns"
	// WebhookErrorNetwork: the host can't be reached.
	WebhookErrorNetwork WebhookErrorClass = "network"
	// WebhookErrorProtocol: what came back is not an answer that Telegram reads.
	WebhookErrorProtocol WebhookErrorClass = "protocol"
	// WebhookErrorTelegram: the failure is on Telegram's own side.
	WebhookErrorTelegram WebhookErrorClass = "telegram"
	// WebhookErrorUnknown: a text that is not known.
	WebhookErrorUnknown WebhookErrorClass = "unknown"
)

// WebhookErrorClasses returns every class but WebhookErrorNone.
func WebhookErrorClasses() []WebhookErrorClass {
	return []WebhookErrorClass{WebhookErrorHTTP, WebhookErrorTLS, WebhookErrorTimeout, WebhookErrorRefused, WebhookErrorClosed,
		WebhookErrorDNS, WebhookErrorNetwork, WebhookErrorProtocol, WebhookErrorTelegram, WebhookErrorUnknown}
}

// WebhookError is a last_error_message, classified.
type WebhookError struct {
	Class WebhookErrorClass
	// Status is the answer's status code where Class is http and it has one.
	Status int
}

// Hard reports whether one such failure means that the path is broken; the
// others may pass by themselves.
func (e WebhookError) Hard() bool {
	switch e.Class {
	case WebhookErrorTLS, WebhookErrorTimeout, WebhookErrorRefused, WebhookErrorDNS, WebhookErrorNetwork:
		return true
	}
	return false
}

// Path reports whether the failure speaks about the path to us at all.
func (e WebhookError) Path() bool {
	return e.Class != WebhookErrorNone && e.Class != WebhookErrorTelegram
}

// Hint says in a few words where to look.
func (e WebhookError) Hint() string {
	switch e.Class {
	case WebhookErrorHTTP:
		switch {
		case e.Status >= 300 && e.Status < 400:
			return "something answers with a redirect, which Telegram doesn't follow"
		case e.Status == 401 || e.Status == 403:
			return "the secret is wrong, or something in front forbids the request"
		case e.Status == 404:
			return "something in front doesn't know the path"
		case e.Status == 410:
			return "something in front says the webhook is gone; after 23 hours of that Telegram removes it"
		case e.Status == 429:
			return "something in front limits the rate"
		case e.Status >= 500:
			return "something in front can't reach dualgram"
		}
		return "something in front refuses the request"
	case WebhookErrorTLS:
		return "the certificate is expired, incomplete or for another host, or the port doesn't speak TLS"
	case WebhookErrorTimeout:
		return "the network or a firewall swallows the connection, or something in front hangs"
	case WebhookErrorRefused:
		return "nobody listens on the public port"
	case WebhookErrorClosed:
		return "something in front cuts connections"
	case WebhookErrorDNS:
		return "the host's name doesn't resolve to an address that Telegram uses"
	case WebhookErrorNetwork:
		return "there is no route to the host"
	case WebhookErrorProtocol:
		return "what answers on the port doesn't speak HTTP as Telegram reads it"
	case WebhookErrorTelegram:
		return "the failure is on Telegram's side"
	}
	return ""
}

// The texts are the server's own (WebhookActor.cpp:135-220 and 636-659,
// HttpConnectionBase.cpp:84-94, HttpReader.cpp, SslStream.cpp:329,
// TransparentProxy.cpp:57-81), and strerror's.
var (
	statusText = regexp.MustCompile(`^Wrong response from the webhook: (\d{3})(?:\D|$)`)

	webhookErrors = []struct {
		class WebhookErrorClass
		parts []string // in lower case; any of them
	}{
		{WebhookErrorProtocol, []string{"wrong response from the webhook"}},
		{WebhookErrorTelegram, []string{"can't create temporary file", "can't upload the file"}},
		{WebhookErrorTLS, []string{"ssl error", "ssl con", "custom certificate"}},
		{WebhookErrorTimeout, []string{"timeout expired", "timed out"}},
		{WebhookErrorRefused, []string{"refused"}},
		{WebhookErrorClosed, []string{"reset by peer", "broken pipe", "connection closed", "canceled"}},
		{WebhookErrorDNS, []string{"resolve host", "name or service", "is reserved", "ipv6-only", "invalid ip address", "host is empty", "host is invalid"}},
		{WebhookErrorNetwork, []string{"route to host", "unreachable", "can't connect", "failed to connect", "proxy has sent", "host is down", "no buffer space", "can't assign", "cannot assign"}},
		{WebhookErrorProtocol, []string{"not implemented", "http version not supported", "unsupported", "too large", "bad request", "request entity", "header fields"}},
	}
)

// ClassifyWebhookError classifies a last_error_message. It is the one place where
// the text of one of Telegram's errors decides anything.
func ClassifyWebhookError(message string) WebhookError {
	if message == "" {
		return WebhookError{}
	}
	if m := statusText.FindStringSubmatch(message); m != nil {
		status, _ := strconv.Atoi(m[1]) // three digits
		return WebhookError{Class: WebhookErrorHTTP, Status: status}
	}
	low := strings.ToLower(message)
	for _, w := range webhookErrors {
		for _, p := range w.parts {
			if strings.Contains(low, p) {
				return WebhookError{Class: w.class}
			}
		}
	}
	return WebhookError{Class: WebhookErrorUnknown}
}

// ShowWebhookError is what may be shown of a last_error_message: what is Telegram's
// own of it. The rest may quote what a stranger answered, or an echo of the delivery
// with its path, secret and text.
func ShowWebhookError(message string) string {
	text, _, _ := strings.Cut(message, "\n")
	switch c := ClassifyWebhookError(message); {
	case c.Class == WebhookErrorHTTP:
		return fmt.Sprintf("status %d", c.Status)
	case c.Class == WebhookErrorProtocol, c.Class == WebhookErrorUnknown, len(text) > 120:
		return string(c.Class)
	}
	return Redact(text)
}
