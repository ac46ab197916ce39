package gupshup

import "encoding/json"

// Content is what one message says: a session message or a template. Its JSON form is the
// project's own, with the objects of Gupshup inside it.
type Content struct {
	// Message is a session message; exactly one of Message and Template is set.
	Message Message `json:"message,omitempty"`
	// Template is an approved template with its parameters.
	Template *Template `json:"template,omitempty"`
	// Media are the header of the template, if it has one.
	Media Media `json:"media,omitempty"`
	// PostbackTexts are what the template's quick-reply buttons post back.
	PostbackTexts []PostbackText `json:"postback_texts,omitempty"`
	// DisablePreview asks for no link preview in a session message.
	DisablePreview bool `json:"disable_preview,omitempty"`
	// Encode is needed for emoji in a list message.
	Encode bool `json:"encode,omitempty"`
}

// contentJSON is Content before its two interfaces are decoded.
type contentJSON struct {
	Message        json.RawMessage `json:"message,omitempty"`
	Template       *Template       `json:"template,omitempty"`
	Media          json.RawMessage `json:"media,omitempty"`
	PostbackTexts  []PostbackText  `json:"postback_texts,omitempty"`
	DisablePreview bool            `json:"disable_preview,omitempty"`
	Encode         bool            `json:"encode,omitempty"`
}

// MarshalJSON writes the form that UnmarshalJSON reads.
func (c Content) MarshalJSON() ([]byte, error) {
	type plain Content
	return encode(plain(c))
}

// UnmarshalJSON is strict: unknown fields are refused by name. Its errors are FieldErrors whose
// paths start at the content.
func (c *Content) UnmarshalJSON(raw []byte) error {
	var w contentJSON
	if err := strict(raw, &w); err != nil {
		return err
	}
	decoded := Content{
		Template: w.Template, PostbackTexts: w.PostbackTexts, DisablePreview: w.DisablePreview, Encode: w.Encode,
	}
	var p problems
	var err error
	if present(w.Message) {
		decoded.Message, err = DecodeMessage(w.Message)
		p.within("message", err)
	}
	if present(w.Media) {
		decoded.Media, err = DecodeMedia(w.Media)
		p.within("media", err)
	}
	if err := p.err(); err != nil {
		return err
	}
	*c = decoded
	return nil
}

func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// Validate returns FieldErrors naming every problem, or nil.
func (c Content) Validate() error {
	var p problems
	switch {
	case c.Message == nil && c.Template == nil:
		p.add("message", "is required unless there is a template")
	case c.Message != nil && c.Template != nil:
		p.add("template", "must be absent beside a message")
	}
	if c.Message != nil {
		p.within("message", c.Message.Validate())
	}
	if c.Template != nil {
		p.within("template", c.Template.Validate())
	}
	p.besideTemplate(c)
	p.besideMessage(c)
	return p.err()
}

// besideTemplate checks what belongs to a template only.
func (p *problems) besideTemplate(c Content) {
	if c.Media != nil {
		p.within("media", c.Media.Validate())
	}
	p.postbacks("postback_texts", c.PostbackTexts)
	switch {
	case c.Template == nil && c.Media != nil:
		p.add("media", "must be absent: only a template has media beside it")
	case c.Media != nil && (c.Template.Catalog || c.Template.MPM != nil):
		p.add("media", "must be absent: a template of products has no media")
	}
	if c.Template == nil && len(c.PostbackTexts) > 0 {
		p.add("postback_texts", "must be absent: only a template has postback texts beside it")
	}
}

// besideMessage checks what belongs to a session message only.
func (p *problems) besideMessage(c Content) {
	if c.Message != nil {
		return
	}
	if c.DisablePreview {
		p.add("disable_preview", "must be absent: only a session message has it")
	}
	if c.Encode {
		p.add("encode", "must be absent: only a session message has it")
	}
}

// TemplateID is the template's id, empty for a session message.
func (c Content) TemplateID() string {
	if c.Template == nil {
		return ""
	}
	return c.Template.ID
}
