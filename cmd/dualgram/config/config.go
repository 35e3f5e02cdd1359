// Package config reads dualgram's configuration: one YAML file, overridden key
// by key from the environment.
//
// The guarantee: what is written and not understood is an error, never ignored.
// An unknown key, an unknown DUALGRAM_ variable, a duration without a unit, a
// value of the wrong type each stop the start, all of them reported at once,
// each with its place (line and column, or the variable's name) and what to do
// about it. What is legal but odd in production is a [Warning] and stops
// nothing. Every value knows where it came from ([Config.Origin]).
//
// Secrets are never values of the file. A bot token comes from a file of its
// own, from the environment or from a systemd credential, and no error, no
// print-out and no hash shows it.
//
// # The environment
//
// The variable of a key is its path in capitals, joined by underscores:
// store.path is DUALGRAM_STORE_PATH, failover.hold_down is
// DUALGRAM_FAILOVER_HOLD_DOWN. The keys of a bot are DUALGRAM_BOTS_<NAME>_…
// with the dashes of the name as underscores; if there is only one bot, the
// prefix BOTS_<NAME>_ may be left out: DUALGRAM_TOKEN,
// DUALGRAM_WEBHOOK_PUBLIC_URL. A list is written with commas. An empty variable
// counts as not set. DUALGRAM_CONFIG names the file. The variables that
// Kubernetes makes for a service called dualgram (DUALGRAM_SERVICE_HOST,
// DUALGRAM_PORT_8443_TCP and so on) are left alone.
package config

