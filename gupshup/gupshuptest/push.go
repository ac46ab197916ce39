package gupshuptest

import (
	"encoding/json"
	"errors"
	"fmt"
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
