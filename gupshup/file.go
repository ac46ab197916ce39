package gupshup

// Media of a session message are named by exactly one of an id of uploaded media and a URL that
// Gupshup fetches. The sizes and formats that WhatsApp takes (image 5 MB, audio and video 16 MB,
// document 100 MB, sticker 100 KB) cannot be checked without fetching.

// Image is a picture: JPEG or PNG.
type Image struct {
	ID          string `json:"id,omitempty"`
	OriginalURL string `json:"originalUrl,omitempty"`
	// PreviewURL is a smaller picture; optional.
	PreviewURL string   `json:"previewUrl,omitempty"`
	Caption    string   `json:"caption,omitempty"`
	Context    *Context `json:"context,omitempty"`
}

// Type is "image".
func (Image) Type() string { return typeImage }
func (Image) message()     {}

// MarshalJSON writes Gupshup's form, with the type.
func (m Image) MarshalJSON() ([]byte, error) {
	type plain Image
	return encode(struct {
		tag
		plain
	}{tag{typeImage}, plain(m)})
}

// Validate checks the source, the URLs and the caption's length.
func (m Image) Validate() error {
	var p problems
	p.source(m.ID, "originalUrl", m.OriginalURL)
	if m.PreviewURL != "" {
		p.link("previewUrl", m.PreviewURL)
	}
	p.limited("caption", m.Caption, maxCaption)
	p.quote(m.Context)
	return p.err()
}

// File is a document of any kind. Gupshup calls it "file" in sessions and "document" in templates.
type File struct {
	ID       string   `json:"id,omitempty"`
	URL      string   `json:"url,omitempty"`
	Filename string   `json:"filename,omitempty"`
	Caption  string   `json:"caption,omitempty"`
	Context  *Context `json:"context,omitempty"`
}

// Type is "file".
func (File) Type() string { return typeFile }
func (File) message()     {}

// MarshalJSON writes Gupshup's form, with the type.
func (m File) MarshalJSON() ([]byte, error) {
	type plain File
	return encode(struct {
		tag
		plain
	}{tag{typeFile}, plain(m)})
}

// Validate checks the source, the URL and the caption's length.
func (m File) Validate() error {
	var p problems
	p.source(m.ID, "url", m.URL)
	p.limited("filename", m.Filename, 0)
	p.limited("caption", m.Caption, maxCaption)
	p.quote(m.Context)
	return p.err()
}

// Audio is a sound or a voice note.
type Audio struct {
	ID      string   `json:"id,omitempty"`
	URL     string   `json:"url,omitempty"`
	Context *Context `json:"context,omitempty"`
}

// Type is "audio".
func (Audio) Type() string { return typeAudio }
func (Audio) message()     {}

// MarshalJSON writes Gupshup's form, with the type.
func (m Audio) MarshalJSON() ([]byte, error) {
	type plain Audio
	return encode(struct {
		tag
		plain
	}{tag{typeAudio}, plain(m)})
}

// Validate checks the source and the URL.
func (m Audio) Validate() error {
	var p problems
	p.source(m.ID, "url", m.URL)
	p.quote(m.Context)
	return p.err()
}

// Video is a film: MP4 or 3GPP.
type Video struct {
	ID      string   `json:"id,omitempty"`
	URL     string   `json:"url,omitempty"`
	Caption string   `json:"caption,omitempty"`
	Context *Context `json:"context,omitempty"`
}

// Type is "video".
func (Video) Type() string { return typeVideo }
func (Video) message()     {}

// MarshalJSON writes Gupshup's form, with the type.
func (m Video) MarshalJSON() ([]byte, error) {
	type plain Video
	return encode(struct {
		tag
		plain
	}{tag{typeVideo}, plain(m)})
}

// Validate checks the source, the URL and the caption's length.
func (m Video) Validate() error {
	var p problems
	p.source(m.ID, "url", m.URL)
	p.limited("caption", m.Caption, maxCaption)
	p.quote(m.Context)
	return p.err()
}

// Sticker is a WebP picture without a caption.
type Sticker struct {
	ID      string   `json:"id,omitempty"`
	URL     string   `json:"url,omitempty"`
	Context *Context `json:"context,omitempty"`
}

// Type is "sticker".
func (Sticker) Type() string { return typeSticker }
func (Sticker) message()     {}

// MarshalJSON writes Gupshup's form, with the type.
func (m Sticker) MarshalJSON() ([]byte, error) {
	type plain Sticker
	return encode(struct {
		tag
		plain
	}{tag{typeSticker}, plain(m)})
}

// Validate checks the source and the URL.
func (m Sticker) Validate() error {
	var p problems
	p.source(m.ID, "url", m.URL)
	p.quote(m.Context)
	return p.err()
}
