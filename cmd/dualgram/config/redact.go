package config

import "regexp"

// tokenShaped finds bot tokens, as they are and percent-encoded, whatever
// stands around them. It is wider than [CheckToken]: too much hidden costs
// nothing.
var tokenShaped = regexp.MustCompile(`[0-9]{3,20}(:|%3[aA])[A-Za-z0-9_-]{16,}`)

// Redact replaces everything shaped like a bot token. A time of day or an
// address with a port is not.
func Redact(s string) string { return tokenShaped.ReplaceAllString(s, "[token]") }

// userinfo finds the name and password of a URL, also one that does not parse.
var userinfo = regexp.MustCompile(`//[^/@\s]*@`)

// redactURL also hides the name and password of a URL that has them.
func redactURL(s string) string {
	return Redact(userinfo.ReplaceAllString(s, "//redacted@"))
}
