package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
)

// Chapter is one thing that happened to a message.
type Chapter struct {
	At    Stamp
	Text  string
	order time.Time // where it stands in the story
}

// Story tells attempts and receipts in order of time. A receipt never stands before its attempt, nor one of WhatsApp's before the "enqueued"
// of the same second: WhatsApp's clock is another one, and gives only seconds.
func Story(v Message) []Chapter {
	all := make([]Chapter, 0, len(v.Attempts)+len(v.Receipts))
	began := make(map[int]time.Time, len(v.Attempts))
	for _, a := range v.Attempts {
		began[a.N] = time.Time(a.At)
		all = append(all, Chapter{At: a.At, order: time.Time(a.At), Text: attemptText(a)})
	}
	enqueued := map[int]time.Time{}
	for _, r := range v.Receipts {
		if r.Event == gupshup.ReceiptEnqueued {
			enqueued[r.Attempt] = time.Time(r.At)
		}
	}
	for _, r := range v.Receipts {
		order := time.Time(r.At)
		if first := enqueued[r.Attempt]; r.Event != gupshup.ReceiptEnqueued && order.Equal(first.Truncate(time.Second)) {
			order = first.Add(time.Nanosecond) // behind it, before what the next millisecond brings
		}
		if began[r.Attempt].After(order) {
			order = began[r.Attempt]
		}
		all = append(all, Chapter{At: r.At, order: order, Text: receiptText(r)})
	}
	// Stable: of one moment attempts stand before receipts, and receipts as the ledger ordered them.
	slices.SortStableFunc(all, func(a, b Chapter) int { return a.order.Compare(b.order) })
	return all
}

// attemptText is such as "attempt 1 submitted, messageId 7f5c…".
func attemptText(a Attempt) string {
	outcome := string(a.Outcome)
	if outcome == "" {
		outcome = "under way"
	}
	parts := []string{fmt.Sprintf("attempt %d %s", a.N, outcome)}
	if a.Code != "" {
		parts = append(parts, "code "+a.Code)
	}
	if a.MessageID != "" {
		parts = append(parts, "messageId "+a.MessageID)
	}
	return strings.Join(parts, ", ")
}

// receiptText is such as "delivered (attempt 1)".
func receiptText(r Receipt) string {
	what := r.Event
	switch {
	case r.Event == gupshup.ReceiptFailed && r.Code != "":
		what += " with code " + r.Code
	case r.Event == ledger.Billing && r.Category != "":
		what = "billed as " + r.Category
	case r.Event == ledger.Billing:
		what = "billed"
	}
	return fmt.Sprintf("%s (attempt %d)", what, r.Attempt)
}
