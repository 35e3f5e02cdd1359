// Package service writes the systemd unit that runs dualgram.
//
// The guarantee: the unit runs the configuration as it is, with no privilege that it
// doesn't need. Files that only root can read reach the service as credentials; a
// port below 1024 is the one thing that costs a capability; nothing is writable but
// what the configuration writes to. systemd restarts a dualgram that ends or whose
// loops stand still, but not one whose configuration is refused.
//
// [Unit] is pure: it looks at the configuration and at no file.
package service

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"dualgram/cmd/dualgram/config"
)

// The directories that systemd makes for the service.
const (
	StateDirectory   = "/var/lib/dualgram"
	RuntimeDirectory = "/run/dualgram"
	// Environment is read for the variables that the configuration names.
	Environment = "/etc/dualgram/environment"
)

// Marker stands in each unit that this package wrote.
const Marker = "# Made by dualgram service install."

// Options is what a unit depends on besides the configuration.
type Options struct {
	// Binary and Config are full paths.
	Binary, Config string
	// User is one that exists; empty: systemd makes one up for as long as the service
	// runs.
	User string
	// Groups let it read what it otherwise could not, such as a certificate's key.
	Groups []string
}

// Unit returns the unit.
func Unit(cfg *config.Config, o Options) string {
	u := &unit{cfg: cfg, opt: o}
	u.head()
	u.start()
	u.identity()
	u.sandbox()
	u.line("", "[Install]", "WantedBy=multi-user.target")
	return u.b.String()
}

type unit struct {
	b   strings.Builder
	cfg *config.Config
	opt Options
}

func (u *unit) line(lines ...string) {
	for _, l := range lines {
		u.b.WriteString(l + "\n")
	}
}

func (u *unit) head() {
	u.line(
		"# dualgram under systemd, with no privilege that it doesn't need.",
		"#",
		Marker+" It is written anew by the next one: put",
		"# changes of your own into a drop-in, with systemctl edit dualgram.",
		"",
		"[Unit]",
		"Description=dualgram takes in Telegram bot updates and loses none",
		"Wants=network-online.target",
		"After=network-online.target",
		"# It is never given up: Telegram keeps what can't be delivered for a day at most.",
		"StartLimitIntervalSec=0",
	)
}

func (u *unit) start() {
	stop := u.cfg.ShutdownTimeout + 15*time.Second
	u.line(
		"",
		"[Service]",
		"# Started once the addresses are taken, the store is open and the loops tick; what",
		"# systemctl status shows is the mode of each bot.",
		"Type=notify",
		"ExecStart="+quote(u.opt.Binary)+" run --config "+quote(u.opt.Config),
		"ExecReload=/bin/kill -HUP $MAINPID",
		"# Restarted if it ends, or if its loops stand still for a minute; but not with a",
		"# configuration that is refused (exit code 2), which no restart mends.",
		"Restart=always",
		"RestartSec=2s",
		"RestartPreventExitStatus=2",
		"WatchdogSec=1min",
		"TimeoutStartSec=90s",
		"# shutdown_timeout and a little more.",
		"TimeoutStopSec="+strconv.Itoa(int(stop.Seconds()))+"s",
		"LimitNOFILE=65536",
		"# Rather anybody else than the one who holds the updates.",
		"OOMScoreAdjust=-500",
	)
}

func (u *unit) identity() {
	u.line("")
	if u.opt.User != "" {
		u.line("User=" + u.opt.User)
	} else {
		u.line("# A user that exists while the service runs. It owns the two directories below.", "DynamicUser=yes")
	}
	if len(u.opt.Groups) > 0 {
		u.line("# To read what is for these groups, such as a certificate's key.", "SupplementaryGroups="+strings.Join(u.opt.Groups, " "))
	}
	u.line(
		"StateDirectory="+filepath.Base(StateDirectory),
		"StateDirectoryMode=0700",
		"RuntimeDirectory="+filepath.Base(RuntimeDirectory),
		"RuntimeDirectoryMode=0750",
		"RuntimeDirectoryPreserve=restart",
		"UMask=0077",
	)
	if paths := Writes(u.cfg); len(paths) > 0 {
		u.line("# What the configuration writes to besides.")
		for _, p := range paths {
			u.line("ReadWritePaths=" + quote(p))
		}
	}
	if creds := Credentials(u.cfg); len(creds) > 0 {
		u.line("# Secrets are read by systemd and are visible to the service alone; the variables", "# tell it where.")
		for _, c := range creds {
			u.line("LoadCredential="+c.Name+":"+c.File, "Environment="+c.Variable+"=/run/credentials/%n/"+c.Name)
		}
	}
	if len(config.SecretVariables(u.cfg)) > 0 {
		u.line("# The variables that the configuration names; mode 0600, owned by root.", "EnvironmentFile=-"+Environment)
	}
}

