package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// maxFile is far above any real configuration; it bounds the work for a file
// named by mistake.
const maxFile = 1 << 20

var variableRef = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

type loader struct {
	cfg        *Config
	env        map[string]string
	anchors    anchors
	referenced map[string]bool // variables named by ${…}
	bad        map[string]bool // keys already complained about
	problems   Errors
}

// problem records why the configuration is refused. One complaint per key is
// enough: what follows from the first would only hide it.
func (l *loader) problem(where Origin, key, what, fix string) {
	l.problems = append(l.problems, Problem{where, Redact(key), Redact(what), Redact(fix)})
	if key != "" {
		l.bad[key] = true
	}
}

// isBad says whether the key or a section around it was complained about.
func (l *loader) isBad(key string) bool {
	for {
		if l.bad[key] {
			return true
		}
		i := strings.LastIndexAny(key, ".[")
		if i < 0 {
			return false
		}
		key = key[:i]
	}
}

// Load reads the file at path, then the variables of env (as [os.Environ]
// returns them), and validates the whole. With an empty path only the
// variables count.
//
// The error is [Errors], all that is wrong at once, or nil. The Config is never
// nil; after an error it holds what could be read and is fit only for finding
// the control socket.
func Load(path string, env []string) (*Config, error) {
	return load(path, env, readFile)
}

func load(path string, env []string, read func(string) ([]byte, fs.FileMode, error)) (*Config, error) {
	l := &loader{cfg: Defaults(), env: environment(env), anchors: anchors{}, referenced: map[string]bool{}, bad: map[string]bool{}}
	l.cfg.File = path
	unreadable := false
	if path != "" {
		unreadable = !l.file(path, read)
	}
	l.environment()
	if unreadable {
		// All else would only say that the keys in the file are missing.
		l.problems = l.problems[:1]
		return l.cfg, l.problems
	}
	l.credentials()
	l.validate()
	if len(l.problems) > 0 {
		l.problems.sort()
		return l.cfg, l.problems
	}
	return l.cfg, nil
}

