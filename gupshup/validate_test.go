package gupshup_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

// chars is n characters that are two bytes each, so that a limit in bytes would show.
func chars(n int) string { return strings.Repeat("é", n) }

const link = "https://a.example/a"

// validation is a value and the fields it must be refused for, none if it is valid.
type validation struct {
	name   string
	value  interface{ Validate() error }
	fields []string
}

func checkValidations(t *testing.T, tests []validation) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := test.value.Validate()
			if len(test.fields) == 0 {
				require.NoError(t, err)
				return
			}
			var fields gupshup.FieldErrors
			require.ErrorAs(t, err, &fields)
			require.Equal(t, test.fields, paths(fields), err.Error())
			for _, f := range fields {
				require.NotEmpty(t, f.Problem)
			}
		})
	}
}

func TestValidateTextAndFiles(t *testing.T) {
	t.Parallel()
	empty := &gupshup.Context{}
	checkValidations(t, []validation{
		{"text at the limit", gupshup.Text{Text: chars(4096)}, nil},
		{"text beyond", gupshup.Text{Text: chars(4097)}, []string{"text"}},
		{"text missing", gupshup.Text{}, []string{"text"}},
		{"text blank", gupshup.Text{Text: " \n"}, []string{"text"}},
		{"text not UTF-8", gupshup.Text{Text: "\xff"}, []string{"text"}},
		{"text quoting nothing", gupshup.Text{Text: "a", Context: empty}, []string{"context.msgId"}},
		{"reaction", gupshup.Reaction{MsgID: "a"}, nil},
		{"reaction to nothing", gupshup.Reaction{Emoji: "😃"}, []string{"msgId"}},

		{"image by id", gupshup.Image{ID: "1", Caption: chars(1024)}, nil},
		{"image, everything wrong", gupshup.Image{ID: "1", OriginalURL: link, PreviewURL: "x", Caption: chars(1025), Context: empty}, []string{"id", "previewUrl", "caption", "context.msgId"}},
		{"image from nowhere", gupshup.Image{}, []string{"originalUrl"}},
		{"image with a blank id", gupshup.Image{ID: " "}, []string{"id"}},
		{"file", gupshup.File{URL: link, Caption: chars(1024)}, nil},
		{"file beyond", gupshup.File{URL: link, Caption: chars(1025), Filename: "\xff"}, []string{"filename", "caption"}},
		{"file from nowhere", gupshup.File{}, []string{"url"}},
		{"audio", gupshup.Audio{ID: "1"}, nil},
		{"audio twice", gupshup.Audio{ID: "1", URL: link}, []string{"id"}},
		{"video", gupshup.Video{URL: link, Caption: chars(1024)}, nil},
		{"video beyond", gupshup.Video{URL: link, Caption: chars(1025)}, []string{"caption"}},
		{"sticker", gupshup.Sticker{ID: "1"}, nil},
		{"sticker from nowhere", gupshup.Sticker{}, []string{"url"}},
	})
}

func TestValidateLinks(t *testing.T) {
	t.Parallel()
	for raw, ok := range map[string]bool{
		"https://a.example/a.jpg": true, "http://a.example:8080/?a=1&b=%20": true, "https://[::1]/a": true, "HTTPS://a.example": true,
		"": false, "a.example/a.jpg": false, "/a.jpg": false, "ftp://a.example/a": false, "javascript:alert(1)": false,
		"https://": false, "https://:80/": false, "https://a.example/a b": false, "https://a.example/\n": false,
		"file:///etc/passwd": false, "https://%zz": false,
	} {
		t.Run(raw, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, ok, gupshup.Audio{URL: raw}.Validate() == nil)
		})
	}
}

