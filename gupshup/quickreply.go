package gupshup

// maxQuickReplies is how many buttons there may be. Source: Gupshup's API reference.
const maxQuickReplies = 3

// QuickReply is a text, picture, film or document with up to three buttons.
type QuickReply struct {
	// MsgID is the caller's name for the message, which comes back with the person's choice.
	MsgID   string             `json:"msgid,omitempty"`
	Content QuickReplyContent  `json:"content"`
	Options []QuickReplyOption `json:"options"`
}

// QuickReplyContent is what stands above the buttons.
type QuickReplyContent struct {
	// Type is text, image, video or file.
	Type string `json:"type"`
	// Header is for texts only, at most 60 characters; optional.
	Header string `json:"header,omitempty"`
	// Text is the body, at most 1024 characters.
	Text string `json:"text"`
	// Caption is the footer, at most 60 characters; optional.
	Caption string `json:"caption,omitempty"`
	// URL is the media of the header, for every type but text.
	URL string `json:"url,omitempty"`
	// Filename is for files only; optional.
	Filename string `json:"filename,omitempty"`
}

// QuickReplyOption is one button.
type QuickReplyOption struct {
	// Type may be "text", as in older samples of Gupshup; it is not needed.
	Type string `json:"type,omitempty"`
	// Title has at most 20 characters.
	Title string `json:"title"`
	// PostbackText comes back to the callback URL when the button is pressed.
	PostbackText string `json:"postbackText,omitempty"`
}

// Type is "quick_reply".
func (QuickReply) Type() string { return typeQuickReply }
func (QuickReply) message()     {}

// MarshalJSON writes Gupshup's form, with the type.
func (m QuickReply) MarshalJSON() ([]byte, error) {
	type plain QuickReply
	return encode(struct {
		tag
		plain
	}{tag{typeQuickReply}, plain(m)})
}

// Validate checks the content and the buttons.
func (m QuickReply) Validate() error {
	var p problems
	p.quickReplyContent(m.Content)
	p.count("options", "options", len(m.Options), 1, maxQuickReplies)
	for i, o := range m.Options {
		if o.Type != "" && o.Type != typeText {
			p.add(at("options", i, "type"), `must be "text" or absent`)
		}
		p.required(at("options", i, "title"), o.Title, maxButton)
		p.limited(at("options", i, "postbackText"), o.PostbackText, 0)
	}
	return p.err()
}

func (p *problems) quickReplyContent(c QuickReplyContent) {
	p.required("content.text", c.Text, maxInteractiveBody)
	p.limited("content.caption", c.Caption, maxFooter)
	p.limited("content.header", c.Header, maxHeader)
	switch c.Type {
	case typeText:
		p.absent("content.url", c.URL, "a text has no media")
	case typeImage, typeVideo, typeFile:
		p.link("content.url", c.URL)
		p.absent("content.header", c.Header, "only a text has a header, this has media")
	default:
		p.add("content.type", "must be one of text, image, video, file")
	}
	if c.Type != typeFile {
		p.absent("content.filename", c.Filename, "only a file has a name")
	} else {
		p.limited("content.filename", c.Filename, 0)
	}
}
