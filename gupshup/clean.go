package gupshup

import (
	"strings"
	"unicode"
)

const (
	maxReason   = 200  // characters of a provider's text that are kept
	maxReasonIn = 2048 // bytes of it that are looked at
	maskedRun   = 7    // digits in a row that could be a phone number
)

// clean makes a text of the provider safe to log and to show: valid UTF-8 in one line, without
// control and formatting characters, URLs and long runs of digits masked, at most 200 characters.
func clean(text string) string {
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
	words := strings.Fields(text)
	for i, word := range words {
		words[i] = maskDigits(maskURL(word))
	}
	return firstRunes(strings.Join(words, " "), maxReason)
}

func maskURL(word string) string {
	if i := strings.Index(word, "://"); i >= 0 {
		return "[url]"
	}
	return word
}

// maskDigits replaces every run of at least seven digits.
func maskDigits(word string) string {
	var b strings.Builder
	run := []rune(nil)
	flush := func() {
		if len(run) >= maskedRun {
			b.WriteString("[number]")
		} else {
			b.WriteString(string(run))
		}
		run = run[:0]
	}
	for _, r := range word {
		if unicode.IsDigit(r) {
			run = append(run, r)
			continue
		}
		flush()
		b.WriteRune(r)
	}
	flush()
	return b.String()
}

func firstRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
