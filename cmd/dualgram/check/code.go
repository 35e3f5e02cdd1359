package check

import "slices"

// Code is the stable name of a check. It is never given to another.
type Code string

// Category groups codes.
type Category string

// Kind is one line of the registry.
type Kind struct {
	Code     Code
	Category Category
	// Name is what the table shows, in a few words.
	Name string
	// Meaning says what is wrong when the check fails, as a sentence.
	Meaning string
	// Fix says what to do, as a sentence; a result may know a better one.
	Fix string
	// Runbook names the page that tells more: dualgram runbook NAME.
	Runbook string
	// PerBot: there is a result for each bot.
	PerBot bool
	// Online: the answer comes from beyond this host.
	Online bool
}

// Kinds lists the registry in the order of the table. The caller must not change it.
func Kinds() []Kind { return kinds }

// Lookup returns the kind of a code.
func Lookup(c Code) (Kind, bool) {
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Code == c })
	if i < 0 {
		return Kind{}, false
	}
	return kinds[i], true
}

// Categories lists the categories in the order of the table.
func Categories() []string {
	var out []string
	for _, k := range kinds {
		if !slices.Contains(out, string(k.Category)) {
			out = append(out, string(k.Category))
		}
	}
	return out
}