func TestValidateLocations(t *testing.T) {
	t.Parallel()
	checkValidations(t, []validation{
		{"corner", gupshup.Location{Longitude: "180", Latitude: "-90"}, nil},
		{"beyond", gupshup.Location{Longitude: "180.1", Latitude: "-90.1"}, []string{"longitude", "latitude"}},
		{"missing", gupshup.Location{}, []string{"longitude", "latitude"}},
		{"odd numbers", gupshup.Location{Longitude: "NaN", Latitude: "1e1"}, []string{"longitude", "latitude"}},
		{"odd texts", gupshup.Location{Longitude: "72,8", Latitude: "0x1"}, []string{"longitude", "latitude"}},
		{"template", gupshup.MediaLocation{Name: "n", Address: "a", Longitude: "-180", Latitude: "90"}, nil},
		{"template without name", gupshup.MediaLocation{Longitude: "0", Latitude: "0"}, []string{"location.name", "location.address"}},
		{"request", gupshup.LocationRequest{Body: gupshup.LocationRequestBody{Text: chars(1024)}}, nil},
		{"request beyond", gupshup.LocationRequest{Body: gupshup.LocationRequestBody{Text: chars(1025)}}, []string{"body.text"}},
	})
}

func TestValidateContact(t *testing.T) {
	t.Parallel()
	checkValidations(t, []validation{
		{"name alone", gupshup.Contact{Contact: gupshup.ContactCard{Name: gupshup.ContactName{FormattedName: "A"}}}, nil},
		{"everything wrong", gupshup.Contact{Contact: gupshup.ContactCard{
			Phones: []gupshup.ContactPhone{{Phone: "1"}, {}}, Emails: []gupshup.ContactEmail{{}}, URLs: []gupshup.ContactURL{{}}, Birthday: "28.02.1990",
		}}, []string{"contact.name.formattedName", "contact.phones[1].phone", "contact.emails[0].email", "contact.urls[0].url", "contact.birthday"}},
	})
}

// list is a valid list of that many sections and rows, with every text at its limit.
func list(sections, rows int) gupshup.List {
	m := gupshup.List{
		Title: chars(60), Body: chars(1024), Footer: chars(60), MsgID: "m",
		GlobalButtons: []gupshup.ListButton{{Title: chars(20)}},
	}
	for range sections {
		s := gupshup.ListSection{Title: chars(24)}
		for range rows {
			s.Options = append(s.Options, gupshup.ListRow{Title: chars(24), Description: chars(72)})
		}
		m.Items = append(m.Items, s)
	}
	return m
}

func TestValidateList(t *testing.T) {
	t.Parallel()
	untitled := list(1, 1)
	untitled.Items[0].Title = ""
	untitledPair := list(2, 1)
	untitledPair.Items[1].Title = ""
	two := list(1, 1)
	two.GlobalButtons = append(two.GlobalButtons, gupshup.ListButton{Title: "x"})
	beyond := list(1, 2)
	beyond.Title, beyond.Body, beyond.Footer, beyond.MsgID = chars(61), chars(1025), chars(61), ""
	beyond.GlobalButtons[0].Title = chars(21)
	beyond.Items[0].Title = chars(25)
	beyond.Items[0].Options[1] = gupshup.ListRow{Title: chars(25), Description: chars(73)}
	checkValidations(t, []validation{
		{"ten rows", list(1, 10), nil},
		{"ten sections", list(10, 1), nil},
		{"eleven rows", list(1, 11), []string{"items"}},
		{"twelve rows in sections", list(2, 6), []string{"items"}},
		{"eleven sections", list(11, 1), []string{"items", "items"}},
		{"empty section", list(1, 0), []string{"items[0].options"}},
		{"one section needs no title", untitled, nil},
		{"two sections need titles", untitledPair, []string{"items[1].title"}},
		{"two buttons", two, []string{"globalButtons"}},
		{"nothing", gupshup.List{}, []string{"title", "body", "msgid", "globalButtons", "items"}},
		{"everything beyond", beyond, []string{
			"title", "body", "footer", "msgid", "globalButtons[0].title", "items[0].title", "items[0].options[1].title", "items[0].options[1].description",
		}},
	})
}

