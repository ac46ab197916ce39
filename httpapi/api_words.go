package httpapi

import (
	"fmt"
	"regexp"
	"strings"
)

// ownWords says in our words what huma found wrong with a parameter; what it does not know it leaves as it is.
func ownWords(text string) string {
	for _, w := range theirWords {
		if found := w.theirs.FindStringSubmatch(text); found != nil {
			return strings.ReplaceAll(w.ours, "$1", strings.Join(found[1:], ""))
		}
	}
	return text
}

// theirWords are what huma says of the parameters that we have.
var theirWords = []struct {
	theirs *regexp.Regexp
	ours   string
}{
	{regexp.MustCompile(`^invalid date/time for format `), "must be a time such as 2026-01-31T18:00:00Z"},
	{regexp.MustCompile(`^invalid (?:integer|value for integer)`), "must be a whole number"},
	{regexp.MustCompile(`^invalid float`), "must be a number"},
	{regexp.MustCompile(`^invalid boolean`), "must be true or false"},
	{regexp.MustCompile(`^expected number >= (\S+)$`), "must be at least $1"},
	{regexp.MustCompile(`^expected number <= (\S+)$`), "must be at most $1"},
	{regexp.MustCompile(`^expected length <= (\d+)$`), "is too long: at most $1 characters"},
	{regexp.MustCompile(`^expected length >= (\d+)$`), "is too short: at least $1 characters"},
	{regexp.MustCompile(`^expected value to be one of "(.*)"$`), "must be one of $1"},
	{regexp.MustCompile(`^expected string to match pattern (.*)$`), "must match $1"},
	{regexp.MustCompile(`^unknown query parameter$`), "is not a known parameter"},
	{regexp.MustCompile(`^required \S+ parameter is missing$`), "is missing"},
}

// ownDetail says in our words why huma refused a request as a whole.
func ownDetail(text string) string {
	var limit int64
	if n, _ := fmt.Sscanf(text, "request body is too large limit=%d bytes", &limit); n == 1 {
		if limit >= 1<<20 {
			return fmt.Sprintf("the body is too large: at most %d MiB", limit>>20)
		}
		return fmt.Sprintf("the body is too large: at most %d KiB", limit>>10)
	}
	switch text {
	case "request body read timeout":
		return "the body did not come in time: send it again"
	case "cannot read request body":
		return "the body broke off: send it again"
	case "request body is required":
		return "the body is missing: send the object that /docs describes"
	}
	return text
}
