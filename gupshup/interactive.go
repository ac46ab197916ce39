package gupshup

// The limits of interactive messages, in characters unless said otherwise. Source: Gupshup's
// documentation of interactive messages, and Meta's limits behind it.
const (
	maxListRows       = 10 // rows, over all sections
	maxListSections   = 10 // sections
	maxListButtons    = 1  // buttons that open the list
	maxRowTitle       = 24
	maxRowDescription = 72
	maxQuickReplies   = 3 // buttons
)

// List is a menu: a button that opens up to ten rows in sections.
type List struct {
	// Title is the header, at most 60 characters.
	Title string `json:"title"`
	// Body has at most 1024 characters.
	Body string `json:"body"`
	// Footer has at most 60 characters; optional.
	Footer string `json:"footer,omitempty"`
	// MsgID is the caller's name for the list, which comes back with the person's choice.
	MsgID string `json:"msgid"`
	// GlobalButtons is the one button that opens the list.
	GlobalButtons []ListButton  `json:"globalButtons"`
	Items         []ListSection `json:"items"`
}

// ListButton opens the list.
type ListButton struct {
	Type TextType `json:"type"`
	// Title has at most 20 characters.
	Title string `json:"title"`
}

// ListSection is a group of rows.
type ListSection struct {
	// Title has at most 24 characters, and is needed when there are several sections.
	Title    string    `json:"title,omitempty"`
	Subtitle string    `json:"subtitle,omitempty"`
	Options  []ListRow `json:"options"`
}

// ListRow is one choice.
type ListRow struct {
	Type TextType `json:"type"`
	// Title has at most 24 characters.
	Title string `json:"title"`
	// Description has at most 72 characters.
	Description string `json:"description,omitempty"`
	// PostbackText comes back to the callback URL when the row is chosen.
	PostbackText string `json:"postbackText,omitempty"`
	// EncodeText is needed for emoji on apps that are still on-premise.
	EncodeText bool `json:"encodeText,omitempty"`
}

// Type is "list".
func (List) Type() string { return typeList }
func (List) message()     {}

// MarshalJSON writes Gupshup's form, with the type.
func (m List) MarshalJSON() ([]byte, error) {
	type plain List
	return encode(struct {
		tag
		plain
	}{tag{typeList}, plain(m)})
}

// Validate checks texts and numbers of sections and rows.
func (m List) Validate() error {
	var p problems
	p.required("title", m.Title, maxHeader)
	p.required("body", m.Body, maxInteractiveBody)
	p.limited("footer", m.Footer, maxFooter)
	p.required("msgid", m.MsgID, 0)
	p.count("globalButtons", "button", len(m.GlobalButtons), 1, maxListButtons)
	for i, b := range m.GlobalButtons {
		p.required(at("globalButtons", i, "title"), b.Title, maxButton)
	}
	p.count("items", "sections", len(m.Items), 1, maxListSections)
	rows := 0
	for i, s := range m.Items {
		rows += len(s.Options)
		p.section(i, s, len(m.Items) > 1)
	}
	if rows > maxListRows {
		p.add("items", "must have at most %d options over all sections, has %d", maxListRows, rows)
	}
	return p.err()
}

func (p *problems) section(i int, s ListSection, several bool) {
	p.sectionTitle(at("items", i, "title"), s.Title, several)
	p.limited(at("items", i, "subtitle"), s.Subtitle, 0)
	options := at("items", i, "options")
	p.count(options, "option", len(s.Options), 1, len(s.Options))
	for j, row := range s.Options {
		p.required(at(options, j, "title"), row.Title, maxRowTitle)
		p.limited(at(options, j, "description"), row.Description, maxRowDescription)
		p.limited(at(options, j, "postbackText"), row.PostbackText, 0)
	}
}

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

// CTAURL is a text with one button that opens a web page.
type CTAURL struct {
	// Body has at most 1024 characters.
	Body string `json:"body"`
	// DisplayText is the button, at most 20 characters.
	DisplayText string `json:"display_text"`
	URL         string `json:"url"`
	// Footer has at most 60 characters; optional.
	Footer string     `json:"footer,omitempty"`
	Header *CTAHeader `json:"header,omitempty"`
}

// CTAHeader is a picture or a film above the text.
type CTAHeader struct {
	// Type is image or video, and says which of the two follows.
	Type  string `json:"type"`
	Image *Link  `json:"image,omitempty"`
	Video *Link  `json:"video,omitempty"`
}

// Link is a URL in an object of its own.
type Link struct {
	Link string `json:"link"`
}

// Type is "cta_url".
func (CTAURL) Type() string { return typeCTAURL }
func (CTAURL) message()     {}

// MarshalJSON writes Gupshup's form, with the type.
func (m CTAURL) MarshalJSON() ([]byte, error) {
	type plain CTAURL
	return encode(struct {
		tag
		plain
	}{tag{typeCTAURL}, plain(m)})
}

// Validate checks texts, URLs and the header.
func (m CTAURL) Validate() error {
	var p problems
	p.required("body", m.Body, maxInteractiveBody)
	p.required("display_text", m.DisplayText, maxButton)
	p.link("url", m.URL)
	p.limited("footer", m.Footer, maxFooter)
	if m.Header != nil {
		p.ctaHeader(*m.Header)
	}
	return p.err()
}

func (p *problems) ctaHeader(h CTAHeader) {
	if h.Type != typeImage && h.Type != typeVideo {
		p.add("header.type", "must be image or video")
	}
	for _, part := range []struct {
		kind string
		link *Link
	}{{typeImage, h.Image}, {typeVideo, h.Video}} {
		switch {
		case part.link == nil && h.Type == part.kind:
			p.add("header."+part.kind, "is required")
		case part.link != nil && h.Type != part.kind:
			p.add("header."+part.kind, "must be absent: the header's type is another")
		case part.link != nil:
			p.link("header."+part.kind+".link", part.link.Link)
		}
	}
}
