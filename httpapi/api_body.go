package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gupdispatch/gupdispatch/message"
)

// payload is a JSON body that becomes a T. What is wrong with it is kept until the handler asks, so that every problem is told in our own
// words, and one wrong element of a list does not spoil the others.
type payload[T any] struct {
	value T
	err   error
}

// take reads a whole body.
func (p *payload[T]) take(raw []byte) {
	if !json.Valid(raw) {
		p.err = newProblem(http.StatusBadRequest, "the body is not JSON")
		return
	}
	_ = p.UnmarshalJSON(raw)
}

// UnmarshalJSON never fails: see payload.
func (p *payload[T]) UnmarshalJSON(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	p.err = namedFields(dec.Decode(&p.value))
	return nil
}

// Schema tells huma that it is a T.
func (p payload[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, "")
}

// namedFields says which field encoding/json stumbled over, without its value. Messages say so by themselves.
func namedFields(err error) error {
	if err == nil {
		return nil
	}
	var fields message.FieldErrors
	if errors.As(err, &fields) {
		return fields
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		return wrong(kind.Field, "must be %s", kindText(kind.Type))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return wrong(strings.Trim(name, `"`), "is not a known field")
	}
	return newProblem(http.StatusUnprocessableEntity, "the body cannot be read: send the object that /docs describes")
}

func kindText(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	}
	return "an object"
}

// moment reads a time of a body, if it is there.
func moment(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, wrong(field, "must be a time such as 2026-01-31T18:00:00Z")
	}
	return t.UTC(), nil
}

// futureMoment is a moment that has not passed.
func futureMoment(field, text string, now time.Time) (time.Time, error) {
	t, err := moment(field, text)
	if err == nil && !t.IsZero() && !t.After(now) {
		err = wrong(field, "has passed already")
	}
	return t, err
}

// maxWords is how long a reason or a name may be, in characters: it is shown with everything that it is the reason of.
const maxWords = 200

// words checks a text for people.
func words(field, text string, required bool) (string, error) {
	text = strings.TrimSpace(text)
	switch n := utf8.RuneCountInString(text); {
	case n > maxWords:
		return "", wrong(field, "has %d characters; at most %d", n, maxWords)
	case required && n == 0:
		return "", wrong(field, "is missing: say why, for whoever looks at it next")
	}
	return text, nil
}
