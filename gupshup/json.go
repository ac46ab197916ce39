package gupshup

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
)

// encode is json.Marshal without escaping <, > and &: a browser never reads these texts, and
// links are full of ampersands.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// strict decodes one JSON value and refuses unknown fields and anything after the value. Its
// errors are FieldErrors that name the field and never quote a value.
func strict(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return decodeError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return FieldErrors{{"", "must be one JSON value with nothing after it"}}
	}
	return nil
}

// lenient decodes an object, and of it only the fields that into has.
func lenient(raw []byte, into any) error {
	if string(bytes.TrimSpace(raw)) == "null" {
		return FieldErrors{{"", "must be an object"}}
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return decodeError(err)
	}
	return nil
}

const unknownFieldPrefix = "json: unknown field "

// decodeError turns an error of encoding/json into FieldErrors. encoding/json has no type for
// an unknown field, so its text is taken apart here and nowhere else.
func decodeError(err error) error {
	var fields FieldErrors
	if errors.As(err, &fields) {
		return fields
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return FieldErrors{{fieldPath(wrong.Field), "must be " + jsonName(wrong.Type)}}
	}
	if name, ok := strings.CutPrefix(err.Error(), unknownFieldPrefix); ok {
		return FieldErrors{{clean(strings.Trim(name, `"`)), "is not a known field"}}
	}
	return FieldErrors{{"", "must be valid JSON"}}
}

// fieldPath drops the names of embedded Go structs, which are capitalised, from a path.
func fieldPath(path string) string {
	parts := strings.Split(path, ".")
	kept := parts[:0]
	for _, part := range parts {
		if part != "" && (part[0] < 'A' || part[0] > 'Z') && part != "tag" && part != "productTag" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ".")
}

// wanted is a type with a JSON form of its own.
type wanted interface{ wants() string }

// mismatch is an error to which encoding/json adds the path of the field, as it does to its own.
func mismatch[T wanted]() error {
	return &json.UnmarshalTypeError{Value: "value", Type: reflect.TypeFor[T]()}
}

// jsonName says in JSON's words what a Go type is decoded from.
func jsonName(t reflect.Type) string {
	if w, ok := reflect.Zero(t).Interface().(wanted); ok {
		return w.wants()
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map, reflect.Interface, reflect.Pointer:
		return "an object"
	default:
		return "a whole number"
	}
}
