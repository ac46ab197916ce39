package main

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

func TestTheStoryIsInOrderOfTime(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 2, 10, 3, 0, 0, time.UTC)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	rec := ledger.Record{
		ID: "a", Sender: "shop", To: testNumber, Priority: message.Default, Status: message.Delivered, MessageID: "gs-2",
		CreatedAt: at(0), UpdatedAt: at(9000),
		Attempts: []ledger.Attempt{
			{N: 1, At: at(2500), Outcome: ledger.OutcomeSubmitted, MessageID: "gs-1"},
			{N: 2, At: at(5500), Outcome: ledger.OutcomeSubmitted, MessageID: "gs-2"},
			{N: 3, At: at(12000)},
		},
		Receipts: []ledger.ReceiptLine{
			{Event: gupshup.ReceiptEnqueued, At: at(2000), Attempt: 1},
			{Event: gupshup.ReceiptFailed, At: at(4000), Attempt: 1, Code: "1011"},
			{Event: gupshup.ReceiptSent, At: at(5000), Attempt: 2},
			{Event: gupshup.ReceiptDelivered, At: at(5500), Attempt: 2},
			{Event: ledger.Billing, At: at(6000), Attempt: 2, Code: "marketing"},
			{Event: ledger.Billing, At: at(6001), Attempt: 2},
		},
		FellBack: true,
	}
	var b strings.Builder
	tellStory(&b, view.MessageOf(rec, false), "")
	require.Equal(t, `message a of sender shop to 9198******10, priority default
  2026-01-02T10:03:00.000Z  accepted
  2026-01-02T10:03:02.500Z  attempt 1 submitted, messageId gs-1
  2026-01-02T10:03:02.000Z  enqueued (attempt 1)
  2026-01-02T10:03:04.000Z  failed with code 1011 (attempt 1)
  2026-01-02T10:03:05.500Z  attempt 2 submitted, messageId gs-2
  2026-01-02T10:03:05.000Z  sent (attempt 2)
  2026-01-02T10:03:05.500Z  delivered (attempt 2)
  2026-01-02T10:03:06.000Z  billed as marketing (attempt 2)
  2026-01-02T10:03:06.001Z  billed (attempt 2)
  2026-01-02T10:03:12.000Z  attempt 3 under way
  2026-01-02T10:03:09.000Z  it is delivered
its recipient had no open session, so its fallback template takes its place
`, b.String())
}

// submits makes a message that Gupshup took, without a worker.
func (s *site) submits(sender, id, messageID string) {
	s.t.Helper()
	c := s.claimed(sender, id)
	_, err := s.ledger.Commit(s.t.Context(), ledger.Commit{
		Sender: sender, ID: id, Attempt: c.Attempt, Outcome: ledger.OutcomeSubmitted, Next: message.Submitted, Spends: true, MessageID: messageID,
	})
	require.NoError(s.t, err)
}

func TestMessageShowWithReceipts(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		s.submits(s.sender, "a", "gs-a")
		s.receives(s.sender,
			ledger.Receipt{Event: gupshup.ReceiptRead, At: time.Now().Add(3 * time.Second), MessageID: "gs-a"},
			ledger.Receipt{Event: gupshup.ReceiptDelivered, At: time.Now().Add(2 * time.Second), MessageID: "gs-a"},
		)
		s.submits(s.sender, "b", "gs-b")
		s.receives(s.sender, ledger.Receipt{
			Event: gupshup.ReceiptFailed, At: time.Now().Add(2 * time.Second), MessageID: "gs-b", Code: "1002", Class: gupshup.ClassRecipient, Reason: "Number Does Not Exist",
		})

		story := s.ok("message", "show", "gs-a").out
		require.Regexp(t, `(?s)accepted.*attempt 1 submitted, messageId gs-a.*delivered \(attempt 1\).*read \(attempt 1\).*it is read`, story)

		a := decode[map[string]any](t, s.ok("message", "show", "a", "--json").out)
		require.Equal(t, "read", a["status"])
		receipts := a["receipts"].([]any)
		require.Len(t, receipts, 2)
		require.Equal(t, []string{"at", "attempt", "event"}, keys(receipts[0].(map[string]any)))
		require.Equal(t, "delivered", receipts[0].(map[string]any)["event"])
		require.Equal(t, 1.0, receipts[0].(map[string]any)["attempt"])

		b := decode[map[string]any](t, s.ok("message", "show", "b", "--json").out)
		failed := b["receipts"].([]any)[0].(map[string]any)
		require.Equal(t, []string{"at", "attempt", "code", "event"}, keys(failed))
		require.Equal(t, "1002", failed["code"])
		require.Contains(t, s.ok("message", "show", "b").out, "failed with code 1002 (attempt 1)")
	})
}
