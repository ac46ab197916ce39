package gupshuptest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// PushKind names a callback that is sent on demand.
type PushKind string

// The kinds of pushes.
const (
	PushOptedIn      PushKind = "opted-in"      // user-event
	PushOptedOut     PushKind = "opted-out"     // user-event
	PushSandboxStart PushKind = "sandbox-start" // user-event; without a Phone that of a URL being set
	PushStop         PushKind = "stop"          // preference-event: the user stops marketing messages
	PushResume       PushKind = "resume"        // preference-event: and wants them again
	PushText         PushKind = "text"          // inbound message with Text
	PushButton       PushKind = "button"        // inbound: a tap on a session message's button, Text with its id in Postback
	PushQuickReply   PushKind = "quick_reply"   // inbound: a tap on a template's button, Text with Postback
	PushButtonText   PushKind = "button_text"   // the same in its other form: type text, with "button" inside
	PushListReply    PushKind = "list_reply"    // inbound: a choice of a list, Text with Postback
	PushTemplate     PushKind = "template"      // template-event: ID is the template, Text its new status
	PushAccount      PushKind = "account"       // account-event: a tier-event, Text is the new tier
	PushRaw          PushKind = "raw"           // Body as it is
)

// Push is a callback that is sent on demand, as when a user writes.
type Push struct {
	Kind PushKind `json:"kind"`
	// App and Source are the sender it is told to. The first of Config.Apps,
	// or else DemoApp and 917834811114, if they are empty.
	App    string `json:"app,omitempty"`
	Source string `json:"source,omitempty"`
	// Phone is the user, digits only.
	Phone string `json:"phone,omitempty"`
	// Text is what the user wrote or tapped, or as the kind says.
	Text string `json:"text,omitempty"`
	// Postback is the text behind a button.
	Postback string `json:"postback,omitempty"`
	// ReplyTo is the messageId that the user answers, if any.
	ReplyTo string `json:"reply_to,omitempty"`
	// ID is the inbound message's own id, or the template's; drawn if empty.
	ID string `json:"id,omitempty"`
	// Body is what PushRaw sends.
	Body json.RawMessage `json:"body,omitempty"`
}

// validate says what is wrong, if anything.
func (p Push) validate() error {
	switch p.Kind {
	case PushRaw:
		if len(p.Body) == 0 {
			return errors.New("body: is missing")
		}
		return nil
	case PushTemplate, PushAccount:
		if p.Text == "" {
			return errors.New("text: is missing, the new status of a template or tier of an account")
		}
		return nil
	case PushSandboxStart:
		if p.Phone == "" {
			return nil
		}
	case PushOptedIn, PushOptedOut, PushStop, PushResume, PushText, PushButton, PushQuickReply, PushButtonText, PushListReply:
	default:
		return fmt.Errorf("kind %q does not exist", p.Kind)
	}
	if !isNumber(p.Phone) {
		return errors.New("phone: use 7 to 15 digits")
	}
	return nil
}

// Push posts a callback at once, and again like every other until it is
// answered with a 2xx. It is an error if no callback URL is set.
func (s *Simulator) Push(p Push) error {
	if err := p.validate(); err != nil {
		return fmt.Errorf("push: %w", err)
	}
	app := App{Name: "DemoApp", Source: "917834811114"}
	if len(s.cfg.Apps) > 0 {
		app = s.cfg.Apps[0]
	}
	if p.App == "" {
		p.App = app.Name
	}
	if p.Source == "" {
		p.Source = app.Source
		for _, known := range s.cfg.Apps {
			if known.Name == p.App {
				p.Source = known.Source
			}
		}
	}
	n := s.pushes.Add(1)
	if p.ID == "" {
		p.ID = wamid(s.cfg.Seed, streamPush, n)
		if p.Kind == PushTemplate {
			p.ID = makeUUID(s.cfg.Seed, streamPush, n)
		}
	}
	if err := s.caller.push(p.App, p.write(s.cfg.Now(), s.caller.config().V3)); err != nil {
		return fmt.Errorf("push: %w", err)
	}
	return nil
}

// write makes the body.
func (p Push) write(at time.Time, v3 bool) []byte {
	e := envelope{App: p.App, Phone: p.Source, Timestamp: at.UnixMilli(), Version: 2}
	switch p.Kind {
	case PushRaw:
		return p.Body
	case PushOptedIn, PushOptedOut, PushSandboxStart:
		phone := p.Phone
		if phone == "" {
			phone = "callbackSetPhone" // the literal that Gupshup sends when a URL is set
		}
		e.Phone, e.Type, e.Payload = "", "user-event", userPayload{Phone: phone, Type: string(p.Kind)}
	case PushStop, PushResume:
		return p.preference(e, at, v3)
	case PushTemplate:
		e.Type, e.Payload = "template-event", templatePayload{
			Type: "status-update", ID: p.ID, Status: p.Text, ElementName: "simulated", LanguageCode: "en",
		}
	case PushAccount:
		e.Type, e.Payload = "account-event", accountPayload{Type: "tier-event", Event: "UPGRADE", NewTier: p.Text}
	default:
		if v3 {
			return encode(p.v3Inbound(at))
		}
		e.Type, e.Payload = "message", p.inbound()
	}
	return encode(e)
}

type userPayload struct {
	Phone string `json:"phone"`
	Type  string `json:"type"`
}

type templatePayload struct {
	Type         string `json:"type"`
	ID           string `json:"id"`
	Status       string `json:"status"`
	ElementName  string `json:"elementName"`
	LanguageCode string `json:"languageCode"`
}

type accountPayload struct {
	Type    string `json:"type"`
	Event   string `json:"event"`
	NewTier string `json:"newTier"`
}

type preferencePayload struct {
	Type    string          `json:"type"`
	Payload userPreferences `json:"payload"`
}

type userPreferences struct {
	UserPreferences []v2Preference `json:"user_preferences"`
}

type v2Preference struct {
	WaID      string `json:"wa_id"`
	Detail    string `json:"detail"`
	Category  string `json:"category"`
	Value     string `json:"value"`
	Timestamp int64  `json:"timestamp"` // s
}

// preference writes that a user stops or resumes marketing messages.
func (p Push) preference(e envelope, at time.Time, v3 bool) []byte {
	preferences := []v2Preference{{
		WaID: p.Phone, Detail: "User requested to " + string(p.Kind) + " marketing messages",
		Category: "marketing_messages", Value: string(p.Kind), Timestamp: at.Unix(),
	}}
	if v3 {
		return encode(v3Message(p.App, p.Source, "user_preferences", v3Value{UserPreferences: preferences}))
	}
	e.Phone, e.AppID, e.Type = "", appID(p.App), "preference-event"
	e.Payload = preferencePayload{Type: "user_preferences", Payload: userPreferences{preferences}}
	return encode(e)
}

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