import (
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// DefaultFile is read when no file is named and it exists.
const DefaultFile = "/etc/dualgram/dualgram.yaml"

// CloudAPI is the Bot API that Telegram runs. Rules that only its server
// enforces (ports, https, addresses) don't hold for another telegram.api_url.
const CloudAPI = "https://api.telegram.org"

// Config is the whole configuration. Its fields mirror the file; the key tag is
// the key's name there. Use [Load]; a Config is not changed after that.
type Config struct {
	Bots            []Bot         `key:"bots"`
	Telegram        Telegram      `key:"telegram"`
	Store           Store         `key:"store"`
	Failover        Failover      `key:"failover"`
	Signals         Signals       `key:"signals"`
	Chaos           Chaos         `key:"chaos"`
	Drills          Drills        `key:"drills"`
	Control         Control       `key:"control"`
	Observe         Observe       `key:"observe"`
	Notify          Notify        `key:"notify"`
	Heartbeat       *Heartbeat    `key:"heartbeat"`
	Log             Log           `key:"log"`
	ShutdownTimeout time.Duration `key:"shutdown_timeout"`
	// OnStop is "keep" (the webhook stays registered on SIGTERM) or "delete".
	OnStop string `key:"on_stop"`

	// File is the path of the file that was read; empty if there was none.
	File string `key:"-"`
	// Warnings lists what is legal and odd in production.
	Warnings []Warning `key:"-"`

	origins map[string]Origin
}

// Bot is one bot.
type Bot struct {
	// Name is unique, of a-z, 0-9 and dashes. It labels logs and metrics; the
	// store keeps updates under Telegram's numeric id.
	Name string `key:"name"`
	// Token is set if the token comes from the environment. Otherwise it is in
	// TokenFile. [ReadToken] reads either.
	Token     Secret  `key:"token"`
	TokenFile string  `key:"token_file"`
	Webhook   Webhook `key:"webhook"`
	// AllowedUpdates is the list for both transports; empty means Telegram's
	// default (everything but chat_member and the message_reaction kinds).
	AllowedUpdates []string `key:"allowed_updates"`
	Deliver        Deliver  `key:"deliver"`
}

// Webhook is how Telegram reaches the bot.
type Webhook struct {
	// Off means polling only (webhook: off). The other fields mean nothing then.
	Off       bool   `key:"-"`
	PublicURL string `key:"public_url"`
	// Listen is host:port. Bots may share it, told apart by the path of their
	// public URL.
	Listen            string `key:"listen"`
	TLS               TLS    `key:"tls"`
	UploadCertificate bool   `key:"upload_certificate"`
	// SecretToken is set if the secret comes from the environment. Without it
	// and SecretTokenFile the secret lives in the store.
	SecretToken     Secret `key:"secret_token"`
	SecretTokenFile string `key:"secret_token_file"`
	// SecretMigration is how long requests without the secret are taken, from the
	// first start with it; 0 refuses them.
	SecretMigration time.Duration  `key:"secret_migration"`
	MaxConnections  int            `key:"max_connections"`
	IPAddress       string         `key:"ip_address"`
	AllowNetworks   Networks       `key:"allow_networks"`
	TrustedProxies  []netip.Prefix `key:"trusted_proxies"`
	Probe           Probe          `key:"probe"`
}

// TLS is the certificate pair of a listener. It comes from files that somebody
// else renews, or dualgram makes or obtains it itself.
type TLS struct {
	// Off means plain HTTP behind a proxy that ends TLS (tls: off).
	Off      bool   `key:"-"`
	CertFile string `key:"cert_file"`
	KeyFile  string `key:"key_file"`
	// SelfSigned has a pair made, renewed, and uploaded to Telegram. It is kept in
	// CertFile and KeyFile, or without them beside the store.
	SelfSigned bool `key:"self_signed"`
	// ACME has it obtained and renewed; nil means that it isn't.
	ACME *ACME `key:"acme"`
}

// ACME is an authority that signs certificates by itself, such as Let's Encrypt. To
// write the section is to agree to its terms of service.
type ACME struct {
	// Email is where the authority writes to; it may be empty.
	Email string `key:"email"`
	// Directory is its URL.
	Directory string `key:"directory"`
	// CAFile holds the roots of a private authority's directory.
	CAFile string `key:"ca_file"`
	// CacheDir keeps the account and the certificate; empty: beside the store.
	CacheDir string `key:"cache_dir"`
	// Challenge is http-01 or tls-alpn-01; empty: tls-alpn-01 where the public port
	// is 443, and http-01 otherwise.
	Challenge string `key:"challenge"`
	// HTTPListen is where http-01 is answered, while it is needed.
	HTTPListen string `key:"http_listen"`
	// Profile is that of the certificate; empty: the authority's default.
	Profile string `key:"profile"`
}

// The challenges of ACME.
const (
	ChallengeHTTP = "http-01"
	ChallengeTLS  = "tls-alpn-01"
)

// LetsEncrypt is the default ACME directory.
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// Probe is the check of the webhook from outside.
type Probe struct {
	Enabled bool `key:"enabled"`
	// CAFile holds roots trusted besides the system's.
	CAFile string `key:"ca_file"`
	// Dial is host:port to connect to instead of the public address.
	Dial string `key:"dial"`
	// Resolver is the host:port of a DNS server to ask instead of the system's.
	Resolver string `key:"resolver"`
}

// Deliver is where the bot's updates go. Exactly one of Forward and NDJSON is
// set.
type Deliver struct {
	Forward *Forward `key:"forward"`
	NDJSON  *NDJSON  `key:"ndjson"`
	// MaxAttempts and BuryAfter both have to be reached before an update that
	// alone fails is buried.
	MaxAttempts int           `key:"max_attempts"`
	BuryAfter   time.Duration `key:"bury_after"`
}

// Forward posts each update to a URL.
type Forward struct {
	URL     string        `key:"url"`
	Timeout time.Duration `key:"timeout"`
}

// NDJSON writes each update as a line to a file; "-" is standard output.
type NDJSON struct {
	Path string `key:"path"`
}

// Telegram is how the Bot API is reached.
type Telegram struct {
	// APIURL has no slash at its end.
	APIURL string `key:"api_url"`
	CAFile string `key:"ca_file"`
	// Proxy is an http, https or socks5 URL.
	Proxy string `key:"proxy"`
}

// Store is the file that holds everything.
type Store struct {
	Path string `key:"path"`
}

// Failover is the policy of the change between the transports.
type Failover struct {
	// Budget bounds the time from a fault to the first update taken by a
	// working transport. See [BudgetSum].
	Budget       time.Duration `key:"budget"`
	HoldDown     time.Duration `key:"hold_down"`
	InfoInterval time.Duration `key:"info_interval"`
	TLSLead      time.Duration `key:"tls_lead"`
	// MaxHoldDown bounds the doubling of HoldDown after relapses; MaxFailovers
	// automatic failovers within an hour freeze the way back.
	MaxHoldDown  time.Duration `key:"max_hold_down"`
	MaxFailovers int           `key:"max_failovers"`
	DryRun       bool          `key:"dry_run"`
	Hooks        Hooks         `key:"hooks"`
}

// Hooks are programs run around a handover.
type Hooks struct {
	Veto   []Hook `key:"veto"`
	Notify []Hook `key:"notify"`
}

// Hook is a program and its arguments; it is not given to a shell.
type Hook []string

// Chaos guards the drills.
type Chaos struct {
	Enabled     bool `key:"enabled"`
	Leashed     bool `key:"leashed"`
	Destructive bool `key:"destructive"`
}

// Drills says which drills may run when. Chaos has the locks.
type Drills struct {
	// Experiments is a directory with experiments, one in each NAME.yaml; empty: only
	// the shipped ones.
	Experiments string `key:"experiments"`
	// HaltFile, while it exists, ends the drill under way and lets none begin.
	HaltFile string `key:"halt_file"`
	// Windows are the only times in which drills run, such as "Mon-Fri 09:00-15:00
	// Europe/Berlin"; Freeze are days without, such as "2026-12-20..2027-01-06".
	Windows []string `key:"windows"`
	Freeze  []string `key:"freeze"`
	// MinInterval is the least time between two runs of an experiment;
	// QuietAfterStart and QuietAfterError how long after dualgram's start and
	// Telegram's last error none begins.
	MinInterval     time.Duration `key:"min_interval"`
	QuietAfterStart time.Duration `key:"quiet_after_start"`
	QuietAfterError time.Duration `key:"quiet_after_error"`
	Schedules       []Schedule    `key:"schedules"`
}

// Schedule runs an experiment at times.
type Schedule struct {
	Experiment string        `key:"experiment"`
	Cron       string        `key:"cron"` // minute hour day month weekday
	Zone       string        `key:"zone"` // UTC if empty
	Jitter     time.Duration `key:"jitter"`
	Bot        string        `key:"bot"` // not needed if there is one
}

// Control is the socket that the commands talk to.
type Control struct {
	Socket string `key:"socket"`
	// Listen is host:port on loopback, where the same is offered by TCP with a page
	// for browsers; empty (listen: off) means nowhere.
	Listen string `key:"listen" off:"true"`
	// TokenFile holds what TCP asks for; it is made if it is missing. See
	// [Config.ControlTokenFile].
	TokenFile string `key:"token_file"`
}

// Observe is the read-only listener of /metrics, /livez and /readyz.
type Observe struct {
	// Listen is host:port; empty (listen: off) means none.
	Listen string `key:"listen" off:"true"`
}

// Log is how dualgram logs.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `key:"level"`
	// Format is json or console.
	Format string `key:"format"`
}

