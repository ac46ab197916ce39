package httpapi

import (
	"regexp"
	"strings"
)

// suspect finds what may be a phone number: a run of 7 or more digits, or a
// number written with a leading plus and spaces, dots, dashes or brackets in
// it. UUIDs match first, so that template and message ids are recognised.
var suspect = regexp.MustCompile(
	`\b[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b` +
		`|\+\d[\d .()-]{5,}\d|\d{7,}`)

// shortNumber is how many digits a number may have to show only its first two:
// four of seven and the last two would leave a single digit to guess.
const shortNumber = 9

// maskNumbers replaces the middle of everything that may be a phone number with
// asterisks. It keeps the first two to four digits, which tell the country, and
// the last two. It is the second line of defence: our own tasks carry masked
// numbers only.
func maskNumbers(text string) string {
	return suspect.ReplaceAllStringFunc(text, maskNumber)
}

func maskNumber(match string) string {
	digits := 0
	for _, c := range match {
		if isDigit(c) {
			digits++
		}
	}
	if digits < 7 || isUUID(match) {
		return match
	}
	head := 4
	if digits <= shortNumber {
		head = 2
	}
	seen := 0
	return strings.Map(func(c rune) rune {
		if !isDigit(c) {
			return c
		}
		seen++
		if seen > head && seen <= digits-2 {
			return '*'
		}
		return c
	}, match)
}

func isDigit(c rune) bool { return '0' <= c && c <= '9' }

// isUUID tells the first kind of match from the others, which begin with a plus
// or hold nothing but digits.
func isUUID(match string) bool {
	return !strings.HasPrefix(match, "+") && strings.Contains(match, "-")
}
