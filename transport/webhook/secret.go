package webhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
)

// SecretHeader is the header that carries the secret token
// (https://core.telegram.org/bots/api#setwebhook).
const SecretHeader = "X-Telegram-Bot-Api-Secret-Token"

// maxSecret is the longest secret token that Telegram allows, in bytes.
const maxSecret = 256

// Digest tells one secret token from all others without giving it away: the
// first half of its SHA-256.
type Digest [sha256.Size / 2]byte

// DigestOf returns a token's digest.
func DigestOf(token string) Digest {
	sum := sha256.Sum256([]byte(token))
	return Digest(sum[:len(Digest{})])
}

// SecretUse says which secret a request had.
type SecretUse string

// The uses.
const (
	// SecretWrong: none that is good. It is the zero value.
	SecretWrong SecretUse = ""
	// SecretCurrent: one of the route's Secrets.
	SecretCurrent SecretUse = "current"
	// SecretPrevious: one of those before, see [Route.Former].
	SecretPrevious SecretUse = "previous"
	// SecretMissing: no header, while [Route.Unsigned] allows that.
	SecretMissing SecretUse = "missing"
)

// SecretUses returns the uses by which a request is let in.
func SecretUses() []SecretUse { return []SecretUse{SecretCurrent, SecretPrevious, SecretMissing} }

// signed reports whether the header itself was good.
func (u SecretUse) signed() bool { return u == SecretCurrent || u == SecretPrevious }

// secret says which of the route's secrets the request has; it may have exactly
// one secret header. How long it takes depends only on the lengths of what is
// compared and on how many there are.
func (rt *route) secret(r *http.Request) SecretUse {
	got := r.Header[SecretHeader]
	if len(got) == 0 && rt.Unsigned != nil && rt.Unsigned() {
		return SecretMissing
	}
	if len(got) != 1 || len(got[0]) > maxSecret {
		return SecretWrong
	}
	var a, b [maxSecret]byte
	n := copy(a[:], got[0])
	current, former := 0, 0
	for _, s := range rt.Secrets() {
		if s == "" || len(s) > maxSecret {
			continue
		}
		m := copy(b[:], s)
		current |= subtle.ConstantTimeCompare(a[:n], b[:m])
	}
	if rt.Former != nil {
		sum := sha256.Sum256(a[:n])
		for _, d := range rt.Former() {
			former |= subtle.ConstantTimeCompare(sum[:len(d)], d[:])
		}
	}
	switch {
	case current == 1:
		return SecretCurrent
	case former == 1:
		return SecretPrevious
	}
	return SecretWrong
}
