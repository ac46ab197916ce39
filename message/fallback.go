package message

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

// fallbackKey is the key of the message object that holds its fallback, an object with the keys of a content.
const fallbackKey = "fallback"

// HasFallback says whether the message has something to be sent instead.
func (m Message) HasFallback() bool { return !blank(m.Fallback) }

// blank says whether a content was left out.
func blank(c gupshup.Content) bool {
	return c.Message == nil && c.Template == nil && c.Media == nil && len(c.PostbackTexts) == 0 && !c.DisablePreview && !c.Encode
}

// optionalFallback is what the message object holds under fallbackKey: nothing if there is no fallback.
func (m Message) optionalFallback() *gupshup.Content {
	if !m.HasFallback() {
		return nil
	}
	return &m.Fallback
}

// decodeFallback reads what the message object holds under fallbackKey. An empty object is an error: whoever writes it means something
// to be sent, and would learn only without an open session that nothing is.
func decodeFallback(raw json.RawMessage) (c gupshup.Content, err error) {
	if len(raw) == 0 || string(raw) == "null" {
		return c, nil
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, fallbackErrors(err)
	}
	if blank(c) {
		return c, gupshup.FieldErrors{templateMissing()}
	}
	return c, nil
}

// fallbackProblems checks what is sent instead of content: a template, and instead of a session message only, since a template needs no
// session.
func fallbackProblems(content, fallback gupshup.Content) (problems gupshup.FieldErrors) {
	if blank(fallback) {
		return nil
	}
	if content.Template != nil {
		problems = append(problems, gupshup.FieldError{
			Field: fallbackKey, Problem: "must be absent beside a template: it is for session messages, and a template needs no session",
		})
	}
	if fallback.Message != nil {
		problems = append(problems, gupshup.FieldError{
			Field: fallbackKey + ".message", Problem: "must be absent: without an open session only a template can be sent",
		})
	}
	switch {
	case fallback.Template == nil && fallback.Message == nil:
		return append(problems, templateMissing())
	case fallback.Template == nil:
		return problems
	}
	fallback.Message = nil // reported already
	if err := fallback.Validate(); err != nil {
		problems = append(problems, fallbackErrors(err)...)
	}
	if raw, err := json.Marshal(fallback); err == nil && len(raw) > MaxContentLength {
		problems = append(problems, gupshup.FieldError{
			Field: fallbackKey, Problem: fmt.Sprintf("has %d bytes; at most %d", len(raw), MaxContentLength),
		})
	}
	return problems
}

func templateMissing() gupshup.FieldError {
	return gupshup.FieldError{Field: fallbackKey + ".template", Problem: "is required: name the template that is sent without an open session"}
}

// fallbackErrors puts the path of the fallback before each field of an error about its content.
func fallbackErrors(err error) gupshup.FieldErrors {
	var fields gupshup.FieldErrors
	if !errors.As(err, &fields) {
		return gupshup.FieldErrors{{Field: fallbackKey, Problem: "must be an object such as {\"template\":{\"id\":…,\"params\":[…]}}"}}
	}
	within := make(gupshup.FieldErrors, len(fields))
	for i, f := range fields {
		path := fallbackKey
		if f.Field != "" {
			path += "." + f.Field
		}
		within[i] = gupshup.FieldError{Field: path, Problem: f.Problem}
	}
	return within
}
