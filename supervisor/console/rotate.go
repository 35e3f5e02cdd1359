package console

import (
	"context"
	"net/http"
)

// Names of the schemas of a rotation and of its answer.
const (
	SchemaRotate       = "dualgram/rotate/v1"
	SchemaRotateSecret = "dualgram/rotate-secret/v1"
)

// RotateRequest is the body of POST /v1/bots/{name}/rotate-secret; it may be left
// out.
type RotateRequest struct {
	Schema string `json:"schema,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// SecretRotator replaces the secret of a bot's webhook. When RotateSecret returns
// nil the new one is durable, with who asked for it and why in the journal, and no
// request with either of the two is refused until Telegram has the new one; it does
// not wait for that. A [Failure] says why it can't be.
type SecretRotator interface {
	RotateSecret(ctx context.Context, bot string, by Caller, reason string) error
}

// SecretRotation is the answer of POST /v1/bots/{name}/rotate-secret.
type SecretRotation struct {
	Schema string `json:"schema"`
	Bot    string `json:"bot"`
	// Begun is true: how far it is, and when it is over, shows in the warnings of
	// the bot's status under the code secret_rotation.
	Begun bool `json:"begun"`
}

// RotateSecret is the resource that rotates secrets.
func RotateSecret(r SecretRotator) Route {
	h := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var q RotateRequest
		if !Decode(w, req, &q, SchemaRotate, "reason") {
			return
		}
		reason, bad := CheckReason(q.Reason, false)
		if bad != nil {
			WriteFailure(w, "", bad)
			return
		}
		name := req.PathValue("name")
		if err := r.RotateSecret(req.Context(), name, CallerOf(req), reason); err != nil {
			WriteFailure(w, "rotate the secret", err)
			return
		}
		WriteJSON(w, http.StatusOK, SecretRotation{Schema: SchemaRotateSecret, Bot: name, Begun: true})
	})
	return Route{"POST /v1/bots/{name}/rotate-secret", "Replace the secret of the webhook without a gap", SchemaRotate, SchemaRotateSecret, h}
}
