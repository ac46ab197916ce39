package gupshup

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
