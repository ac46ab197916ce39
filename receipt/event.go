package receipt

import (
	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
)

// action is what an event leads to.
type action int

const (
	countOnly action = iota
	receive
	openSession
	suppress
	resumeBulk
)

// Where a suppression comes from, as the ledger keeps it.
const (
	sourceUser       = "user-event"
	sourcePreference = "preference-event"
)

// billing is the ledger's name for what a message cost.
const billing = "billing"

// effect is an event as the ledger takes it.
type effect struct {
	do          action
	label       string             // of the metric: one of a fixed set
	receipt     ledger.Receipt     // receive
	suppression ledger.Suppression // suppress
}

// rule is a row of the table of events.
type rule struct {
	kind gupshup.EventKind
	typ  string // "" is every type of the kind
	do   action
	// label is what the event is counted as.
	label string
}

// rules is the table of events: the first row that fits counts, and what fits none is counted as "other".
// It is never written to.
var rules = []rule{
	{gupshup.EventReceipt, gupshup.ReceiptEnqueued, receive, gupshup.ReceiptEnqueued},
	{gupshup.EventReceipt, gupshup.ReceiptSent, receive, gupshup.ReceiptSent},
	{gupshup.EventReceipt, gupshup.ReceiptDelivered, receive, gupshup.ReceiptDelivered},
	{gupshup.EventReceipt, gupshup.ReceiptRead, receive, gupshup.ReceiptRead},
	{gupshup.EventReceipt, gupshup.ReceiptFailed, receive, gupshup.ReceiptFailed},
	{gupshup.EventBilling, "", receive, billing},
	{gupshup.EventInbound, "", openSession, "inbound"}, // whatever a user sends opens the 24 hours
	{gupshup.EventUser, "opted-out", suppress, "opted-out"},
	// An opt-in lifts nothing. The number may be on the list for another reason (no WhatsApp, a person's decision), and the event is
	// also sent when somebody of ours opts the number in by Gupshup's API: `gupdispatch suppress remove` is for a person to use.
	{gupshup.EventUser, "opted-in", countOnly, "opted-in"},
	{gupshup.EventUser, "sandbox-start", countOnly, "sandbox-start"}, // Gupshup tries out a new callback URL with it
	{gupshup.EventPreference, "stop", suppress, "stop"},              // of marketing messages only
	{gupshup.EventPreference, "resume", resumeBulk, "resume"},        // leaves what is suppressed for everything
	{gupshup.EventTemplate, "", countOnly, "template"},
	{gupshup.EventAccount, "", countOnly, "account"},
}

// effectOf says what an event leads to. codes are the configuration's overrides of the classes of failure codes. An event that
// lacks what its action needs, the messageId or the number, is only counted.
func effectOf(e gupshup.Event, codes map[string]gupshup.Class) effect {
	out := effect{label: "other"}
	for _, r := range rules {
		if r.kind == e.Kind && (r.typ == "" || r.typ == e.Type) {
			out.do, out.label = r.do, r.label
			break
		}
	}
	switch out.do {
	case receive:
		if e.MessageID == "" {
			out.do = countOnly
			break
		}
		out.receipt = receiptOf(e, out.label, codes)
	case openSession, suppress, resumeBulk:
		if e.Phone == "" {
			out.do = countOnly
		} else if out.do == suppress {
			out.suppression = suppressionOf(e)
		}
	}
	return out
}

func receiptOf(e gupshup.Event, event string, codes map[string]gupshup.Class) ledger.Receipt {
	r := ledger.Receipt{Event: event, At: e.At, MessageID: e.MessageID, WhatsAppID: e.WhatsAppID, To: e.Phone}
	switch event {
	case billing:
		r.Code = e.Detail // the category
	case gupshup.ReceiptFailed:
		r.Code, r.Reason = e.Code, e.Reason
		class, overridden := codes[e.Code]
		if !overridden {
			class = gupshup.EventClass(e.Code)
		}
		r.Class = class
	}
	return r
}

func suppressionOf(e gupshup.Event) ledger.Suppression {
	s := ledger.Suppression{Number: e.Phone, Scope: gupshup.SuppressAll, Code: e.Type, Source: sourceUser}
	if e.Kind == gupshup.EventPreference {
		s.Scope, s.Source = gupshup.SuppressBulk, sourcePreference
	}
	return s
}
