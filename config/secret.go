package config

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
)

const redacted = "[redacted]"

// Secret is a text that prints as "[redacted]" with every verb of fmt and in JSON, YAML and logs. Reveal is the only way to its value.
// The zero Secret is not set.
type Secret struct {
	// A pointer, because fmt does not call Format for a Secret within somebody's unexported field, and then prints an address.
	value *string
}

// NewSecret wraps a text; an empty one gives a Secret that is not set.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: &value}
}

// Reveal returns the text itself, "" when none is set. Give the result only to what needs it, never to a log or an error.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsSet tells whether there is a value.
func (s Secret) IsSet() bool { return s.value != nil }

// Matches compares in a time that tells nothing about the value. A Secret that is not set matches nothing, not even "".
func (s Secret) Matches(given string) bool {
	want, got := sha256.Sum256([]byte(s.Reveal())), sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && s.IsSet()
}

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// GoString returns "[redacted]", for %#v.
func (Secret) GoString() string { return redacted }

// Format writes "[redacted]" for every verb, including those that String and GoString do not cover, such as %x.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText returns "[redacted]"; YAML, XML and structured logs use it.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "[redacted]" as a JSON string.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// UnmarshalText sets the value; it never fails.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}
