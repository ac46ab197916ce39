package gupshup

// maxCards is how many cards a carousel may have. Source: Gupshup's documentation of templates.
const maxCards = 10

// Carousel is the row of cards of a carousel template. The parameters of the bubble and of all
// cards stand in Template.Params, in order.
type Carousel struct {
	// CardHeaderType is IMAGE or VIDEO, for all cards alike.
	CardHeaderType string `json:"cardHeaderType"`
	Cards          []Card `json:"cards"`
}

// Card is one card: the link or the id of its media, and what its buttons post back.
type Card struct {
	Link          string         `json:"link,omitempty"`
	ID            string         `json:"id,omitempty"`
	PostbackTexts []PostbackText `json:"postbackTexts,omitempty"`
}

// PostbackText is what comes back to the callback URL when a template's button is pressed.
type PostbackText struct {
	// Index is the button's place, from 0.
	Index int    `json:"index"`
	Text  string `json:"text"`
}

// Type is "carousel".
func (Carousel) Type() string { return typeCarousel }
func (Carousel) media()       {}

// MarshalJSON writes {"type":"carousel",…}.
func (m Carousel) MarshalJSON() ([]byte, error) {
	type plain Carousel
	return encode(struct {
		tag
		plain
	}{tag{typeCarousel}, plain(m)})
}

// Validate checks the header type, the number of cards and each card.
func (m Carousel) Validate() error {
	var p problems
	if m.CardHeaderType != "IMAGE" && m.CardHeaderType != "VIDEO" {
		p.add("cardHeaderType", "must be IMAGE or VIDEO")
	}
	p.count("cards", "cards", len(m.Cards), 1, maxCards)
	for i, card := range m.Cards {
		p.within(at("cards", i, ""), validSource("", card.ID, card.Link))
		p.postbacks(at("cards", i, "postbackTexts"), card.PostbackTexts)
	}
	return p.err()
}

// postbacks reports negative or repeated places and empty texts.
func (p *problems) postbacks(field string, texts []PostbackText) {
	seen := make(map[int]bool, len(texts))
	for i, t := range texts {
		switch {
		case t.Index < 0:
			p.add(at(field, i, "index"), "must be 0 or more")
		case seen[t.Index]:
			p.add(at(field, i, "index"), "is the same as an earlier one")
		}
		seen[t.Index] = true
		p.required(at(field, i, "text"), t.Text, 0)
	}
}
