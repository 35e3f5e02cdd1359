package config

import (
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// The smallest configurations, without a file.
var (
	envPolling = []string{"DUALGRAM_TOKEN=" + sampleToken, "DUALGRAM_WEBHOOK=off", "DUALGRAM_DELIVER_NDJSON_PATH=-"}
	envWebhook = []string{
		"DUALGRAM_TOKEN=" + sampleToken, "DUALGRAM_WEBHOOK_PUBLIC_URL=https://bot.example.com/hook",
		"DUALGRAM_WEBHOOK_TLS_CERT_FILE=/c.pem", "DUALGRAM_WEBHOOK_TLS_KEY_FILE=/k.pem",
		"DUALGRAM_DELIVER_FORWARD_URL=http://127.0.0.1:9000/u",
	}
)

func mustLoad(t *testing.T, path string, env ...string) *Config {
	t.Helper()
	cfg, err := Load(path, env)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func writeFile(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dualgram.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

const oneBot = `bots:
  - name: a
    token_file: /t
    webhook: {public_url: https://bot.example.com/a, tls: {cert_file: /c, key_file: /k}}
    deliver: {ndjson: {path: "-"}}
`

func TestEnvironmentAlone(t *testing.T) {
	cfg := mustLoad(t, "", envPolling...)
	if b := cfg.Bots[0]; len(cfg.Bots) != 1 || b.Name != "bot" || b.Token.Reveal() != sampleToken || !b.Webhook.Off || b.Deliver.NDJSON.Path != "-" {
		t.Errorf("%+v", cfg.Bots)
	}
	cfg = mustLoad(t, "", append(envWebhook, "DUALGRAM_NAME=orders", "DUALGRAM_BOTS_ORDERS_WEBHOOK_LISTEN=:443")...)
	if b := cfg.Bots[0]; b.Name != "orders" || b.Webhook.Listen != ":443" || b.Deliver.Forward.Timeout != 30*time.Second {
		t.Errorf("%+v", b)
	}
	if len(cfg.Warnings) != 0 {
		t.Errorf("warnings: %v", cfg.Warnings)
	}
}

func TestVariablesOverrideTheFile(t *testing.T) {
	path := writeFile(t, oneBot+"store: {path: /file}\nfailover: {hold_down: 5m}\nlog: {level: debug}\n", 0o600)
	cfg := mustLoad(t, path, "DUALGRAM_STORE_PATH=/env", "DUALGRAM_FAILOVER_HOLD_DOWN=90s", "DUALGRAM_LOG_LEVEL=", "DUALGRAM_TOKEN="+sampleToken,
		"DUALGRAM_WEBHOOK_TLS=off", "DUALGRAM_WEBHOOK_TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.1", "DUALGRAM_OBSERVE_LISTEN=off", "DUALGRAM_CHAOS_LEASHED=false")
	b := cfg.Bots[0]
	for name, ok := range map[string]bool{
		"store.path": cfg.Store.Path == "/env", "hold_down": cfg.Failover.HoldDown == 90*time.Second,
		"an empty variable": cfg.Log.Level == "debug", "token": b.Token.Reveal() == sampleToken && b.TokenFile == "",
		"tls off":         b.Webhook.TLS.Off,
		"trusted_proxies": slices.Equal(b.Webhook.TrustedProxies, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32")}),
		"observe off":     cfg.Observe.Listen == "", "leashed": !cfg.Chaos.Leashed,
	} {
		if !ok {
			t.Errorf("%s: %s", name, PrintYAML(cfg))
		}
	}
	for key, want := range map[string]string{
		"store.path": "DUALGRAM_STORE_PATH", "log.level": path + ":8:7", "control.socket": "default", "bots[0].webhook.public_url": path + ":4:15",
	} {
		if got := cfg.Origin(key).String(); got != want {
			t.Errorf("origin of %s = %s, want %s", key, got, want)
		}
	}
}

func TestVariableSwitchesOn(t *testing.T) {
	path := writeFile(t, strings.Replace(oneBot, "tls: {cert_file: /c, key_file: /k}", "tls: off", 1), 0o600)
	cfg := mustLoad(t, path, "DUALGRAM_WEBHOOK_TLS_CERT_FILE=/c", "DUALGRAM_WEBHOOK_TLS_KEY_FILE=/k")
	if w := cfg.Bots[0].Webhook; w.TLS.Off || w.TLS.CertFile != "/c" {
		t.Errorf("%+v", w.TLS)
	}
	// Off in the file, and then everything from variables.
	path = writeFile(t, "bots: [{name: a, token_file: /t, webhook: off, deliver: {ndjson: {path: '-'}}}]", 0o600)
	cfg = mustLoad(t, path, envWebhook[1:4]...)
	if w := cfg.Bots[0].Webhook; w.Off || w.PublicURL == "" {
		t.Errorf("%+v", w)
	}
	// Another way to deliver needs the first one switched off.
	env := []string{"DUALGRAM_DELIVER_FORWARD_URL=http://127.0.0.1/", "DUALGRAM_DELIVER_NDJSON=off"}
	if d := mustLoad(t, path, env...).Bots[0].Deliver; d.NDJSON != nil || d.Forward == nil {
		t.Errorf("%+v", d)
	}
	if _, err := Load(path, env[:1]); err == nil || !strings.Contains(err.Error(), "two ways") {
		t.Errorf("two ways: %v", err)
	}
}

func TestVariablesAgainstEachOther(t *testing.T) {
	path := writeFile(t, oneBot, 0o600)
	for want, env := range map[string][]string{
		"is set by DUALGRAM_BOTS_A_WEBHOOK_LISTEN too": {"DUALGRAM_WEBHOOK_LISTEN=:1", "DUALGRAM_BOTS_A_WEBHOOK_LISTEN=:2"},
		"given twice": {"DUALGRAM_TOKEN=" + sampleToken, "DUALGRAM_TOKEN_FILE=/x"},
		"DUALGRAM_WEBHOOK switches bots[0].webhook off":       {"DUALGRAM_WEBHOOK=off", "DUALGRAM_WEBHOOK_LISTEN=:1"},
		"did you mean DUALGRAM_WEBHOOK_PUBLIC_URL?":           {"DUALGRAM_WEBHOOK_PUBLIC_ULR=https://x"},
		"the name between BOTS_ and the key is the bot's":     {"DUALGRAM_BOTS_NEWSLETTER_TOKEN=x"},
		"every variable that starts with DUALGRAM_ has to be": {"DUALGRAM_QQ="},
	} {
		_, err := Load(path, env)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", env, err, want)
		}
	}
}

// Two names that make the same variable can't be told apart.
func TestAmbiguousVariable(t *testing.T) {
	path := writeFile(t, `bots:
  - {name: a, token_file: /1, webhook: off, deliver: {ndjson: {path: "-"}}}
  - {name: a-webhook-secret, token_file: /2, webhook: off, deliver: {ndjson: {path: "-"}}}
`, 0o600)
	_, err := Load(path, []string{"DUALGRAM_BOTS_A_WEBHOOK_SECRET_TOKEN=x"})
	if err == nil || !strings.Contains(err.Error(), "could mean") {
		t.Error(err)
	}
}

// Names that nobody wrote, and names that ${…} refers to, are no mistakes.
func TestForeignVariables(t *testing.T) {
	path := writeFile(t, strings.Replace(oneBot, "token_file: /t", "token: ${DUALGRAM_ORDERS_SECRET}", 1), 0o600)
	mustLoad(t, path, "DUALGRAM_ORDERS_SECRET="+sampleToken, "DUALGRAM_CONFIG=/elsewhere",
		"DUALGRAM_PORT=tcp://10.0.0.1:443", "DUALGRAM_SERVICE_HOST=10.0.0.1", "DUALGRAM_SERVICE_PORT=443", "DUALGRAM_SERVICE_PORT_HTTPS=443",
		"DUALGRAM_PORT_443_TCP=tcp://10.0.0.1:443", "DUALGRAM_PORT_443_TCP_ADDR=10.0.0.1", "DUALGRAM_METRICS_SERVICE_HOST=10.0.0.2",
		"DUALGRAM_METRICS_PORT=tcp://10.0.0.2:1", "DUALGRAM_METRICS_PORT_9464_TCP_PROTO=tcp")
	if _, err := Load(path, []string{"DUALGRAM_ORDERS_SECRET=" + sampleToken, "DUALGRAM_METRICS_PORT=9464"}); err == nil {
		t.Error("a variable with an ordinary value was taken for a service link")
	}
}

// Every key has a variable, no two the same, and every variable works.
func TestEnvNames(t *testing.T) {
	seen := map[string]string{}
	for _, typ := range []reflect.Type{reflect.TypeFor[Config](), reflect.TypeFor[Bot]()} {
		for _, lf := range leavesOf(typ) {
			n := EnvName(lf.path)
			if other, dup := seen[n]; dup {
				t.Errorf("%s is the variable of %s and %s", n, other, lf.path)
			}
			seen[n] = lf.path
			if serviceLinks.MatchString(n) {
				t.Errorf("%s would be ignored as a service link", n)
			}
			cfg := Defaults()
			cfg.Bots = []Bot{DefaultBot()}
			root := reflect.ValueOf(cfg).Elem()
			if typ == reflect.TypeFor[Bot]() {
				root = reflect.ValueOf(&cfg.Bots[0]).Elem()
			}
			if !lf.resolve(root).CanSet() {
				t.Errorf("%s can't be set", lf.path)
			}
		}
	}
	if len(seen) < 45 {
		t.Errorf("only %d keys", len(seen))
	}
}

func TestFileProblems(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(big, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{filepath.Join(dir, "none.yaml"): "there is no such file", dir: "is a directory", big: "is larger"} {
		cfg, err := Load(path, []string{"DUALGRAM_CONTROL_SOCKET=/s", "DUALGRAM_NONSENSE=1"})
		problems, ok := err.(Errors)
		if !ok || len(problems) != 1 || !strings.Contains(problems[0].What, want) {
			t.Errorf("%s: %v", path, err)
		}
		if cfg.Control.Socket != "/s" {
			t.Error("the variable was not read")
		}
	}
	if cfg := mustLoad(t, writeFile(t, oneBot, 0o664)); len(cfg.Warnings) != 1 || cfg.Warnings[0].Code != "config_writable" {
		t.Errorf("writable: %v", cfg.Warnings)
	}
	mustLoad(t, writeFile(t, "\ufeff"+oneBot, 0o600))
	mustLoad(t, writeFile(t, strings.ReplaceAll(oneBot, "\n", "\r\n"), 0o600))
}

func TestControlSocket(t *testing.T) {
	broken := writeFile(t, "bots: [\ncontrol: {socket: /x}", 0o600)
	refused := writeFile(t, "bots: {}\ncontrol: {socket: /x}\nfrob: 1", 0o600)
	wrong := writeFile(t, oneBot+"control: {socket: 1}", 0o600)
	for _, c := range []struct {
		path, env, want string
		fails           bool
	}{
		{"", "", "/run/dualgram/control.sock", false},
		{"", "DUALGRAM_CONTROL_SOCKET=/e", "/e", false},
		{refused, "", "/x", false},
		{writeFile(t, "frob: 1", 0o600), "", "/run/dualgram/control.sock", false},
		{broken, "", "", true},
		{broken, "DUALGRAM_CONTROL_SOCKET=/e", "/e", false},
		{wrong, "", "", true},
		{"/no/such/file", "", "", true},
	} {
		got, _, err := ControlSocket(c.path, []string{c.env})
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%s with %q: %q, %v", c.path, c.env, got, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, dir := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml"} {
		files, _ := filepath.Glob(dir)
		for _, p := range files {
			data, err := os.ReadFile(p)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data, "DUALGRAM_TOKEN=x")
		}
	}
	f.Add([]byte("a: &a [*a, *a]\nbots: *a"), "DUALGRAM_BOTS_A_TOKEN=")
	f.Fuzz(func(t *testing.T, data []byte, env string) {
		vars := []string{env, "T=" + sampleToken}
		read := func(data []byte) (*Config, error) {
			return load("f.yaml", vars, func(string) ([]byte, fs.FileMode, error) { return data, 0o600, nil })
		}
		cfg, err := read(data)
		if cfg == nil {
			t.Fatal("no configuration")
		}
		if err != nil {
			if strings.Contains(err.Error(), sampleToken) {
				t.Fatal("shows a token")
			}
			return
		}
		// What is accepted can be printed, and read back.
		out := PrintYAML(cfg)
		if strings.Contains(string(out), sampleToken) {
			t.Fatal("prints a token")
		}
		back, err := read(out)
		if err != nil {
			t.Fatalf("the print-out is refused: %v\n%s", err, out)
		}
		if Hash(back) != Hash(cfg) {
			t.Fatalf("the print-out means something else:\n%s\n%s", out, PrintYAML(back))
		}
	})
}
