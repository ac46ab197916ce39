package gupshup

// Message is what can be sent in an open session, within 24 hours of the person's last message.
// Its implementations are the structs of this package; the JSON of each is exactly what Gupshup
// expects in the form field "message", with its type.
type Message interface {
	// Type is Gupshup's name of the type, the value of "type".
	Type() string
	// Validate returns FieldErrors naming every documented limit the message breaks, or nil.
	Validate() error

	message()
}

// The values of "type".
const (
	typeText            = "text"
	typeImage           = "image"
	typeFile            = "file"
	typeAudio           = "audio"
	typeVideo           = "video"
	typeSticker         = "sticker"
	typeLocation        = "location"
	typeContact         = "contact"
	typeReaction        = "reaction"
	typeList            = "list"
	typeQuickReply      = "quick_reply"
	typeCTAURL          = "cta_url"
	typeLocationRequest = "location_request_message"
	typeProducts        = "product_details"
)

// The values of "subType" of a product_details message.
const (
	subTypeProductList = "product_list"
	subTypeProduct     = "product"
	subTypeCatalog     = "catalog_message"
)

// tag is the "type" in front of a message's own fields.
type tag struct {
	Type string `json:"type"`
}

// productTag is tag for product messages. Gupshup's tables spell the second key sub_type, its
// samples subType: both are read, subType is written.
type productTag struct {
	Type    string `json:"type"`
	SubType string `json:"subType"`
	Sub     string `json:"sub_type,omitempty"`
}

func (t productTag) subType() string {
	if t.SubType != "" {
		return t.SubType
	}
	return t.Sub
}

// DecodeMessage reads a session message in Gupshup's JSON form. It is strict: an unknown type
// or field is refused by name, since Gupshup would accept the request and fail later, or drop
// the field silently. A message without a type is a text. It does not check limits; Validate
// does. The errors are FieldErrors without any of the values.
func DecodeMessage(raw []byte) (Message, error) {
	var t productTag
	if err := lenient(raw, &t); err != nil {
		return nil, err
	}
	decode := messageDecoder(t)
	if decode == nil {
		return nil, unknownType(t)
	}
	return decode(raw)
}

func unknownType(t productTag) error {
	if t.Type == typeProducts {
		return FieldErrors{{"subType", "must be one of product_list, product, catalog_message"}}
	}
	return FieldErrors{{"type", "must be one of text, image, file, audio, video, sticker, location, contact, reaction, " +
		"list, quick_reply, cta_url, location_request_message, product_details"}}
}

// The JSON forms for decoding: the tag beside a type's own fields, so that "type" is a known
// field and every other one that the type lacks is not.
type (
	textJSON struct {
		tag
		Text
	}
	imageJSON struct {
		tag
		Image
	}
	fileJSON struct {
		tag
		File
	}
	audioJSON struct {
		tag
		Audio
	}
	videoJSON struct {
		tag
		Video
	}
	stickerJSON struct {
		tag
		Sticker
	}
	locationJSON struct {
		tag
		Location
	}
	contactJSON struct {
		tag
		Contact
	}
	reactionJSON struct {
		tag
		Reaction
	}
	listJSON struct {
		tag
		List
	}
	quickReplyJSON struct {
		tag
		QuickReply
	}
	ctaURLJSON struct {
		tag
		CTAURL
	}
	locationRequestJSON struct {
		tag
		LocationRequest
	}
	productListJSON struct {
		productTag
		ProductList
	}
	productJSON struct {
		productTag
		Product
	}
	catalogJSON struct {
		productTag
		Catalog
	}
)

// messageDecoder has one line per type; nil means there is no such type.
func messageDecoder(t productTag) func([]byte) (Message, error) {
	switch t.Type {
	case typeText, "":
		return decoder(func(w *textJSON) Message { return w.Text })
	case typeImage:
		return decoder(func(w *imageJSON) Message { return w.Image })
	case typeFile:
		return decoder(func(w *fileJSON) Message { return w.File })
	case typeAudio:
		return decoder(func(w *audioJSON) Message { return w.Audio })
	case typeVideo:
		return decoder(func(w *videoJSON) Message { return w.Video })
	case typeSticker:
		return decoder(func(w *stickerJSON) Message { return w.Sticker })
	case typeLocation:
		return decoder(func(w *locationJSON) Message { return w.Location })
	case typeContact:
		return decoder(func(w *contactJSON) Message { return w.Contact })
	case typeReaction:
		return decoder(func(w *reactionJSON) Message { return w.Reaction })
	case typeList:
		return decoder(func(w *listJSON) Message { return w.List })
	case typeQuickReply:
		return decoder(func(w *quickReplyJSON) Message { return w.QuickReply })
	case typeCTAURL:
		return decoder(func(w *ctaURLJSON) Message { return w.CTAURL })
	case typeLocationRequest:
		return decoder(func(w *locationRequestJSON) Message { return w.LocationRequest })
	case typeProducts:
		return productDecoder(t.subType())
	}
	return nil
}

func productDecoder(subType string) func([]byte) (Message, error) {
	switch subType {
	case subTypeProductList:
		return decoder(func(w *productListJSON) Message { return w.ProductList })
	case subTypeProduct:
		return decoder(func(w *productJSON) Message { return w.Product })
	case subTypeCatalog:
		return decoder(func(w *catalogJSON) Message { return w.Catalog })
	}
	return nil
}

// decoder makes a strict decoder of one JSON form.
func decoder[W, V any](value func(*W) V) func([]byte) (V, error) {
	return func(raw []byte) (V, error) {
		var w W
		if err := strict(raw, &w); err != nil {
			var none V
			return none, err
		}
		return value(&w), nil
	}
}
