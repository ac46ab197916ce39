package gupshup

import (
	"strings"
)

// Template names an approved template and fills its placeholders.
type Template struct {
	// ID is Gupshup's UUID of the template, not its name and not Meta's number. The language
	// belongs to the template.
	ID string `json:"id"`
	// Params fill the placeholders in order: the body's, then those of dynamic URL buttons,
	// coupon codes and cards. Of a multi-product and of a catalogue template the last one is the
	// id of the product whose picture is shown.
	Params []string `json:"params"`
	// Expiration is when a limited-time offer ends, in milliseconds since 1970; 0 if it is none.
	Expiration int64 `json:"expiration,omitempty"`
	// MPM lists the products of a multi-product template.
	MPM *MPM `json:"mpm,omitempty"`
	// Catalog says that this is a catalogue template, which Gupshup takes at a path of its own.
	// It is not part of Gupshup's form.
	Catalog bool `json:"catalog,omitempty"`
}

// MPM is the products of a multi-product template.
type MPM struct {
	Sections []MPMSection `json:"sections"`
}

// MPMSection is a group of products, named by the ids their retailer gave them.
type MPMSection struct {
	// Title has at most 24 characters, and is needed when there are several sections.
	Title    string   `json:"title,omitempty"`
	Products []string `json:"products"`
}

// The range in which a number is a plausible time in milliseconds: 2001 to 2286. Below are
// seconds, above are microseconds.
const (
	minEpochMillis = 1_000_000_000_000
	maxEpochMillis = 10_000_000_000_000
)

// maxSpaces is how many spaces may follow each other in a parameter. Source: Meta's error
// 132018, which Gupshup passes on by callback, after it has accepted the message.
const maxSpaces = 4

// Validate checks what can be known without the template's text: the id, the form of the
// parameters, the expiration and the products.
func (t Template) Validate() error {
	var p problems
	if !isUUID(t.ID) {
		// Gupshup answers such an id with the 401 of a wrong key, so it must never get there.
		p.add("id", "must be the template's UUID at Gupshup, not its name or Meta's number")
	}
	for i, param := range t.Params {
		p.param(at("params", i, ""), param)
	}
	if t.Expiration != 0 && (t.Expiration < minEpochMillis || t.Expiration >= maxEpochMillis) {
		p.add("expiration", "must be in milliseconds since 1970")
	}
	if t.MPM != nil {
		p.mpm(*t.MPM)
	}
	if t.MPM != nil && t.Catalog {
		p.add("catalog", "must be absent: a template is a multi-product or a catalogue template")
	}
	if (t.MPM != nil || t.Catalog) && len(t.Params) == 0 {
		p.add("params", "must end with the id of the product whose picture is shown")
	}
	return p.err()
}

func (p *problems) param(field, text string) {
	p.limited(field, text, 0)
	if strings.ContainsAny(text, "\n\r\t") {
		p.add(field, "must not contain line breaks or tabs")
	}
	if strings.Contains(text, strings.Repeat(" ", maxSpaces+1)) {
		p.add(field, "must not contain more than %d consecutive spaces", maxSpaces)
	}
}

func (p *problems) mpm(m MPM) {
	p.count("mpm.sections", "sections", len(m.Sections), 1, maxProductSections)
	products := 0
	for i, s := range m.Sections {
		products += len(s.Products)
		p.sectionTitle(at("mpm.sections", i, "title"), s.Title, len(m.Sections) > 1)
		list := at("mpm.sections", i, "products")
		p.count(list, "product", len(s.Products), 1, len(s.Products))
		for j, id := range s.Products {
			p.required(at(list, j, ""), id, 0)
		}
	}
	if products > maxProducts {
		p.add("mpm.sections", "must have at most %d products over all sections, has %d", maxProducts, products)
	}
}

// isUUID reports the 8-4-4-4-12 form in either case; the version does not matter.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch i {
		case 8, 13, 18, 23:
			if s[i] != '-' {
				return false
			}
		default:
			if !isHex(s[i]) {
				return false
			}
		}
	}
	return true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