// quickReply is a valid quick reply of that type with every text at its limit.
func quickReply(kind string, options int) gupshup.QuickReply {
	m := gupshup.QuickReply{Content: gupshup.QuickReplyContent{Type: kind, Text: chars(1024), Caption: chars(60)}}
	if kind == "text" {
		m.Content.Header = chars(60)
	} else {
		m.Content.URL = link
	}
	for range options {
		m.Options = append(m.Options, gupshup.QuickReplyOption{Title: chars(20)})
	}
	return m
}

func TestValidateQuickReply(t *testing.T) {
	t.Parallel()
	beyond := quickReply("text", 3)
	beyond.Content.Text, beyond.Content.Caption, beyond.Content.Header = chars(1025), chars(61), chars(61)
	beyond.Options[1] = gupshup.QuickReplyOption{Title: chars(21), Type: "button"}
	textWithMedia := quickReply("text", 1)
	textWithMedia.Content.URL, textWithMedia.Content.Filename = link, "a.pdf"
	imageWithHeader := quickReply("image", 1)
	imageWithHeader.Content.Header, imageWithHeader.Content.URL = "h", ""
	checkValidations(t, []validation{
		{"three options", quickReply("text", 3), nil},
		{"one option", quickReply("text", 1), nil},
		{"four options", quickReply("text", 4), []string{"options"}},
		{"no option", quickReply("text", 0), []string{"options"}},
		{"image", quickReply("image", 1), nil},
		{"video", quickReply("video", 1), nil},
		{"file", quickReply("file", 1), nil},
		{"document is a file", quickReply("document", 1), []string{"content.type"}},
		{"everything beyond", beyond, []string{"content.text", "content.caption", "content.header", "options[1].type", "options[1].title"}},
		{"text with media", textWithMedia, []string{"content.url", "content.filename"}},
		{"image with header, without URL", imageWithHeader, []string{"content.url", "content.header"}},
	})
}

func TestValidateCTAURL(t *testing.T) {
	t.Parallel()
	header := func(h gupshup.CTAHeader) gupshup.CTAURL {
		return gupshup.CTAURL{Body: chars(1024), DisplayText: chars(20), URL: link, Footer: chars(60), Header: &h}
	}
	checkValidations(t, []validation{
		{"image", header(gupshup.CTAHeader{Type: "image", Image: &gupshup.Link{Link: link}}), nil},
		{"wrong object", header(gupshup.CTAHeader{Type: "image", Video: &gupshup.Link{Link: link}}), []string{"header.image", "header.video"}},
		{"bad link", header(gupshup.CTAHeader{Type: "video", Video: &gupshup.Link{Link: "x"}}), []string{"header.video.link"}},
		{"unknown type", header(gupshup.CTAHeader{Type: "text"}), []string{"header.type"}},
		{"everything beyond", gupshup.CTAURL{Body: chars(1025), DisplayText: chars(21), URL: "x", Footer: chars(61)}, []string{"body", "display_text", "url", "footer"}},
		{"nothing", gupshup.CTAURL{}, []string{"body", "display_text", "url"}},
	})
}

func productList(sections, products int) gupshup.ProductList {
	m := gupshup.ProductList{
		CatalogID: "c", Header: &gupshup.TextPart{Text: chars(60)}, Body: gupshup.TextPart{Text: chars(1024)}, Footer: &gupshup.TextPart{Text: chars(60)},
	}
	for range sections {
		s := gupshup.ProductSection{Title: chars(24)}
		for i := range products {
			s.ProductList = append(s.ProductList, gupshup.ProductRef{ProductID: fmt.Sprint(i)})
		}
		m.Sections = append(m.Sections, s)
	}
	return m
}

