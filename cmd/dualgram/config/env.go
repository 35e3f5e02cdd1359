package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

const envPrefix = "DUALGRAM_"

// serviceLinks are the variables that Kubernetes and Docker make for a service
// or link called dualgram or dualgram-…; nobody wrote them.
var serviceLinks = regexp.MustCompile(`^DUALGRAM_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)$`)

// linkValue is the value of the one such variable with a common name.
var linkValue = regexp.MustCompile(`^(tcp|udp|sctp)://`)

// environment makes a map of a list of NAME=value; the last one counts, as it
// does for a process.
func environment(env []string) map[string]string {
	m := make(map[string]string, len(env))
	for _, kv := range env {
		if name, value, ok := strings.Cut(kv, "="); ok {
			m[name] = value
		}
	}
	return m
}

// EnvName is the variable that overrides a key, such as DUALGRAM_STORE_PATH
// for store.path.
func EnvName(path string) string {
	return envPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(path))
}

// target is what a variable sets.
type target struct {
	leaf leaf
	bot  int // index into Bots; -1 for a key of the whole configuration
	// short says that the name leaves out BOTS_<NAME>_.
	short bool
}

func (t target) key() string {
	if t.bot < 0 {
		return t.leaf.path
	}
	return fmt.Sprintf("bots[%d].%s", t.bot, t.leaf.path)
}

// environment applies the variables and reports the unknown ones.
func (l *loader) environment() {
	names := make([]string, 0, 8)
	for name, value := range l.env {
		if strings.HasPrefix(name, envPrefix) && name != "DUALGRAM_CONFIG" && !l.referenced[name] {
			if serviceLinks.MatchString(name) || (strings.HasSuffix(name, "_PORT") && linkValue.MatchString(value)) {
				continue
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)

	botLeaves := leavesOf(reflect.TypeFor[Bot]())
	short := map[string]leaf{}
	for _, lf := range botLeaves {
		short[EnvName(lf.path)] = lf
	}
	l.implicitBot(names, short)

	targets := map[string][]target{}
	for _, lf := range leavesOf(reflect.TypeFor[Config]()) {
		targets[EnvName(lf.path)] = []target{{leaf: lf, bot: -1}}
	}
	for i := range l.cfg.Bots {
		for _, lf := range botLeaves {
			if len(l.cfg.Bots) == 1 {
				n := EnvName(lf.path)
				targets[n] = append(targets[n], target{lf, i, true})
			}
			// Renaming a bot by a variable that holds its name makes no sense.
			if l.cfg.Bots[i].Name != "" && lf.path != "name" {
				n := EnvName("bots." + l.cfg.Bots[i].Name + "." + lf.path)
				targets[n] = append(targets[n], target{leaf: lf, bot: i})
			}
		}
	}

	setBy := map[string]string{}
	for _, name := range names {
		l.variable(name, targets[name], setBy, short, targets)
	}
}

// implicitBot makes the single bot that the variables describe, if the file
// has none. Its name comes first: other variables may hold it.
func (l *loader) implicitBot(names []string, short map[string]leaf) {
	if len(l.cfg.Bots) == 0 && !l.bad["bots"] {
		for _, n := range names {
			if _, ok := short[n]; ok && l.env[n] != "" {
				l.cfg.Bots = []Bot{DefaultBot()}
				break
			}
		}
	}
	if len(l.cfg.Bots) != 1 {
		return
	}
	b := &l.cfg.Bots[0]
	if n := l.env["DUALGRAM_NAME"]; n != "" {
		b.Name = n
	}
	if b.Name == "" && !l.isBad("bots[0].name") {
		b.Name = "bot"
	}
}

// variable applies one variable.
func (l *loader) variable(name string, ts []target, setBy map[string]string, short map[string]leaf, known map[string][]target) {
	where := Origin{Source: SourceEnv, Var: name}
	switch len(ts) {
	case 0:
		l.unknownVariable(where, short, known)
		return
	case 1:
	default:
		l.problem(where, "", fmt.Sprintf("could mean %s and %s", ts[0].key(), ts[1].key()), "rename one of the bots, or set the key in the file")
		return
	}
	value := l.env[name]
	if value == "" {
		return
	}
	t := ts[0]
	key := t.key()
	if other, ok := setBy[key]; ok {
		l.problem(where, key, "is set by "+other+" too", "unset one of the two")
		return
	}
	setBy[key] = name

	root := reflect.ValueOf(l.cfg).Elem()
	if t.bot >= 0 {
		root = reflect.ValueOf(&l.cfg.Bots[t.bot]).Elem()
	}
	if t.leaf.section {
		if !isOff(value) {
			l.problem(where, key, quoted(value)+" is not off", "set it to off, or set the variables of the keys below "+key)
			return
		}
		setOff(t.leaf.resolve(root))
	} else {
		// A key below a section that the file switched off switches it on.
		l.switchOn(root, t, key, where, setBy)
		v := t.leaf.resolve(root)
		if t.leaf.off && isOff(value) {
			setOff(v)
		} else if err := setEnvText(v, value, name); err != nil {
			l.problem(where, key, err.what, err.fix)
		}
	}
	l.cfg.origins[key] = where
	delete(l.bad, key)
}

// switchOn clears the Off of the sections around a key, unless a variable set
// it: then the two contradict each other.
func (l *loader) switchOn(v reflect.Value, t target, key string, where Origin, setBy map[string]string) {
	prefix := strings.TrimSuffix(key, t.leaf.path)
	parts := strings.Split(t.leaf.path, ".")
	for i, index := range t.leaf.index[:len(t.leaf.index)-1] {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return
			}
			v = v.Elem()
		}
		v = v.Field(index)
		section := prefix + strings.Join(parts[:i+1], ".")
		off := reflect.Value{}
		if v.Kind() == reflect.Struct {
			off = v.FieldByName("Off")
		}
		if other, ok := setBy[section]; ok {
			l.problem(where, key, fmt.Sprintf("is set, and %s switches %s off", other, section), "unset one of the two")
		} else if off.IsValid() && off.Bool() {
			off.SetBool(false)
			delete(l.cfg.origins, section)
		}
	}
}

