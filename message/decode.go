package message

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

// fieldErrors names the field that encoding/json stumbled over, in the words of our other errors and without its value. keys are the
// object's own: an error about a time does not say whose it is.
func fieldErrors(err error, keys map[string]json.RawMessage) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return gupshup.FieldErrors{{Field: kind.Field, Problem: "must be " + jsonKind(kind.Type)}}
	}
	if problems := timeErrors(keys); len(problems) > 0 {
		return problems
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return gupshup.FieldErrors{{Field: strings.Trim(name, `"`), Problem: "is not a known field"}}
	}
	return err
}

func jsonKind(t reflect.Type) string {
	if t.Kind() == reflect.String {
		return "a string, in quotes"
	}
	return "an object"
}

func timeErrors(keys map[string]json.RawMessage) (problems gupshup.FieldErrors) {
	for _, k := range []string{"send_at", "expires_at"} {
		var t *time.Time
		if raw, ok := keys[k]; ok && json.Unmarshal(raw, &t) != nil {
			problems = append(problems, gupshup.FieldError{Field: k, Problem: "must be a time such as 2026-01-31T18:00:00Z"})
		}
	}
	return problems
}
