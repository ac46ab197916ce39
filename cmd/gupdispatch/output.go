package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// jsonFlag adds --json to a command.
func jsonFlag(c *cobra.Command, asJSON *bool) {
	c.Flags().BoolVar(asJSON, "json", false, "print JSON, for programs")
}

// printJSON prints one value, indented.
func (e *env) printJSON(v any) error {
	enc := jsonEncoder(e.stdout)
	enc.SetIndent("", "  ")
	return printed(enc.Encode(v))
}

// printLine prints one value on one line, as NDJSON wants it.
func (e *env) printLine(v any) error { return printed(jsonEncoder(e.stdout).Encode(v)) }

func jsonEncoder(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // nobody puts this into a page
	return enc
}

func printed(err error) error {
	if err != nil {
		return fmt.Errorf("the result cannot be written: %w", err)
	}
	return nil
}

// jsonArray prints a JSON array element by element, so that its length costs no memory.
type jsonArray struct {
	w     io.Writer
	begun bool
}

// add prints one element.
func (a *jsonArray) add(v any) error {
	separator := ",\n  "
	if !a.begun {
		a.begun, separator = true, "[\n  "
	}
	b, err := json.Marshal(v)
	if err == nil {
		_, err = fmt.Fprintf(a.w, "%s%s", separator, b)
	}
	return printed(err)
}

// end closes the array, also when it is empty.
func (a *jsonArray) end() error {
	text := "\n]\n"
	if !a.begun {
		text = "[]\n"
	}
	_, err := io.WriteString(a.w, text)
	return printed(err)
}