// file reads and decodes the file. It returns false if the file can't be read
// as YAML at all.
func (l *loader) file(path string, read func(string) ([]byte, fs.FileMode, error)) bool {
	where := Origin{Source: SourceFile, File: path}
	data, mode, err := read(path)
	if err != nil {
		p := Problem{Where: where, What: "can't be read: " + reason(err), Fix: "check the path and its permissions"}
		if errors.Is(err, fs.ErrNotExist) {
			p = Problem{Where: where, What: "there is no such file", Fix: "name the file with --config or DUALGRAM_CONFIG"}
		}
		l.problems = append(l.problems, p)
		return false
	}
	if mode.Perm()&0o022 != 0 {
		l.warn("config_writable", "", fmt.Sprintf("the file can be written by others (mode %04o), and it names programs that dualgram runs", mode.Perm()), "chmod go-w "+path)
	}
	root, p := parseYAML(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if p != nil {
		p.Where.Source, p.Where.File = SourceFile, path
		l.problems = append(l.problems, *p)
		return false
	}
	if root == nil {
		return true
	}
	ast.Walk(l.anchors, root)
	root = l.unwrap(root, where, "")
	switch root.(type) {
	case nil, *ast.NullNode:
	case *ast.MappingNode, *ast.MappingValueNode:
		l.section(root, reflect.ValueOf(l.cfg).Elem(), "")
	default:
		l.problem(l.at(root), "", "the file wants keys such as bots:, not "+describe(root), "see dualgram config print for all keys")
		l.bad["bots"] = true
	}
	return true
}

func readFile(path string) ([]byte, fs.FileMode, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if st.IsDir() {
		return nil, 0, errors.New("is a directory")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, 0, err
	}
	if len(data) > maxFile {
		return nil, 0, fmt.Errorf("is larger than %d KiB", maxFile>>10)
	}
	return data, st.Mode(), nil
}

// reason is the error without the operation and the path, which stand in front
// of it already.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// Find returns the file to read: the one named, by flag and then by
// DUALGRAM_CONFIG, or [DefaultFile] if there is one. It is empty if the
// variables are all there is.
func Find(flag string, env []string) string {
	if flag != "" {
		return flag
	}
	if p := environment(env)["DUALGRAM_CONFIG"]; p != "" {
		return p
	}
	if _, err := os.Stat(DefaultFile); !errors.Is(err, fs.ErrNotExist) {
		return DefaultFile
	}
	return ""
}

// credentials takes what systemd hands over (LoadCredential=) where nothing
// else is named: token and secret-token for a single bot, <name>-token and
// <name>-secret-token for each; notify-url, notify-secret and heartbeat-url where
// their sections are written.
func (l *loader) credentials() {
	dir := l.env["CREDENTIALS_DIRECTORY"]
	if dir == "" {
		return
	}
	one := func(target *string, key, name string) {
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
			*target = path
			l.cfg.origins[key] = Origin{Source: SourceCredential, File: path}
		}
	}
	if w := l.cfg.Notify.Webhook; w != nil && w.URL.IsZero() && w.URLFile == "" {
		one(&w.URLFile, "notify.webhook.url_file", "notify-url")
	}
	if w := l.cfg.Notify.Webhook; w != nil && w.Secret.IsZero() && w.SecretFile == "" {
		one(&w.SecretFile, "notify.webhook.secret_file", "notify-secret")
	}
	if h := l.cfg.Heartbeat; h != nil && h.URL.IsZero() && h.URLFile == "" {
		one(&h.URLFile, "heartbeat.url_file", "heartbeat-url")
	}
	for i := range l.cfg.Bots {
		b, key := &l.cfg.Bots[i], fmt.Sprintf("bots[%d]", i)
		use := func(target *string, key, name string) {
			names := []string{b.Name + "-" + name}
			if len(l.cfg.Bots) == 1 {
				names = append(names, name)
			}
			for _, n := range names {
				path := filepath.Join(dir, n)
				if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && botName.MatchString(b.Name) {
					*target = path
					l.cfg.origins[key] = Origin{Source: SourceCredential, File: path}
					return
				}
			}
		}
		if b.Token.IsZero() && b.TokenFile == "" && !l.isBad(key+".token") && !l.isBad(key+".token_file") {
			use(&b.TokenFile, key+".token_file", "token")
		}
		if w := &b.Webhook; !w.Off && w.SecretToken.IsZero() && w.SecretTokenFile == "" && !l.isBad(key+".webhook.secret_token") {
			use(&w.SecretTokenFile, key+".webhook.secret_token_file", "secret-token")
		}
	}
}

func (l *loader) warn(code, key, what, fix string) {
	where := l.cfg.origins[key]
	if key == "" && l.cfg.File != "" {
		where = Origin{Source: SourceFile, File: l.cfg.File}
	}
	l.cfg.Warnings = append(l.cfg.Warnings, Warning{Code: code, Where: where, Key: key, What: Redact(what), Fix: Redact(fix)})
}

// ControlSocket finds the control socket and where its path came from, for the
// commands that ask a running dualgram. It works with a configuration that is
// refused for another reason: the running process may have read an older one.
func ControlSocket(path string, env []string) (string, Origin, error) {
	cfg, err := Load(path, env)
	origin := cfg.Origin("control.socket")
	var problems Errors
	if !errors.As(err, &problems) || origin.Source == SourceEnv {
		return cfg.Control.Socket, origin, nil
	}
	for _, p := range problems {
		whole := p.Where.Source == SourceFile && p.Key == "" && origin.Source == SourceDefault && !strings.HasPrefix(p.What, "unknown key")
		if whole || strings.HasPrefix(p.Key, "control") {
			return "", origin, Errors{p}
		}
	}
	return cfg.Control.Socket, origin, nil
}
