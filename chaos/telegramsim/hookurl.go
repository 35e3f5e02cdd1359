package telegramsim

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// hookURL is a webhook URL as the server takes it apart.
type hookURL struct {
	https    bool
	userinfo string
	host     string // lower case, without brackets
	port     uint16
	target   string // request target: path, query and fragment
}

// parseHookURL takes a webhook URL apart. The scheme may be missing (https).
func parseHookURL(raw string) (hookURL, bool) {
	u := hookURL{https: true}
	rest := raw
	if scheme, after, ok := strings.Cut(raw, "://"); ok {
		switch strings.ToLower(scheme) {
		case "https":
		case "http":
			u.https = false
		default:
			return u, false
		}
		rest = after
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, u.target = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		u.userinfo, authority = authority[:i], authority[i+1:]
	}
	host, port := authority, ""
	if strings.HasPrefix(authority, "[") {
		end := strings.IndexByte(authority, ']')
		if end < 0 {
			return u, false
		}
		host = authority[1:end]
		if after := authority[end+1:]; after != "" {
			if after[0] != ':' {
				return u, false
			}
			port = after[1:]
		}
	} else if i := strings.LastIndexByte(authority, ':'); i >= 0 {
		host, port = authority[:i], authority[i+1:]
	}
	u.host = strings.ToLower(host)
	u.port = 443
	if !u.https {
		u.port = 80
	}
	if port != "" {
		v, err := strconv.ParseUint(port, 10, 16)
		if err != nil || v == 0 {
			return u, false
		}
		u.port = uint16(v)
	}
	if u.host == "" || strings.ContainsAny(u.host, " \t\r\n@") {
		return u, false
	}
	u.target = escapeTarget(u.target)
	return u, true
}

// escapeTarget percent-encodes what can't stand in a request line
// (HttpUrl.cpp:122-141).
func escapeTarget(t string) string {
	var b strings.Builder
	if !strings.HasPrefix(t, "/") {
		b.WriteByte('/')
	}
	for i := range len(t) {
		if c := t[i]; c <= ' ' || c == 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// hostHeader is the Host header: with the port unless it is 443 or 80.
func (u hookURL) hostHeader() string {
	h := u.host
	if strings.Contains(h, ":") {
		h = "[" + h + "]"
	}
	if u.port == 443 || u.port == 80 {
		return h
	}
	return net.JoinHostPort(u.host, strconv.Itoa(int(u.port)))
}

// literal returns the host if it is an IP address.
func (u hookURL) literal() (netip.Addr, bool) {
	a, err := netip.ParseAddr(u.host)
	return a, err == nil
}
