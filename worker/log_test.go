package worker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// panicking is a client with a mistake, which knows all that must not be told.
type panicking struct{}

func (panicking) Send(_ context.Context, r gupshup.Request) (gupshup.Receipt, error) {
	panic(fmt.Sprintf("%s to %s: %v", apiKey, r.Destination, r.Content))
}

// A panic costs an attempt and nothing else, and tells where it was, not what with.
func TestAPanicOfTheHandler(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		s.cfg.Senders[0].Client = panicking{}
		s.run()
		s.send(s.text("a", "919876543210", message.Bulk))
		require.Eventually(t, func() bool { return s.logs.FilterMessage("handler.panic").Len() == 1 }, 20*time.Second, 10*time.Millisecond)
		var shown string
		require.Eventually(t, func() bool {
			info, err := s.inspect.GetTaskInfo(message.Queue(s.sender, message.Bulk), "a:1")
			if err == nil {
				shown = info.LastErr
			}
			return err == nil && shown != ""
		}, 20*time.Second, 10*time.Millisecond)
		s.passes(time.Minute) // the claim is over, and so is the window
		rec := s.becomes("a", message.Dead)
		require.Equal(t, "IN_DOUBT", rec.Code)
		said := shown + fmt.Sprint(rec.Reason)
		for _, e := range s.logs.All() {
			said += e.Message + fmt.Sprint(e.ContextMap())
		}
		require.Contains(t, said, "panicking") // where it was
		for _, planted := range []string{apiKey, "919876543210", "Your code"} {
			require.NotContains(t, said, planted)
		}
		s.balanced()
	})
}

// The log tells of holds and who ended them; that an alert cannot be handed over is told as such, and not as a trouble of Redis.
func TestTheLogTellsOfHolds(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{})
	s.cfg.Alert = func(context.Context, string, ledger.HeldScope) error { return errors.New("no room in the queue") }
	s.run()
	_, err := s.ledger.SetHold(t.Context(), ledger.HoldRequest{Sender: s.sender, Reason: ledger.ReasonByHand, By: "ravi", Note: "Asha's number"})
	require.NoError(t, err)
	line := func(event string) map[string]any {
		t.Helper()
		require.Eventually(t, func() bool { return s.logs.FilterMessage(event).Len() > 0 }, 20*time.Second, 10*time.Millisecond, event)
		return s.logs.FilterMessage(event).All()[0].ContextMap()
	}
	require.Equal(t, "ravi", line("hold.began")["by"])
	require.Equal(t, true, line("alert.not_enqueued")["failing"])
	_, err = s.ledger.Release(t.Context(), s.sender, "", "asha")
	require.NoError(t, err)
	require.Equal(t, "asha", line("hold.ended")["ended_by"])
	require.Zero(t, s.logs.FilterMessage("sweeper.redis").Len())
	require.Equal(t, 1, s.logs.FilterMessage("alert.not_enqueued").Len(), "once, not at each sweep")
	for _, e := range s.logs.All() {
		require.NotContains(t, fmt.Sprint(e.ContextMap()), "Asha's number", "what a person wrote may be about somebody")
	}
}
