package gupshup

import "time"

// EventKind says what a callback is about.
type EventKind string

// Kinds of events. Everything that is none of the others is EventOther: Gupshup adds kinds without notice.
const (
	EventReceipt    EventKind = "receipt"    // what became of one of our messages; Type is one of the Receipt… constants
	EventBilling    EventKind = "billing"    // what one of our messages cost; Detail is the category, such as "marketing"
	EventUser       EventKind = "user"       // Type: "opted-in", "opted-out", "sandbox-start"
	EventPreference EventKind = "preference" // Type: "stop" or "resume", of marketing messages
	EventTemplate   EventKind = "template"   // Type: "status-update" or "category-update"; Detail: the new status or category
	EventAccount    EventKind = "account"    // Type: "review-event", "status-event", "tier-event", "capability-event"; Detail: the status or the tier's event, if any
	EventInbound    EventKind = "inbound"    // a user wrote to us; Type is the message's
	EventOther      EventKind = "other"      // Type is the provider's own word, if any
)

// Receipt events, the Type of an EventReceipt.
const (
	ReceiptEnqueued  = "enqueued"
	ReceiptSent      = "sent"
	ReceiptDelivered = "delivered"
	ReceiptRead      = "read"
	ReceiptFailed    = "failed"
)

// Event is one thing that a callback tells. Fields that its kind has no use for are zero.
type Event struct {
	Kind EventKind
	Type string // at most 64 characters of the provider's word; see the kinds

	App string    // the app's name at Gupshup, where given
	At  time.Time // when it happened: WhatsApp's time where there is one, else Gupshup's; zero if neither is given

	// MessageID names one of our messages and is never empty for EventReceipt and EventBilling: gsId where there is one, else id,
	// which may be Gupshup's or, in receipts that come more than a week after the send, WhatsApp's own.
	MessageID  string
	WhatsAppID string // WhatsApp's id of the message, ours or the user's, where it is certain to be that; never equal to MessageID
	Phone      string // digits: the destination of a receipt, the user of the other kinds; empty where it is no number

	Code   string // EventReceipt failed: as in the code table, whether it came as a number or a string; empty if there was none
	Reason string // EventReceipt failed: the provider's text, at most 256 characters, one line, links and numbers masked

	Detail     string // see the kinds
	TemplateID string // EventTemplate: Gupshup's id of it
	ReplyTo    string // EventInbound: the messageId of ours that the user answered
	Button     string // EventInbound: the text of a tapped button, in whichever form the tap came; at most 256 characters
	Postback   string // EventInbound: that button's postback text, at most 1,024 characters
}
