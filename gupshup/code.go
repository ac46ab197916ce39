package gupshup

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Code is one row of the table of the codes that Gupshup and WhatsApp report, in callbacks and
// now and then in a reply.
type Code struct {
	// Code is the number as text, or a range such as "200-299"; LookupCode finds both.
	Code string
	// Class is what kind of thing went wrong.
	Class Class
	// Meaning is the provider's description, shortened.
	Meaning string
	// Suppress says whether the recipient's number must not be tried again.
	Suppress Suppression
	// Source says whose code it is: one of the Source… constants.
	Source string
}

// Scope says which messages a suppression keeps from a number.
type Scope string

// The scopes of a suppression.
const (
	SuppressNone Scope = ""     // nothing
	SuppressAll  Scope = "all"  // every message
	SuppressBulk Scope = "bulk" // campaigns only
)

// Suppression keeps a sender from sending to a number.
type Suppression struct {
	Scope Scope
	// For is how long; 0 is until someone lifts it.
	For time.Duration
}

// Where a code was learned.
const (
	SourceGupshup   = "https://docs.gupshup.io/docs/error-and-status-messages"
	SourceOnPremise = "https://developers.facebook.com/docs/whatsapp/api/errors"
	SourceCloud     = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes"
)

// Codes returns the whole table: Gupshup's codes, then those of WhatsApp's retired on-premise
// API that do not collide with them, then those of Meta's Cloud API.
func Codes() []Code { return slices.Clone(codes) }

// LookupCode finds the row of a code, also within a range. Numbers from 1001 to 1012 have
// Gupshup's meaning, not the on-premise one.
func LookupCode(code string) (Code, bool) {
	if row, ok := codeIndex[code]; ok {
		return row, true
	}
	n, err := strconv.Atoi(code)
	if err != nil {
		return Code{}, false
	}
	for _, row := range codes {
		if low, high, ok := row.bounds(); ok && low <= n && n <= high {
			return row, true
		}
	}
	return Code{}, false
}

// bounds are the ends of a range such as "200-299"; ok is false for a single code.
func (c Code) bounds() (low, high int, ok bool) {
	from, to, found := strings.Cut(c.Code, "-")
	if !found {
		return 0, 0, false
	}
	low, errLow := strconv.Atoi(from)
	high, errHigh := strconv.Atoi(to)
	return low, high, errLow == nil && errHigh == nil
}

// codeIndex is the table by code; like the table it is never written to.
var codeIndex = func() map[string]Code {
	index := make(map[string]Code, len(codes))
	for _, row := range codes {
		index[row.Code] = row
	}
	return index
}()
