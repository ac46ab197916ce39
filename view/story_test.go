package view

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
)

// WhatsApp tells whole seconds, Gupshup milliseconds: what is of the second of "enqueued" stands behind it.
func TestReceiptsOfOneSecondStandBehindEnqueued(t *testing.T) {
	t.Parallel()
	second := time.Date(2026, 1, 2, 10, 3, 5, 0, time.UTC)
	ms := func(n int) time.Time { return second.Add(time.Duration(n) * time.Millisecond) }
	texts := func(attempt time.Time, receipts ...ledger.ReceiptLine) (texts []string) {
		rec := ledger.Record{Attempts: []ledger.Attempt{{N: 1, At: attempt, Outcome: ledger.OutcomeSubmitted}}, Receipts: receipts}
		for _, c := range Story(MessageOf(rec, false)) {
			texts = append(texts, c.Text)
		}
		return texts
	}
	line := func(event string, at time.Time) ledger.ReceiptLine {
		return ledger.ReceiptLine{Event: event, At: at, Attempt: 1}
	}
	sent, delivered := line(gupshup.ReceiptSent, second), line(gupshup.ReceiptDelivered, second)
	want := []string{"attempt 1 submitted", "enqueued (attempt 1)", "sent (attempt 1)", "delivered (attempt 1)"}
	require.Equal(t, want, texts(ms(-500), sent, delivered, line(gupshup.ReceiptEnqueued, ms(400))))
	require.Equal(t, want, texts(ms(200), sent, delivered, line(gupshup.ReceiptEnqueued, ms(400))))
	require.Equal(t, want, texts(ms(-500), line(gupshup.ReceiptEnqueued, second), sent, delivered))
	require.Equal(t, []string{"attempt 1 submitted", "sent (attempt 1)", "enqueued (attempt 1)"},
		texts(ms(-2500), line(gupshup.ReceiptSent, ms(-1000)), line(gupshup.ReceiptEnqueued, ms(400))), "of another second it stands as it was told")
}
