package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"time"
)

// Notify is how people are told of warnings without a Prometheus.
type Notify struct {
	// Webhook and Telegram are nil where they are not written.
	Webhook  *NotifyWebhook  `key:"webhook"`
	Telegram *NotifyTelegram `key:"telegram"`
	// MinSeverity is info, warning or critical.
	MinSeverity string `key:"min_severity"`
	// Repeat is after how long a warning that lasts is told again; 0: never.
	Repeat time.Duration `key:"repeat"`
}

// On says whether anybody is told.
func (n *Notify) On() bool { return n.Webhook != nil || n.Telegram != nil }

// NotifyWebhook posts JSON to an address, which is a secret.
type NotifyWebhook struct {
	URL     Secret `key:"url"`
	URLFile string `key:"url_file"`
	// Secret signs what is posted; without it nothing does.
	Secret     Secret `key:"secret"`
	SecretFile string `key:"secret_file"`
}

// NotifyTelegram writes to a chat by one of the bots.
type NotifyTelegram struct {
	ChatID ChatID `key:"chat_id"`
	// Bot is the name of the bot that writes; not needed if there is one.
	Bot string `key:"bot"`
}

// ChatID is the number of a chat, or @name for a public one.
type ChatID string

var chatID = regexp.MustCompile(`^(-?[0-9]{1,19}|@[A-Za-z0-9_]{4,64})$`)

// Heartbeat is where a watcher outside is told that all is well.
type Heartbeat struct {
	URL      Secret        `key:"url"`
	URLFile  string        `key:"url_file"`
	Interval time.Duration `key:"interval"`
	// Style is plain or healthchecks.
	Style string `key:"style"`
}

func defaultHeartbeat() Heartbeat { return Heartbeat{Interval: time.Minute, Style: "plain"} }

func (l *loader) notify() {
	c := l.cfg
	n := &c.Notify
	l.oneOf("notify.min_severity", n.MinSeverity, "info", "warning", "critical")
	if n.Repeat != 0 && n.Repeat < 5*time.Minute {
		l.warn("short_repeat", "notify.repeat", fmt.Sprintf("is %s; what is told too often is read no more", FormatDuration(n.Repeat)), "use 1h or more, or 0 to be told once")
	}
	if w := n.Webhook; w != nil {
		l.address("notify.webhook.url", &w.URL, &w.URLFile)
		l.eitherSecret(&w.Secret, &w.SecretFile, "notify.webhook.secret")
		l.relative("notify.webhook.secret_file", w.SecretFile)
	}
	if t := n.Telegram; t != nil {
		switch {
		case t.ChatID == "":
			l.missing("notify.telegram.chat_id", "is missing", "write the chat's number, such as -1001234567890, or @name for a public one")
		case !chatID.MatchString(string(t.ChatID)):
			l.wrong("notify.telegram.chat_id", quoted(string(t.ChatID))+" is not a chat", "write the chat's number, such as -1001234567890, or @name for a public one")
		}
		l.notifyBot(t)
	}
	if h := c.Heartbeat; h != nil {
		l.address("heartbeat.url", &h.URL, &h.URLFile)
		l.oneOf("heartbeat.style", h.Style, "plain", "healthchecks")
		if h.Interval < 10*time.Second {
			l.wrong("heartbeat.interval", fmt.Sprintf("is %s", FormatDuration(h.Interval)), "write 10s or more, such as 1m")
		}
	}
}

// notifyBot settles which bot writes.
func (l *loader) notifyBot(t *NotifyTelegram) {
	var names []string
	for i := range l.cfg.Bots {
		names = append(names, l.cfg.Bots[i].Name)
		if l.cfg.Bots[i].Name == t.Bot {
			return
		}
	}
	switch {
	case t.Bot == "" && len(names) == 1:
		t.Bot = names[0]
	case len(names) == 0: // said already
	case t.Bot == "":
		l.missing("notify.telegram.bot", fmt.Sprintf("doesn't say which of the %d bots writes", len(names)), "write bot: "+names[0]+", or that of another bot")
	default:
		fix := "write the name of one of the bots"
		if near, ok := Nearest(t.Bot, names); ok {
			fix = "did you mean " + near + "?"
		}
		l.wrong("notify.telegram.bot", "there is no bot "+quoted(t.Bot), fix)
	}
}

// address settles where an address that is a secret comes from.
func (l *loader) address(key string, s *Secret, file *string) {
	l.eitherSecret(s, file, key)
	switch {
	case !s.IsZero():
		what, fix, odd := checkAddress(s.Reveal())
		if what != "" {
			l.wrong(key, what, fix)
		} else if odd != "" {
			l.warn("plain_http_address", key, odd, "use https unless it is on this host or a network of your own")
		}
	case *file == "":
		l.missing(key+"_file", "is missing", "name a file that holds the address, or set "+EnvName(key)+": it is a secret")
	case mayBeAddress.MatchString(*file):
		l.wrong(key+"_file", "holds an address, not the path of a file", "put the address into a file of its own, and write its path here")
	}
	l.relative(key+"_file", *file)
}

var mayBeAddress = regexp.MustCompile(`^https?://`)

// checkAddress says what is wrong or odd about an address, and never quotes it.
func checkAddress(s string) (what, fix, odd string) {
	const like = "write one such as https://hooks.example.com/…"
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		return "is not a URL", like, ""
	case u.Scheme != "https" && u.Scheme != "http":
		return "is neither an https nor an http URL", like, ""
	case u.Fragment != "":
		return "has a fragment (#…), which is never sent", "remove it", ""
	case u.Scheme == "http":
		if a, err := netip.ParseAddr(u.Hostname()); u.Hostname() != "localhost" && (err != nil || !a.IsLoopback()) {
			return "", "", "warnings travel unencrypted to " + u.Hostname()
		}
	}
	return "", "", ""
}

// Outward are the secrets of what leaves the host besides the bots' own.
type Outward struct {
	// WebhookURL and WebhookSecret are notify.webhook's, HeartbeatURL heartbeat's;
	// zero where there is none.
	WebhookURL, WebhookSecret, HeartbeatURL Secret
}

// ReadOutward reads the addresses and the secret, from variables or their files. The
// error is [Errors] and never holds any of them.
func ReadOutward(cfg *Config) (Outward, []Warning, error) {
	var out Outward
	var warnings []Warning
	var problems Errors
	read := func(key string, value Secret, file string, address bool) Secret {
		if !value.IsZero() || file == "" {
			return value
		}
		key += "_file"
		where := cfg.Origin(key)
		s, ws, err := readSecretFile(file, key, where)
		warnings = append(warnings, ws...)
		if err == nil && s == "" {
			err = errors.New("is empty")
		}
		if err != nil {
			var p Problem
			if errors.As(fileProblem(err, file, key, where), &p) {
				problems = append(problems, p)
			}
			return Secret{}
		}
		if what, fix, _ := checkAddress(s); address && what != "" {
			problems = append(problems, Problem{where, key, fmt.Sprintf("the address in %s %s", file, what), fix})
		}
		return NewSecret(s)
	}
	if w := cfg.Notify.Webhook; w != nil {
		out.WebhookURL = read("notify.webhook.url", w.URL, w.URLFile, true)
		out.WebhookSecret = read("notify.webhook.secret", w.Secret, w.SecretFile, false)
	}
	if h := cfg.Heartbeat; h != nil {
		out.HeartbeatURL = read("heartbeat.url", h.URL, h.URLFile, true)
	}
	if len(problems) > 0 {
		return Outward{}, warnings, problems
	}
	return out, warnings, nil
}
