package worker_test

import (
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

// hears is a callback's receipt, as the receiver hands it to the ledger.
func (s *site) hears(messageID, to, event, code string) ledger.Received {
	s.t.Helper()
	class := gupshup.ClassUnknown
	if c, ok := gupshup.LookupCode(code); ok {
		class = c.Class
	}
	got, errs := s.ledger.Receive(s.t.Context(), s.sender, []ledger.Receipt{
		{Event: event, MessageID: messageID, To: to, Code: code, Class: class, Reason: "told by callback"},
	})
	require.NoError(s.t, errs[0])
	return got[0]
}

// suppression answers the entry of a number, or nil.
func (s *site) suppression(number string) *ledger.Suppression {
	s.t.Helper()
	var found *ledger.Suppression
	require.NoError(s.t, s.ledger.Suppressions(s.t.Context(), s.sender, func(e ledger.Suppression) bool {
		if e.Number == number {
			found = &e
		}
		return true
	}))
	return found
}

func TestATerminalFailureByCallbackIsArchivedWithItsMessageID(t *testing.T) {
	t.Parallel()
	cases := []struct {
		code     string
		suppress gupshup.Scope
	}{{"1008", ""}, {"1002", gupshup.SuppressAll}, {"1012", gupshup.SuppressAll}, {"131050", gupshup.SuppressBulk}, {"424242", ""}}
	for _, c := range cases {
		t.Run(c.code, func(t *testing.T) {
			t.Parallel()
			redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
				s := newSite(t, rdb, gupshuptest.Config{})
				s.run()
				s.send(s.text("a", "919876543210", message.Bulk))
				mid := s.becomes("a", message.Submitted).MessageID
				s.hears(mid, "919876543210", gupshup.ReceiptFailed, c.code)
				rec := s.becomes("a", message.Dead)
				require.Equal(t, c.code, rec.Code)
				require.Equal(t, mid, rec.MessageID)
				require.Equal(t, "dead letter: "+c.code+" · told by callback · messageId "+mid+" · attempt 1: skip retry for the task",
					s.archivedText("a", rec.Generation, message.Bulk))
				entry := s.suppression("919876543210")
				if c.suppress == "" {
					require.Nil(t, entry)
				} else {
					require.Equal(t, c.suppress, entry.Scope)
					require.Equal(t, c.code, entry.Code)
				}
				s.balanced()
			})
		})
	}
}

func TestATransientFailureByCallbackIsSentAgain(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		s.run()
		s.send(s.text("a", "919876543210", message.Critical))
		mids := map[string]bool{}
		for attempt := 1; attempt <= 4; attempt++ {
			require.Eventually(t, func() bool {
				rec, err := s.ledger.Get(t.Context(), s.sender, "a")
				return err == nil && rec.Status == message.Submitted && len(rec.Attempts) == attempt
			}, 20*time.Second, 10*time.Millisecond)
			mid := s.becomes("a", message.Submitted).MessageID
			mids[mid] = true
			s.hears(mid, "919876543210", gupshup.ReceiptFailed, "131000")
		}
		rec := s.becomes("a", message.Dead) // the budget of this test is four attempts
		require.Len(t, mids, 4)
		require.Len(t, rec.Attempts, 4)
		require.Len(t, rec.Receipts, 4)
		require.Equal(t, "131000", rec.Code)
		s.balanced()
	})
}

func TestWhatHoldsByReplyHoldsByCallback(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		s.run()
		s.send(s.text("a", "919876543210", message.Default))
		s.hears(s.becomes("a", message.Submitted).MessageID, "919876543210", gupshup.ReceiptFailed, "1003")
		rec := s.becomes("a", message.Queued)
		require.Equal(t, "account", rec.WaitingFor)
		require.Zero(t, rec.Spent, "an empty wallet spends nobody's attempt")
		s.paused(message.Default, true)
		s.balanced()
	})
}

