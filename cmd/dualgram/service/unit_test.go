package service

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dualgram/cmd/dualgram/config"
)

var update = flag.Bool("update", false, "write the golden files")

const deploy = "../../../runbooks/deploy/dualgram.service"

func load(t *testing.T, yaml string, env ...string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dualgram.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, env)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// The unit in runbooks/deploy is what service install writes for the configuration
// that stands beside it.
func TestShippedUnit(t *testing.T) {
	cfg, err := config.Load("../../../runbooks/deploy/dualgram.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := Unit(cfg, Options{Binary: "/usr/local/bin/dualgram", Config: config.DefaultFile, Groups: []string{"ssl-cert"}})
	if *update {
		if err := os.WriteFile(deploy, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(deploy)
	if err != nil || got != string(want) {
		t.Errorf("%v; go test -update writes it:\n%s", err, got)
	}
}

const two = `
bots:
  - name: orders
    token_file: /etc/dualgram/orders
    webhook:
      public_url: https://bot.example.com/webhook/orders
      listen: 0.0.0.0:443
      tls: {cert_file: /etc/dualgram/cert.pem, key_file: /etc/dualgram/key.pem}
      secret_token_file: /etc/dualgram/secret
    deliver: {ndjson: {path: "/srv/my updates/orders.ndjson"}}
  - name: news-feed
    token: ${NEWS_TOKEN}
    webhook:
      public_url: https://bot.example.com/webhook/news
      listen: 0.0.0.0:443
      tls: {cert_file: /etc/dualgram/cert.pem, key_file: /etc/dualgram/key.pem}
    deliver: {forward: {url: http://127.0.0.1:9000/}}
store: {path: /srv/dualgram/dualgram.db}
notify: {webhook: {url_file: /etc/dualgram/hook}}
heartbeat: {url_file: /var/lib/dualgram/beat}
shutdown_timeout: 1m
`

func TestUnit(t *testing.T) {
	cfg := load(t, two, "NEWS_TOKEN=123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr")
	got := strings.Split(Unit(cfg, Options{Binary: "/opt/my bin/dualgram", Config: "/etc/dualgram/dualgram.yaml", User: "bots", Groups: []string{"a", "b"}}), "\n")
	for _, line := range []string{
		`ExecStart="/opt/my bin/dualgram" run --config /etc/dualgram/dualgram.yaml`,
		"User=bots", "SupplementaryGroups=a b",
		`ReadWritePaths="/srv/my updates"`, "ReadWritePaths=/srv/dualgram",
		"LoadCredential=orders-token:/etc/dualgram/orders", "Environment=DUALGRAM_BOTS_ORDERS_TOKEN_FILE=/run/credentials/%n/orders-token",
		"LoadCredential=orders-secret-token:/etc/dualgram/secret", "Environment=DUALGRAM_BOTS_ORDERS_WEBHOOK_SECRET_TOKEN_FILE=/run/credentials/%n/orders-secret-token",
		"LoadCredential=notify-url:/etc/dualgram/hook",
		"EnvironmentFile=-/etc/dualgram/environment",
		"AmbientCapabilities=CAP_NET_BIND_SERVICE", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
		"TimeoutStopSec=75s",
	} {
		if !slices.Contains(got, line) {
			t.Errorf("no line %s", line)
		}
	}
	for _, line := range []string{"DynamicUser=yes", "CapabilityBoundingSet=", "heartbeat-url"} {
		if slices.ContainsFunc(got, func(s string) bool { return s == line || strings.Contains(line, "-url") && strings.Contains(s, line) }) {
			t.Errorf("a line %s", line)
		}
	}
	if k := Keys(cfg); !slices.Equal(k, []string{"/etc/dualgram/cert.pem", "/etc/dualgram/key.pem"}) {
		t.Errorf("%q", k)
	}
}

// The variables that the unit sets are understood, and lead to the credentials.
func TestCredentialsAreFound(t *testing.T) {
	cfg := load(t, two, "NEWS_TOKEN=123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr")
	env := []string{"NEWS_TOKEN=123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr"}
	for _, c := range Credentials(cfg) {
		env = append(env, c.Variable+"=/run/credentials/dualgram.service/"+c.Name)
	}
	again := load(t, two, env...)
	if f := again.Bots[0].TokenFile; f != "/run/credentials/dualgram.service/orders-token" {
		t.Error(f)
	}
	if f := again.Notify.Webhook.URLFile; f != "/run/credentials/dualgram.service/notify-url" {
		t.Error(f)
	}
	if len(Credentials(cfg)) != 3 {
		t.Errorf("%+v", Credentials(cfg))
	}
}

func TestPrivileged(t *testing.T) {
	for listen, want := range map[string]bool{"0.0.0.0:443": true, "0.0.0.0:8443": false, ":80": true, "127.0.0.1:1024": false} {
		cfg := config.Defaults()
		b := config.DefaultBot()
		b.Webhook.Listen = listen
		cfg.Bots = []config.Bot{b}
		if Privileged(cfg) != want {
			t.Errorf("%s: %v", listen, !want)
		}
	}
	cfg := config.Defaults()
	b := config.DefaultBot()
	b.Webhook.PublicURL = "https://bot.example.com:8443/"
	b.Webhook.TLS.ACME = &config.ACME{HTTPListen: "0.0.0.0:80"}
	cfg.Bots = []config.Bot{b}
	if !Privileged(cfg) {
		t.Error("http-01 needs port 80")
	}
}

func TestHidden(t *testing.T) {
	for path, want := range map[string]bool{"/home/ann/dualgram": true, "/root/d.yaml": true, "/tmp/x": true, "/usr/local/bin/dualgram": false, "/homes/x": false} {
		if (Hidden(path) != "") != want {
			t.Errorf("%s: %q", path, Hidden(path))
		}
	}
}
