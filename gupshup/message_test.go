package gupshup_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

// wireForms is one message of every type beside Gupshup's form of it.
func wireForms() map[string]struct {
	message gupshup.Message
	wire    string
} {
	quote := &gupshup.Context{MsgID: "ee4a68a0-1203-4c85-8dc3-49d0b3226a35"}
	return map[string]struct {
		message gupshup.Message
		wire    string
	}{
		"text":          {gupshup.Text{Text: "hi"}, `{"type":"text","text":"hi"}`},
		"text, quoting": {gupshup.Text{Text: "hi", PreviewURL: true, Context: quote}, `{"type":"text","text":"hi","previewUrl":true,"context":{"msgId":"ee4a68a0-1203-4c85-8dc3-49d0b3226a35"}}`},
		"image": {
			gupshup.Image{OriginalURL: "https://a.example/a.jpg", PreviewURL: "https://a.example/s.jpg", Caption: "c", Context: quote},
			`{"type":"image","originalUrl":"https://a.example/a.jpg","previewUrl":"https://a.example/s.jpg","caption":"c","context":{"msgId":"ee4a68a0-1203-4c85-8dc3-49d0b3226a35"}}`,
		},
		"image by id": {gupshup.Image{ID: "77362728271623327"}, `{"type":"image","id":"77362728271623327"}`},
		"file":        {gupshup.File{URL: "https://a.example/a.pdf", Filename: "Sample pdf", Caption: "c"}, `{"type":"file","url":"https://a.example/a.pdf","filename":"Sample pdf","caption":"c"}`},
		"file by id":  {gupshup.File{ID: "8736363726265261", Context: quote}, `{"type":"file","id":"8736363726265261","context":{"msgId":"ee4a68a0-1203-4c85-8dc3-49d0b3226a35"}}`},
		"audio":       {gupshup.Audio{URL: "https://a.example/a.mp3"}, `{"type":"audio","url":"https://a.example/a.mp3"}`},
		"video":       {gupshup.Video{URL: "https://a.example/a.mp4", Caption: "c"}, `{"type":"video","url":"https://a.example/a.mp4","caption":"c"}`},
		"sticker":     {gupshup.Sticker{URL: "https://a.example/a.webp"}, `{"type":"sticker","url":"https://a.example/a.webp"}`},
		"location": {
			gupshup.Location{Longitude: "72.877655", Latitude: "19.075983", Name: "n", Address: "a"},
			`{"type":"location","longitude":"72.877655","latitude":"19.075983","name":"n","address":"a"}`,
		},
		"contact": {
			gupshup.Contact{Contact: gupshup.ContactCard{
				Name:      gupshup.ContactName{FirstName: "Asha", FormattedName: "Asha Rao", LastName: "Rao"},
				Phones:    []gupshup.ContactPhone{{Phone: "+14155550100", Type: "WORK", WaID: "14155550100"}},
				Emails:    []gupshup.ContactEmail{{Email: "asha@a.example", Type: "WORK"}},
				Addresses: []gupshup.ContactAddress{{City: "Pune", Country: "India", CountryCode: "in", State: "MH", Street: "1 Main", Type: "HOME", Zip: "411001"}},
				Org:       &gupshup.ContactOrg{Company: "A", Department: "D", Title: "T"},
				Birthday:  "1990-02-28",
				URLs:      []gupshup.ContactURL{{URL: "https://a.example", Type: "WORK"}},
			}},
			`{"type":"contact","contact":{"name":{"firstName":"Asha","formattedName":"Asha Rao","lastName":"Rao"},"phones":[{"phone":"+14155550100","type":"WORK","wa_id":"14155550100"}],"emails":[{"email":"asha@a.example","type":"WORK"}],"addresses":[{"city":"Pune","country":"India","countryCode":"in","state":"MH","street":"1 Main","type":"HOME","zip":"411001"}],"org":{"company":"A","department":"D","title":"T"},"birthday":"1990-02-28","urls":[{"url":"https://a.example","type":"WORK"}]}}`,
		},
		"reaction":         {gupshup.Reaction{MsgID: "ee4a68a0-1203-4c85-8dc3-49d0b3226a35", Emoji: "😃"}, `{"type":"reaction","msgId":"ee4a68a0-1203-4c85-8dc3-49d0b3226a35","emoji":"😃"}`},
		"reaction removed": {gupshup.Reaction{MsgID: "x"}, `{"type":"reaction","msgId":"x","emoji":""}`},
		"list": {
			gupshup.List{
				Title: "header", Body: "body", Footer: "foot", MsgID: "list1",
				GlobalButtons: []gupshup.ListButton{{Title: "options"}},
				Items: []gupshup.ListSection{{Title: "section", Subtitle: "sub", Options: []gupshup.ListRow{
					{Title: "row", Description: "d", PostbackText: "p", EncodeText: true},
				}}},
			},
			`{"type":"list","title":"header","body":"body","footer":"foot","msgid":"list1","globalButtons":[{"type":"text","title":"options"}],"items":[{"title":"section","subtitle":"sub","options":[{"type":"text","title":"row","description":"d","postbackText":"p","encodeText":true}]}]}`,
		},
		"quick reply": {
			gupshup.QuickReply{
				MsgID:   "QR123",
				Content: gupshup.QuickReplyContent{Type: "text", Header: "h", Text: "body", Caption: "foot"},
				Options: []gupshup.QuickReplyOption{{Title: "Yes", PostbackText: "y"}, {Type: "text", Title: "No"}},
			},
			`{"type":"quick_reply","msgid":"QR123","content":{"type":"text","header":"h","text":"body","caption":"foot"},"options":[{"title":"Yes","postbackText":"y"},{"type":"text","title":"No"}]}`,
		},
		"quick reply, file": {
			gupshup.QuickReply{
				Content: gupshup.QuickReplyContent{Type: "file", Text: "body", URL: "https://a.example/a.pdf", Filename: "a.pdf"},
				Options: []gupshup.QuickReplyOption{{Title: "Yes"}},
			},
			`{"type":"quick_reply","content":{"type":"file","text":"body","url":"https://a.example/a.pdf","filename":"a.pdf"},"options":[{"title":"Yes"}]}`,
		},
		"cta url": {
			gupshup.CTAURL{
				Body: "b", DisplayText: "Click Me!", URL: "https://a.example/?a=1&b=2", Footer: "f",
				Header: &gupshup.CTAHeader{Type: "video", Video: &gupshup.Link{Link: "https://a.example/a.mp4"}},
			},
			`{"type":"cta_url","body":"b","display_text":"Click Me!","url":"https://a.example/?a=1&b=2","footer":"f","header":{"type":"video","video":{"link":"https://a.example/a.mp4"}}}`,
		},
		"location request": {
			gupshup.LocationRequest{Body: gupshup.LocationRequestBody{Text: "Where are you?"}},
			`{"type":"location_request_message","body":{"type":"text","text":"Where are you?"},"action":{"name":"send_location"}}`,
		},
		"product list": {
			gupshup.ProductList{
				CatalogID: "c", Header: &gupshup.TextPart{Text: "h"}, Body: gupshup.TextPart{Text: "b"}, Footer: &gupshup.TextPart{Text: "f"},
				Sections: []gupshup.ProductSection{{Title: "s", ProductList: []gupshup.ProductRef{{ProductID: "p"}}}},
			},
			`{"type":"product_details","subType":"product_list","catalogId":"c","header":{"text":"h"},"body":{"text":"b"},"footer":{"text":"f"},"sections":[{"title":"s","productList":[{"productId":"p"}]}]}`,
		},
		"product": {
			gupshup.Product{CatalogID: "c", Body: gupshup.TextPart{Text: "b"}, Footer: &gupshup.TextPart{Text: "f"}, ProductID: "p"},
			`{"type":"product_details","subType":"product","catalogId":"c","body":{"text":"b"},"footer":{"text":"f"},"productId":"p"}`,
		},
		"catalogue": {
			gupshup.Catalog{Body: gupshup.TextPart{Text: "b"}, Footer: &gupshup.TextPart{Text: "f"}, ThumbnailID: "p"},
			`{"type":"product_details","subType":"catalog_message","body":{"text":"b"},"footer":{"text":"f"},"thumbnailId":"p"}`,
		},
	}
}

