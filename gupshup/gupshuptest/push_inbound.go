package gupshuptest

import (
	"strconv"
	"time"
)

type inboundPayload struct {
	ID      string          `json:"id"`
	Source  string          `json:"source"`
	Type    string          `json:"type"`
	Payload inboundContent  `json:"payload"`
	Sender  inboundSender   `json:"sender"`
	Context *inboundContext `json:"context,omitempty"`
}

// inboundContent is the union of what the types of messages carry.
type inboundContent struct {
	Text         string `json:"text,omitempty"`
	Type         string `json:"type,omitempty"`
	Title        string `json:"title,omitempty"`
	ID           string `json:"id,omitempty"`
	Reply        string `json:"reply,omitempty"`
	PostbackText string `json:"postbackText,omitempty"`
	Description  string `json:"description,omitempty"`
}

type inboundSender struct {
	Phone       string `json:"phone"`
	Name        string `json:"name"`
	CountryCode string `json:"country_code,omitempty"`
	DialCode    string `json:"dial_code,omitempty"`
}

type inboundContext struct {
	ID   string `json:"id"`
	GsID string `json:"gsId"`
}

// inbound is the payload of a message from the user.
func (p Push) inbound() inboundPayload {
	in := inboundPayload{ID: p.ID, Source: p.Phone, Sender: inboundSender{Phone: p.Phone, Name: "Simulated User"}}
	switch p.Kind {
	case PushButton:
		in.Type, in.Payload = "button_reply", inboundContent{Title: p.Text, ID: p.Postback, Reply: p.Text + " 1"}
	case PushListReply:
		in.Type, in.Payload = "list_reply", inboundContent{Title: p.Text, ID: p.ReplyTo, Reply: p.Text + " 1", PostbackText: p.Postback}
	case PushQuickReply, PushButtonText:
		in.Type, in.Payload = string(p.Kind), inboundContent{Text: p.Text, Type: "button", PostbackText: p.Postback}
		if p.Kind == PushButtonText {
			in.Type = "text"
		}
	default:
		in.Type, in.Payload = "text", inboundContent{Text: p.Text}
	}
	if p.ReplyTo != "" {
		in.Context = &inboundContext{ID: "wamid." + p.ReplyTo, GsID: p.ReplyTo}
	}
	return in
}

type v3Inbound struct {
	From        string         `json:"from"`
	ID          string         `json:"id"`
	Timestamp   string         `json:"timestamp"` // s
	Type        string         `json:"type"`
	Text        *v3Text        `json:"text,omitempty"`
	Button      *v3Button      `json:"button,omitempty"`
	Interactive *v3Interactive `json:"interactive,omitempty"`
	Context     *v3Context     `json:"context,omitempty"`
}

type v3Text struct {
	Body string `json:"body"`
}

type v3Button struct {
	Text    string `json:"text"`
	Payload string `json:"payload"`
}

type v3Interactive struct {
	Type   string   `json:"type"`
	Button *v3Reply `json:"button_reply,omitempty"`
	List   *v3Reply `json:"list_reply,omitempty"`
}

type v3Reply struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

type v3Context struct {
	ID   string `json:"id"`
	GsID string `json:"gs_id"`
}

// v3Inbound is a message from the user in Meta's format.
func (p Push) v3Inbound(at time.Time) v3Envelope {
	m := v3Inbound{From: p.Phone, ID: p.ID, Timestamp: strconv.FormatInt(at.Unix(), 10)}
	switch p.Kind {
	case PushButton:
		m.Type, m.Interactive = "interactive", &v3Interactive{Type: "button_reply", Button: &v3Reply{ID: p.Postback, Title: p.Text}}
	case PushListReply:
		m.Type, m.Interactive = "interactive", &v3Interactive{Type: "list_reply", List: &v3Reply{ID: p.Postback, Title: p.Text}}
	case PushQuickReply, PushButtonText:
		m.Type, m.Button = "button", &v3Button{Text: p.Text, Payload: p.Postback}
	default:
		m.Type, m.Text = "text", &v3Text{Body: p.Text}
	}
	if p.ReplyTo != "" {
		m.Context = &v3Context{ID: "wamid." + p.ReplyTo, GsID: p.ReplyTo}
	}
	return v3Message(p.App, p.Source, "messages", v3Value{
		Contacts: []v3Contact{{Profile: v3Profile{"Simulated User"}, WaID: p.Phone}}, Messages: []any{m},
	})
}
