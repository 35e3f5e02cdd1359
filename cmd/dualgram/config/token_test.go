package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func botWith(tokenFile, secretFile string) *Config {
	cfg := Defaults()
	b := DefaultBot()
	b.Name, b.TokenFile, b.Webhook.SecretTokenFile = "a", tokenFile, secretFile
	cfg.Bots = []Bot{b}
	return cfg
}

func secretFile(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadToken(t *testing.T) {
	for content, want := range map[string]string{
		sampleToken: "", sampleToken + "\n": "", sampleToken + "\r\n": "", "\ufeff" + sampleToken + " \n": "",
		"": "is empty", "\n": "is empty", "bot" + sampleToken: `the word "bot"`, `"` + sampleToken + `"`: "quotes",
		sampleToken + "\n" + sampleToken: "line break", "123456789:short": "not shaped", "0000000:" + strings.Repeat("a", 35): "impossible",
		strings.Repeat("a", maxSecretFile+1): "larger than",
	} {
		s, warnings, err := ReadToken(botWith(secretFile(t, content, 0o600), ""), 0)
		if want == "" {
			if err != nil || s.Reveal() != sampleToken || len(warnings) != 0 {
				t.Errorf("%q: %v %v %v", content, s.Reveal(), warnings, err)
			}
			continue
		}
		var p Problem
		if !errors.As(err, &p) || !strings.Contains(p.What, want) || p.Fix == "" {
			t.Errorf("%.20q: %v, want %q", content, err, want)
		}
		if err != nil && strings.Contains(err.Error()+p.Fix, "AAbbCC") {
			t.Errorf("shows the token: %v", err)
		}
	}
}

func TestReadTokenElsewhere(t *testing.T) {
	if _, w, err := ReadToken(botWith(secretFile(t, sampleToken, 0o640), ""), 0); err != nil || len(w) != 1 || w[0].Code != "secret_readable" {
		t.Errorf("readable by the group: %v %v", w, err)
	}
	for path, want := range map[string]string{filepath.Join(t.TempDir(), "none"): "no such file", t.TempDir(): "is a directory"} {
		if _, _, err := ReadToken(botWith(path, ""), 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, _, err := ReadToken(botWith(sampleToken, ""), 0); err == nil || strings.Contains(err.Error(), "AAbbCC") {
		t.Errorf("the token in place of the path: %v", err)
	}
	cfg := botWith("/no/such/file", "")
	cfg.Bots[0].Token = NewSecret(sampleToken)
	if s, _, err := ReadToken(cfg, 0); err != nil || s.Reveal() != sampleToken {
		t.Errorf("from a variable: %v", err)
	}
}

func TestReadSecret(t *testing.T) {
	if s, err := ReadSecret(botWith("", ""), 0); err != nil || !s.Value.IsZero() || s.Created {
		t.Errorf("none configured: %+v %v", s, err)
	}
	path := filepath.Join(t.TempDir(), "secret")
	first, err := ReadSecret(botWith("", path), 0)
	if err != nil || !first.Created || len(first.Value.Reveal()) != 32 || !secretToken.MatchString(first.Value.Reveal()) || len(first.Warnings) != 0 {
		t.Fatalf("made: %+v %v", first, err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode: %v %v", st.Mode(), err)
	}
	again, err := ReadSecret(botWith("", path), 0)
	if err != nil || again.Created || again.Value.Reveal() != first.Value.Reveal() {
		t.Errorf("read again: %+v %v", again, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	for content, want := range map[string]string{"": "holds no secret", "with space": "holds no secret", strings.Repeat("x", 257): "holds no secret", "ä": "holds no secret"} {
		if _, err := ReadSecret(botWith("", secretFile(t, content, 0o600)), 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", content, err)
		}
	}
	if _, err := ReadSecret(botWith("", filepath.Join(t.TempDir(), "no", "dir")), 0); err == nil {
		t.Error("made a secret without its directory")
	}
}

// Whoever comes second gets what the first one wrote, never half of it.
func TestReadSecretTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	const n = 16
	values, created := make([]string, n), make([]bool, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			s, err := ReadSecret(botWith("", path), 0)
			if err != nil {
				t.Error(err)
			}
			values[i], created[i] = s.Value.Reveal(), s.Created
		})
	}
	wg.Wait()
	makers := 0
	for i := range n {
		if values[i] != values[0] || values[i] == "" {
			t.Errorf("%d has another secret", i)
		}
		if created[i] {
			makers++
		}
	}
	if makers != 1 {
		t.Errorf("%d made it", makers)
	}
}

func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"token", "a-token", "b-secret-token"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(sampleToken), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"CREDENTIALS_DIRECTORY=" + dir}
	one := mustLoad(t, "", append(env, envPolling[1:]...)...)
	if got := one.Bots[0].TokenFile; got != filepath.Join(dir, "token") || one.Origin("bots[0].token_file").Source != SourceCredential {
		t.Errorf("a single bot: %q", got)
	}
	bots := `bots:
  - {name: a, webhook: off, deliver: {ndjson: {path: "-"}}}
  - {name: b, token_file: /b, webhook: {public_url: https://h.example/b, tls: {cert_file: /c, key_file: /k}}, deliver: {ndjson: {path: "-"}}}
`
	two := mustLoad(t, writeFile(t, bots, 0o600), env...)
	if a, b := two.Bots[0], two.Bots[1]; a.TokenFile != filepath.Join(dir, "a-token") || b.TokenFile != "/b" || b.Webhook.SecretTokenFile != filepath.Join(dir, "b-secret-token") {
		t.Errorf("two bots: %q %q %q", a.TokenFile, b.TokenFile, b.Webhook.SecretTokenFile)
	}
	// "token" alone doesn't say whose it is.
	if _, err := Load(writeFile(t, strings.Replace(bots, "name: a,", "name: c,", 1), 0o600), env); err == nil || !strings.Contains(err.Error(), "no token") {
		t.Error(err)
	}
}
