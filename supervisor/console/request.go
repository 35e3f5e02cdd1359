package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Decode reads a body of one JSON object with known keys only; no body is an empty
// object. If into has a field Schema, it has to be empty or schema. keys are those
// that the object may have, for the answer. It answers the request if it returns
// false.
func Decode(w http.ResponseWriter, r *http.Request, into any, schema, keys string) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err = d.Token(); err == nil {
			err = errors.New("something follows the object")
		}
	}
	if !errors.Is(err, io.EOF) {
		badRequest(w, "the body is not understood: "+err.Error(), "send one JSON object with the keys "+keys)
		return false
	}
	if f := reflect.ValueOf(into).Elem().FieldByName("Schema"); f.IsValid() && f.String() != "" && f.String() != schema {
		badRequest(w, fmt.Sprintf("the body's schema is %q", f.String()), "write "+schema+", or leave it out")
		return false
	}
	return true
}

// CheckReason returns a reason fit for the journal: one line of up to [MaxReason]
// bytes. needed says that it must not be empty. The error is a [Failure].
func CheckReason(reason string, needed bool) (string, error) {
	reason = strings.TrimSpace(reason)
	switch {
	case reason == "" && needed:
		return "", &Failure{Code: CodeBadRequest, Message: "a reason is needed",
			Fix: "say in a few words why: it is what the next one on call finds in status and events"}
	case len(reason) > MaxReason || !utf8.ValidString(reason) || strings.ContainsFunc(reason, unicode.IsControl):
		return "", &Failure{Code: CodeBadRequest, Message: fmt.Sprintf("the reason is not one line of up to %d bytes", MaxReason)}
	}
	return reason, nil
}
