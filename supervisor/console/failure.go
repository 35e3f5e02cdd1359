package console

import (
	"errors"
	"fmt"
	"net/http"
)

// Error is the body of every answer that is not 2xx.
type Error struct {
	Schema string `json:"schema"`
	// Message says what is wrong; Fix what to do about it.
	Message string `json:"error"`
	Fix     string `json:"fix,omitempty"`
	// Code is one of the Code constants.
	Code string `json:"code"`
}

// Code says what kind of thing went wrong. The codes are part of the API.
type Code = string

// Codes of an [Error], each with one HTTP status.
const (
	CodeBadRequest   Code = "bad_request"   // 400: the request is not understood
	CodeUnauthorized Code = "unauthorized"  // 401: the TCP listener wants its token
	CodeForbidden    Code = "forbidden"     // 403: the request comes from where it must not come from
	CodeUnknownBot   Code = "unknown_bot"   // 404: there is no bot of the name
	CodeNotFound     Code = "not_found"     // 404: there is no such thing in the resource
	CodeNoResource   Code = "no_resource"   // 404: this dualgram has no such resource
	CodeEnded        Code = "ended"         // 404: it is over already, or never was
	CodeRefused      Code = "refused"       // 409: a guard says no; nothing has changed
	CodeInternal     Code = "internal"      // 500: dualgram's own fault
	CodeUnsupported  Code = "not_supported" // 501: this dualgram can't do that
	CodeNotSaved     Code = "not_saved"     // 503: the store does not commit; nothing has changed
	CodeStarting     Code = "starting"      // 503: ask again in a moment
)

// statusOf is the HTTP status of each code.
var statusOf = map[Code]int{
	CodeBadRequest: http.StatusBadRequest, CodeUnauthorized: http.StatusUnauthorized, CodeForbidden: http.StatusForbidden,
	CodeUnknownBot: http.StatusNotFound, CodeNotFound: http.StatusNotFound, CodeNoResource: http.StatusNotFound, CodeEnded: http.StatusNotFound, CodeRefused: http.StatusConflict,
	CodeInternal: http.StatusInternalServerError, CodeUnsupported: http.StatusNotImplemented,
	CodeNotSaved: http.StatusServiceUnavailable, CodeStarting: http.StatusServiceUnavailable,
}

// Failure is an error of a provider that says what to do about it. Any other
// error is answered with 500.
type Failure struct {
	// Code is one of the Code constants; empty means [CodeInternal].
	Code Code
	// Message says what is wrong, the cause included; Fix what to do about it.
	Message, Fix string
	// Err is the cause, if there is one.
	Err error
}

// Error is the message.
func (f *Failure) Error() string { return f.Message }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// WriteFailure answers with what went wrong; what names what was asked for, and
// stands before an error that is no [Failure].
func WriteFailure(w http.ResponseWriter, what string, err error) {
	var f *Failure
	if !errors.As(err, &f) {
		f = &Failure{Message: what + ": " + err.Error()}
	}
	code := f.Code
	status, known := statusOf[code]
	if !known {
		code, status = CodeInternal, http.StatusInternalServerError
	}
	WriteJSON(w, status, Error{Schema: SchemaError, Message: f.Message, Fix: f.Fix, Code: code})
}

// fail answers with a code, what is wrong and what to do about it.
func fail(w http.ResponseWriter, code Code, message, fix string) {
	WriteFailure(w, "", &Failure{Code: code, Message: message, Fix: fix})
}

// badRequest answers that the request is not understood.
func badRequest(w http.ResponseWriter, message, fix string) { fail(w, CodeBadRequest, message, fix) }

// notFound answers that there is no such resource.
func notFound(w http.ResponseWriter, r *http.Request) {
	fail(w, CodeNoResource, fmt.Sprintf("no such resource: %s %s", r.Method, r.URL.Path), "the command may be newer than the running dualgram; restart it after an upgrade")
}
