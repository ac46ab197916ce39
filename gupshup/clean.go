package gupshup

import (
	"regexp"
	"strings"
	"unicode"
)

const (
	maxReason   = 200  // characters of a provider's text that are kept
	maxReasonIn = 2048 // bytes of it that are looked at
)

// clean makes a text of the provider safe to log and to show: valid UTF-8 in one line, without
// control and formatting characters, URLs and long runs of digits masked, at most 200 characters.
func clean(text string) string { return firstRunes(masked(text), maxReason) }

// masked is clean without the limit.
func masked(text string) string {
	if len(text) > maxReasonIn {
		text = text[:maxReasonIn]
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	text = strings.Join(strings.Fields(text), " ")
	text = urls.ReplaceAllString(text, "[url]")
	return numbers.ReplaceAllString(text, "[number]")
}

var (
	urls = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://\S+`)
	// numbers are seven digits or more, also when grouped as people write phone numbers.
	numbers = regexp.MustCompile(`\+?\p{Nd}(?:[ .()/-]{0,2}\p{Nd}){6,}`)
)

func firstRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
