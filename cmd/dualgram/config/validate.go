package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxSocketPath is the room for a path in a unix socket's address on Linux
// (108 bytes with the final zero); other systems have a little less.
const maxSocketPath = 107

// wrong records a problem with a key at the place of its value.
func (l *loader) wrong(key, what, fix string) {
	if l.isBad(key) {
		return
	}
	l.problem(l.cfg.Origin(key), key, what, fix)
}

// missing records that a key is not there. It stands at the section that
// should hold it, as near as there is one.
func (l *loader) missing(key, what, fix string) {
	if l.isBad(key) {
		return
	}
	where := Origin{}
	for k := key; where.Source == SourceDefault && k != ""; {
		where = l.cfg.Origin(k)
		i := strings.LastIndexAny(k, ".[")
		if i < 0 {
			break
		}
		k = k[:i]
	}
	if where.Source == SourceDefault && l.cfg.File != "" {
		where = Origin{Source: SourceFile, File: l.cfg.File}
	}
	l.problem(where, key, what, fix)
}

func (l *loader) validate() {
	c := l.cfg
	l.telegram()
	for i := range c.Bots {
		l.bot(i)
	}
	l.bots()
	if c.Store.Path == "" {
		l.wrong("store.path", "is empty", "write the path of the file that holds the updates")
	}
	l.relative("store.path", c.Store.Path)
	l.failover()
	l.signals()
	l.budget()
	if c.Chaos.Destructive && !c.Chaos.Enabled {
		l.warn("chaos_without_effect", "chaos.destructive", "has no effect while chaos.enabled is false", "set chaos.enabled too, or remove it")
	}
	if c.Chaos.Enabled && c.Chaos.Destructive {
		l.warn("chaos_destructive", "chaos.destructive", "drills may crash this process and fill its disk", "leave it false where real updates arrive")
	}
	l.control()
	l.relative("drills.experiments", c.Drills.Experiments)
	l.relative("drills.halt_file", c.Drills.HaltFile)
	if c.Observe.Listen != "" {
		l.hostPort("observe.listen", c.Observe.Listen, true)
	}
	l.notify()
	l.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	l.oneOf("log.format", c.Log.Format, "json", "console")
	l.oneOf("on_stop", c.OnStop, "keep", "delete")
	if c.ShutdownTimeout <= 0 {
		l.wrong("shutdown_timeout", "is zero: nothing in flight could finish", "write a duration such as 15s")
	}
}

func (l *loader) telegram() {
	t := &l.cfg.Telegram
	t.APIURL = strings.TrimRight(t.APIURL, "/")
	u := l.url("telegram.api_url", t.APIURL, "https://api.telegram.org", "https", "http")
	if u != nil {
		switch {
		case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
			l.wrong("telegram.api_url", "has a query, a fragment or a user", "write scheme, host and port only, such as http://127.0.0.1:8081")
		case u.Scheme == "http" && l.cfg.Cloud():
			l.wrong("telegram.api_url", "sends the token to api.telegram.org unencrypted", "write https://api.telegram.org")
		case u.Scheme == "http":
			l.warn("plain_http_api", "telegram.api_url", "the token travels unencrypted to "+u.Host, "use https unless the server is on this host or a network of your own")
		}
	}
	if t.Proxy != "" {
		l.url("telegram.proxy", t.Proxy, "socks5://127.0.0.1:1080", "http", "https", "socks5")
	}
	l.relative("telegram.ca_file", t.CAFile)
}

