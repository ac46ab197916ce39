package httpapi

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gupdispatch/gupdispatch/message"
)

// messageObject documents the message object; message.Message reads it, and says what is wrong with it. A test compares their fields.
type messageObject struct {
	ID        string            `json:"id,omitempty" pattern:"^[A-Za-z0-9._-]{1,64}$" doc:"yours: with it a message is accepted once; made for you if absent" example:"order-42"`
	Sender    string            `json:"sender" doc:"the name of a configured sender" example:"shop"`
	To        string            `json:"to" doc:"the recipient's number with its country code, with or without +" example:"+919876543210"`
	Priority  message.Priority  `json:"priority,omitempty" default:"default" doc:"critical is for one-time passwords, bulk for campaigns"`
	SendAt    time.Time         `json:"send_at,omitempty" doc:"not before; now, if left out"`
	ExpiresAt time.Time         `json:"expires_at,omitempty" doc:"not sent after it; if left out, what the configuration says for the priority"`
	OnInDoubt string            `json:"on_in_doubt,omitempty" enum:"resend,hold" doc:"when nobody knows whether Gupshup took it; if left out, what is configured"`
	Metadata  map[string]string `json:"metadata,omitempty" doc:"your own, told with the message's story; at most 20 keys and 1,024 bytes"`
	Fallback  *ContentObject    `json:"fallback,omitempty" doc:"a template, sent instead of message without an open session (check_session)"`
	ContentObject
}

// ContentObject is what a message says: a session message, or a template.
type ContentObject struct {
	Template       *templateObject  `json:"template,omitempty" doc:"an approved template; either this or message must be there"`
	Message        *sessionObject   `json:"message,omitempty" doc:"a session message, to a user who wrote within 24 hours"`
	Media          *sessionObject   `json:"media,omitempty" doc:"the header of the template, if it has one"`
	PostbackTexts  []postbackObject `json:"postback_texts,omitempty" nullable:"false" doc:"what the template's quick-reply buttons post back"`
	DisablePreview bool             `json:"disable_preview,omitempty" doc:"of a session message: no preview of links"`
	Encode         bool             `json:"encode,omitempty" doc:"of a list message: needed for emoji"`
}

// templateObject is a template with its parameters.
type templateObject struct {
	ID         string     `json:"id" format:"uuid" doc:"Gupshup's UUID of the template" example:"c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"`
	Params     []string   `json:"params,omitempty" nullable:"false" doc:"the body's placeholders in order, then those of buttons, codes and cards"`
	Expiration int64      `json:"expiration,omitempty" doc:"when a limited-time offer ends, in milliseconds since 1970"`
	MPM        *mpmObject `json:"mpm,omitempty" doc:"the products of a multi-product template"`
	Catalog    bool       `json:"catalog,omitempty" doc:"it is a catalogue template"`
}

// mpmObject is the products of a multi-product template.
type mpmObject struct {
	Sections []mpmSectionObject `json:"sections" nullable:"false"`
}

type mpmSectionObject struct {
	Title    string   `json:"title,omitempty" maxLength:"24"`
	Products []string `json:"products" nullable:"false"`
}

type postbackObject struct {
	Index int    `json:"index" doc:"the button's place, from 0"`
	Text  string `json:"text"`
}

// sessionObject is an object of Gupshup's with a type: its other fields depend on that.
type sessionObject struct{}

// Schema tells huma what sessionObject is.
func (sessionObject) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeObject, Required: []string{"type"}, AdditionalProperties: true,
		Description: "Gupshup's object of that type, such as text, image, video, file, audio, sticker, location, contact, list or quick_reply; " +
			"a wrong field is named by its path",
		Properties: map[string]*huma.Schema{"type": {Type: huma.TypeString, Examples: []any{"text"}}},
		Examples:   []any{map[string]any{"type": "text", "text": "Your order is on its way."}},
	}
}

// describe gives the document what is the same for all operations, once they are registered.
func (a *api) describe() {
	doc := a.huma.OpenAPI()
	doc.Info = &huma.Info{
		Title: "gupdispatch", Version: "1",
		Description: "Hand WhatsApp messages over; each reaches Gupshup once, at the right pace, and its end is known. Errors are problems (RFC 9457). " +
			"Every answer has an X-Request-Id, yours if you sent one.",
		Contact: &huma.Contact{Name: "gupdispatch", URL: "https://github.com/gupdispatch/gupdispatch"},
		License: &huma.License{Name: "MIT", Identifier: "MIT"},
	}
	doc.Servers = []*huma.Server{{URL: "/", Description: "this server"}}
	for _, tag := range []string{"messages", "campaigns", "dead letters", "senders", "templates", "suppressions"} {
		doc.Tags = append(doc.Tags, &huma.Tag{Name: tag, Description: tagTexts[tag]})
	}
	doc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key": {Type: "http", Scheme: "bearer", Description: "an API key of http.api_keys"},
	}
	schemas := doc.Components.Schemas.Map()
	delete(schemas, "ErrorModel") // huma's own, which no answer is
	delete(schemas, "ErrorDetail")
	for name, s := range schemas {
		if !strings.HasSuffix(name, "Request") && !strings.HasSuffix(name, "Object") {
			s.AdditionalProperties = nil // answers may get more fields one day
		}
		if strings.Contains(name, "Campaign") {
			enumerate(s, "status", message.CampaignStatuses)
		} else {
			enumerate(s, "status", message.Statuses)
		}
		enumerate(s, "campaign_status", message.CampaignStatuses)
		enumerate(s, "message_status", message.Statuses)
		enumerate(s, "priority", message.Priorities)
	}
	for _, name := range []string{"hold", "daily_recipients"} { // huma has no word for an object or null
		p := schemas["Sender"].Properties[name]
		schemas["Sender"].Properties[name] = &huma.Schema{
			Description: p.Description, OneOf: []*huma.Schema{{Ref: p.Ref}, {Type: "null"}},
		}
	}
}

var tagTexts = map[string]string{
	"messages":     "Hand messages over, ask what became of them, take them back",
	"campaigns":    "One template to many people, from a file",
	"dead letters": "Messages that came to a terminal failure",
	"senders":      "WhatsApp numbers: their pace, and holds that keep them from sending",
	"templates":    "Holds that keep templates from being sent",
	"suppressions": "Numbers that must not be written to",
}

// enumerate names the values that a property may have.
func enumerate[T ~string](s *huma.Schema, property string, values []T) {
	p := s.Properties[property]
	if p == nil || p.Type != huma.TypeString {
		return
	}
	for _, v := range values {
		p.Enum = append(p.Enum, string(v))
	}
}

// alsoAnswers documents another good answer of an operation.
func (a *api) alsoAnswers(op *huma.Operation, status int, text string, body any) {
	schema := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(body), true, "")
	op.Responses[strconv.Itoa(status)] = &huma.Response{
		Description: text, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}},
	}
}
