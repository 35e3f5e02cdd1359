package e2e_test

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// vault knows what must not be seen in anything that dualgram prints, logs,
// answers or exports: tokens, secrets, the words of messages.
type vault struct {
	mu    sync.Mutex
	words map[string]string // what is searched for → what it is
}

func (v *vault) add(what, s string, forms ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.words == nil {
		v.words = map[string]string{}
	}
	for _, f := range append(forms, s) {
		v.words[f] = what
	}
}

// token adds a bot's token, and the part behind its colon, which is the secret.
func (v *vault) token(token string) {
	_, key, _ := strings.Cut(token, ":")
	v.add("the token", token, key, url.QueryEscape(token), strings.ReplaceAll(token, ":", "%3a"))
}

func (v *vault) secret(s string) {
	if s != "" {
		v.add("the webhook's secret", s, url.QueryEscape(s))
	}
}

// text adds the words of a message, if they are words that nothing else says.
func (v *vault) text(s string) {
	if len(s) < 9 || strings.HasPrefix(s, "action:") {
		return
	}
	s = s[:min(len(s), 200)]
	s = strings.ToValidUTF8(s, "")
	forms := []string{}
	if j, err := json.Marshal(s); err == nil {
		forms = append(forms, string(j[1:len(j)-1]))
	}
	v.add("the words of a message", s, forms...)
}

// payload is what any update of the simulator holds and no log line does.
var payload = regexp.MustCompile(`message_id|first_name|chat_instance|language_code|inline_message_id|is_bot`)

// search fails the test if any of it is in the text.
func (v *vault) search(t testing.TB, where, text string) {
	t.Helper()
	for _, found := range v.find(text) {
		t.Errorf("%s: %s is shown", where, found)
	}
}

func (v *vault) find(text string) (found []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	seen := map[string]bool{}
	for word, what := range v.words {
		if !seen[what] && strings.Contains(text, word) {
			seen[what] = true
			found = append(found, what)
		}
	}
	if m := payload.FindString(text); m != "" {
		found = append(found, "an update's content ("+m+")")
	}
	return found
}
