package gupshup

import (
	"encoding/json"
	"time"
)

// v2 routes by the outer type. A billing-event has no inner one and is also known by its deductions.
func (e *events) v2(c callback) {
	p := c.Payload
	switch {
	case c.Type == "message-event":
		e.receipt(status{
			event: p.Type, id: p.ID, gsID: p.GsID, whatsApp: p.Inner.WhatsAppMessageID, phone: p.Destination,
			at: p.Inner.TS.instant(), code: p.Inner.Code, reason: p.Inner.Reason,
		}, c.Type)
	case c.Type == "message":
		e.inbound(inbound{
			kind: p.Type, id: p.ID, phone: first(word(p.Source.phone()), p.Sender.Phone), context: p.Context, tap: p.tap(),
		})
	case c.Type == "billing-event", p.Deductions != deductions{}:
		e.billing(p.charge, c.Type)
	case c.Type == "user-event" && isUserEvent(p.Type):
		ev := e.event(EventUser, p.Type, time.Time{})
		ev.Phone = p.Phone.phone()
		e.add(ev)
	case c.Type == "preference-event":
		e.preferences(p.Inner.UserPreferences)
	case c.Type == "template-event" && (p.Type == "status-update" || p.Type == "category-update"):
		ev := e.event(EventTemplate, p.Type, time.Time{})
		ev.TemplateID, ev.Detail = p.ID.id(), p.Status.label()
		if p.Type == "category-update" {
			ev.Detail = p.Category.now.label()
		}
		e.add(ev)
	case c.Type == "account-event" && isAccountEvent(p.Type):
		ev := e.event(EventAccount, p.Type, time.Time{})
		ev.Detail = first(p.Status, p.Event).label()
		e.add(ev)
	case isSystem(c.Type):
		e.other(p.Type, c.Type)
	}
}

// isSystem names the types whose inner type says more than they do.
func isSystem(t word) bool { return t == "user-event" || t == "template-event" || t == "account-event" }

func isUserEvent(t word) bool { return t == "opted-in" || t == "opted-out" || t == "sandbox-start" }

func isAccountEvent(t word) bool {
	return t == "review-event" || t == "status-event" || t == "tier-event" || t == "capability-event"
}

// tap is the button that an inbound message is a tap of. The answer to a session message's button has it in the outer type; the
// answer to a template's button in the outer or in the inner one, depending on the app.
func (p callbackPayload) tap() tap {
	if p.Type != "quick_reply" && p.Type != "button_reply" && p.Type != "button" && p.Inner.Type != "button" {
		return tap{}
	}
	return tap{text: first(p.Inner.Text, p.Inner.Title), postback: p.Inner.PostbackText}
}

// preference is a user's word on marketing messages, given in WhatsApp's own settings.
type preference struct {
	WaID      word `json:"wa_id"`
	Category  word `json:"category"`
	Value     word `json:"value"`
	Timestamp word `json:"timestamp"`
}

// preferences has one event for each. They are of marketing messages; another category would be news.
func (e *events) preferences(list json.RawMessage) {
	for p := range elements[preference](list) {
		if e.full() {
			return
		}
		if (p.Value != "stop" && p.Value != "resume") || (p.Category != "" && p.Category != "marketing_messages") {
			e.other(first(p.Category, p.Value, "user_preferences"))
			continue
		}
		ev := e.event(EventPreference, p.Value, p.Timestamp.instant())
		ev.Phone = p.WaID.phone()
		e.add(ev)
	}
}
