package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	// controlTokenName is the file beside the store that holds the control token if
	// control.token_file names none.
	controlTokenName = "control-token"
	// controlTokenBytes is how many random bytes a token that we make holds.
	controlTokenBytes = 32
)

// controlToken is what is taken for a token: long enough not to be guessed, and
// fit for a header.
var controlToken = regexp.MustCompile(`^[!-~]{32,512}$`)

// ControlTokenFile is where the token of the TCP control listener is:
// control.token_file, or a file beside the store.
func (c *Config) ControlTokenFile() string {
	if c.Control.TokenFile != "" {
		return c.Control.TokenFile
	}
	return filepath.Join(filepath.Dir(c.Store.Path), controlTokenName)
}

// ReadControlToken returns the token of the TCP control listener. With create a
// file that doesn't exist is made, mode 0600, with 32 random bytes in base64. The
// error is a [Problem] and never holds any of the token.
func ReadControlToken(cfg *Config, create bool) (Secret, []Warning, error) {
	const key = "control.token_file"
	path, where := cfg.ControlTokenFile(), cfg.Origin(key)
	s, warnings, err := readSecretFile(path, key, where)
	if create && errors.Is(err, fs.ErrNotExist) {
		if _, err = createSecret(path, controlTokenBytes); err == nil {
			s, warnings, err = readSecretFile(path, key, where)
		}
	}
	if err != nil {
		return Secret{}, nil, fileProblem(err, path, key, where)
	}
	if !controlToken.MatchString(s) {
		return Secret{}, nil, Problem{where, key, path + " holds no token: that is one word of at least 32 characters",
			"remove the file, and dualgram makes a new one; or write one with: openssl rand -hex 32"}
	}
	return NewSecret(s), warnings, nil
}

// control checks the socket and the TCP listener.
func (l *loader) control() {
	c := &l.cfg.Control
	switch p := c.Socket; {
	case p == "":
		l.wrong("control.socket", "is empty", "write the path of the socket, such as /run/dualgram/control.sock")
	case len(p) > maxSocketPath || len(filepath.Dir(p)) > maxSocketPath-16: // 16: it is made in a directory beside it
		l.wrong("control.socket", fmt.Sprintf("is %d bytes long; a unix socket's path has room for %d, and its directory for %d", len(p), maxSocketPath, maxSocketPath-16), "write a shorter path")
	}
	l.relative("control.socket", c.Socket)
	l.relative("control.token_file", c.TokenFile)
	if c.Listen == "" {
		return
	}
	l.hostPort("control.listen", c.Listen, true)
	if host, port, err := net.SplitHostPort(c.Listen); err == nil && !loopback(host) {
		l.wrong("control.listen", quoted(c.Listen)+" can be reached from other hosts", fmt.Sprintf("write 127.0.0.1:%s; from elsewhere, tunnel to it: ssh -L %s:127.0.0.1:%s HOST", port, port, port))
	}
	if c.Listen == l.cfg.Observe.Listen && !strings.HasSuffix(c.Listen, ":0") {
		l.wrong("control.listen", c.Listen+" is observe.listen too", "give each a port of its own")
	}
}

// loopback says whether a listen host is of this machine alone.
func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && a.Unmap().IsLoopback()
}
