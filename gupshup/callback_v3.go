package gupshup

import "encoding/json"

// waba is one entry of the v3 form: what happened to one business account.
type waba struct {
	Changes json.RawMessage `json:"changes"` // an array of change
}

type change struct {
	Field word `json:"field"`
	Value struct {
		Statuses        json.RawMessage `json:"statuses"`         // an array of statusV3
		Messages        json.RawMessage `json:"messages"`         // an array of messageV3
		UserPreferences json.RawMessage `json:"user_preferences"` // an array of preference
		Billing         charge          `json:"billing"`
	} `json:"value"`
}

type statusV3 struct {
	GsID        word `json:"gs_id"`
	ID          word `json:"id"`
	RecipientID word `json:"recipient_id"`
	Status      word `json:"status"`
	Timestamp   word `json:"timestamp"` // a string of seconds, WhatsApp's; of "enqueued" a number of milliseconds, Gupshup's

	Errors json.RawMessage `json:"errors"` // an array of errorV3, of a failed message
}

type errorV3 struct {
	Code    word `json:"code"`
	Title   word `json:"title"`
	Message word `json:"message"`
}

type messageV3 struct {
	From      word `json:"from"`
	ID        word `json:"id"`
	Type      word `json:"type"`
	Timestamp word `json:"timestamp"`
	Button    struct {
		Text    word `json:"text"`
		Payload word `json:"payload"`
	} `json:"button"` // of a template
	Interactive struct {
		ButtonReply struct {
			ID    word `json:"id"`
			Title word `json:"title"`
		} `json:"button_reply"`
	} `json:"interactive"` // of a session message
	Context replyContext `json:"context"`
}

// v3 reads Meta's form. Every entry and every change counts as an event at least, so that the limit of events bounds the work.
func (e *events) v3(c callback) {
	for entry := range elements[waba](c.Entry) {
		before := len(e.list)
		for change := range elements[change](entry.Changes) {
			if e.full() {
				return
			}
			e.change(change, c.Object)
		}
		if e.full() {
			return
		}
		if len(e.list) == before {
			e.other(c.Object)
		}
	}
}

// change adds what one change tells, or an other under the name of its field.
func (e *events) change(c change, object word) {
	v, before := c.Value, len(e.list)
	for s := range elements[statusV3](v.Statuses) {
		if e.full() {
			return
		}
		e.receipt(s.status(), c.Field)
	}
	for m := range elements[messageV3](v.Messages) {
		if e.full() {
			return
		}
		e.inbound(m.inbound())
	}
	e.preferences(v.UserPreferences)
	if v.Billing.Deductions != (deductions{}) || c.Field == "billing-event" {
		e.billing(v.Billing, c.Field)
	}
	if len(e.list) == before {
		e.other(c.Field, object)
	}
}

func (s statusV3) status() status {
	out := status{event: s.Status, id: s.ID, gsID: s.GsID, phone: s.RecipientID, at: s.Timestamp.instant()}
	for e := range elements[errorV3](s.Errors) {
		out.code, out.reason = e.Code, first(e.Title, e.Message)
		break
	}
	return out
}

func (m messageV3) inbound() inbound {
	reply := m.Interactive.ButtonReply
	return inbound{
		kind: m.Type, id: m.ID, phone: m.From, at: m.Timestamp.instant(), context: m.Context,
		tap: tap{text: first(m.Button.Text, reply.Title), postback: first(m.Button.Payload, reply.ID)},
	}
}
