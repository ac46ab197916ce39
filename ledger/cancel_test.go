package ledger_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

func TestAMessageIsCancelledWhereverItWaits(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		for name, wait := range map[string]func(b *book){
			"for its task":        func(b *book) { b.accept(b.message("a", message.Default)) },
			"for its expiry, too": func(b *book) { b.accept(b.message("a", message.Critical)) },
			"for its time": func(b *book) {
				m := b.message("a", message.Default)
				m.SendAt = time.Now().Add(time.Hour)
				b.accept(m)
			},
			"for a retry": func(b *book) {
				b.accept(b.message("a", message.Default))
				b.claim("a", 1, "run")
				b.commit(of(transient, "a", 1))
			},
			"behind a hold": func(b *book) {
				_, err := b.SetHold(t.Context(), ledger.HoldRequest{Sender: b.sender, Reason: ledger.ReasonByHand, By: "ops"})
				require.NoError(t, err)
				b.accept(b.message("a", message.Bulk))
				require.Equal(t, ledger.Held, b.claim("a", 1, "run").Verdict)
			},
		} {
			b := newBook(t, rdb)
			wait(b)
			for range 2 { // as a client does whose reply was lost
				require.NoError(t, b.Cancel(t.Context(), b.sender, "a"), name)
				require.Equal(t, message.Cancelled, b.get("a").Status, name)
				require.Empty(t, b.get("a").WaitingFor, name)
				b.balanced()
			}
			require.Equal(t, ledger.AlreadyDone, b.claim("a", 1, "run-2").Verdict, name)
			_, err := b.Release(t.Context(), b.sender, "", "ops")
			require.NoError(t, err)
			b.ahead += 2 * time.Hour
			s := b.sweep(ledger.SweepRequest{Idle: map[message.Priority]bool{message.Critical: true, message.Default: true, message.Bulk: true}})
			require.Empty(t, s.Requeue, name)
			require.Zero(t, s.Expired, name)
			b.balanced()
		}
	})
}

func TestWhatIsSentCannotBeCancelled(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		require.ErrorIs(t, b.Cancel(t.Context(), b.sender, "nobody"), ledger.ErrNotFound)
		b.accept(b.message("a", message.Default))
		b.claim("a", 1, "run")
		require.Equal(t, &ledger.TooLateError{Status: message.Sending}, b.Cancel(t.Context(), b.sender, "a"))
		b.commit(of(taken, "a", 1))
		require.Equal(t, &ledger.TooLateError{Status: message.Submitted}, b.Cancel(t.Context(), b.sender, "a"))
		b.balanced()
	})
}

// What a callback tells of an earlier attempt counts, although the message was taken back meanwhile.
func TestAnEarlierAttemptOfACancelledMessageCounts(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		b.accept(b.message("a", message.Critical))
		b.claim("a", 1, "run")
		again := of(doubtful, "a", 1)
		again.Next, again.Delay = message.Queued, 0
		b.commit(again)
		require.NoError(t, b.Cancel(t.Context(), b.sender, "a"))
		got := b.receive(ledger.Receipt{Event: "delivered", MessageID: "m-1", To: "919876543210", At: b.now()})
		require.Equal(t, message.Delivered, got.Status)
		b.balanced()
	})
}