func TestValidateProducts(t *testing.T) {
	t.Parallel()
	beyond := productList(2, 1)
	beyond.CatalogID, beyond.Header.Text, beyond.Body.Text, beyond.Footer.Text = "", chars(61), chars(1025), chars(61)
	beyond.Sections[0].Title, beyond.Sections[1].Title = chars(25), ""
	beyond.Sections[1].ProductList[0].ProductID = ""
	body := gupshup.TextPart{Text: "b"}
	checkValidations(t, []validation{
		{"thirty products", productList(1, 30), nil},
		{"thirty in sections", productList(10, 3), nil},
		{"thirty-one", productList(1, 31), []string{"sections"}},
		{"thirty-two in sections", productList(4, 8), []string{"sections"}},
		{"eleven sections", productList(11, 1), []string{"sections"}},
		{"empty section", productList(1, 0), []string{"sections[0].productList"}},
		{"everything beyond", beyond, []string{
			"catalogId", "header.text", "body.text", "footer.text", "sections[0].title", "sections[1].title", "sections[1].productList[0].productId",
		}},
		{"nothing", gupshup.ProductList{}, []string{"catalogId", "header", "body.text", "sections"}},
		{"product", gupshup.Product{CatalogID: "c", ProductID: "p", Body: body}, nil},
		{"empty product", gupshup.Product{Footer: &gupshup.TextPart{}}, []string{"catalogId", "body.text", "footer.text", "productId"}},
		{"catalogue", gupshup.Catalog{Body: body}, nil},
		{"empty catalogue", gupshup.Catalog{}, []string{"body.text"}},
	})
}

func carousel(cards int) gupshup.Carousel {
	m := gupshup.Carousel{CardHeaderType: "IMAGE"}
	for range cards {
		m.Cards = append(m.Cards, gupshup.Card{Link: link})
	}
	return m
}

func TestValidateMedia(t *testing.T) {
	t.Parallel()
	odd := carousel(2)
	odd.CardHeaderType = "image"
	odd.Cards[0].ID = "7"
	odd.Cards[1] = gupshup.Card{PostbackTexts: []gupshup.PostbackText{{Index: -1, Text: "a"}, {Index: 1, Text: "a"}, {Index: 1}}}
	checkValidations(t, []validation{
		{"image", gupshup.MediaImage{Link: link}, nil},
		{"image twice", gupshup.MediaImage{Link: link, ID: "7"}, []string{"image.id"}},
		{"image from nowhere", gupshup.MediaImage{}, []string{"image.link"}},
		{"video", gupshup.MediaVideo{ID: "7"}, nil},
		{"video, bad link", gupshup.MediaVideo{Link: "x"}, []string{"video.link"}},
		{"document", gupshup.MediaDocument{Link: link, Filename: "a.pdf"}, nil},
		{"document from nowhere", gupshup.MediaDocument{Filename: "a.pdf"}, []string{"document.link"}},
		{"gif", gupshup.MediaGIF{ID: "7"}, nil},
		{"gif from nowhere", gupshup.MediaGIF{}, []string{"gif.link"}},
		{"ten cards", carousel(10), nil},
		{"eleven cards", carousel(11), []string{"cards"}},
		{"no card", carousel(0), []string{"cards"}},
		{"odd cards", odd, []string{
			"cardHeaderType", "cards[0].id", "cards[1].link",
			"cards[1].postbackTexts[0].index", "cards[1].postbackTexts[2].index", "cards[1].postbackTexts[2].text",
		}},
	})
}

func mpm(sections, products int) gupshup.Template {
	m := gupshup.MPM{}
	for range sections {
		s := gupshup.MPMSection{Title: chars(24)}
		for range products {
			s.Products = append(s.Products, "p")
		}
		m.Sections = append(m.Sections, s)
	}
	return gupshup.Template{ID: templateID, Params: []string{"p"}, MPM: &m}
}

