package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

// oneDocument is a koanf.Parser for YAML that refuses a second document, which the library's own parser drops in silence.
type oneDocument struct{}

// Unmarshal parses a single YAML document whose top is a group of keys; an empty one is empty.
func (oneDocument) Unmarshal(data []byte) (map[string]any, error) {
	var top any
	d := yaml.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&top); err != nil && !errors.Is(err, io.EOF) {
		return nil, withoutValues(err)
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, errors.New(`a second document begins at "---", and only one is read`)
	}
	if top == nil {
		return map[string]any{}, nil
	}
	keys, ok := asMap(top)
	if !ok {
		return nil, fmt.Errorf("the file is %s and not a group of keys", kindOf(top))
	}
	return keys, nil
}

// Marshal is part of koanf.Parser; nothing here writes configuration.
func (oneDocument) Marshal(map[string]any) ([]byte, error) { return nil, errors.ErrUnsupported }

// The library quotes the text it could not read, and that text may be somebody's key.
var quoted = regexp.MustCompile("(?s)`.*`|\".*\"|'.*'")

func withoutValues(err error) error {
	return errors.New(quoted.ReplaceAllString(err.Error(), "…"))
}

// asMap returns a copy of a YAML mapping with its keys as text, so that callers may take entries out of it.
func asMap(in any) (map[string]any, bool) {
	switch m := in.(type) {
	case map[string]any:
		return maps.Clone(m), true
	case map[any]any: // what the library makes of a mapping with a key such as 1002
		out := make(map[string]any, len(m))
		for k, v := range m {
			out[fmt.Sprint(k)] = v
		}
		return out, true
	}
	return nil, false
}

// kindOf names a parsed YAML value for people.
func kindOf(in any) string {
	switch in.(type) {
	case nil:
		return "empty"
	case string:
		return "text"
	case bool:
		return "true or false"
	case int, int64, uint64, float64:
		return "a number"
	case []any:
		return "a list"
	case map[string]any, map[any]any:
		return "a group of keys"
	}
	return "a date" // the one kind that is left: YAML reads 2026-01-02 as a time
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
