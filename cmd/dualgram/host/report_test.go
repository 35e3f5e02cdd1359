package host

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dualgram/cmd/dualgram/config"
	"dualgram/supervisor/console"

	"github.com/rs/zerolog"
)

// Secrets are taken out in whatever form they stand, and what is shaped like a token.
func TestSecretsAreTakenOut(t *testing.T) {
	h := &Host{}
	h.conceal("a/b+c d&e", "short", "longer-secret", "longer-secret-still")
	text := `raw a/b+c d&e, query a%2Fb%2Bc+d%26e, path a%2Fb+c%20d&e, json a\/b+c d&e, longer-secret-still, longer-secret, short, 123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr`
	want := `raw [secret], query [secret], path [secret], json [secret], [secret], [secret], short, [token]`
	if got := string(h.scrub([]byte(text))); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// Of URLs only the host is in a report, of hooks only the program.
func TestReportConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte(`
bots:
  - name: a
    token: ${TOKEN}
    webhook: {public_url: https://bot.example.com/webhook/hidden-path, tls: off}
    deliver: {forward: {url: "http://127.0.0.1:9000/key/hidden-path"}}
failover: {hooks: {notify: [[/bin/notify, --key, hidden-key]], veto: [[/bin/veto]]}}
telegram: {proxy: "http://user:hidden-password@proxy.example.com:1"}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, []string{"TOKEN=123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr"})
	if err != nil {
		t.Fatal(err)
	}
	parts, err := LocalReport(cfg)
	if err != nil {
		t.Fatal(err)
	}
	got := string(parts["config.json"])
	for _, bad := range []string{"hidden", "AAbbCC"} {
		if strings.Contains(got, bad) {
			t.Errorf("%q is in\n%s", bad, got)
		}
	}
	for _, good := range []string{"https://bot.example.com/#", "http://127.0.0.1:9000/#", "/bin/notify", "[arguments]", "/bin/veto", `"name": "a"`} {
		if !strings.Contains(got, good) {
			t.Errorf("no %q in\n%s", good, got)
		}
	}
	if !json.Valid(parts["host.json"]) || !strings.Contains(string(parts["build.txt"]), "go1.") {
		t.Errorf("%s %s", parts["host.json"], parts["build.txt"])
	}
	if name, err := os.Hostname(); err == nil && len(name) > 4 && strings.Contains(string(parts["host.json"]), name) {
		t.Error("the machine's name is in it")
	}
}

// A level holds for its time, the last word counts, and nothing else is left behind.
func TestLogLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := NewLogLevel(zerolog.InfoLevel)
		log := zerolog.New(&out).Level(zerolog.DebugLevel).Hook(l)
		lines := func() string {
			out.Reset()
			log.Debug().Msg("d")
			log.Info().Msg("i")
			log.Warn().Msg("w")
			log.Error().Msg("e")
			var got string
			for line := range strings.SplitSeq(strings.TrimSpace(out.String()), "\n") {
				var m struct{ Message string }
				_ = json.Unmarshal([]byte(line), &m)
				got += m.Message
			}
			return got
		}
		var over atomic.Int32
		set := func(level zerolog.Level, lasts time.Duration) {
			l.set(level, lasts, &console.Said{Command: "log_level"}, func() { over.Add(1) })
		}
		check := func(what, want string) {
			t.Helper()
			if got := lines(); got != want {
				t.Errorf("%s: %s, want %s (%+v)", what, got, want, l.state())
			}
		}
		check("configured", "iwe")
		set(zerolog.DebugLevel, time.Minute)
		check("debug", "diwe")
		if s := l.state(); s.Level != "debug" || s.Configured != "info" || !s.Until.Equal(time.Now().Add(time.Minute)) || s.By == nil {
			t.Errorf("%+v", s)
		}
		time.Sleep(59 * time.Second)
		set(zerolog.ErrorLevel, time.Minute) // another word
		time.Sleep(2 * time.Second)          // the first one's end
		check("error", "e")
		if over.Load() != 0 {
			t.Error("the first word's end ended the second")
		}
		time.Sleep(time.Minute)
		check("over", "iwe")
		if s := l.state(); over.Load() != 1 || !s.Until.IsZero() || s.By != nil {
			t.Errorf("%d %+v", over.Load(), s)
		}
		set(zerolog.WarnLevel, 0)
		time.Sleep(1000 * time.Hour)
		check("without an end", "we")
		set(zerolog.InfoLevel, time.Minute) // the configured one lifts it
		check("lifted", "iwe")
		set(zerolog.DebugLevel, time.Minute)
		l.Close()
		time.Sleep(time.Hour)
		if over.Load() != 1 {
			t.Error("something was left behind")
		}
	})
}
