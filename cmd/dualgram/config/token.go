package config

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// tokenShape: the bot's id, a colon, and a secret part, which has 35 characters
// in BotFather's. It is the shape that transport/botapi takes.
var tokenShape = regexp.MustCompile(`^([0-9]{5,18}):[A-Za-z0-9_-]{30,}$`)

const (
	// maxSecretFile is far above any token.
	maxSecretFile = 4 << 10
	// webhookSecretBytes makes 32 characters of a secret token that we make.
	webhookSecretBytes = 24
)

// CheckToken says what is wrong with the shape of a token. The error never
// holds any of it.
func CheckToken(token string) error {
	switch {
	case token == "":
		return errors.New("is empty")
	case strings.HasPrefix(token, "bot"):
		return errors.New(`starts with the word "bot", which belongs to the URL and not to the token`)
	case strings.ContainsAny(token, `"'`):
		return errors.New("has quotes around it")
	case strings.ContainsAny(token, " \t\r\n"):
		return errors.New("has a space or a line break in it")
	}
	m := tokenShape.FindStringSubmatch(token)
	if m == nil {
		return fmt.Errorf("is not shaped like a bot token (it has %d characters, and a token is the bot's number, a colon and 35 characters)", len(token))
	}
	if id, err := strconv.ParseInt(m[1], 10, 64); err != nil || id <= 0 {
		return errors.New("has an impossible bot number in front of the colon")
	}
	return nil
}

// ReadToken returns the bot's token, from the variable or from its file, and
// what is odd about the file. The error is a [Problem] and never holds any of
// the token.
func ReadToken(cfg *Config, bot int) (Secret, []Warning, error) {
	b, key := &cfg.Bots[bot], fmt.Sprintf("bots[%d].token_file", bot)
	if !b.Token.IsZero() {
		return b.Token, nil, nil
	}
	where := cfg.Origin(key)
	s, warnings, err := readSecretFile(b.TokenFile, key, where)
	if err != nil {
		return Secret{}, nil, fileProblem(err, b.TokenFile, key, where)
	}
	if err := CheckToken(s); err != nil {
		return Secret{}, nil, Problem{where, key, Redact(fmt.Sprintf("the token in %s %s", b.TokenFile, err)), "write the token from @BotFather into the file, and nothing else"}
	}
	return NewSecret(s), warnings, nil
}

// WebhookSecret is what [ReadSecret] found.
type WebhookSecret struct {
	// Value is zero if neither a variable nor a file is configured: the secret
	// lives in the store then.
	Value Secret
	// Created says that the file was missing and has been written.
	Created  bool
	Warnings []Warning
}

// ReadSecret returns the bot's webhook secret, from the variable or from its
// file. A file that doesn't exist is made, mode 0600, with 32 random
// characters; two processes that do so at the same time get the same secret.
// The error is a [Problem] and never holds any of the secret.
func ReadSecret(cfg *Config, bot int) (WebhookSecret, error) {
	return readSecret(cfg, bot, true)
}

// RereadSecret is [ReadSecret] for a file that may have changed: one that is
// missing, as it is for a moment while it is being replaced, is an error.
func RereadSecret(cfg *Config, bot int) (WebhookSecret, error) {
	return readSecret(cfg, bot, false)
}

func readSecret(cfg *Config, bot int, create bool) (WebhookSecret, error) {
	w, key := &cfg.Bots[bot].Webhook, fmt.Sprintf("bots[%d].webhook.secret_token_file", bot)
	path := w.SecretTokenFile
	if !w.SecretToken.IsZero() || path == "" {
		return WebhookSecret{Value: w.SecretToken}, nil
	}
	where := cfg.Origin(key)
	var out WebhookSecret
	s, warnings, err := readSecretFile(path, key, where)
	if create && errors.Is(err, fs.ErrNotExist) {
		if out.Created, err = createSecret(path, webhookSecretBytes); err == nil {
			s, warnings, err = readSecretFile(path, key, where)
		}
	}
	if err != nil {
		return WebhookSecret{}, fileProblem(err, path, key, where)
	}
	if !secretToken.MatchString(s) {
		return WebhookSecret{}, Problem{where, key,
			fmt.Sprintf("%s holds no secret that Telegram takes: 1 to 256 of A-Z, a-z, 0-9, _ and -", path),
			"remove the file, and dualgram makes a new one; or write one with: openssl rand -hex 16"}
	}
	out.Value, out.Warnings = NewSecret(s), warnings
	return out, nil
}

func fileProblem(err error, path, key string, where Origin) error {
	p := Problem{where, key, fmt.Sprintf("%s can't be used: %s", path, reason(err)), "check the path, and that the user dualgram runs as may read it"}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.What, p.Fix = path+": there is no such file or directory", "create it, or correct the path"
	case errors.Is(err, fs.ErrPermission):
		p.What, p.Fix = path+": permission denied", fmt.Sprintf("make it readable for the user dualgram runs as (uid %d)", os.Geteuid())
	}
	// The classic slip is the token itself in place of the path.
	p.What, p.Fix = Redact(p.What), Redact(p.Fix)
	return p
}

// readSecretFile returns the content without the line break at its end.
func readSecretFile(path, key string, where Origin) (string, []Warning, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", nil, err
	}
	if st.IsDir() {
		return "", nil, errors.New("is a directory")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", nil, err
	}
	if len(data) > maxSecretFile {
		return "", nil, fmt.Errorf("is larger than %d KiB", maxSecretFile>>10)
	}
	var warnings []Warning
	if perm := st.Mode().Perm(); st.Mode().IsRegular() && perm&0o077 != 0 && !handedOver(path, st, where) {
		warnings = append(warnings, Warning{
			Code: "secret_readable", Where: where, Key: key,
			What: fmt.Sprintf("%s can be read by others (mode %04o)", path, perm), Fix: "chmod 600 " + path,
		})
	}
	return strings.TrimSpace(strings.TrimPrefix(string(data), "\ufeff")), warnings, nil
}

// handedOver says whether a secret's file is open to a group on purpose: a credential
// of systemd's shows the rights of its access list as those of a group, and Kubernetes
// gives a secret to root and to the group of the pod.
func handedOver(path string, st fs.FileInfo, where Origin) bool {
	if st.Mode().Perm()&0o037 != 0 {
		return false
	}
	uid, gid, known := owner(st)
	return where.Source == SourceCredential || strings.HasPrefix(path, "/run/credentials/") ||
		known && uid == 0 && os.Geteuid() != 0 && gid == os.Getegid()
}

// createSecret makes the file whole or not at all: a crash in between must not
// leave half a secret behind. It returns false if somebody else was faster.
func createSecret(path string, bytes int) (created bool, err error) {
	random := make([]byte, bytes)
	if _, err := rand.Read(random); err != nil {
		return false, err
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".secret-*") // mode 0600
	if err != nil {
		return false, err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(base64.RawURLEncoding.EncodeToString(random) + "\n")
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return false, err
	}
	// A link never replaces what is there.
	if err := os.Link(f.Name(), path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return false, nil
		}
		return false, err
	}
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
	return true, nil
}