// Defaults returns the configuration before any file or variable, with no bots.
func Defaults() *Config {
	return &Config{
		Telegram: Telegram{APIURL: CloudAPI},
		Store:    Store{Path: "/var/lib/dualgram/dualgram.db"},
		Failover: Failover{
			Budget:       10 * time.Second,
			HoldDown:     time.Minute,
			InfoInterval: 2 * time.Second,
			TLSLead:      2 * time.Minute,
			MaxHoldDown:  30 * time.Minute,
			MaxFailovers: 4,
		},
		Signals:         defaultSignals(),
		Chaos:           Chaos{Leashed: true},
		Drills:          Drills{QuietAfterStart: 30 * time.Minute, QuietAfterError: 10 * time.Minute},
		Control:         Control{Socket: "/run/dualgram/control.sock"},
		Observe:         Observe{Listen: "127.0.0.1:9464"},
		Notify:          Notify{MinSeverity: "warning", Repeat: 4 * time.Hour},
		Log:             Log{Level: "info", Format: "json"},
		ShutdownTimeout: 15 * time.Second,
		OnStop:          "keep",
		origins:         map[string]Origin{},
	}
}

// DefaultBot returns a bot before any file or variable: no name, no token, no
// public URL, nowhere to deliver to.
func DefaultBot() Bot {
	return Bot{
		Webhook: Webhook{
			Listen:         "0.0.0.0:8443",
			MaxConnections: 40,
			AllowNetworks:  TelegramNetworks(),
			Probe:          Probe{Enabled: true},
		},
		Deliver: Deliver{MaxAttempts: 8, BuryAfter: 10 * time.Minute},
	}
}