func (u *unit) sandbox() {
	u.line("")
	if Privileged(u.cfg) {
		u.line("# For a port below 1024.", "AmbientCapabilities=CAP_NET_BIND_SERVICE", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE")
	} else {
		u.line("CapabilityBoundingSet=")
	}
	u.line(
		"NoNewPrivileges=yes",
		"ProtectSystem=strict",
		"ProtectHome=yes",
		"PrivateTmp=yes",
		"PrivateDevices=yes",
		"ProtectHostname=yes",
		"ProtectClock=yes",
		"ProtectKernelTunables=yes",
		"ProtectKernelModules=yes",
		"ProtectKernelLogs=yes",
		"ProtectControlGroups=yes",
		"# Other processes are none of its business; the rest of /proc holds what its metrics",
		"# tell of the disk.",
		"ProtectProc=invisible",
		"RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
		"RestrictNamespaces=yes",
		"RestrictRealtime=yes",
		"RestrictSUIDSGID=yes",
		"LockPersonality=yes",
		"MemoryDenyWriteExecute=yes",
		"RemoveIPC=yes",
		"SystemCallArchitectures=native",
		"SystemCallFilter=@system-service",
		"SystemCallFilter=~@privileged @resources",
		"SystemCallErrorNumber=EPERM",
	)
}

// quote makes one word of a path; a percent sign would begin a specifier.
func quote(s string) string {
	s = strings.ReplaceAll(s, "%", "%%")
	if !strings.ContainsAny(s, " \t\"'\\$;") {
		return s
	}
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `$$`).Replace(s)
	return `"` + s + `"`
}

// Credential is a file that the service is given by systemd.
type Credential struct {
	Name string // of the credential
	File string
	// Variable is the one that tells dualgram where it is.
	Variable string
	// Restart: a change of the file is seen only by a restart.
	Restart bool
}

// Credentials lists the files with secrets that the configuration names.
func Credentials(cfg *config.Config) []Credential {
	var out []Credential
	add := func(name, file, variable string, restart bool) {
		if file != "" && filepath.IsAbs(file) && !within(file, StateDirectory) && !within(file, RuntimeDirectory) {
			out = append(out, Credential{name, file, variable, restart})
		}
	}
	for i := range cfg.Bots {
		b := &cfg.Bots[i]
		add(b.Name+"-token", b.TokenFile, config.EnvName("bots."+b.Name+".token_file"), true)
		if !b.Webhook.Off {
			add(b.Name+"-secret-token", b.Webhook.SecretTokenFile, config.EnvName("bots."+b.Name+".webhook.secret_token_file"), true)
		}
	}
	if w := cfg.Notify.Webhook; w != nil {
		add("notify-url", w.URLFile, config.EnvName("notify.webhook.url_file"), true)
		add("notify-secret", w.SecretFile, config.EnvName("notify.webhook.secret_file"), true)
	}
	if h := cfg.Heartbeat; h != nil {
		add("heartbeat-url", h.URLFile, config.EnvName("heartbeat.url_file"), true)
	}
	return out
}

// Keys lists the files that have to be readable by the service's user and that it
// reads again while it runs: a certificate's pair can't be a credential, which is
// read once.
func Keys(cfg *config.Config) []string {
	var out []string
	for i := range cfg.Bots {
		w := &cfg.Bots[i].Webhook
		if w.Off || w.TLS.Off || w.TLS.SelfSigned || w.TLS.ACME != nil {
			continue
		}
		for _, f := range []string{w.TLS.CertFile, w.TLS.KeyFile} {
			if f != "" && !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}

// Writes lists the directories that are written to, other than those which systemd
// makes.
func Writes(cfg *config.Config) []string {
	var out []string
	add := func(file string) {
		dir := filepath.Dir(file)
		if file == "" || file == "-" || !filepath.IsAbs(file) || within(file, StateDirectory) || within(file, RuntimeDirectory) || slices.Contains(out, dir) {
			return
		}
		out = append(out, dir)
	}
	add(cfg.Store.Path)
	add(cfg.Control.Socket)
	for i := range cfg.Bots {
		b := &cfg.Bots[i]
		if b.Deliver.NDJSON != nil {
			add(b.Deliver.NDJSON.Path)
		}
		if b.Webhook.Off {
			continue
		}
		if t := b.Webhook.TLS; t.SelfSigned {
			add(t.CertFile)
			add(t.KeyFile)
		}
		if a := b.Webhook.TLS.ACME; a != nil && a.CacheDir != "" {
			add(filepath.Join(a.CacheDir, "x"))
		}
	}
	slices.Sort(out)
	return out
}

// Privileged says whether a port below 1024 is listened on.
func Privileged(cfg *config.Config) bool {
	low := func(address string) bool {
		_, port, err := net.SplitHostPort(address)
		n, bad := strconv.Atoi(port)
		return err == nil && bad == nil && n > 0 && n < 1024
	}
	for i := range cfg.Bots {
		w := &cfg.Bots[i].Webhook
		if w.Off {
			continue
		}
		if low(w.Listen) || w.ACMEChallenge() == config.ChallengeHTTP && low(w.TLS.ACME.HTTPListen) {
			return true
		}
	}
	return low(cfg.Observe.Listen)
}

func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// Hidden says why the service could not see a file; empty if it can.
func Hidden(path string) string {
	for _, dir := range []string{"/home", "/root", "/run/user"} {
		if within(path, dir) {
			return fmt.Sprintf("%s is below %s, which is hidden from the service", path, dir)
		}
	}
	for _, dir := range []string{"/tmp", "/var/tmp"} {
		if within(path, dir) {
			return fmt.Sprintf("%s is below %s, of which the service has its own", path, dir)
		}
	}
	return ""
}
