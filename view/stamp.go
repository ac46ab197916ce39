package view

import "time"

// Stamp is a time as the contract writes it: RFC 3339 in UTC, to the millisecond; null for none.
type Stamp time.Time

const stampLayout = "2006-01-02T15:04:05.000Z07:00"

// String is the time, or "-" for none.
func (s Stamp) String() string {
	if s.IsZero() {
		return "-"
	}
	return time.Time(s).UTC().Format(stampLayout)
}

// MarshalJSON writes null for no time.
func (s Stamp) MarshalJSON() ([]byte, error) {
	if s.IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + s.String() + `"`), nil
}

// IsZero lets omitzero leave out what is not set.
func (s Stamp) IsZero() bool { return time.Time(s).IsZero() }
