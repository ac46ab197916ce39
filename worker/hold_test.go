package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/worker"
)

const (
	templateA = "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"
	templateB = "d7bfdf07-cdc1-4fc2-9211-39d1a5f4cd7c"
)

// many accepts n messages, of the template if it is not empty, and returns their ids.
func (s *site) many(n int, prefix, template string, p message.Priority) (ids []string) {
	s.t.Helper()
	var ms []message.Message
	for i := range n {
		m := s.text(fmt.Sprint(prefix, i), fmt.Sprintf("9198765%05d", len(prefix)*10000+i), p)
		if template != "" {
			m.Content = gupshup.Content{Template: &gupshup.Template{ID: template, Params: []string{"x"}}}
		}
		ms, ids = append(ms, m), append(ids, m.ID)
	}
	for _, r := range s.producer.SendBatch(s.t.Context(), ms) {
		require.NoError(s.t, r.Err)
	}
	return ids
}

// counted waits until the books have so many messages of a status.
func (s *site) counted(status message.Status, n int) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		a, err := s.ledger.Audit(s.t.Context(), s.sender)
		return err == nil && a.Counts[status] == int64(n)
	}, 30*time.Second, 10*time.Millisecond, "%d should be %s", n, status)
}

// held waits until something is held for that reason, and returns it.
func (s *site) held(reason string) (found ledger.HeldScope) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		for _, h := range s.scopes() {
			if h.On() && h.Reason == reason {
				found = h
				return true
			}
		}
		return false
	}, 20*time.Second, 10*time.Millisecond, "something should be held: %s", reason)
	return found
}

// free waits until nothing is held.
func (s *site) free() {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		for _, h := range s.scopes() {
			if h.On() {
				return false
			}
		}
		return true
	}, 20*time.Second, 10*time.Millisecond, "nothing should be held")
}

func (s *site) scopes() []ledger.HeldScope {
	holds, err := s.ledger.Holds(s.t.Context(), s.sender)
	require.NoError(s.t, err)
	return holds.Scopes
}

// requests waits until the simulator has seen more of them than that, which is what a probe is noticed by.
func (s *site) requests(more uint64) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return s.sim.Stats().Requests > more }, 20*time.Second, 10*time.Millisecond, "a probe should come")
}

// fails waits until a probe was sent and the books know that it failed: only then does skipping time lead to the next.
func (s *site) fails(more uint64) {
	s.t.Helper()
	s.requests(more)
	require.Eventually(s.t, func() bool {
		return !slices.ContainsFunc(s.scopes(), func(h ledger.HeldScope) bool { return h.On() && h.Probe != "" })
	}, 20*time.Second, 10*time.Millisecond, "the probe should be answered")
}

func TestAWrongKeyCostsAHandfulOfRequests(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{{Fault: gupshuptest.Fault{Kind: gupshuptest.Kind401Nested}}}})
		const n = 400
		s.many(n, "m", "", message.Bulk)
		stop := s.run()
		hold := s.held("account")
		require.Equal(t, "http_401", hold.Code)
		for _, p := range message.Priorities {
			s.paused(p, true)
		}
		first := s.sim.Stats().Requests
		require.LessOrEqual(t, first, uint64(8), "not more than were on their way")

		// It survives a restart.
		stop()
		s.cfg.Registry = prometheus.NewRegistry()
		s.run()
		s.passes(time.Minute)
		s.fails(first)
		s.passes(2 * time.Minute)
		s.fails(first + 1)
		require.LessOrEqual(t, s.sim.Stats().Requests, first+2, "one probe at a time")
		s.balanced()

		require.NoError(t, s.sim.SetRules(nil))
		s.passes(4 * time.Minute)
		s.counted(message.Submitted, n)
		for _, p := range message.Priorities {
			s.paused(p, false)
		}
		rec := s.becomes("m0", message.Submitted)
		require.Equal(t, 1, rec.Spent)
		require.Empty(t, s.sim.Duplicates())
		s.balanced()
	})
}

func TestAnEmptyWalletIsTriedUntilNoFailureIsHeardOf(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		s.run()
		s.many(1, "first", "", message.Default)
		s.hears(s.becomes("first0", message.Submitted).MessageID, "919876550000", gupshup.ReceiptFailed, "1003")
		s.held("account")
		s.paused(message.Default, true)
		s.many(5, "m", "", message.Default)
		require.EqualValues(t, 1, s.sim.Stats().Requests)
		s.passes(time.Minute)
		s.requests(1)
		probe := s.held("account").Probe
		s.becomes(probe, message.Submitted)
		require.EqualValues(t, 2, s.sim.Stats().Requests, "a 2xx says nothing about the wallet")
		s.passes(30 * time.Second)
		s.counted(message.Submitted, 6)
		s.free()
		s.balanced()
	})
}