func (l *loader) failover() {
	f := &l.cfg.Failover
	if f.Budget <= 0 {
		l.wrong("failover.budget", "is zero", "write a duration such as 10s")
	} else if f.Budget > 10*time.Second {
		l.warn("long_budget", "failover.budget", fmt.Sprintf("is %s; Telegram keeps inline queries for 30 s only, and dualgram's promise is 10 s", FormatDuration(f.Budget)), "keep it at 10s")
	}
	if f.InfoInterval <= 0 {
		l.wrong("failover.info_interval", "is zero: getWebhookInfo would be called without pause", "write a duration such as 2s")
	} else if f.InfoInterval < 500*time.Millisecond {
		l.warn("short_info_interval", "failover.info_interval", fmt.Sprintf("is %s; the Bot API may answer 429, which blinds the watch", FormatDuration(f.InfoInterval)), "use 1s to 3s")
	}
	if f.HoldDown < 10*time.Second {
		l.warn("short_hold_down", "failover.hold_down", fmt.Sprintf("is %s; a webhook that comes and goes would make dualgram change back and forth", FormatDuration(f.HoldDown)), "use 30s or more")
	}
	if f.MaxHoldDown < f.HoldDown {
		l.wrong("failover.max_hold_down", fmt.Sprintf("is %s, less than the hold_down of %s", FormatDuration(f.MaxHoldDown), FormatDuration(f.HoldDown)), "make it at least as long, such as 30m")
	}
	if f.MaxFailovers < 1 || f.MaxFailovers > 16 {
		l.wrong("failover.max_failovers", fmt.Sprintf("is %d", f.MaxFailovers), "write a number from 1 to 16")
	}
	if f.TLSLead < 10*time.Second {
		l.warn("short_tls_lead", "failover.tls_lead", fmt.Sprintf("is %s; deliveries may fail before dualgram acts on an expiring certificate", FormatDuration(f.TLSLead)), "use 1m or more")
	}
	if f.DryRun {
		l.warn("dry_run", "failover.dry_run", "dualgram decides and logs, but doesn't change the transport", "set it to false to act")
	}
	for i, h := range slices.Concat(f.Hooks.Veto, f.Hooks.Notify) {
		key := fmt.Sprintf("failover.hooks.veto[%d]", i)
		if n := len(f.Hooks.Veto); i >= n {
			key = fmt.Sprintf("failover.hooks.notify[%d]", i-n)
		}
		if len(h) > 0 && !filepath.IsAbs(h[0]) {
			l.wrong(key, fmt.Sprintf("%s is not an absolute path, so what runs depends on the environment", quoted(h[0])), "write the program's full path")
		}
	}
}

// oneOf checks a word against those allowed.
func (l *loader) oneOf(key, value string, words ...string) {
	if slices.Contains(words, value) {
		return
	}
	fix := "write " + strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
	if near, ok := Nearest(strings.ToLower(value), words); ok {
		fix = "did you mean " + near + "?"
	}
	l.wrong(key, quoted(value)+" is none of "+strings.Join(words, ", "), fix)
}

// url checks for an absolute URL of one of the schemes; it returns nil if it
// complained. The message never quotes the URL: it may hold a password.
func (l *loader) url(key, value, example string, schemes ...string) *url.URL {
	u, err := url.Parse(value)
	fix := "write one such as " + example
	switch {
	case err != nil:
		l.wrong(key, "is not a URL", fix)
	case u.Scheme == "" || (u.Host == "" && u.Opaque != ""):
		l.wrong(key, "has no scheme", fix)
	case !slices.Contains(schemes, u.Scheme):
		l.wrong(key, fmt.Sprintf("has the scheme %s; allowed: %s", quoted(u.Scheme), strings.Join(schemes, ", ")), fix)
	case u.Hostname() == "":
		l.wrong(key, "names no host", fix)
	case u.Port() != "" && !validPort(u.Port(), false), strings.HasSuffix(u.Host, ":"):
		l.wrong(key, "has a port outside 1 to 65535", fix)
	default:
		return u
	}
	return nil
}

func validPort(s string, zero bool) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && (n > 0 || zero)
}

// hostPort checks for host:port. anyHost allows the host to be missing, which
// means all addresses, and the port to be 0, which means any free one.
func (l *loader) hostPort(key, value string, anyHost bool) {
	host, port, err := net.SplitHostPort(value)
	switch {
	case err != nil:
		l.wrong(key, quoted(value)+" is not host:port", "write one such as 127.0.0.1:8443")
	case host == "" && !anyHost:
		l.wrong(key, quoted(value)+" has no host", "write one such as 127.0.0.1:8443")
	case !validPort(port, anyHost):
		l.wrong(key, fmt.Sprintf("the port %s is not a number from 1 to 65535", quoted(port)), "write one such as 127.0.0.1:8443")
	}
}

// relative warns about a path that depends on where dualgram is started.
func (l *loader) relative(key, path string) {
	if path != "" && path != "-" && !filepath.IsAbs(path) && !l.isBad(key) {
		l.warn("relative_path", key, quoted(path)+" depends on the working directory", "write the full path")
	}
}

// wildcard says whether a listen host means every address.
func wildcard(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "" || (err == nil && a.IsUnspecified())
}
