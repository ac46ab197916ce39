package gupshup

// Media is the header of a template message: the object Gupshup expects in the form field
// "message" beside a template. Its implementations are the structs of this package.
type Media interface {
	// Type is Gupshup's name of the type, the value of "type".
	Type() string
	// Validate returns FieldErrors naming every documented limit the media break, or nil.
	Validate() error

	media()
}

// The values of "type" that only templates have.
const (
	typeDocument = "document"
	typeGIF      = "gif"
	typeCarousel = "carousel"
)

// MediaImage is the picture of a template's header: a link or the id of uploaded media.
type MediaImage struct {
	Link string `json:"link,omitempty"`
	ID   string `json:"id,omitempty"`
}

// Type is "image".
func (MediaImage) Type() string { return typeImage }
func (MediaImage) media()       {}

// MarshalJSON writes {"type":"image","image":{…}}.
func (m MediaImage) MarshalJSON() ([]byte, error) {
	type plain MediaImage
	return encode(struct {
		tag
		Image plain `json:"image"`
	}{tag{typeImage}, plain(m)})
}

// Validate checks the source and the link.
func (m MediaImage) Validate() error { return validSource(typeImage, m.ID, m.Link) }

// MediaVideo is the film of a template's header: a link or the id of uploaded media.
type MediaVideo struct {
	Link string `json:"link,omitempty"`
	ID   string `json:"id,omitempty"`
}

// Type is "video".
func (MediaVideo) Type() string { return typeVideo }
func (MediaVideo) media()       {}

// MarshalJSON writes {"type":"video","video":{…}}.
func (m MediaVideo) MarshalJSON() ([]byte, error) {
	type plain MediaVideo
	return encode(struct {
		tag
		Video plain `json:"video"`
	}{tag{typeVideo}, plain(m)})
}

// Validate checks the source and the link.
func (m MediaVideo) Validate() error { return validSource(typeVideo, m.ID, m.Link) }

// MediaDocument is the document of a template's header: a link or the id of uploaded media.
// Gupshup promises PDF only.
type MediaDocument struct {
	Link string `json:"link,omitempty"`
	ID   string `json:"id,omitempty"`
	// Filename is the name the person sees; optional.
	Filename string `json:"filename,omitempty"`
}

// Type is "document".
func (MediaDocument) Type() string { return typeDocument }
func (MediaDocument) media()       {}

// MarshalJSON writes {"type":"document","document":{…}}.
func (m MediaDocument) MarshalJSON() ([]byte, error) {
	type plain MediaDocument
	return encode(struct {
		tag
		Document plain `json:"document"`
	}{tag{typeDocument}, plain(m)})
}

// Validate checks the source and the link.
func (m MediaDocument) Validate() error {
	var p problems
	p.within(typeDocument, validSource("", m.ID, m.Link))
	p.limited("document.filename", m.Filename, 0)
	return p.err()
}

// MediaGIF is the animation of a template's header: a link or the id of uploaded media.
type MediaGIF struct {
	Link string `json:"link,omitempty"`
	ID   string `json:"id,omitempty"`
}

// Type is "gif".
func (MediaGIF) Type() string { return typeGIF }
func (MediaGIF) media()       {}

// MarshalJSON writes {"type":"gif","gif":{…}}.
func (m MediaGIF) MarshalJSON() ([]byte, error) {
	type plain MediaGIF
	return encode(struct {
		tag
		GIF plain `json:"gif"`
	}{tag{typeGIF}, plain(m)})
}

// Validate checks the source and the link.
func (m MediaGIF) Validate() error { return validSource(typeGIF, m.ID, m.Link) }

// MediaLocation is the map of a template's header.
type MediaLocation struct {
	// Name and Address are mandatory in templates, unlike in sessions.
	Name      string     `json:"name,omitempty"`
	Address   string     `json:"address,omitempty"`
	Longitude Coordinate `json:"longitude"`
	Latitude  Coordinate `json:"latitude"`
}

// Type is "location".
func (MediaLocation) Type() string { return typeLocation }
func (MediaLocation) media()       {}

// MarshalJSON writes {"type":"location","location":{…}}.
func (m MediaLocation) MarshalJSON() ([]byte, error) {
	type plain MediaLocation
	return encode(struct {
		tag
		Location plain `json:"location"`
	}{tag{typeLocation}, plain(m)})
}

// Validate checks the coordinates and that the place has a name and an address.
func (m MediaLocation) Validate() error {
	var p problems
	p.required("location.name", m.Name, 0)
	p.required("location.address", m.Address, 0)
	p.coordinate("location.longitude", m.Longitude, maxLongitude)
	p.coordinate("location.latitude", m.Latitude, maxLatitude)
	return p.err()
}

// validSource reports media that are not named by exactly one of id and link.
func validSource(path, id, link string) error {
	var p, q problems
	q.source(id, "link", link)
	p.within(path, q.err())
	return p.err()
}
