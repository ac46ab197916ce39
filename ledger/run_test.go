package ledger_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

func TestWhatRunningATaskWouldSend(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		run := func(id string, generation int) (string, error) {
			return b.PrepareRun(t.Context(), b.sender, id, generation)
		}

		_, err := run("nobody", 1)
		require.Equal(t, &ledger.IdleRunError{}, err)
		b.accept(b.message("a", message.Default))
		code, err := run("a", 1)
		require.NoError(t, err)
		require.Empty(t, code)
		_, err = run("a", 2)
		require.Equal(t, &ledger.IdleRunError{Stale: true}, err)

		b.claim("a", 1, "run")
		_, err = run("a", 1)
		require.Equal(t, &ledger.IdleRunError{Status: message.Sending}, err)

		// A retry is far off: run, it goes at once, and is not sent a second time by the sweeper.
		later := transient
		later.Delay = time.Hour
		b.commit(of(later, "a", 1))
		require.Equal(t, ledger.Wait, b.claim("a", 1, "run-2").Verdict)
		for range 2 { // as a client does whose reply was lost
			_, err = run("a", 1)
			require.NoError(t, err)
			b.balanced()
		}
		require.Equal(t, ledger.Send, b.claim("a", 1, "run-3").Verdict)
		b.commit(of(terminal, "a", 2))
		b.balanced()

		code, err = run("a", 1)
		require.NoError(t, err)
		require.Equal(t, "1002", code)
		require.Equal(t, message.Dead, b.get("a").Status, "its task does it")
		require.NoError(t, b.Suppress(t.Context(), b.sender, []ledger.Suppression{{Number: "919876543210", Scope: gupshup.SuppressAll, Code: "1002", Source: "code"}}))
		_, err = run("a", 1)
		require.Equal(t, &ledger.SuppressedError{Code: "1002"}, err)

		held := b.message("h", message.Bulk)
		held.To = "918765432109"
		_, err = b.SetHold(t.Context(), ledger.HoldRequest{Sender: b.sender, Reason: ledger.ReasonByHand, By: "ops"})
		require.NoError(t, err)
		b.accept(held)
		require.Equal(t, ledger.Held, b.claim("h", 1, "run").Verdict)
		_, err = run("h", 1)
		require.Equal(t, &ledger.IdleRunError{Status: message.Queued, WaitingFor: ledger.ReasonByHand}, err)
		b.balanced()
	})
}
