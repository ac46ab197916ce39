package gupshup

import (
	"strings"
	"time"
)

// status is what either form says of one of our messages.
type status struct {
	event, id, gsID word
	whatsApp        word // of an enqueued message in v2: WhatsApp's id, since id is Gupshup's
	phone           word
	at              time.Time
	code, reason    word
}

// receipt adds a receipt, or an other: for events that are none, such as "deleted", which is about the user's message and not
// ours, and for those without any id, which nobody could use.
func (e *events) receipt(s status, outer word) {
	ev := e.event(EventReceipt, s.event, s.at)
	ev.MessageID, ev.WhatsAppID = messageIDs(s.id, s.gsID)
	ev.Phone = s.phone.phone()
	switch s.event {
	case ReceiptEnqueued:
		if id := s.whatsApp.id(); id != "" && id != ev.MessageID {
			ev.WhatsAppID = id
		}
	case ReceiptFailed:
		ev.Code, ev.Reason = s.code.code(), clean(string(s.reason))
	case ReceiptSent, ReceiptDelivered, ReceiptRead:
	default:
		ev.MessageID = ""
	}
	if ev.MessageID == "" {
		e.other(s.event, outer)
		return
	}
	e.add(ev)
}

// messageIDs are Gupshup's id and WhatsApp's. Without a gsId, which is missing a week after the send, the one id may be either:
// they cannot be told apart by their form.
func messageIDs(id, gsID word) (message, whatsApp string) {
	switch message, whatsApp = gsID.id(), id.id(); message {
	case "":
		return whatsApp, ""
	case whatsApp:
		return message, ""
	}
	return message, whatsApp
}

// charge is what a message cost.
type charge struct {
	Deductions deductions `json:"deductions"`
	References struct {
		ID          word `json:"id"`
		GsID        word `json:"gsId"`
		Destination word `json:"destination"`
	} `json:"references"`
}

type deductions struct {
	Type     word `json:"type"`
	Category word `json:"category"`
}

func (e *events) billing(c charge, outer word) {
	ev := e.event(EventBilling, "", time.Time{})
	ev.MessageID, ev.WhatsAppID = messageIDs(c.References.ID, c.References.GsID)
	if ev.MessageID == "" { // a call, for one
		e.other(first(outer, "billing-event"))
		return
	}
	ev.Phone = c.References.Destination.phone()
	ev.Detail = c.Deductions.category()
	e.add(ev)
}

// category is the type where there is none, as before July 2025 and for marketing_lite since; but not where the type says how it
// was priced: "regular", "free_customer_service" or "free_entry_point".
func (d deductions) category() string {
	if d.Category == "" && d.Type != "regular" && !strings.HasPrefix(string(d.Type), "free_") {
		return d.Type.label()
	}
	return d.Category.label()
}

// inbound is what either form says of a message that a user wrote.
type inbound struct {
	kind, id, phone word
	at              time.Time
	context         replyContext
	tap             tap
}

// tap is a button that the user pressed.
type tap struct{ text, postback word }

// replyContext names the message that was answered. Its id is WhatsApp's; only Gupshup's names one of ours for certain.
type replyContext struct {
	GsID   word `json:"gsId"`
	GsIDv3 word `json:"gs_id"`
}

func (e *events) inbound(m inbound) {
	ev := e.event(EventInbound, m.kind, m.at)
	ev.WhatsAppID, ev.Phone = m.id.id(), m.phone.phone()
	ev.ReplyTo = first(m.context.GsID, m.context.GsIDv3).id()
	ev.Button, ev.Postback = m.tap.text.line(maxTapped), firstRunes(string(m.tap.postback), maxPostback)
	e.add(ev)
}
