package gupshup

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Bounds of what is kept of a callback, in characters; ids have maxMessageID.
const (
	maxLabel    = 64
	maxApp      = 128
	maxTapped   = 256  // WhatsApp shows at most 25
	maxPostback = 1024 // documented nowhere
	maxPhone    = 20   // E.164 has at most 15 digits
)

// word is a JSON string or number as text, trimmed; empty for anything else. It never fails to decode: callbacks carry codes and
// times in both forms, and a field that came in a third must not cost the event.
type word string

// UnmarshalJSON never returns an error, which would end the decoding of the whole body.
func (w *word) UnmarshalJSON(raw []byte) error {
	*w = ""
	if plain(raw) {
		*w = word(strings.TrimSpace(string(raw[1 : len(raw)-1])))
		return nil
	}
	*w = word(scalar(raw))
	return nil
}

// plain tells whether raw is a JSON string that stands for itself, as nearly all in callbacks do.
func plain(raw []byte) bool {
	if len(raw) < 2 || raw[0] != '"' {
		return false
	}
	for _, c := range raw[1 : len(raw)-1] {
		if c == '\\' || c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// first is the first that is not empty.
func first(words ...word) word {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// id is an opaque id; one that is too long to be any counts as absent, since a part of it would name something else.
func (w word) id() string {
	if len(w) > maxMessageID {
		return ""
	}
	return string(w)
}

// phone is an international number's digits; empty for everything else, such as the literal "callbackSetPhone" that comes when
// a callback URL is set.
func (w word) phone() string {
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" +-().", r) {
			return -1
		}
		return r
	}, string(w))
	if len(digits) > maxPhone {
		return ""
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return ""
		}
	}
	return digits
}

// code is a code as the table has it, also where it came as "1002", 1002.0 or 01002. A number of eight digits or more is no code
// and could be a phone number; it is masked. A word is kept: it is unknown, and somebody will want to look it up.
func (w word) code() string {
	if n, err := strconv.ParseFloat(string(w), 64); err == nil && n == math.Trunc(n) && math.Abs(n) < 10_000_000 {
		return strconv.FormatInt(int64(n), 10)
	}
	return w.label()
}

// lastMilli is the last instant of the year 9999; a number behind it is no time, in whatever unit.
const lastMilli = 253_402_300_799_999

// firstMilli tells seconds and milliseconds apart: read as seconds, it is in the year 5138; read as milliseconds, in 1973.
const firstMilli = 100_000_000_000

// instant is a time since 1970, in seconds or milliseconds: which of them, differs by field, and in v3 by event. It is zero for
// what is no time, such as the 0 of documented samples.
func (w word) instant() time.Time {
	milli, err := strconv.ParseFloat(string(w), 64)
	if milli < firstMilli {
		milli *= 1000
	}
	if err != nil || !(milli >= 1 && milli <= lastMilli) { // not a number is neither
		return time.Time{}
	}
	return time.UnixMilli(int64(milli)).UTC()
}

// label is a name of the provider's: safe to log and to show, at most 64 characters.
func (w word) label() string {
	if len(w) <= maxLabel && isName(w) {
		return string(w)
	}
	return firstRunes(clean(string(w)), maxLabel)
}

// isName tells whether clean would leave w as it is: letters, hyphens and underscores, which is what names here are made of.
func isName(w word) bool {
	for i := range len(w) {
		c := w[i] | 0x20
		if (c < 'a' || c > 'z') && w[i] != '-' && w[i] != '_' {
			return false
		}
	}
	return true
}

// line is at most most characters of a text, in one line, without control and formatting characters. It masks nothing: the names
// of apps and the texts of buttons are the operator's own.
func (w word) line(most int) string {
	text := firstRunes(string(w), most)
	asIs := true
	for i := range len(text) {
		asIs = asIs && text[i] >= ' ' && text[i] <= '~'
	}
	if asIs {
		return text
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, text)
}

// category of a template is a word, or two of them, before and after: {"old","new"} or {"current","correct"}.
type category struct{ now word }

// UnmarshalJSON never returns an error, like word's.
func (c *category) UnmarshalJSON(raw []byte) error {
	var pair struct {
		New     word `json:"new"`
		Correct word `json:"correct"`
		Current word `json:"current"`
	}
	c.now = word(scalar(raw))
	if len(raw) > 0 && raw[0] == '{' && json.Unmarshal(raw, &pair) == nil {
		c.now = first(pair.New, pair.Correct, pair.Current)
	}
	return nil
}
