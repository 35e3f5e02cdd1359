package host

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"dualgram/cmd/dualgram/config"
	"dualgram/transport/botapi"
)

// minSecret is the least length of what is looked for: shorter ones stand in every
// text by chance.
const minSecret = 6

// conceal remembers a secret for [Host.scrub].
func (h *Host) conceal(values ...string) {
	h.keptMu.Lock()
	defer h.keptMu.Unlock()
	for _, v := range values {
		if len(v) >= minSecret && !slices.Contains(h.kept, v) {
			h.kept = append(h.kept, v)
		}
	}
}

// scrub takes out of a text every secret that this host knows, as it is, as a part of
// a URL and as a JSON string, and whatever has the shape of a token.
func (h *Host) scrub(text []byte) []byte {
	h.keptMu.Lock()
	kept := slices.Clone(h.kept)
	h.keptMu.Unlock()
	if h.outward != nil {
		if o := h.outward.secrets.Load(); o != nil {
			kept = append(kept, o.WebhookURL.Reveal(), o.WebhookSecret.Reveal(), o.HeartbeatURL.Reveal())
		}
	}
	// The longer first: one may be a part of another.
	slices.SortFunc(kept, func(a, b string) int { return len(b) - len(a) })
	s := string(text)
	for _, v := range kept {
		if len(v) < minSecret {
			continue
		}
		for _, form := range []string{v, url.QueryEscape(v), url.PathEscape(v), strings.ReplaceAll(v, "/", `\/`)} {
			s = strings.ReplaceAll(s, form, "[secret]")
		}
	}
	return []byte(config.Redact(s))
}

var anyURL = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"'<>\\]+`)

// reportConfig is the configuration for somebody else's eyes: of URLs only the host,
// of hooks only the program.
func reportConfig(cfg *config.Config) config.Printed {
	p := config.Print(cfg)
	p.Config = veil(p.Config, "")
	return p
}

func first(x []any) any {
	if len(x) == 0 {
		return nil
	}
	return x[0]
}

func veil(v any, key string) any {
	switch x := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, sub := range x {
			out[k] = veil(sub, k)
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i, sub := range x {
			out[i] = veil(sub, key)
		}
		// A hook is a list of its program and its arguments.
		if _, hook := first(x).(string); hook && len(x) > 1 && (key == "veto" || key == "notify") {
			return []any{out[0], "[arguments]"}
		}
		return out
	case string:
		return anyURL.ReplaceAllStringFunc(x, botapi.RedactURL)
	}
	return v
}
