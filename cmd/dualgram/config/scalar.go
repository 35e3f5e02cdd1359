package config

import (
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[Secret]()
	networksType = reflect.TypeFor[Networks]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
	hookType     = reflect.TypeFor[Hook]()
	chatType     = reflect.TypeFor[ChatID]()
)

// badValue is a value that does not fit its key. It never quotes a secret.
type badValue struct{ what, fix string }

func (e *badValue) Error() string { return e.what }

func bad(fix, format string, a ...any) *badValue {
	return &badValue{what: Redact(fmt.Sprintf(format, a...)), fix: Redact(fix)}
}

// quoted shortens and redacts a value for a message.
func quoted(s string) string {
	const limit = 60
	s = redactURL(s)
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return strconv.Quote(s)
}

// setText sets a value that is not a list or a section from its text, which is
// the same in the file and in the environment.
func setText(v reflect.Value, s string) *badValue {
	switch v.Type() {
	case durationType:
		d, err := parseDuration(s)
		if err != nil {
			return err
		}
		v.SetInt(int64(d))
		return nil
	case networksType:
		n, err := parseNetworks([]string{s})
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(n))
		return nil
	case prefixType:
		p, err := parsePrefix(s)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(p))
		return nil
	case hookType:
		if strings.ContainsAny(s, " \t") {
			return bad("write the program and its arguments as a list: [/path/to/program, argument]",
				"%s holds a space, and hooks are not given to a shell", quoted(s))
		}
		if s == "" {
			return bad("write the path of a program", "is empty")
		}
		v.Set(reflect.ValueOf(Hook{s}))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		if strings.Contains(s, "${") {
			return bad("write the value itself, or leave the key out and set its DUALGRAM_ variable",
				"only secrets, such as token, may be taken from a variable with ${…}")
		}
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return bad("remove line breaks and control characters", "holds a control character")
		}
		v.SetString(s)
	case reflect.Bool:
		b, ok := parseBool(s)
		if !ok {
			return bad("write true or false", "%s is neither true nor false", quoted(s))
		}
		v.SetBool(b)
	case reflect.Int:
		n, err := strconv.Atoi(s)
		if err != nil {
			return bad("write a whole number such as 40", "%s is not a whole number", quoted(s))
		}
		v.SetInt(int64(n))
	default:
		return bad("", "has no text form")
	}
	return nil
}

func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "true", "yes", "on", "1":
		return true, true
	case "false", "no", "off", "0":
		return false, true
	}
	return false, false
}

// isOff says whether a text switches a section off.
func isOff(s string) bool {
	b, ok := parseBool(s)
	return ok && !b && s != "0"
}

var (
	days       = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)d(.*)$`)
	bareNumber = regexp.MustCompile(`^[0-9.]+$`)
)

// ParseDuration reads Go's durations (90s, 1h30m, 500ms) and days before them
// (7d, 1d12h). A bare number other than 0 has no unit and is refused, and so is
// a negative duration.
func ParseDuration(s string) (time.Duration, error) {
	d, err := parseDuration(s)
	if err != nil { // a nil *badValue would be an error that is not nil
		return 0, err
	}
	return d, nil
}

func parseDuration(s string) (time.Duration, *badValue) {
	const fix = "write a number with a unit, such as 500ms, 30s, 10m, 12h or 7d"
	if s != "0" && bareNumber.MatchString(s) {
		return 0, bad(fmt.Sprintf("write %ss if you mean seconds", s), "%s has no unit", quoted(s))
	}
	rest, d := s, time.Duration(0)
	if m := days.FindStringSubmatch(s); m != nil {
		f, err := strconv.ParseFloat(m[1], 64)
		if err != nil || f > math.MaxInt64/float64(24*time.Hour)/2 {
			return 0, bad(fix, "%s is too long", quoted(s))
		}
		d, rest = time.Duration(f*float64(24*time.Hour)), m[2]
		if rest == "" {
			return d, nil
		}
	}
	r, err := time.ParseDuration(rest)
	if err != nil {
		return 0, bad(fix, "%s is not a duration", quoted(s))
	}
	if r < 0 || strings.HasPrefix(rest, "-") || (d > 0 && strings.HasPrefix(rest, "+")) {
		return 0, bad(fix, "%s is negative or has a sign in the middle", quoted(s))
	}
	if d > math.MaxInt64-r {
		return 0, bad(fix, "%s is too long", quoted(s))
	}
	return d + r, nil
}

// FormatDuration is the shortest text that [ParseDuration] reads back.
func FormatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

func parsePrefix(s string) (netip.Prefix, *badValue) {
	if p, err := netip.ParsePrefix(s); err == nil {
		if p != p.Masked() {
			return p, bad(fmt.Sprintf("write %s for the network, or %s for the one address", p.Masked(), p.Addr()),
				"%s has bits set behind the prefix", quoted(s))
		}
		return p, nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.Prefix{}, bad("write networks such as 10.0.0.0/8 or addresses such as 192.0.2.7",
		"%s is neither a network nor an address", quoted(s))
}

// parseNetworks reads a preset, or a list of networks in which the preset
// telegram may stand too.
func parseNetworks(list []string) (Networks, *badValue) {
	var n Networks
	if len(list) == 0 {
		return n, bad("write telegram, any or at least one network", "is an empty list: nobody could deliver")
	}
	for _, s := range list {
		switch s {
		case "telegram":
			if len(list) == 1 {
				return TelegramNetworks(), nil
			}
			n.Prefixes = append(n.Prefixes, telegramPrefixes()...)
		case "any":
			if len(list) > 1 {
				return n, bad("write allow_networks: any, or leave any out of the list", "any makes the other networks pointless")
			}
			return Networks{Any: true, preset: "any"}, nil
		default:
			p, err := parsePrefix(s)
			if err != nil {
				fix := "write telegram, any or networks such as 10.0.0.0/8"
				if near, ok := Nearest(s, []string{"telegram", "any"}); ok {
					fix = "did you mean " + near + "?"
				} else if strings.Contains(err.what, "behind the prefix") {
					fix = err.fix
				}
				return n, bad(fix, "%s", err.what)
			}
			n.Prefixes = append(n.Prefixes, p)
		}
	}
	return n, nil
}
