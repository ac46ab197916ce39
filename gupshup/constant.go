package gupshup

import "encoding/json"

// TextType is the constant "text" in places where Gupshup's form has a type that is always the
// same. Its zero value is ready to use.
type TextType struct{}

// MarshalJSON writes "text".
func (TextType) MarshalJSON() ([]byte, error) { return []byte(`"text"`), nil }

// UnmarshalJSON accepts "text" alone.
func (TextType) UnmarshalJSON(raw []byte) error { return constant[TextType](raw, typeText) }

// SendLocation is the constant "send_location", the only action of a LocationRequest. Its zero
// value is ready to use.
type SendLocation struct{}

// MarshalJSON writes "send_location".
func (SendLocation) MarshalJSON() ([]byte, error) { return []byte(`"send_location"`), nil }

// UnmarshalJSON accepts "send_location" alone.
func (SendLocation) UnmarshalJSON(raw []byte) error {
	return constant[SendLocation](raw, "send_location")
}

func (TextType) wants() string     { return `"text"` }
func (SendLocation) wants() string { return `"send_location"` }

func constant[T wanted](raw []byte, want string) error {
	var got string
	if err := json.Unmarshal(raw, &got); err != nil || got != want {
		return mismatch[T]()
	}
	return nil
}
