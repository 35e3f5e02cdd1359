package acme

import (
	"errors"
	"fmt"
	"net/url"

	protocol "github.com/mholt/acmez/v3/acme"
)

// Error is every error that this package returns.
type Error struct {
	Op   string // what was tried: "options", "account", "obtain", "challenge", "keep"
	Hint string // what the operator can do about it; may be empty
	Err  error
}

func (e *Error) Error() string {
	s := "acme: " + e.Op + ": " + e.Err.Error()
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// explain says what to do about a failure to obtain a certificate.
func (i *Issuer) explain(op string, err error) error {
	e := &Error{Op: op, Err: err}
	var p protocol.Problem
	var call *url.Error
	if !errors.As(err, &p) {
		if errors.As(err, &call) {
			e.Hint = "the authority could not be asked; check the directory's URL, and the way out of this host: dns, firewall"
		}
		return e
	}
	switch p.Type {
	case protocol.ProblemTypeConnection, protocol.ProblemTypeDNS, protocol.ProblemTypeTLS, protocol.ProblemTypeUnauthorized,
		protocol.ProblemTypeIncorrectResponse:
		if i.o.Challenge == HTTP01 {
			e.Hint = fmt.Sprintf("the authority must reach %s, from anywhere, as port 80 of every host of the certificate", i.o.Listen)
		} else {
			e.Hint = "the authority must reach the listener, from anywhere, as port 443 of every host of the certificate"
		}
	case protocol.ProblemTypeRateLimited:
		e.Hint = "the authority limits how often it may be asked; it is asked again by itself"
	case protocol.ProblemTypeInvalidContact:
		e.Hint = "correct the email"
	case protocol.ProblemTypeRejectedIdentifier, protocol.ProblemTypeCAA:
		e.Hint = "the authority does not sign for this host; an address may need a profile such as shortlived"
	}
	return e
}
