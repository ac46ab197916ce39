package gupshup

import "time"

// Contact is one address-book card.
type Contact struct {
	Contact ContactCard `json:"contact"`
}

// ContactCard is the card itself.
type ContactCard struct {
	Name      ContactName      `json:"name"`
	Phones    []ContactPhone   `json:"phones,omitempty"`
	Emails    []ContactEmail   `json:"emails,omitempty"`
	Addresses []ContactAddress `json:"addresses,omitempty"`
	Org       *ContactOrg      `json:"org,omitempty"`
	// Birthday is a date, YYYY-MM-DD.
	Birthday string       `json:"birthday,omitempty"`
	URLs     []ContactURL `json:"urls,omitempty"`
}

// ContactName is the name; the formatted one is what is shown.
type ContactName struct {
	FirstName     string `json:"firstName,omitempty"`
	FormattedName string `json:"formattedName"`
	LastName      string `json:"lastName,omitempty"`
}

// ContactPhone is one number of the card.
type ContactPhone struct {
	Phone string `json:"phone"`
	Type  string `json:"type,omitempty"`
	// WaID is the number's WhatsApp id, which makes the card's button open a chat.
	WaID string `json:"wa_id,omitempty"`
}

// ContactEmail is one e-mail address of the card.
type ContactEmail struct {
	Email string `json:"email"`
	Type  string `json:"type,omitempty"`
}

// ContactAddress is one postal address of the card.
type ContactAddress struct {
	City        string `json:"city,omitempty"`
	Country     string `json:"country,omitempty"`
	CountryCode string `json:"countryCode,omitempty"`
	State       string `json:"state,omitempty"`
	Street      string `json:"street,omitempty"`
	Type        string `json:"type,omitempty"`
	Zip         string `json:"zip,omitempty"`
}

// ContactOrg is where the person works.
type ContactOrg struct {
	Company    string `json:"company,omitempty"`
	Department string `json:"department,omitempty"`
	Title      string `json:"title,omitempty"`
}

// ContactURL is one web address of the card.
type ContactURL struct {
	URL  string `json:"url"`
	Type string `json:"type,omitempty"`
}

// Type is "contact".
func (Contact) Type() string { return typeContact }
func (Contact) message()     {}

// MarshalJSON writes Gupshup's form, with the type.
func (m Contact) MarshalJSON() ([]byte, error) {
	type plain Contact
	return encode(struct {
		tag
		plain
	}{tag{typeContact}, plain(m)})
}

// Validate checks that the card has a name and that no entry is empty.
func (m Contact) Validate() error {
	var p problems
	card := m.Contact
	p.required("contact.name.formattedName", card.Name.FormattedName, 0)
	for i, phone := range card.Phones {
		p.required(at("contact.phones", i, "phone"), phone.Phone, 0)
	}
	for i, email := range card.Emails {
		p.required(at("contact.emails", i, "email"), email.Email, 0)
	}
	for i, u := range card.URLs {
		p.required(at("contact.urls", i, "url"), u.URL, 0)
	}
	if _, err := time.Parse(time.DateOnly, card.Birthday); card.Birthday != "" && err != nil {
		p.add("contact.birthday", "must be a date, YYYY-MM-DD")
	}
	return p.err()
}