func TestMarketingThatIsEnoughForTodayWaitsADay(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		s.run()
		s.send(s.text("a", "919876543210", message.Bulk))
		s.hears(s.becomes("a", message.Submitted).MessageID, "919876543210", gupshup.ReceiptFailed, "131049")
		require.Equal(t, "wait_day", s.becomes("a", message.Queued).WaitingFor)
		due, err := rdb.ZScore(t.Context(), "gupdispatch:{"+s.sender+"}:due", "a").Result()
		require.NoError(t, err)
		require.InDelta(t, time.Now().Add(24*time.Hour).UnixMilli(), due, 60_000)
	})
}

// 4002 by callback says that nobody knows: it waits as any doubt does, and a receipt settles it.
func TestADoubtByCallback(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		s.run()
		numbers := map[string]string{"heard": "919876543210", "silent": "919876543211"}
		for id, to := range numbers {
			s.send(s.text(id, to, message.Bulk))
			s.hears(s.becomes(id, message.Submitted).MessageID, to, gupshup.ReceiptFailed, "4002")
		}
		mid := s.becomes("heard", message.Failed).MessageID
		s.hears(mid, "919876543210", gupshup.ReceiptDelivered, "")
		s.becomes("heard", message.Delivered)
		require.Equal(t, "IN_DOUBT", s.becomes("silent", message.Dead).Code)
		require.EqualValues(t, 2, s.sim.Stats().Accepted)
		s.balanced()
	})
}

func TestACallbackSettlesTheDoubtWithoutAResend(t *testing.T) {
	t.Parallel()
	for _, p := range []message.Priority{message.Default, message.Bulk} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
				s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{{Times: 1, Fault: gupshuptest.Fault{Kind: gupshuptest.KindResetAfter}}}})
				s.run()
				s.send(s.text("a", "919876543210", p))
				s.becomes("a", message.InDoubt)
				require.Equal(t, message.Delivered, s.hears("m-1", "919876543210", gupshup.ReceiptDelivered, "").Status)
				require.Never(t, func() bool { return s.sim.Stats().Accepted != 1 }, 4*time.Second, 100*time.Millisecond, "its window is 3 s")
				require.Equal(t, "m-1", s.becomes("a", message.Delivered).MessageID)
				s.balanced()
			})
		})
	}
}

func TestSuppressedNumbersAreNotSentTo(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		s.send(s.text("queued", "919876543210", message.Default))
		require.NoError(t, s.ledger.Suppress(t.Context(), s.sender, []ledger.Suppression{{Number: "919876543210", Scope: gupshup.SuppressAll, Code: "asked", Source: "hand"}}))
		r, err := s.producer.Send(t.Context(), s.text("late", "919876543210", message.Default))
		require.NoError(t, err)
		require.Equal(t, message.Suppressed, r.Status)
		s.run()
		s.becomes("queued", message.Suppressed)
		s.send(s.text("other", "919876543211", message.Default))
		s.becomes("other", message.Submitted)
		require.EqualValues(t, 1, s.sim.Stats().Requests)
		s.balanced()
	})
}

func TestSessionMessagesNeedASession(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		s.cfg.Senders[0].CheckSession = true
		require.NoError(t, s.ledger.OpenSession(t.Context(), s.sender, "919876543211", time.Now()))
		s.run()
		fallback := s.text("fallback", "919876543212", message.Default)
		fallback.Fallback = gupshup.Content{Template: &gupshup.Template{ID: "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b", Params: []string{"x"}}}
		s.send(s.text("closed", "919876543210", message.Default))
		s.send(s.text("open", "919876543211", message.Default))
		s.send(fallback)
		rec := s.becomes("closed", message.Dead)
		require.Equal(t, "NO_SESSION", rec.Code)
		require.Contains(t, s.archivedText("closed", 1, message.Default), "dead letter: NO_SESSION")
		s.becomes("open", message.Submitted)
		require.True(t, s.becomes("fallback", message.Submitted).FellBack)
		require.EqualValues(t, 2, s.sim.Stats().Accepted)
		s.balanced()
	})
}
