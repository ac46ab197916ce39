package gupshup

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	shortestText = 4  // characters; a shorter one is part of ordinary words, and says nothing
	longText     = 24 // characters; of a text with more the beginning is recognised, since a reason is cut off
)

// withholdTexts takes out of a reason what a reply has quoted of the message: a one-time password, a name, a text. The words stand
// for themselves wherever people read reasons.
func withholdTexts(reason string, form url.Values) string {
	if reason == "" {
		return ""
	}
	var texts []string
	for _, field := range []string{"message", "template"} {
		var content any
		if json.Unmarshal([]byte(form.Get(field)), &content) == nil {
			texts = gather(texts, "", content)
		}
	}
	slices.SortFunc(texts, func(a, b string) int { return len(b) - len(a) }) // one may be part of another
	for _, text := range texts {
		reason = strings.ReplaceAll(reason, text, "[text]")
		if begin := firstRunes(text, longText); begin != text {
			if at := strings.Index(reason, begin); at >= 0 {
				reason = reason[:at] + "[text]"
			}
		}
	}
	return reason
}

// gather adds the texts of a JSON value, masked as reasons are. What names a kind or a template is no text.
func gather(texts []string, key string, value any) []string {
	switch v := value.(type) {
	case string:
		text := masked(v)
		if key != "type" && key != "id" && utf8.RuneCountInString(text) >= shortestText {
			texts = append(texts, text)
		}
	case []any:
		for _, e := range v {
			texts = gather(texts, key, e)
		}
	case map[string]any:
		for k, e := range v {
			texts = gather(texts, k, e)
		}
	}
	return texts
}
