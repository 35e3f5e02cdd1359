package telegramsim

import (
	"fmt"
	"strings"
	"time"
)

const (
	maxSecret      = 256
	maxCertificate = 3 << 20
)

// setWebhook serves setWebhook and deleteWebhook: an empty url deletes
// (Client.cpp:15726-15798).
func (b *bot) setWebhook(c *call) {
	b.note(c)
	now := time.Now()
	url := c.args["url"]
	if c.method == "deletewebhook" {
		url = ""
	}
	// 1. At most one set a second.
	if url != "" {
		if !b.lastSet.IsZero() && now.Sub(b.lastSet) < time.Second {
			b.answer(c, tooMany(1))
			return
		}
		b.lastSet = now
	}
	// 2. An older set or delete that has no answer yet loses.
	if old := b.setting; old != nil {
		b.setting = nil
		b.conflict(old, conflictOther)
	}
	h := &hook{raw: url}
	if url != "" {
		v, given := c.args["max_connections"]
		h.maxc = b.s.maxConnections(integer(c.args, "max_connections", 0), given && v != "")
		h.secret = c.args["secret_token"]
		h.ip = c.args["ip_address"]
		h.cert = certificate(c)
		if m, ok := parseMask(c.args["allowed_updates"]); ok {
			b.allowed = m
		}
	}
	drop := truthy(c.args["drop_pending_updates"])
	// 3. Nothing changes.
	if !drop && h.same(b.hook) {
		if url == "" {
			b.answer(c, okay(true, "Webhook is already deleted"))
		} else {
			b.answer(c, okay(true, "Webhook is already set"))
		}
		return
	}
	// 4. The old webhook goes first, whatever becomes of the new one.
	if p := b.parked; url != "" && p != nil {
		p.timer.Stop()
		b.parked = nil
		b.conflict(p.c, conflictSet)
	}
	b.removeHook("replaced")
	if drop {
		b.clear(0, now)
	}
	if url == "" {
		b.answer(c, okay(true, "Webhook was deleted"))
		return
	}
	if text := h.validate(); text != "" {
		b.answer(c, failure(400, "Bad Request: "+text))
		return
	}
	b.hook, b.setting = h, c
	b.start(false, func() {
		b.setting = nil
		b.answer(c, okay(true, "Webhook was set"))
	}, func(text string) {
		b.hook, b.setting = nil, nil
		b.err = lastError{}
		b.answer(c, failure(400, "Bad Request: bad webhook: "+text))
	})
}

// same reports whether a call changes nothing. An uploaded certificate, old or
// new, always does.
func (h *hook) same(old *hook) bool {
	if old == nil {
		return h.raw == ""
	}
	return h.raw == old.raw && h.maxc == old.maxc && h.secret == old.secret && h.ip == old.ip &&
		h.cert == nil && old.cert == nil
}

// validate is what is checked before the server touches the network.
func (h *hook) validate() string {
	u, ok := parseHookURL(h.raw)
	if !ok {
		return "invalid webhook URL specified"
	}
	h.url = u
	if len(h.secret) > maxSecret {
		return "secret token is too long"
	}
	for i := range len(h.secret) {
		c := h.secret[i]
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return "secret token contains unallowed characters"
		}
	}
	if len(h.cert) > maxCertificate {
		return fmt.Sprintf("certificate size is too big (%d bytes)", len(h.cert))
	}
	return ""
}

// certificate finds the uploaded file: the parameter itself, or the one that it
// names as attach://. A string is ignored.
func certificate(c *call) []byte {
	if f, ok := c.files["certificate"]; ok {
		return f
	}
	if name, ok := strings.CutPrefix(c.args["certificate"], "attach://"); ok {
		return c.files[name]
	}
	return nil
}

// removeHook takes the webhook away with all that belongs to it. What was in
// flight stays in the queue.
func (b *bot) removeHook(why string) {
	if b.actor != nil {
		b.actor.end(why)
	}
	b.hook = nil
	b.err = lastError{}
}
