package gupshup

import (
	"encoding/json"
	"net/url"
	"strings"
)

// Request is one message from one number to another.
type Request struct {
	// Source is the sender's business number and AppName the Gupshup app it belongs to.
	Source, AppName string
	// Destination is the recipient's number. Both numbers are international: digits only, no +.
	Destination string
	Content     Content
}

// maxDigits is the longest E.164 number.
const maxDigits = 15

// Form is the request's body. It refuses, with FieldErrors, what Gupshup would misunderstand:
// numbers that are not plain digits, a missing app name, neither or both of message and
// template, and a template id that is not a UUID. It does not repeat the rest of
// Content.Validate, which belongs to where a message is accepted.
func (r Request) Form() (url.Values, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	form := make(url.Values, 8)
	form["channel"] = []string{"whatsapp"}
	form["source"] = []string{r.Source}
	form["src.name"] = []string{r.AppName}
	form["destination"] = []string{r.Destination}
	if r.Content.Template != nil {
		return form, r.Content.templateFields(form)
	}
	return form, r.Content.messageFields(form)
}

func (r Request) check() error {
	var p problems
	p.digits("source", r.Source)
	p.digits("destination", r.Destination)
	if strings.TrimSpace(r.AppName) == "" {
		p.add("src.name", "is required")
	}
	c := r.Content
	if (c.Message == nil) == (c.Template == nil) {
		p.add("content", "must be either a message or a template")
	}
	if c.Template != nil && !isUUID(c.Template.ID) {
		p.add("template.id", "must be the template's UUID at Gupshup")
	}
	return p.err()
}

func (p *problems) digits(field, number string) {
	if number == "" || len(number) > maxDigits || strings.Trim(number, "0123456789") != "" {
		p.add(field, "must be a number in international form: 1 to %d digits, without +", maxDigits)
	}
}

func (c Content) messageFields(form url.Values) error {
	if c.DisablePreview {
		form["disablePreview"] = []string{"true"}
	}
	if c.Encode {
		form["encode"] = []string{"true"}
	}
	return setJSON(form, "message", c.Message)
}

func (c Content) templateFields(form url.Values) error {
	if err := setJSON(form, "template", c.Template.wire()); err != nil {
		return err
	}
	if c.Media != nil {
		if err := setJSON(form, "message", c.Media); err != nil {
			return err
		}
	}
	if len(c.PostbackTexts) > 0 {
		return setJSON(form, "postbackTexts", c.PostbackTexts)
	}
	return nil
}

// templateWire is the template object of Gupshup's form.
type templateWire struct {
	ID         string   `json:"id"`
	Params     []string `json:"params"`
	Expiration int64    `json:"expiration,omitempty"`
	MPM        *MPM     `json:"mpm,omitempty"`
}

// wire drops our own fields and writes no parameters as [], never as null.
func (t Template) wire() templateWire {
	params := t.Params
	if params == nil {
		params = []string{}
	}
	return templateWire{ID: t.ID, Params: params, Expiration: t.Expiration, MPM: t.MPM}
}

func setJSON(form url.Values, field string, v any) error {
	var raw []byte
	var err error
	if m, ok := v.(json.Marshaler); ok {
		raw, err = m.MarshalJSON() // encode would parse and copy its result once more
	} else {
		raw, err = encode(v)
	}
	if err != nil {
		return FieldErrors{{field, "cannot be written as JSON"}}
	}
	form[field] = []string{string(raw)}
	return nil
}
