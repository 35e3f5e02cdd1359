package supervisor

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"dualgram/supervisor/failover"
	"dualgram/transport/botapi"
	"dualgram/transport/webhook"
)

// fingerprint is a registration reduced to what tells it from another. What is
// secret is hashed.
type fingerprint struct {
	URL            string `json:"url"`    // hash
	Secret         string `json:"secret"` // hash
	Certificate    string `json:"certificate,omitempty"`
	IP             string `json:"ip,omitempty"`
	MaxConnections int    `json:"max_connections"`
}

// identity is what this store knows of its own registrations: the one that was
// asked for last, the one that Telegram acknowledged last, and every URL ever
// registered. It is written before a set is sent, so that a set whose answer is
// lost is still recognised.
type identity struct {
	Intended fingerprint `json:"intended"`
	Acked    fingerprint `json:"acked"`
	Known    []string    `json:"known,omitempty"` // hashes of URLs
	// Former are the secrets of earlier registrations that are still good.
	Former []formerSecret `json:"former_secrets,omitempty"`
}

// keyIdentity and keyState are the ledger's keys for what the supervisor keeps.
const (
	keyIdentity = "identity"
	keyState    = "state"
)

func hash(s string) string {
	if s == "" {
		return ""
	}
	d := webhook.DigestOf(s)
	return hex.EncodeToString(d[:])
}

// fingerprintOf reduces the parameters of a setWebhook call.
func fingerprintOf(p botapi.SetWebhook) fingerprint {
	return fingerprint{
		URL: hash(p.URL), Secret: hash(p.SecretToken), Certificate: hash(string(p.Certificate)),
		IP: p.IPAddress, MaxConnections: p.MaxConnections,
	}
}

// remember notes the URL among the known ones; the newest come last and the
// oldest are forgotten.
func (i *identity) remember(url string) {
	const most = 64
	i.Known = slices.DeleteFunc(i.Known, func(k string) bool { return k == url })
	i.Known = append(i.Known, url)
	if len(i.Known) > most {
		i.Known = slices.Delete(i.Known, 0, len(i.Known)-most)
	}
}

// owner says whose webhook Telegram has, given the parameters that this bot
// would register now. The secret can't be seen, and one that was acknowledged is
// good until another is, so it makes no difference.
func (i *identity) owner(info botapi.WebhookInfo, want botapi.SetWebhook) failover.Owner {
	if info.URL == "" {
		return failover.Nobody
	}
	url := hash(info.URL)
	if info.URL != want.URL && !slices.Contains(i.Known, url) {
		return failover.Foreign
	}
	w := fingerprintOf(want)
	acked := i.Acked
	acked.Secret = w.Secret
	same := acked == w && url == w.URL &&
		(info.MaxConnections == 0 || info.MaxConnections == w.MaxConnections) &&
		info.HasCustomCertificate == (w.Certificate != "") &&
		(w.IP == "" || info.IPAddress == w.IP)
	if same {
		return failover.Ours
	}
	return failover.OursOther
}

func loadIdentity(l Ledger) (identity, error) {
	var i identity
	return i, load(l, keyIdentity, &i)
}

// load reads a JSON value of the ledger; an absent one leaves v as it is.
func load(l Ledger, key string, v any) error {
	raw, err := l.Load(key)
	if err != nil || raw == nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("supervisor: the ledger's %q is not readable: %w", key, err)
	}
	return nil
}

func (i identity) save(ctx context.Context, l Ledger) error { return save(ctx, l, keyIdentity, i) }

// save writes a value as JSON.
func save(ctx context.Context, l Ledger, key string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return l.Save(ctx, map[string][]byte{key: raw})
}