func TestAPausedTemplateHoldsNothingElse(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{
			{Match: templateA, Fault: gupshuptest.Fault{Kind: gupshuptest.KindCode, Code: 4005}},
		}})
		s.many(100, "paused", templateA, message.Bulk)
		s.many(100, "fine", templateB, message.Bulk)
		s.run()
		s.counted(message.Submitted, 100)
		require.Equal(t, templateA, s.held("template").Template)
		require.LessOrEqual(t, s.sim.Stats().Requests, uint64(108))
		s.paused(message.Bulk, false)
		require.NoError(t, s.sim.SetRules(nil))
		s.passes(time.Minute)
		s.counted(message.Submitted, 200)
		s.free()
		s.balanced()
	})
}

func TestSpamStopsWhatCanWait(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{{Times: 1, Fault: gupshuptest.Fault{Kind: gupshuptest.KindCode, Code: 471}}}})
		s.run()
		s.many(1, "first", "", message.Bulk)
		require.Equal(t, []message.Priority{message.Default, message.Bulk}, s.held("spam").Priorities)
		s.paused(message.Bulk, true)
		s.paused(message.Default, true)
		s.many(10, "bulk", "", message.Bulk)
		s.many(10, "otp", "", message.Critical)
		s.counted(message.Submitted, 10)
		s.passes(10 * time.Minute)
		s.counted(message.Submitted, 21)
		s.free()
		s.balanced()
	})
}

func TestAWrongBaseURLBurnsTwenty(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{{Fault: gupshuptest.Fault{Kind: gupshuptest.KindHTTP, Status: 404}}}})
		s.many(300, "m", "", message.Bulk)
		s.run()
		hold := s.held(ledger.ReasonStorm)
		require.Equal(t, "http_404", hold.Code)
		s.paused(message.Bulk, true)
		s.counted(message.Sending, 0)
		a, err := s.ledger.Audit(t.Context(), s.sender)
		require.NoError(t, err)
		require.EqualValues(t, 19, a.Counts[message.Dead], "the twentieth is spared, and what was on its way then")
		require.NoError(t, s.sim.SetRules(nil))
		s.passes(time.Minute)
		s.counted(message.Submitted, 281)
		s.free()
		s.balanced()
	})
}

func TestAnOutageBurnsNoAttempts(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		for name, fault := range map[string]gupshuptest.Fault{
			"503": {Kind: gupshuptest.KindHTTP, Status: 503}, "nobody knows": {Kind: gupshuptest.Kind504},
		} {
			s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{{Fault: fault}}})
			s.cfg.BackoffBase, s.cfg.BackoffCap = 5*time.Second, 5*time.Second
			const n = 300
			s.many(n, "m", "", message.Default)
			stop := s.run()
			s.held(ledger.ReasonOutage)
			s.paused(message.Critical, true)
			s.paused(message.Default, true)
			first := s.sim.Stats().Requests
			require.LessOrEqual(t, first, uint64(30), name)
			for range 3 {
				before := s.sim.Stats().Requests
				s.passes(30 * time.Second)
				s.fails(before)
			}
			require.LessOrEqual(t, s.sim.Stats().Requests, first+5, "one probe at a time, later each time")
			require.NoError(t, s.sim.SetRules(nil))
			s.passes(30 * time.Second)
			s.counted(message.Submitted, n)
			s.free()
			stop()
			s.balanced()
		}
	})
}

func TestAPersonHoldsWhatAPersonReleases(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		s.run()
		_, err := s.ledger.SetHold(t.Context(), ledger.HoldRequest{Sender: s.sender, Reason: ledger.ReasonByHand, By: "ops"})
		require.NoError(t, err)
		queue := func(p message.Priority) string { return message.Queue(s.sender, p) }
		s.paused(message.Bulk, true)
		s.paused(message.Critical, true)
		s.many(5, "bulk", "", message.Bulk)
		s.many(5, "otp", "", message.Critical)

		// "Resume" in the web UI does not end our hold.
		require.NoError(t, s.inspect.UnpauseQueue(queue(message.Bulk)))
		s.paused(message.Bulk, true)
		s.passes(time.Hour)
		require.Zero(t, s.sim.Stats().Requests)

		_, err = s.ledger.Release(t.Context(), s.sender, "", "ops")
		require.NoError(t, err)
		s.counted(message.Submitted, 5)
		s.counted(message.Expired, 5) // the passwords were an hour old
		s.balanced()

		// What a person paused is not ours to resume.
		s.paused(message.Bulk, false)
		require.NoError(t, s.inspect.PauseQueue(queue(message.Bulk)))
		_, err = s.ledger.SetHold(t.Context(), ledger.HoldRequest{Sender: s.sender, Reason: ledger.ReasonByHand, By: "ops"})
		require.NoError(t, err)
		s.paused(message.Critical, true)
		_, err = s.ledger.Release(t.Context(), s.sender, "", "ops")
		require.NoError(t, err)
		s.paused(message.Critical, false)
		s.paused(message.Bulk, true)
	})
}

func TestAHoldPausesItsQueues(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		queue := message.Queue(s.sender, message.Bulk)
		s.many(1, "m", "", message.Bulk)
		require.NoError(t, s.inspect.PauseQueue(queue))
		key := "asynq:{" + queue + "}:paused"
		theirs, err := rdb.Get(t.Context(), key).Result()
		require.NoError(t, err, "asynq keeps a paused queue elsewhere now")
		require.NotEqual(t, worker.PausedByHold, theirs)
		require.NoError(t, s.inspect.UnpauseQueue(queue))
		require.NoError(t, rdb.Set(t.Context(), key, worker.PausedByHold, 0).Err())
		info, err := s.inspect.GetQueueInfo(queue)
		require.NoError(t, err)
		require.True(t, info.Paused, "asynq looks at the value now")
	})
}

