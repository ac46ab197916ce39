package gupshup

import (
	"encoding/json"
	"iter"
)

// elements are those of a JSON array, each decoded when its turn comes; none if raw is absent or no array. One of the wrong type
// is a zero T: something was told, if nobody knows what. Raw must be valid JSON, as a part of a decoded body is.
func elements[T any](raw json.RawMessage) iter.Seq[T] {
	return func(yield func(T) bool) {
		if len(raw) == 0 || raw[0] != '[' {
			return
		}
		for rest := raw[1:]; len(rest) > 0; {
			end := elementEnd(rest)
			var element T
			// Between the brackets of an empty array is nothing that decodes.
			if decodes(rest[:end], &element) && !yield(element) {
				return
			}
			rest = rest[end+1:]
		}
	}
}

// elementEnd is the place of the comma or bracket behind the first element of what is left of an array.
func elementEnd(raw []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quoted && c == '\\':
			i++ // what is escaped may be a quote
		case c == '"':
			quoted = !quoted
		case quoted:
		case depth == 0 && (c == ',' || c == ']'):
			return i
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		}
	}
	return len(raw) - 1 // not in valid JSON
}
