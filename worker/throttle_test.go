package worker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/flow"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/message"
)

// TestPaceAdaptsToGupshup: the rate is set above what Gupshup takes. All messages arrive, few are refused on the way, and none of them has
// spent an attempt on it.
func TestPaceAdaptsToGupshup(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		const limit, rate, count = 20, 50, 100
		s := newSite(t, rdb, gupshuptest.Config{RatePerSecond: limit})
		s.cfg.Senders[0].Rate, s.cfg.Senders[0].Burst = rate, 1
		var ms []message.Message
		for i := range count {
			ms = append(ms, s.text(fmt.Sprintf("m%d", i), fmt.Sprintf("9198765%05d", i), message.Priorities[i%3]))
		}
		for _, r := range s.producer.SendBatch(t.Context(), ms) {
			require.NoError(t, r.Err)
		}
		stop := s.run()
		for _, m := range ms {
			rec := s.becomes(m.ID, message.Submitted)
			require.Equal(t, 1, rec.Spent, "only the attempt that was taken counts")
		}
		pace, err := flow.Read(t.Context(), rdb, s.sender, rate)
		require.NoError(t, err)
		require.Less(t, pace.Effective, float64(rate))
		stop()
		stats := s.sim.Stats()
		require.EqualValues(t, count, stats.Accepted)
		require.LessOrEqual(t, stats.Statuses["429"], uint64(count*2/5), "the pace must have adapted")
		require.Positive(t, stats.Statuses["429"])
		t.Logf("%d of %d requests refused", stats.Statuses["429"], count+stats.Statuses["429"])
		require.Empty(t, s.sim.Duplicates())
		s.balanced()
	})
}

// TestRetryAfterStopsTheSender: a sender that is told when to come back leaves Gupshup alone until then, critical messages included.
func TestRetryAfterStopsTheSender(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		const pause = 2 * time.Second
		s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{
			{Times: 1, Fault: gupshuptest.Fault{Kind: gupshuptest.Kind429, RetryAfter: pause}},
		}})
		s.cfg.RetryAfterCap = time.Minute
		s.run()
		s.send(s.text("first", "919876543210", message.Critical))
		require.Eventually(t, func() bool { return s.sim.Stats().Statuses["429"] == 1 }, 10*time.Second, time.Millisecond)
		refused := time.Now()
		s.send(s.text("second", "919876543211", message.Critical))
		s.becomes("first", message.Submitted)
		s.becomes("second", message.Submitted)
		for _, m := range s.sim.Accepted(gupshuptest.Filter{}) {
			require.GreaterOrEqual(t, m.At.Sub(refused), pause-50*time.Millisecond)
		}
		s.balanced()
	})
}
