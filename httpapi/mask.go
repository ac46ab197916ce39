package httpapi

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/notify"
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

// showPayload shows the payload of a task of ours, field by field: what it should not hold it does not show, and free texts are masked.
// Ids and times, which may have many digits, are shown as they are. Other applications' payloads are theirs.
func showPayload(kind string, payload []byte) string {
	var err error
	var shown any
	switch kind {
	case message.TaskType:
		var t message.Task
		err = json.Unmarshal(payload, &t)
		t.To = maskNumbers(t.To)
		shown = t
	case notify.TaskType:
		var e notify.Event
		err = json.Unmarshal(payload, &e)
		e.Reason = maskNumbers(e.Reason)
		shown = e
	case notify.AlertType:
		var a notify.Alert
		err = json.Unmarshal(payload, &a)
		a.Note, a.By = maskNumbers(a.Note), maskNumbers(a.By)
		shown = a
	}
	if shown == nil || err != nil {
		return fmt.Sprintf("%d bytes, not shown: this is no task of gupdispatch's", len(payload))
	}
	text, err := json.Marshal(shown)
	if err != nil {
		return "not shown: " + err.Error()
	}
	return string(text)
}

// identifier is one word with a letter in it, as messageIds are.
var identifier = regexp.MustCompile(`^[A-Za-z0-9._=+/-]*[A-Za-z][A-Za-z0-9._=+/-]*$`)

// showResult shows what a finished task left: Gupshup's messageId.
func showResult(result []byte) string {
	if text := string(result); identifier.MatchString(text) {
		return text
	}
	return maskNumbers(string(result))
}

// lastError is the field of asynqmon's answers with the error of a task. In the text of another field its quotes would be escaped.
var lastError = regexp.MustCompile(`"error_message":"(?:[^"\\]|\\.)*"`)

// maskErrors masks the errors in an answer of asynqmon's.
func maskErrors(answer []byte) []byte {
	return lastError.ReplaceAllFunc(answer, func(field []byte) []byte { return []byte(maskNumbers(string(field))) })
}
