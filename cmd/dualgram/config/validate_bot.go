package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	botName = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)
	// Bot API, setWebhook, secret_token: 1-256 characters of A-Z a-z 0-9 _ -.
	secretToken = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)
)

// webhookPorts are the ports that Telegram connects to (WebhookActor.cpp:707).
var webhookPorts = []string{"443", "80", "88", "8443"}

// WebhookPorts returns the ports that Telegram connects to.
func WebhookPorts() []string { return slices.Clone(webhookPorts) }

// updateTypes are those of Bot API 10.1.
var updateTypes = []string{
	"message", "edited_message", "channel_post", "edited_channel_post",
	"business_connection", "business_message", "edited_business_message", "deleted_business_messages",
	"guest_message", "message_reaction", "message_reaction_count",
	"inline_query", "chosen_inline_result", "callback_query", "shipping_query", "pre_checkout_query",
	"purchased_paid_media", "poll", "poll_answer", "my_chat_member", "chat_member", "chat_join_request",
	"chat_boost", "removed_chat_boost", "managed_bot",
}

func (l *loader) bot(i int) {
	b, key := &l.cfg.Bots[i], fmt.Sprintf("bots[%d]", i)
	switch {
	case b.Name == "":
		l.missing(key+".name", "is missing", "give each bot a name of a-z, 0-9 and dashes")
	case !botName.MatchString(b.Name):
		l.wrong(key+".name", quoted(b.Name)+" is not a name: a-z, 0-9 and dashes, at most 63", "write one such as orders or orders-test")
	}
	l.token(b, key)
	l.webhook(b, key+".webhook")
	for j, u := range b.AllowedUpdates {
		k := fmt.Sprintf("%s.allowed_updates[%d]", key, j)
		if l.cfg.Origin(k).Source == SourceDefault {
			k = key + ".allowed_updates"
		}
		if slices.Contains(b.AllowedUpdates[:j], u) {
			l.wrong(k, quoted(u)+" is in the list twice", "remove one")
		} else if !slices.Contains(updateTypes, u) {
			fix := "check the name in the Bot API's manual"
			if near, ok := Nearest(strings.ToLower(u), updateTypes); ok {
				fix = "did you mean " + near + "?"
			}
			l.warn("unknown_update_type", k, quoted(u)+" is no type of update that dualgram knows; Telegram ignores names it doesn't know", fix)
		}
	}
	l.deliver(b, key+".deliver")
}

// token settles where the token comes from: a variable wins over the file.
func (l *loader) token(b *Bot, key string) {
	l.eitherSecret(&b.Token, &b.TokenFile, key+".token")
	if !b.Token.IsZero() {
		if err := CheckToken(b.Token.Reveal()); err != nil {
			l.wrong(key+".token", err.Error(), "copy the token from @BotFather again, such as 123456789: and 35 characters")
		}
	} else if b.TokenFile == "" && !l.isBad(key+".token_file") {
		fix := "name a file that holds it in token_file"
		if len(l.cfg.Bots) == 1 {
			fix += ", or set DUALGRAM_TOKEN"
		} else if b.Name != "" {
			fix += ", or set " + EnvName("bots."+b.Name+".token")
		}
		l.missing(key+".token", "the bot has no token", fix)
	}
	if tokenShaped.MatchString(b.TokenFile) {
		l.wrong(key+".token_file", "holds a token, not the path of a file", "put the token into a file of its own, and write its path here; if this has been shared, change the token")
	}
	l.relative(key+".token_file", b.TokenFile)
}

// eitherSecret leaves one source of a secret. A variable overrides the file;
// two of the same kind contradict each other.
func (l *loader) eitherSecret(value *Secret, file *string, key string) {
	if value.IsZero() || *file == "" {
		return
	}
	valueEnv := l.cfg.Origin(key).Source == SourceEnv
	fileEnv := l.cfg.Origin(key+"_file").Source == SourceEnv
	switch {
	case valueEnv && !fileEnv:
		*file = ""
		delete(l.cfg.origins, key+"_file")
	case fileEnv && !valueEnv:
		*value = Secret{}
		delete(l.cfg.origins, key)
	default:
		l.wrong(key, "is given twice, as a value and as a file", fmt.Sprintf("remove %s or %s_file", lastName(key), lastName(key)))
	}
}

