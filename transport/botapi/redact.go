package botapi

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"regexp"
	"strings"
)

const redactedToken = "[token]"

// tokenAnywhere matches what has the shape of a bot token, its colon raw or
// percent-encoded once or more.
var tokenAnywhere = regexp.MustCompile(`(?i)[0-9]{5,}(?::|%(?:25)*3A)[A-Za-z0-9_-]{30,}`)

// Redact removes everything from s that has the shape of a bot token, raw or
// percent-encoded.
func Redact(s string) string {
	return tokenAnywhere.ReplaceAllString(s, redactedToken)
}

// RedactURL is what may be shown of a URL that belongs to somebody else:
// scheme and host, and a short hash of the rest, by which two of them can be
// told apart. Tokens and secrets are often in the path.
func RedactURL(raw string) string {
	if raw == "" {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "[url #" + shortHash(raw) + "]"
	}
	s := Redact(u.Scheme + "://" + u.Host)
	rest := u.RequestURI()
	if u.Fragment != "" {
		// Telegram sends the fragment as a part of the request target.
		rest += "#" + u.Fragment
	}
	if u.User != nil {
		rest = u.User.String() + "@" + rest
	}
	if rest == "/" {
		return s
	}
	return s + "/#" + shortHash(rest)
}

func shortHash(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:4])
}

var urlAnywhere = regexp.MustCompile(`(?i)\bhttps?://[^\s"'<>]+`)

// maxText bounds what a server can make us keep of its words.
const maxText = 512

// minSecret keeps a secret of a few letters from tearing holes into every text.
const minSecret = 6

// scrubFunc returns the function through which every text passes that ends up
// in an error. It knows the token itself, not only its shape.
func scrubFunc(token string, proxy *url.URL) func(string, ...string) string {
	secrets := []string{token, url.PathEscape(token), url.QueryEscape(token)}
	if proxy != nil && proxy.User != nil {
		if p, ok := proxy.User.Password(); ok && len(p) >= minSecret {
			secrets = append(secrets, p, url.QueryEscape(p), proxy.User.String())
		}
	}
	return func(text string, also ...string) string {
		for _, s := range secrets {
			text = strings.ReplaceAll(text, s, redactedToken)
		}
		for _, s := range also {
			if len(s) >= minSecret {
				text = strings.ReplaceAll(text, s, "[secret]")
			}
		}
		text = Redact(text)
		text = urlAnywhere.ReplaceAllStringFunc(text, RedactURL)
		text = strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return ' '
			}
			return r
		}, strings.ToValidUTF8(text, "?"))
		if len(text) > maxText {
			text = strings.ToValidUTF8(text[:maxText], "") + "…"
		}
		return text
	}
}