// setEnvText sets a field from a variable: a list has commas between its items.
func setEnvText(v reflect.Value, value, name string) *badValue {
	if v.Type() == secretType {
		v.Set(reflect.ValueOf(Secret{value: value, variable: name}))
		return nil
	}
	var items []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	if v.Type() == networksType {
		n, err := parseNetworks(items)
		if err == nil {
			v.Set(reflect.ValueOf(n))
		}
		return err
	}
	if v.Kind() != reflect.Slice || v.Type() == hookType {
		return setText(v, value)
	}
	out := reflect.MakeSlice(v.Type(), 0, len(items))
	for _, item := range items {
		e := reflect.New(v.Type().Elem()).Elem()
		if err := setText(e, item); err != nil {
			return err
		}
		out = reflect.Append(out, e)
	}
	v.Set(out)
	return nil
}

func (l *loader) unknownVariable(where Origin, short map[string]leaf, known map[string][]target) {
	if lf, ok := short[where.Var]; ok {
		if l.env[where.Var] == "" {
			return
		}
		if lf.path == "name" || len(l.cfg.Bots) == 0 {
			l.problem(where, "", "sets a key of a bot, and there is none", "add a bot under bots:, or set DUALGRAM_TOKEN")
			return
		}
		l.problem(where, "", fmt.Sprintf("doesn't say which of the %d bots it means", len(l.cfg.Bots)),
			"set "+EnvName("bots."+l.cfg.Bots[0].Name+"."+lf.path)+" or that of another bot")
		return
	}
	names := make([]string, 0, len(known))
	for n := range known {
		names = append(names, strings.TrimPrefix(n, envPrefix))
	}
	slices.Sort(names)
	fix := "unset it: every variable that starts with DUALGRAM_ has to be a key; see dualgram config print"
	if near, ok := Nearest(strings.TrimPrefix(where.Var, envPrefix), names); ok {
		fix = "did you mean " + envPrefix + near + "?"
		for _, t := range known[envPrefix+near] {
			l.bad[t.key()] = true
		}
	} else if strings.HasPrefix(where.Var, "DUALGRAM_BOTS_") {
		fix = "the name between BOTS_ and the key is the bot's, in capitals and with _ for -; the bot has to be in the file"
	}
	l.problem(where, "", "sets no key of the configuration", fix)
}
