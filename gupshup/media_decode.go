package gupshup

// DecodeMedia reads the media of a template in Gupshup's JSON form. It is as strict as
// DecodeMessage, and refuses an object beside the one its type names.
func DecodeMedia(raw []byte) (Media, error) {
	var t tag
	if err := lenient(raw, &t); err != nil {
		return nil, err
	}
	decode := mediaDecoder(t.Type)
	if decode == nil {
		return nil, FieldErrors{{"type", "must be one of image, video, document, gif, location, carousel"}}
	}
	return decode(raw)
}

// The JSON forms for decoding. An absent inner object is an empty one, which Validate refuses by field.
type (
	mediaImageJSON struct {
		tag
		Inner MediaImage `json:"image"`
	}
	mediaVideoJSON struct {
		tag
		Inner MediaVideo `json:"video"`
	}
	mediaDocumentJSON struct {
		tag
		Inner MediaDocument `json:"document"`
	}
	mediaGIFJSON struct {
		tag
		Inner MediaGIF `json:"gif"`
	}
	mediaLocationJSON struct {
		tag
		Inner MediaLocation `json:"location"`
	}
	carouselJSON struct {
		tag
		Carousel
	}
)

// mediaDecoder has one line per type; nil means there is no such type.
func mediaDecoder(kind string) func([]byte) (Media, error) {
	switch kind {
	case typeImage:
		return decoder(func(w *mediaImageJSON) Media { return w.Inner })
	case typeVideo:
		return decoder(func(w *mediaVideoJSON) Media { return w.Inner })
	case typeDocument:
		return decoder(func(w *mediaDocumentJSON) Media { return w.Inner })
	case typeGIF:
		return decoder(func(w *mediaGIFJSON) Media { return w.Inner })
	case typeLocation:
		return decoder(func(w *mediaLocationJSON) Media { return w.Inner })
	case typeCarousel:
		return decoder(func(w *carouselJSON) Media { return w.Carousel })
	}
	return nil
}
