package chaos

import "net/http"

// secretHeader carries the secret of setWebhook's secret_token
// (https://core.telegram.org/bots/api#setwebhook).
const secretHeader = "X-Telegram-Bot-Api-Secret-Token"

// Request returns what changes requests as they come in, or nil if the registry is
// disabled. It belongs before everything that judges a request, the check of its
// secret included, which [Scope.Handler] may stand behind.
func (s *Scope) Request() func(*http.Request) *http.Request {
	if !s.Enabled() {
		return nil
	}
	s.attach(seamRequest)
	return func(r *http.Request) *http.Request {
		t := s.load()
		if t == nil {
			return r
		}
		for _, f := range t.request {
			if rule := f.b.request; rule.match(r) && f.fire() {
				r = rule.change(r)
			}
		}
		return r
	}
}
