package gupshup

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
)

// maxEvents bounds what one body can tell. In v2 it is one event; only Meta's form has room for more. What comes behind the limit
// is not even decoded, so that a body cannot make much more of itself than its own size.
const maxEvents = 1000

// ParseCallback reads one body that Gupshup posted to a callback URL, in the v2 form or in the v3 form, which is Meta's own with
// Gupshup's ids added and which now and then comes to a v2 URL, too. It is pure.
//
// It returns at least one event and at most 1,000, or else an error: only for a body that is not one JSON object, and without any
// of its content in its text. A field of the wrong type counts as absent, and never costs the event. What nobody has described is
// an EventOther; so is a receipt, or a cost, that names no message.
//
// Where the forms come from: docs.gupshup.io/docs/message-events, /docs/billing-events and /docs/inbound-messages,
// partner-docs.gupshup.io/docs/events and /docs/v3-billing-events.
func ParseCallback(body []byte) ([]Event, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), byteOrderMark))
	var c callback
	if len(body) == 0 || body[0] != '{' || !decodes(body, &c) {
		return nil, errors.New("callback: the body is not one JSON object")
	}
	e := events{common: Event{App: c.App.line(maxApp), At: c.Timestamp.instant()}}
	e.v2(c)
	if len(e.list) == 0 {
		e.v3(c)
	}
	if len(e.list) == 0 {
		e.other(c.Type, c.Object)
	}
	return e.list, nil
}

// decodes tells whether raw is JSON, all of it. encoding/json passes over values of the wrong type and fills in everything else;
// that it saw one is no reason to drop the rest.
func decodes(raw []byte, into any) bool {
	err := json.Unmarshal(raw, into)
	var wrong *json.UnmarshalTypeError
	return err == nil || errors.As(err, &wrong)
}

// EventClass is the class of a failed receipt's code, by the table of codes: ClassUnknown if it is not listed. Behind a 2xx the
// numbers of 400 to 500 have their meaning of the table, and not that of an HTTP status.
func EventClass(code string) Class {
	if row, ok := LookupCode(word(code).code()); ok && code != "" {
		return row.Class
	}
	return ClassUnknown
}

// callback is the envelope of both forms, of which only what is used is decoded: texts that people wrote stay where they are.
type callback struct {
	App       word            `json:"app"`
	Timestamp word            `json:"timestamp"` // milliseconds, Gupshup's clock
	Type      word            `json:"type"`
	Payload   callbackPayload `json:"payload"`

	Object word            `json:"object"` // v3
	Entry  json.RawMessage `json:"entry"`  // v3: an array of waba
}

// callbackPayload has the fields of every v2 payload. No two kinds use one name for different things, category apart.
type callbackPayload struct {
	ID   word `json:"id"`
	GsID word `json:"gsId"`
	Type word `json:"type"`

	Destination word `json:"destination"` // message-event
	Phone       word `json:"phone"`       // user-event
	Source      word `json:"source"`      // message
	Sender      struct {
		Phone word `json:"phone"`
	} `json:"sender"`
	Context replyContext `json:"context"`

	Status   word     `json:"status"`   // template-event, account-event
	Event    word     `json:"event"`    // account-event
	Category category `json:"category"` // template-event

	charge
	Inner callbackInner `json:"payload"`
}

// callbackInner is the payload within the payload.
type callbackInner struct {
	TS                word `json:"ts"` // seconds, WhatsApp's clock
	Code              word `json:"code"`
	Reason            word `json:"reason"`
	WhatsAppMessageID word `json:"whatsappMessageId"`

	// A tapped button.
	Type         word `json:"type"`
	Text         word `json:"text"`
	Title        word `json:"title"`
	PostbackText word `json:"postbackText"`

	UserPreferences json.RawMessage `json:"user_preferences"` // an array of preference
}

// events collects what a body tells.
type events struct {
	common Event // what all of them share
	list   []Event
}

// event is a new event with what it shares with the others. A time that is known better replaces the callback's own.
func (e *events) event(kind EventKind, kindType word, at time.Time) Event {
	ev := e.common
	ev.Kind, ev.Type = kind, kindType.label()
	if !at.IsZero() {
		ev.At = at
	}
	return ev
}

func (e *events) add(ev Event) {
	if !e.full() {
		e.list = append(e.list, ev)
	}
}

func (e *events) full() bool { return len(e.list) >= maxEvents }

// other adds what is none of the known kinds, under the first name that it has.
func (e *events) other(names ...word) { e.add(e.event(EventOther, first(names...), time.Time{})) }