func defaultACME() ACME       { return ACME{Directory: LetsEncrypt, HTTPListen: "0.0.0.0:80"} }
func defaultForward() Forward { return Forward{Timeout: 30 * time.Second} }
func defaultNDJSON() NDJSON   { return NDJSON{} }

// Origin says where the value of a key came from, such as "store.path" or
// "bots[0].webhook.listen".
func (c *Config) Origin(key string) Origin { return c.origins[key] }

// Cloud says whether the Bot API is the one that Telegram runs.
func (c *Config) Cloud() bool {
	u, err := url.Parse(c.Telegram.APIURL)
	return err == nil && strings.EqualFold(u.Hostname(), "api.telegram.org")
}

// PollingOnly says whether no bot has a webhook, so that there is no failover.
func (c *Config) PollingOnly() bool {
	for i := range c.Bots {
		if !c.Bots[i].Webhook.Off {
			return false
		}
	}
	return true
}

// Uploads says whether Telegram is given the certificate, to trust it alone.
func (w *Webhook) Uploads() bool { return !w.TLS.Off && (w.UploadCertificate || w.TLS.SelfSigned) }

// ACMEChallenge is the challenge that the authority is answered with.
func (w *Webhook) ACMEChallenge() string {
	switch {
	case w.TLS.ACME == nil:
		return ""
	case w.TLS.ACME.Challenge != "":
		return w.TLS.ACME.Challenge
	case publicPort(w.PublicURL) == "443":
		return ChallengeTLS
	}
	return ChallengeHTTP
}

// Path returns the path under which the listener serves the bot: that of its
// public URL, "/" if there is none.
func (w *Webhook) Path() string {
	u, err := url.Parse(w.PublicURL)
	if err != nil || u.Path == "" {
		return "/"
	}
	return u.Path
}

// Networks is a set of addresses that may deliver.
type Networks struct {
	// Any allows every address; Prefixes is empty then.
	Any      bool
	Prefixes []netip.Prefix

	preset string
}

// TelegramNetworks are the networks from which Telegram sends updates, as the
// webhook guide lists them (https://core.telegram.org/bots/webhooks).
func TelegramNetworks() Networks {
	return Networks{preset: "telegram", Prefixes: telegramPrefixes()}
}

func telegramPrefixes() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("149.154.160.0/20"),
		netip.MustParsePrefix("91.108.4.0/22"),
	}
}

// Contains says whether the address may deliver.
func (n Networks) Contains(a netip.Addr) bool {
	if n.Any {
		return true
	}
	a = a.Unmap()
	for _, p := range n.Prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// String is the preset's name, or the prefixes with commas between them.
func (n Networks) String() string {
	if n.preset != "" {
		return n.preset
	}
	s := make([]string, len(n.Prefixes))
	for i, p := range n.Prefixes {
		s[i] = p.String()
	}
	return strings.Join(s, ",")
}
