package gupshup

// The limits of product messages. Source: Gupshup's documentation of interactive messages
// (30 products), and Meta's limits for sections.
const (
	maxProducts        = 30 // products, over all sections
	maxProductSections = 10 // sections
)

// TextPart is a text in an object of its own.
type TextPart struct {
	Text string `json:"text"`
}

// ProductList shows up to thirty products of a catalogue.
type ProductList struct {
	CatalogID string `json:"catalogId"`
	// Header has at most 60 characters.
	Header *TextPart `json:"header,omitempty"`
	// Body has at most 1024 characters.
	Body TextPart `json:"body"`
	// Footer has at most 60 characters; optional.
	Footer   *TextPart        `json:"footer,omitempty"`
	Sections []ProductSection `json:"sections"`
}

// ProductSection is a group of products.
type ProductSection struct {
	// Title has at most 24 characters, and is needed when there are several sections.
	Title       string       `json:"title,omitempty"`
	ProductList []ProductRef `json:"productList"`
}

// ProductRef names a product by the id its retailer gave it.
type ProductRef struct {
	ProductID string `json:"productId"`
}

// Type is "product_details".
func (ProductList) Type() string { return typeProducts }
func (ProductList) message()     {}

// MarshalJSON writes Gupshup's form, with type and subType.
func (m ProductList) MarshalJSON() ([]byte, error) {
	type plain ProductList
	return encode(struct {
		productTag
		plain
	}{productTag{Type: typeProducts, SubType: subTypeProductList}, plain(m)})
}

// Validate checks texts and numbers of sections and products.
func (m ProductList) Validate() error {
	var p problems
	p.required("catalogId", m.CatalogID, 0)
	if m.Header == nil {
		p.add("header", "is required")
	} else {
		p.required("header.text", m.Header.Text, maxHeader)
	}
	p.bodyAndFooter(m.Body, m.Footer)
	p.count("sections", "sections", len(m.Sections), 1, maxProductSections)
	products := 0
	for i, s := range m.Sections {
		products += len(s.ProductList)
		p.sectionTitle(at("sections", i, "title"), s.Title, len(m.Sections) > 1)
		list := at("sections", i, "productList")
		p.count(list, "product", len(s.ProductList), 1, len(s.ProductList))
		for j, ref := range s.ProductList {
			p.required(at(list, j, "productId"), ref.ProductID, 0)
		}
	}
	if products > maxProducts {
		p.add("sections", "must have at most %d products over all sections, has %d", maxProducts, products)
	}
	return p.err()
}

// Product shows one product of a catalogue.
type Product struct {
	CatalogID string `json:"catalogId"`
	// Body has at most 1024 characters.
	Body TextPart `json:"body"`
	// Footer has at most 60 characters; optional.
	Footer    *TextPart `json:"footer,omitempty"`
	ProductID string    `json:"productId"`
}

// Type is "product_details".
func (Product) Type() string { return typeProducts }
func (Product) message()     {}

// MarshalJSON writes Gupshup's form, with type and subType.
func (m Product) MarshalJSON() ([]byte, error) {
	type plain Product
	return encode(struct {
		productTag
		plain
	}{productTag{Type: typeProducts, SubType: subTypeProduct}, plain(m)})
}

// Validate checks ids and texts.
func (m Product) Validate() error {
	var p problems
	p.required("catalogId", m.CatalogID, 0)
	p.bodyAndFooter(m.Body, m.Footer)
	p.required("productId", m.ProductID, 0)
	return p.err()
}

// Catalog invites to the whole catalogue.
type Catalog struct {
	// Body has at most 1024 characters.
	Body TextPart `json:"body"`
	// Footer has at most 60 characters; optional.
	Footer *TextPart `json:"footer,omitempty"`
	// ThumbnailID is the product whose picture is shown; optional.
	ThumbnailID string `json:"thumbnailId,omitempty"`
}

// Type is "product_details".
func (Catalog) Type() string { return typeProducts }
func (Catalog) message()     {}

// MarshalJSON writes Gupshup's form, with type and subType.
func (m Catalog) MarshalJSON() ([]byte, error) {
	type plain Catalog
	return encode(struct {
		productTag
		plain
	}{productTag{Type: typeProducts, SubType: subTypeCatalog}, plain(m)})
}

// Validate checks the texts.
func (m Catalog) Validate() error {
	var p problems
	p.bodyAndFooter(m.Body, m.Footer)
	p.limited("thumbnailId", m.ThumbnailID, 0)
	return p.err()
}

func (p *problems) bodyAndFooter(body TextPart, footer *TextPart) {
	p.required("body.text", body.Text, maxInteractiveBody)
	if footer != nil {
		p.required("footer.text", footer.Text, maxFooter)
	}
}

// sectionTitle reports a missing title only where several sections must be told apart.
func (p *problems) sectionTitle(field, title string, several bool) {
	if several {
		p.required(field, title, maxRowTitle)
		return
	}
	p.limited(field, title, maxRowTitle)
}
