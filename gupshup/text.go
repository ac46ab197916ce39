package gupshup

// The limits of texts, in characters. Source: Meta's message reference, and Gupshup's
// documentation of interactive messages; Gupshup itself does not document whether it enforces
// them at once or lets the message fail later.
const (
	maxText            = 4096
	maxCaption         = 1024
	maxInteractiveBody = 1024
	maxHeader          = 60
	maxFooter          = 60
	maxButton          = 20
)

// Context quotes an earlier message.
type Context struct {
	// MsgID is the id of the quoted message, Gupshup's or WhatsApp's.
	MsgID string `json:"msgId"`
}

// Text is a plain text message.
type Text struct {
	// Text has at most 4096 characters.
	Text string `json:"text"`
	// PreviewURL shows a preview of the first link.
	PreviewURL bool     `json:"previewUrl,omitempty"`
	Context    *Context `json:"context,omitempty"`
}

// Type is "text".
func (Text) Type() string { return typeText }
func (Text) message()     {}

// MarshalJSON writes Gupshup's form, with the type.
func (m Text) MarshalJSON() ([]byte, error) {
	type plain Text
	return encode(struct {
		tag
		plain
	}{tag{typeText}, plain(m)})
}

// Validate checks the length of the text.
func (m Text) Validate() error {
	var p problems
	p.required("text", m.Text, maxText)
	p.quote(m.Context)
	return p.err()
}

// Reaction puts an emoji on a message, or takes it away.
type Reaction struct {
	// MsgID is Gupshup's id of the message reacted to.
	MsgID string `json:"msgId"`
	// Emoji is one emoji; empty takes the reaction away.
	Emoji string `json:"emoji"`
}

// Type is "reaction".
func (Reaction) Type() string { return typeReaction }
func (Reaction) message()     {}

// MarshalJSON writes Gupshup's form, with the type.
func (m Reaction) MarshalJSON() ([]byte, error) {
	type plain Reaction
	return encode(struct {
		tag
		plain
	}{tag{typeReaction}, plain(m)})
}

// Validate checks that a message is named.
func (m Reaction) Validate() error {
	var p problems
	p.required("msgId", m.MsgID, 0)
	p.limited("emoji", m.Emoji, 0)
	return p.err()
}

// quote checks a context.
func (p *problems) quote(c *Context) {
	if c != nil {
		p.required("context.msgId", c.MsgID, 0)
	}
}