func (l *loader) webhook(b *Bot, key string) {
	w := &b.Webhook
	if w.Off || l.isBad(key) {
		return
	}
	if w.PublicURL == "" {
		l.missing(key+".public_url", "is missing", "write the https URL by which Telegram reaches this bot, or webhook: off for polling only")
	} else {
		l.publicURL(w, key+".public_url")
	}
	l.hostPort(key+".listen", w.Listen, true)
	l.tls(w, key)
	l.eitherSecret(&w.SecretToken, &w.SecretTokenFile, key+".secret_token")
	if !w.SecretToken.IsZero() && !secretToken.MatchString(w.SecretToken.Reveal()) {
		l.wrong(key+".secret_token", "is not a secret that Telegram takes: 1 to 256 of A-Z, a-z, 0-9, _ and -", "make one with: openssl rand -hex 16")
	}
	l.relative(key+".secret_token_file", w.SecretTokenFile)
	switch {
	case w.SecretMigration < 0:
		l.wrong(key+".secret_migration", "is negative", "write how long requests without the secret are taken, such as 48h, or remove the key")
	case w.SecretMigration > 0 && w.AllowNetworks.Any:
		l.warn("migration_any", key+".secret_migration", "requests without the secret are taken, and allow_networks: any lets anybody send them; a forged one can take the place of a real one, which is lost then", "use allow_networks: telegram, or a list")
	}
	if w.MaxConnections < 1 || w.MaxConnections > 100 {
		l.wrong(key+".max_connections", fmt.Sprintf("is %d; Telegram takes 1 to 100", w.MaxConnections), "write a number from 1 to 100")
	}
	if w.IPAddress != "" {
		a, err := netip.ParseAddr(w.IPAddress)
		switch {
		case err != nil || !a.Is4():
			l.wrong(key+".ip_address", quoted(w.IPAddress)+" is not an IPv4 address; Telegram delivers to IPv4 only", "write one such as 203.0.113.7, or remove the key")
		case l.cfg.Cloud() && unreachable(a):
			l.warn("reserved_ip_address", key+".ip_address", w.IPAddress+" can't be reached from outside; Telegram refuses it", "write the public address")
		}
	}
	if w.AllowNetworks.Any {
		l.warn("allow_any", key+".allow_networks", "anybody may try to deliver; only the secret stands between them and the bot", "use telegram, or a list")
	}
	l.relative(key+".probe.ca_file", w.Probe.CAFile)
	if w.Probe.Dial != "" {
		l.hostPort(key+".probe.dial", w.Probe.Dial, false)
	}
	if w.Probe.Resolver != "" {
		l.hostPort(key+".probe.resolver", w.Probe.Resolver, false)
	}
}

// publicURL checks what setWebhook would refuse, or what would never arrive.
func (l *loader) publicURL(w *Webhook, key string) {
	const example = "https://bot.example.com/webhook/orders"
	value := w.PublicURL
	schemes := []string{"https"}
	if !l.cfg.Cloud() {
		schemes = append(schemes, "http")
	}
	u := l.url(key, value, example, schemes...)
	if u == nil {
		return
	}
	port := publicPort(value)
	if l.cfg.Cloud() && !slices.Contains(webhookPorts, port) {
		l.wrong(key, fmt.Sprintf("has the port %s; Telegram connects to %s only", port, strings.Join(webhookPorts, ", ")), "publish the webhook on one of these ports; listen may differ behind a proxy")
	}
	if strings.ContainsFunc(u.Hostname(), func(r rune) bool { return r > '~' }) {
		l.wrong(key, "has letters in its host that the DNS doesn't know", "write the name as your registrar shows it, beginning with xn--")
	}
	if u.Fragment != "" {
		l.wrong(key, "has a fragment (#…), which Telegram would send as part of the path", "remove what follows #")
	}
	if u.Path == "" || u.Path == "/" {
		l.warn("no_path", key, "has no path: whatever visits the host hits the webhook", "add one, such as /webhook/orders")
	}
	if u.User != nil {
		l.warn("user_in_public_url", key, "holds a user and password; they stand in getWebhookInfo and in the proxy's log", "use the secret token instead")
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		switch a = a.Unmap(); {
		case l.cfg.Cloud() && !a.Is4():
			l.wrong(key, "is an IPv6 address; Telegram delivers to IPv4 only", "write a name with an A record, or an IPv4 address")
		case a.IsLoopback():
			l.warn("loopback_public_url", key, "is an address of this host; Telegram can't reach it", "write the public name")
		case unreachable(a):
			l.warn("reserved_public_url", key, "is a private or reserved address; Telegram can't reach it", "write the public name")
		case l.cfg.Cloud() && !w.TLS.SelfSigned && w.TLS.ACME == nil:
			l.warn("ip_public_url", key, "is an address, not a name; the certificate has to be made for it and uploaded", "use a name, or tls: {self_signed: true}")
		}
	} else if h := strings.ToLower(u.Hostname()); h == "localhost" || strings.HasSuffix(h, ".localhost") {
		l.warn("loopback_public_url", key, "is a name of this host; Telegram can't reach it", "write the public name")
	}
}

// unreachable says whether an address is not one of the public internet.
func unreachable(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() {
		return true
	}
	shared := netip.MustParsePrefix("100.64.0.0/10")
	bench := netip.MustParsePrefix("198.18.0.0/15")
	return shared.Contains(a) || bench.Contains(a)
}

