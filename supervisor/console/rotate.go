package console

import (
	"context"
	"errors"
	"net/http"
)

// RouteRotateSecret is the pattern under which [RotateSecret] belongs into
// Options.Routes.
const RouteRotateSecret = "POST /v1/bots/{name}/rotate-secret"

// SchemaRotateSecret names its answer.
const SchemaRotateSecret = "dualgram/rotate-secret/v1"

// SecretRotator replaces the secret of a bot's webhook. When RotateSecret returns
// nil the new one is durable, and no request with either of the two is refused
// until Telegram has the new one; it does not wait for that. A [RefusedError] says
// why it can't be.
type SecretRotator interface {
	RotateSecret(ctx context.Context, bot string) error
}

// SecretRotation is the answer of POST /v1/bots/{name}/rotate-secret.
type SecretRotation struct {
	Schema string `json:"schema"`
	Bot    string `json:"bot"`
	// Begun is true: how far it is, and when it is over, shows in the warnings of
	// the bot's status under the code secret_rotation.
	Begun bool `json:"begun"`
}

// RefusedError is a command that is not carried out.
type RefusedError struct {
	Code    int    // the HTTP status
	Message string // what is wrong
	Fix     string // what to do about it
	Err     error  // the cause, if there is one
}

// Error is the message and the cause.
func (e *RefusedError) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// RotateSecret handles [RouteRotateSecret].
func RotateSecret(r SecretRotator) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		name := req.PathValue("name")
		err := r.RotateSecret(req.Context(), name)
		var refused *RefusedError
		switch {
		case err == nil:
			WriteJSON(w, http.StatusOK, SecretRotation{Schema: SchemaRotateSecret, Bot: name, Begun: true})
		case errors.As(err, &refused):
			WriteError(w, refused.Code, refused.Error(), refused.Fix)
		default:
			WriteError(w, http.StatusServiceUnavailable, "rotate the secret: "+err.Error(), "")
		}
	})
}
