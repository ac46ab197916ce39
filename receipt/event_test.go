package receipt

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
)

func TestEffects(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	codes := map[string]gupshup.Class{"1002": gupshup.ClassTransient}
	about := func(e gupshup.Event) gupshup.Event {
		e.MessageID, e.WhatsAppID, e.Phone, e.At = "m-1", "wamid.1", testNumber, at
		return e
	}
	receipt := func(r ledger.Receipt) ledger.Receipt {
		r.MessageID, r.WhatsAppID, r.To, r.At = "m-1", "wamid.1", testNumber, at
		return r
	}
	for name, tc := range map[string]struct {
		event gupshup.Event
		want  effect
	}{
		"enqueued":  {about(gupshup.Event{Kind: gupshup.EventReceipt, Type: "enqueued"}), effect{do: receive, label: "enqueued", receipt: receipt(ledger.Receipt{Event: "enqueued"})}},
		"sent":      {about(gupshup.Event{Kind: gupshup.EventReceipt, Type: "sent"}), effect{do: receive, label: "sent", receipt: receipt(ledger.Receipt{Event: "sent"})}},
		"delivered": {about(gupshup.Event{Kind: gupshup.EventReceipt, Type: "delivered"}), effect{do: receive, label: "delivered", receipt: receipt(ledger.Receipt{Event: "delivered"})}},
		"read":      {about(gupshup.Event{Kind: gupshup.EventReceipt, Type: "read"}), effect{do: receive, label: "read", receipt: receipt(ledger.Receipt{Event: "read"})}},
		"failed": {
			about(gupshup.Event{Kind: gupshup.EventReceipt, Type: "failed", Code: "1008", Reason: "User is not Opted in"}),
			effect{do: receive, label: "failed", receipt: receipt(ledger.Receipt{Event: "failed", Code: "1008", Class: gupshup.ClassConsent, Reason: "User is not Opted in"})},
		},
		"failed, with a class of the configuration": {
			about(gupshup.Event{Kind: gupshup.EventReceipt, Type: "failed", Code: "1002"}),
			effect{do: receive, label: "failed", receipt: receipt(ledger.Receipt{Event: "failed", Code: "1002", Class: gupshup.ClassTransient})},
		},
		"failed, with a code nobody knows": {
			about(gupshup.Event{Kind: gupshup.EventReceipt, Type: "failed", Code: "77777"}),
			effect{do: receive, label: "failed", receipt: receipt(ledger.Receipt{Event: "failed", Code: "77777", Class: gupshup.ClassUnknown})},
		},
		"receipt without an id":    {gupshup.Event{Kind: gupshup.EventReceipt, Type: "sent", Phone: testNumber}, effect{label: "sent"}},
		"receipt of no known type": {about(gupshup.Event{Kind: gupshup.EventReceipt, Type: "warped"}), effect{label: "other"}},
		"billing": {
			about(gupshup.Event{Kind: gupshup.EventBilling, Detail: "marketing"}),
			effect{do: receive, label: "billing", receipt: receipt(ledger.Receipt{Event: "billing", Code: "marketing"})},
		},
		"inbound": {
			gupshup.Event{Kind: gupshup.EventInbound, Type: "text", Phone: testNumber},
			effect{do: openSession, label: "inbound"},
		},
		"inbound from no number": {gupshup.Event{Kind: gupshup.EventInbound, Type: "text"}, effect{label: "inbound"}},
		"opted out": {
			gupshup.Event{Kind: gupshup.EventUser, Type: "opted-out", Phone: testNumber},
			effect{do: suppress, label: "opted-out", suppression: ledger.Suppression{Number: testNumber, Scope: gupshup.SuppressAll, Code: "opted-out", Source: "user-event"}},
		},
		"opted in lifts nothing": {gupshup.Event{Kind: gupshup.EventUser, Type: "opted-in", Phone: testNumber}, effect{label: "opted-in"}},
		"sandbox start":          {gupshup.Event{Kind: gupshup.EventUser, Type: "sandbox-start"}, effect{label: "sandbox-start"}},
		"user event of a new type": {
			gupshup.Event{Kind: gupshup.EventUser, Type: "moved-away", Phone: testNumber}, effect{label: "other"},
		},
		"stop": {
			gupshup.Event{Kind: gupshup.EventPreference, Type: "stop", Phone: testNumber},
			effect{do: suppress, label: "stop", suppression: ledger.Suppression{Number: testNumber, Scope: gupshup.SuppressBulk, Code: "stop", Source: "preference-event"}},
		},
		"stop by no number": {gupshup.Event{Kind: gupshup.EventPreference, Type: "stop"}, effect{label: "stop"}},
		"resume": {
			gupshup.Event{Kind: gupshup.EventPreference, Type: "resume", Phone: testNumber},
			effect{do: resumeBulk, label: "resume"},
		},
		"template": {gupshup.Event{Kind: gupshup.EventTemplate, Detail: "paused"}, effect{label: "template"}},
		"account":  {gupshup.Event{Kind: gupshup.EventAccount, Type: "tier-event"}, effect{label: "account"}},
		"other":    {gupshup.Event{Kind: gupshup.EventOther, Type: "whatever they think of"}, effect{label: "other"}},
		"nothing":  {gupshup.Event{}, effect{label: "other"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, effectOf(tc.event, codes))
		})
	}
}