func TestValidateTemplate(t *testing.T) {
	t.Parallel()
	params := func(params ...string) gupshup.Template { return gupshup.Template{ID: templateID, Params: params} }
	offer := func(ends int64) gupshup.Template { return gupshup.Template{ID: templateID, Expiration: ends} }
	oddMPM := mpm(2, 1)
	oddMPM.MPM.Sections[0].Title = chars(25)
	oddMPM.MPM.Sections[1] = gupshup.MPMSection{Products: []string{""}}
	oddMPM.Catalog, oddMPM.Params = true, nil
	checkValidations(t, []validation{
		{"no params", params(), nil},
		{"four spaces", params("a    b"), nil},
		{"five spaces", params("ok", "a     b"), []string{"params[1]"}},
		{"line break", params("ok", "ok", "a\nb"), []string{"params[2]"}},
		{"carriage return", params("a\rb"), []string{"params[0]"}},
		{"tab", params("a\tb"), []string{"params[0]"}},
		{"both", params("a\t     b", "\xff"), []string{"params[0]", "params[0]", "params[1]"}},
		{"capital UUID", gupshup.Template{ID: strings.ToUpper(templateID)}, nil},
		{"no id", gupshup.Template{}, []string{"id"}},
		{"Meta's id", gupshup.Template{ID: "594425479261596"}, []string{"id"}},
		{"name", gupshup.Template{ID: "order_update"}, []string{"id"}},
		{"braced", gupshup.Template{ID: "{" + templateID + "}"}, []string{"id"}},
		{"dash moved", gupshup.Template{ID: "c6aecef-6bcb0-4fb1-8100-28c094e3bc6b"}, []string{"id"}},
		{"not hexadecimal", gupshup.Template{ID: "g6aecef6-bcb0-4fb1-8100-28c094e3bc6b"}, []string{"id"}},
		{"milliseconds", offer(1644912000000), nil},
		{"seconds", offer(1644912000), []string{"expiration"}},
		{"microseconds", offer(1644912000000000), []string{"expiration"}},
		{"negative", offer(-1), []string{"expiration"}},
		{"thirty products", mpm(1, 30), nil},
		{"thirty-one", mpm(1, 31), []string{"mpm.sections"}},
		{"eleven sections", mpm(11, 1), []string{"mpm.sections"}},
		{"no section", mpm(0, 0), []string{"mpm.sections"}},
		{"empty section", mpm(1, 0), []string{"mpm.sections[0].products"}},
		{"odd products", oddMPM, []string{"mpm.sections[0].title", "mpm.sections[1].title", "mpm.sections[1].products[0]", "catalog", "params"}},
		{"catalogue", gupshup.Template{ID: templateID, Params: []string{"p"}, Catalog: true}, nil},
		{"catalogue without product", gupshup.Template{ID: templateID, Catalog: true}, []string{"params"}},
	})
}

func TestValidateContent(t *testing.T) {
	t.Parallel()
	template := &gupshup.Template{ID: templateID, Params: []string{"a"}}
	text := gupshup.Text{Text: "hi"}
	postbacks := []gupshup.PostbackText{{Index: 0, Text: "x"}}
	products := mpm(1, 1)
	checkValidations(t, []validation{
		{"message", gupshup.Content{Message: text, DisablePreview: true, Encode: true}, nil},
		{"template", gupshup.Content{Template: template, Media: gupshup.MediaImage{Link: link}, PostbackTexts: postbacks}, nil},
		{"nothing", gupshup.Content{}, []string{"message"}},
		{"both", gupshup.Content{Message: text, Template: template}, []string{"template"}},
		{"message with media", gupshup.Content{Message: text, Media: gupshup.MediaImage{Link: link}}, []string{"media"}},
		{"message with postbacks", gupshup.Content{Message: text, PostbackTexts: postbacks}, []string{"postback_texts"}},
		{"template with flags", gupshup.Content{Template: template, DisablePreview: true, Encode: true}, []string{"disable_preview", "encode"}},
		{"products with media", gupshup.Content{Template: &products, Media: gupshup.MediaImage{Link: link}}, []string{"media"}},
		{"paths of a message", gupshup.Content{Message: quickReply("text", 0)}, []string{"message.options"}},
		{"paths of a template", gupshup.Content{
			Template: &gupshup.Template{ID: templateID, Params: []string{"a", "b", "\n"}}, Media: gupshup.MediaImage{},
			PostbackTexts: []gupshup.PostbackText{{Index: 0, Text: "x"}, {Index: 0, Text: "x"}},
		}, []string{"template.params[2]", "media.image.link", "postback_texts[1].index"}},
	})
	require.Equal(t, templateID, gupshup.Content{Template: template}.TemplateID())
	require.Empty(t, gupshup.Content{Message: text}.TemplateID())
}
