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
)

// receives is what the receiver does with receipts.
func (s *site) receives(sender string, receipts ...ledger.Receipt) []ledger.Received {
	s.t.Helper()
	received, errs := s.ledger.Receive(s.t.Context(), sender, receipts)
	for _, err := range errs {
		require.NoError(s.t, err)
	}
	return received
}

func TestReceiptsParked(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		require.Equal(t, s.sender+": 0 messageIds are parked; 0 given up so far; no receipt has ever come: is the callback URL set at Gupshup?\n",
			s.ok("receipts", "parked").out)
		nothing := decode[[]map[string]any](t, s.ok("receipts", "parked", "--json").out)
		require.Len(t, nothing, 1)
		require.Equal(t, []string{"dropped", "last_receipt", "oldest", "parked", "receipts", "sender"}, keys(nothing[0]))
		require.Equal(t, []any{}, nothing[0]["receipts"])
		require.Nil(t, nothing[0]["oldest"])

		at := time.Now().Add(-time.Minute)
		s.receives(s.sender,
			ledger.Receipt{Event: gupshup.ReceiptSent, At: at, MessageID: "gs-1", To: testNumber},
			ledger.Receipt{Event: gupshup.ReceiptFailed, At: at, MessageID: "gs-1", To: testNumber, Code: "1002", Class: gupshup.ClassRecipient, Reason: "Number Does Not Exist"},
		)
		got := decode[[]map[string]any](t, s.ok("receipts", "parked", "--json").out)[0]
		require.Equal(t, s.sender, got["sender"])
		require.Equal(t, 1.0, got["parked"], "one messageId")
		receipts := got["receipts"].([]any)
		require.Len(t, receipts, 2)
		failed := receipts[1].(map[string]any)
		require.Equal(t, []string{"arrived_at", "at", "class", "code", "event", "message_id", "reason", "to"}, keys(failed))
		require.Equal(t, "failed", failed["event"])
		require.Equal(t, "gs-1", failed["message_id"])
		require.Equal(t, "1002", failed["code"])
		require.Equal(t, "9198******10", failed["to"])
		require.WithinDuration(t, at, time.Time(parseStamp(t, failed["at"])), time.Second)
		require.WithinDuration(t, time.Now(), time.Time(parseStamp(t, failed["arrived_at"])), time.Minute)
		revealed := decode[[]map[string]any](t, s.ok("receipts", "parked", "--json", "--reveal", "--limit", "1").out)[0]["receipts"].([]any)
		require.Len(t, revealed, 1, "as --limit says")
		require.Equal(t, testNumber, revealed[0].(map[string]any)["to"])

		table := strings.Split(s.ok("receipts", "parked").out, "\n")
		require.Regexp(t, `^SENDER +EVENT +MESSAGE ID +TO +AGE +CODE$`, table[0])
		require.Regexp(t, `^`+s.sender+` +sent +gs-1 +9198\*{6}10 +\d+s +-$`, table[1])
		require.Regexp(t, `^`+s.sender+` +failed +gs-1 +9198\*{6}10 +\d+s +1002$`, table[2])
		require.Regexp(t, `^`+s.sender+`: 1 messageId is parked, the oldest for \d+s; 0 given up so far; the latest receipt came \d+s ago$`, table[3])
	})
}

func TestReceiptsParkedOfSeveralSenders(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "", true)
	s.receives(s.second, ledger.Receipt{Event: gupshup.ReceiptRead, MessageID: "gs-1"})
	out := s.ok("receipts", "parked").out
	require.Contains(t, out, s.sender+": 0 messageIds are parked")
	require.Contains(t, out, s.second+": 1 messageId is parked")
	require.NotContains(t, s.ok("receipts", "parked", "--sender", s.sender).out, s.second)
	for _, args := range [][]string{{"--limit", "0"}, {"--limit", "10001"}, {"--limit", "-1"}, {"--sender", "other"}} {
		require.Equal(t, exitUsage, s.run(append([]string{"receipts", "parked"}, args...)...).code)
	}
	require.Equal(t, exitUsage, s.run("receipts").code)
}

func TestSummariesAndAges(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(ago time.Duration) stamp { return stamp(now.Add(-ago)) }
	require.Equal(t, "shop: 2 messageIds are parked, the oldest for 59m59s; 7 given up so far; the latest receipt came 0s ago",
		summaryOf(hearingView{Sender: "shop", Parked: 2, Oldest: at(time.Hour - time.Second), Dropped: 7, Last: at(-time.Second)}, now))
}