func TestADaysBudgetAndAPairsRateParkAndDoNotFail(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		books := s.books()
		books.Limits = map[string]ledger.Limits{s.sender: {DailyRecipients: 20, PairEvery: 6 * time.Second, PairBurst: 2}}
		s.cfg.Ledger = ledger.New(rdb, books)
		s.run()
		s.many(30, "new", templateA, message.Bulk)
		s.counted(message.Submitted, 20)
		for i := range 4 {
			s.send(s.text(fmt.Sprint("pair", i), "919876543210", message.Default))
		}
		s.counted(message.Submitted, 22)
		waits := map[string]int{}
		require.Eventually(t, func() bool {
			clear(waits)
			for i := range 30 {
				rec, err := s.ledger.Get(t.Context(), s.sender, fmt.Sprint("new", i))
				require.NoError(t, err)
				waits[rec.WaitingFor]++
			}
			return waits["daily_recipients"] == 10
		}, 10*time.Second, 10*time.Millisecond)
		s.passes(time.Minute)
		s.counted(message.Submitted, 24)
		s.passes(24 * time.Hour)
		s.counted(message.Submitted, 34)
		s.balanced()
	})
}

func TestOneSendersTroubleIsNotAnothers(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{{Fault: gupshuptest.Fault{Kind: gupshuptest.KindHang}}}})
		other := newSite(t, rdb, gupshuptest.Config{})
		s.cfg.Senders = append(s.cfg.Senders, other.cfg.Senders...)
		s.many(200, "hangs", "", message.Bulk)
		s.run()
		s.requests(5)
		began := time.Now()
		other.many(100, "m", "", message.Bulk)
		other.many(10, "otp", "", message.Critical)
		other.counted(message.Submitted, 110)
		require.Less(t, time.Since(began), 20*time.Second)
		other.balanced()
	})
}

// Whoever is to be told of holds is told of each beginning and end, also when they could not be told at first, and by the next process
// when this one has gone.
func TestHoldsAreToldOf(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{{Fault: gupshuptest.Fault{Kind: gupshuptest.Kind401Nested}}}})
		told := make(chan string, 100)
		var deaf atomic.Bool
		tried := make(chan struct{}, 100)
		s.cfg.Alert = func(_ context.Context, sender string, h ledger.HeldScope) error {
			if deaf.Load() {
				tried <- struct{}{}
				return errors.New("deaf")
			}
			require.Equal(t, s.sender, sender)
			told <- fmt.Sprint(h.Name(), " ", h.Reason, " ", h.On())
			return nil
		}
		next := func(want ...string) {
			t.Helper()
			for _, w := range want {
				select {
				case got := <-told:
					require.Equal(t, w, got)
				case <-time.After(20 * time.Second):
					require.Fail(t, "not told", w)
				}
			}
		}
		hold := func(h ledger.Hold) {
			_, err := s.ledger.SetHold(t.Context(), ledger.HoldRequest{Sender: s.sender, Hold: h, Reason: ledger.ReasonByHand, By: "ops"})
			require.NoError(t, err)
		}
		release := func(template string) {
			_, err := s.ledger.Release(t.Context(), s.sender, template, "ops")
			require.NoError(t, err)
		}

		stop := s.run()
		s.many(3, "m", "", message.Bulk)
		next("sender account true")
		first := s.sim.Stats().Requests
		s.passes(time.Minute)
		s.fails(first) // no news
		deaf.Store(true)
		hold(ledger.Hold{Template: templateA})
		<-tried
		<-tried
		deaf.Store(false)
		next("template " + templateA + " by_hand true")

		stop()
		release(templateA)
		hold(ledger.Hold{Template: templateA})
		hold(ledger.Hold{}) // stands beside the policy's
		s.cfg.Registry = prometheus.NewRegistry()
		s.run()
		next("template "+templateA+" by_hand false", "template "+templateA+" by_hand true", "sender by_hand true")
		release("")
		next("sender account false", "sender by_hand false")
		release(templateA)
		next("template " + templateA + " by_hand false")
		require.Empty(t, told)
	})
}

// A probe that we refuse ourselves, without asking Gupshup, shows nothing of its key.
func TestAProbeThatWasNeverSentEndsNoHold(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{{Fault: gupshuptest.Fault{Kind: gupshuptest.Kind401Nested}}}})
		s.cfg.Senders[0].CheckSession = true
		s.many(1, "template", templateA, message.Default)
		s.run()
		since := s.held("account").Since
		asked := s.sim.Stats().Requests
		s.many(1, "session", "", message.Default) // nobody has written: NO_SESSION
		s.passes(time.Minute)
		s.becomes("session0", message.Dead)
		s.requests(asked) // the next one, with which Gupshup is asked
		require.Equal(t, since, s.held("account").Since, "the same hold")
	})
}
