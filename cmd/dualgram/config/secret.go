package config

import (
	"encoding/json"
	"fmt"
)

// Secret is a value that is never printed: every way of formatting it shows
// where it came from instead. Use [Secret.Reveal] where it is needed.
type Secret struct {
	value    string
	variable string
}

// NewSecret wraps a value that did not come from a variable.
func NewSecret(value string) Secret { return Secret{value: value} }

// Reveal returns the value.
func (s Secret) Reveal() string { return s.value }

// Variable is the name of the environment variable that held the value; empty
// if none did.
func (s Secret) Variable() string { return s.variable }

// IsZero says whether there is no value.
func (s Secret) IsZero() bool { return s.value == "" }

// String is ${NAME}, [secret] or empty.
func (s Secret) String() string {
	switch {
	case s.value == "":
		return ""
	case s.variable != "":
		return "${" + s.variable + "}"
	}
	return "[secret]"
}

// Format keeps every verb, %#v included, from the value.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText is [Secret.String].
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON is [Secret.String].
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// SecretVariables are the names of the variables that held secrets of the
// configuration.
func SecretVariables(cfg *Config) []string {
	var names []string
	add := func(s Secret) {
		if s.variable != "" {
			names = append(names, s.variable)
		}
	}
	for i := range cfg.Bots {
		add(cfg.Bots[i].Token)
		add(cfg.Bots[i].Webhook.SecretToken)
	}
	if w := cfg.Notify.Webhook; w != nil {
		add(w.URL)
		add(w.Secret)
	}
	if cfg.Heartbeat != nil {
		add(cfg.Heartbeat.URL)
	}
	return names
}
