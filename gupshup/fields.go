package gupshup

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// FieldError is one problem of one field. Field is a path in the names of the JSON form, such
// as "message.options[1].title"; Problem is a phrase without the field's value.
type FieldError struct{ Field, Problem string }

// Error gives the field and its problem.
func (e FieldError) Error() string {
	if e.Field == "" {
		return e.Problem
	}
	return e.Field + ": " + e.Problem
}

// FieldErrors is every problem found in one value.
type FieldErrors []FieldError

// Error gives all problems, separated by semicolons.
func (e FieldErrors) Error() string {
	parts := make([]string, len(e))
	for i, f := range e {
		parts[i] = f.Error()
	}
	return strings.Join(parts, "; ")
}

// problems collects FieldErrors. The limits are counted in runes: the documentation says
// "characters" and nothing more, and a rune is what a person would count in nearly all texts.
type problems struct{ found FieldErrors }

// err returns nil when nothing was found, and not a nil slice in an error.
func (p *problems) err() error {
	if len(p.found) == 0 {
		return nil
	}
	return p.found
}

func (p *problems) add(field, format string, args ...any) {
	p.found = append(p.found, FieldError{Field: field, Problem: fmt.Sprintf(format, args...)})
}

// within adds the problems of a nested value below a path.
func (p *problems) within(path string, err error) {
	nested, ok := err.(FieldErrors) //nolint:errorlint // our own Validate methods return it bare
	if !ok {
		if err != nil {
			p.add(path, "%v", err)
		}
		return
	}
	for _, f := range nested {
		p.found = append(p.found, FieldError{Field: join(path, f.Field), Problem: f.Problem})
	}
}

func join(path, field string) string {
	switch {
	case path == "":
		return field
	case field == "":
		return path
	case field[0] == '[':
		return path + field
	default:
		return path + "." + field
	}
}

// at is the path of a field of an element of a list.
func at(list string, i int, field string) string {
	return join(list+"["+strconv.Itoa(i)+"]", field)
}

// required reports an empty or too long text.
func (p *problems) required(field, text string, limit int) {
	if strings.TrimSpace(text) == "" {
		p.add(field, "is required")
		return
	}
	p.limited(field, text, limit)
}

// limited reports a text of more than limit runes; a limit of 0 is none.
func (p *problems) limited(field, text string, limit int) {
	if !utf8.ValidString(text) {
		p.add(field, "must be valid UTF-8")
		return
	}
	if n := utf8.RuneCountInString(text); limit > 0 && n > limit {
		p.add(field, "must have at most %d characters, has %d", limit, n)
	}
}

// count reports a list that is too short or too long.
func (p *problems) count(field, what string, n, lowest, highest int) {
	switch {
	case n < lowest:
		p.add(field, "must have at least %d %s", lowest, what)
	case n > highest:
		p.add(field, "must have at most %d %s, has %d", highest, what, n)
	}
}

// link reports a text that is not an absolute http or https URL. Gupshup fetches it later and
// from elsewhere, so a wrong one would only show up as an asynchronous failure.
func (p *problems) link(field, raw string) {
	if strings.TrimSpace(raw) == "" {
		p.add(field, "is required")
		return
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || strings.ContainsAny(raw, " \t\r\n"):
		p.add(field, "must be an absolute http or https URL")
	case u.Scheme != "http" && u.Scheme != "https":
		p.add(field, "must be an http or https URL, not %q", u.Scheme)
	}
}

// source reports media that are not named by exactly one of id and URL.
func (p *problems) source(id, urlField, link string) {
	switch {
	case id == "" && link == "":
		p.add(urlField, "is required unless id is given")
	case id != "" && link != "":
		p.add("id", "must be empty when %s is given: media have an id or a URL", urlField)
	case id != "":
		p.required("id", id, 0)
	default:
		p.link(urlField, link)
	}
}

// absent reports a text where there must be none.
func (p *problems) absent(field, text, why string) {
	if text != "" {
		p.add(field, "must be absent: %s", why)
	}
}