func (l *loader) deliver(b *Bot, key string) {
	d := &b.Deliver
	switch {
	case d.Forward == nil && d.NDJSON == nil:
		if !l.isBad(key+".forward") && !l.isBad(key+".ndjson") {
			l.missing(key, "doesn't say where the updates go", `write forward: {url: http://127.0.0.1:9000/updates}, or ndjson: {path: "-"}`)
		}
	case d.Forward != nil && d.NDJSON != nil:
		l.wrong(key, fmt.Sprintf("has two ways: forward (%s) and ndjson (%s)", l.cfg.Origin(key+".forward.url"), l.cfg.Origin(key+".ndjson.path")), "remove one, or set it to off")
	}
	if f := d.Forward; f != nil {
		if f.URL == "" {
			l.missing(key+".forward.url", "is missing", "write the bot's own URL, such as http://127.0.0.1:9000/updates")
		} else {
			l.url(key+".forward.url", f.URL, "http://127.0.0.1:9000/updates", "http", "https")
		}
		if f.Timeout <= 0 {
			l.wrong(key+".forward.timeout", "is zero: no delivery could succeed", "write a duration such as 30s")
		}
	}
	if n := d.NDJSON; n != nil {
		if n.Path == "" {
			l.missing(key+".ndjson.path", "is missing", `write the path of a file, or "-" for standard output`)
		}
		l.relative(key+".ndjson.path", n.Path)
	}
	if d.MaxAttempts < 1 {
		l.wrong(key+".max_attempts", fmt.Sprintf("is %d: every update would be buried untried", d.MaxAttempts), "write 1 or more")
	}
}

// bots checks the bots against each other.
func (l *loader) bots() {
	bots := l.cfg.Bots
	if len(bots) == 0 {
		l.missing("bots", "no bot is configured", "add one under bots:, or set DUALGRAM_TOKEN, DUALGRAM_WEBHOOK_PUBLIC_URL and DUALGRAM_DELIVER_FORWARD_URL")
		return
	}
	for i := range bots {
		for j := range i {
			l.pair(i, j)
		}
		if w := &bots[i].Webhook; !w.Off && l.cfg.Observe.Listen != "" && overlap(w.Listen, l.cfg.Observe.Listen) {
			l.wrong("observe.listen", fmt.Sprintf("%s is the webhook's address too (bots[%d].webhook.listen)", l.cfg.Observe.Listen, i), "give each a port of its own")
		}
	}
}

func (l *loader) pair(i, j int) {
	a, b := &l.cfg.Bots[j], &l.cfg.Bots[i]
	key := fmt.Sprintf("bots[%d]", i)
	other := fmt.Sprintf("bots[%d]", j)
	if a.Name != "" && a.Name == b.Name {
		l.wrong(key+".name", fmt.Sprintf("%s is the name of %s too", quoted(b.Name), other), "give each bot its own name")
	}
	const both = "one bot can't be configured twice: the two would fight over its updates"
	if (!a.Token.IsZero() && a.Token.Reveal() == b.Token.Reveal()) || (a.TokenFile != "" && a.TokenFile == b.TokenFile) {
		k := key + ".token"
		if b.TokenFile != "" {
			k = key + ".token_file"
		}
		l.wrong(k, "is the token of "+other+" too; "+both, "remove one of the two bots")
	}
	if a.Webhook.Off || b.Webhook.Off {
		return
	}
	v, w := &a.Webhook, &b.Webhook
	if v.PublicURL != "" && sameURL(v.PublicURL, w.PublicURL) {
		l.wrong(key+".webhook.public_url", "is that of "+other+" too", "give each bot a path of its own")
	}
	switch {
	case v.Listen == w.Listen:
		l.tlsPair(v, w, key, other)
		if v.PublicURL != "" && w.PublicURL != "" && v.Path() == w.Path() {
			l.wrong(key+".webhook.public_url", fmt.Sprintf("has the path %s, as %s has, and both listen on %s", quoted(w.Path()), other, w.Listen), "give each bot a path of its own")
		}
	case overlap(v.Listen, w.Listen):
		l.wrong(key+".webhook.listen", fmt.Sprintf("%s overlaps with %s of %s", w.Listen, v.Listen, other), "write the same address for both, or another port")
	}
}

// overlap says whether two listeners would fight over an address.
func overlap(a, b string) bool {
	ha, pa, errA := net.SplitHostPort(a)
	hb, pb, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || pa != pb || pa == "0" {
		return false
	}
	return ha == hb || wildcard(ha) || wildcard(hb)
}

func sameURL(a, b string) bool {
	u, errA := url.Parse(a)
	v, errB := url.Parse(b)
	return errA == nil && errB == nil && strings.EqualFold(u.Host, v.Host) && u.EscapedPath() == v.EscapedPath() && u.RawQuery == v.RawQuery
}
