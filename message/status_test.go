package message_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/message"
)

// Every pair of states, by rule rather than by list: a list would only repeat the table.
func TestEveryStepFollowsTheRules(t *testing.T) {
	t.Parallel()
	levels := []message.Status{message.Submitted, message.Enqueued, message.Sent, message.Delivered, message.Read}
	ends := []message.Status{message.Dead, message.Expired, message.Suppressed, message.Cancelled}
	for _, from := range message.Statuses {
		for _, to := range message.Statuses {
			can := from.CanBecome(to)
			fromLevel, toLevel := slices.Index(levels, from), slices.Index(levels, to)
			switch {
			case from == to:
				require.False(t, can, "%s: staying is not a step", from)
			case fromLevel >= 0 && toLevel >= 0:
				require.Equal(t, toLevel > fromLevel, can, "%s → %s: levels only go up", from, to)
			case fromLevel >= 0 && to == message.Failed:
				require.Equal(t, fromLevel < slices.Index(levels, message.Delivered), can, "%s → failed: not after delivered", from)
			case fromLevel >= 0 && to == message.InDoubt:
				require.True(t, can, "%s → in_doubt: the callback that claimed it was about another message", from)
			case fromLevel >= 0:
				require.False(t, can, "%s → %s: Gupshup took it, only receipts move it", from, to)
			case toLevel >= slices.Index(levels, message.Sent) || to == message.Submitted:
				require.True(t, can, "%s → %s: a late success always counts", from, to)
			case to == message.Enqueued:
				require.Equal(t, !from.Settled() && from != message.Failed, can, "%s → enqueued", from)
			case to == message.Sending:
				require.Equal(t, from == message.Queued, can, "%s → sending: only a claim of a queued one", from)
			case slices.Contains(ends[1:], to):
				require.Equal(t, from == message.Queued, can, "%s → %s: only queued ones end this way", from, to)
			case to == message.Dead:
				require.Equal(t, slices.Contains([]message.Status{message.Sending, message.InDoubt, message.Failed}, from), can, "%s → dead", from)
			case to == message.InDoubt:
				require.Equal(t, from == message.Sending, can, "%s → in_doubt", from)
			case to == message.Failed:
				require.Equal(t, from == message.Sending || from == message.InDoubt, can, "%s → failed", from)
			case to == message.Queued:
				require.Equal(t, slices.Contains([]message.Status{message.Sending, message.InDoubt, message.Failed, message.Dead}, from), can, "%s → queued", from)
			default:
				t.Fatalf("no rule for %s → %s", from, to)
			}
		}
	}
}

func TestSettledMeansNothingLeftToDo(t *testing.T) {
	t.Parallel()
	open := []message.Status{message.Queued, message.Sending, message.InDoubt, message.Failed}
	for _, s := range message.Statuses {
		require.True(t, s.Valid())
		require.Equal(t, !slices.Contains(open, s), s.Settled(), s)
	}
	require.False(t, message.Status("lost").Valid())
	require.False(t, message.Status("lost").Settled())
}