func TestMessageRoundTrip(t *testing.T) {
	t.Parallel()
	for name, test := range wireForms() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, test.message.Validate())
			raw, err := json.Marshal(test.message)
			require.NoError(t, err)
			require.JSONEq(t, test.wire, string(raw))
			require.NotContains(t, string(raw), "null", "Gupshup refuses null captions")

			got, err := gupshup.DecodeMessage([]byte(test.wire))
			require.NoError(t, err)
			require.Equal(t, test.message, got)

			var tag struct{ Type string }
			require.NoError(t, json.Unmarshal(raw, &tag))
			require.Equal(t, tag.Type, test.message.Type())
		})
	}
}

func TestDecodeMessageAccepts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		raw  string
		want gupshup.Message
	}{
		"no type is a text": {`{"text":"hi"}`, gupshup.Text{Text: "hi"}},
		"sub_type": {
			`{"type":"product_details","sub_type":"catalog_message","body":{"text":"b"}}`,
			gupshup.Catalog{Body: gupshup.TextPart{Text: "b"}},
		},
		"coordinates as numbers": {`{"type":"location","longitude":-79.08,"latitude":42.59}`, gupshup.Location{Longitude: "-79.08", Latitude: "42.59"}},
		"buttons without type": {
			`{"type":"list","title":"t","body":"b","msgid":"m","globalButtons":[{"title":"o"}],"items":[]}`,
			gupshup.List{Title: "t", Body: "b", MsgID: "m", GlobalButtons: []gupshup.ListButton{{Title: "o"}}, Items: []gupshup.ListSection{}},
		},
		"location request without action": {
			`{"type":"location_request_message","body":{"text":"b"}}`,
			gupshup.LocationRequest{Body: gupshup.LocationRequestBody{Text: "b"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := gupshup.DecodeMessage([]byte(test.raw))
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	message := func(raw string) error { _, err := gupshup.DecodeMessage([]byte(raw)); return err }
	media := func(raw string) error { _, err := gupshup.DecodeMedia([]byte(raw)); return err }
	content := func(raw string) error { var c gupshup.Content; return json.Unmarshal([]byte(raw), &c) }
	tests := map[string]struct {
		decode func(string) error
		raw    string
		want   string
	}{
		"unknown field":       {message, `{"type":"text","text":"a","colour":"red"}`, "colour: is not a known field"},
		"field of another":    {message, `{"type":"audio","url":"https://a.example","caption":"c"}`, "caption: is not a known field"},
		"nested unknown":      {message, `{"type":"list","items":[{"options":[{"titel":"x"}]}]}`, "titel: is not a known field"},
		"subType of a text":   {message, `{"type":"text","text":"a","subType":"x"}`, "subType: is not a known field"},
		"wrong kind":          {message, `{"type":"text","text":919876543210}`, "text: must be a string"},
		"wrong flag":          {message, `{"text":"a","previewUrl":"yes"}`, "previewUrl: must be true or false"},
		"wrong list":          {message, `{"type":"list","items":{}}`, "items: must be an array"},
		"wrong object":        {message, `{"type":"text","context":"x"}`, "context: must be an object"},
		"wrong constant":      {message, `{"type":"list","globalButtons":[{"type":"button","title":"x"}]}`, `globalButtons.type: must be "text"`},
		"wrong action":        {message, `{"type":"location_request_message","action":{"name":"x"}}`, `action.name: must be "send_location"`},
		"wrong coordinate":    {message, `{"type":"location","longitude":true}`, "longitude: must be a string or a number"},
		"unknown type":        {message, `{"type":"document"}`, "type: must be one of text, image, file, audio, video, sticker, location, contact, reaction, list, quick_reply, cta_url, location_request_message, product_details"},
		"unknown subType":     {message, `{"type":"product_details","subType":"x"}`, "subType: must be one of product_list, product, catalog_message"},
		"null":                {message, `null`, "must be an object"},
		"array":               {message, `[]`, "must be an object"},
		"nothing":             {message, ``, "must be valid JSON"},
		"half":                {message, `{"text":"a`, "must be valid JSON"},
		"two":                 {message, `{"text":"a"}{}`, "must be valid JSON"},
		"media type":          {media, `{"type":"file","file":{}}`, "type: must be one of image, video, document, gif, location, carousel"},
		"media without type":  {media, `{"image":{"link":"x"}}`, "type: must be one of image, video, document, gif, location, carousel"},
		"media of another":    {media, `{"type":"image","video":{"link":"x"}}`, "video: is not a known field"},
		"media unknown":       {media, `{"type":"image","image":{"link":"x","caption":"c"}}`, "caption: is not a known field"},
		"content unknown":     {content, `{"text":"x"}`, "text: is not a known field"},
		"template unknown":    {content, `{"template":{"id":"x","name":"y"}}`, "name: is not a known field"},
		"params not strings":  {content, `{"template":{"id":"x","params":[1]}}`, "template.params: must be a string"},
		"expiration as text":  {content, `{"template":{"id":"x","expiration":"1"}}`, "template.expiration: must be a whole number"},
		"inside of message":   {content, `{"message":{"type":"image","caption":9}}`, "message.caption: must be a string"},
		"message and media":   {content, `{"message":{"x":1},"media":{"type":"y"}}`, "message.x: is not a known field; media.type: must be one of image, video, document, gif, location, carousel"},
		"a number as a field": {message, `{"919876543210":1}`, "[number]: is not a known field"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.decode(test.raw)
			require.Error(t, err)
			if name != "nothing" {
				var fields gupshup.FieldErrors
				require.ErrorAs(t, err, &fields)
			}
			require.Equal(t, test.want, err.Error())
		})
	}
}

func TestMediaRoundTrip(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		media gupshup.Media
		wire  string
	}{
		"image":       {gupshup.MediaImage{Link: "https://a.example/a.jpg"}, `{"type":"image","image":{"link":"https://a.example/a.jpg"}}`},
		"image by id": {gupshup.MediaImage{ID: "7"}, `{"type":"image","image":{"id":"7"}}`},
		"video":       {gupshup.MediaVideo{Link: "https://a.example/a.mp4"}, `{"type":"video","video":{"link":"https://a.example/a.mp4"}}`},
		"document":    {gupshup.MediaDocument{Link: "https://a.example/a.pdf", Filename: "a.pdf"}, `{"type":"document","document":{"link":"https://a.example/a.pdf","filename":"a.pdf"}}`},
		"gif":         {gupshup.MediaGIF{ID: "7"}, `{"type":"gif","gif":{"id":"7"}}`},
		"location": {
			gupshup.MediaLocation{Name: "n", Address: "a", Longitude: "-79.08", Latitude: "42.59"},
			`{"type":"location","location":{"name":"n","address":"a","longitude":"-79.08","latitude":"42.59"}}`,
		},
		"carousel": {
			gupshup.Carousel{CardHeaderType: "VIDEO", Cards: []gupshup.Card{{ID: "7", PostbackTexts: []gupshup.PostbackText{{Index: 1, Text: "x"}}}}},
			`{"type":"carousel","cardHeaderType":"VIDEO","cards":[{"id":"7","postbackTexts":[{"index":1,"text":"x"}]}]}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, test.media.Validate())
			raw, err := json.Marshal(test.media)
			require.NoError(t, err)
			require.JSONEq(t, test.wire, string(raw))
			got, err := gupshup.DecodeMedia([]byte(test.wire))
			require.NoError(t, err)
			require.Equal(t, test.media, got)
			var tag struct{ Type string }
			require.NoError(t, json.Unmarshal(raw, &tag))
			require.Equal(t, tag.Type, test.media.Type())
		})
	}
}
