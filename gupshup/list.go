package gupshup

// The limits of lists. Source: Gupshup's documentation of interactive messages (ten options, one
// button), and Meta's limits behind it.
const (
	maxListRows       = 10 // rows, over all sections
	maxListSections   = 10 // sections
	maxListButtons    = 1  // buttons that open the list
	maxRowTitle       = 24 // characters, of a section's and of a row's title
	maxRowDescription = 72 // characters
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
