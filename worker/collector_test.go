package worker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/flow"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/worker"
)

// The collector reads asynq's own keys; this fails if asynq ever moves them.
func TestCollectorAgreesWithAsynq(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		for i := range 3 {
			s.send(s.text(fmt.Sprint("m", i), "919876543210", message.Bulk))
		}
		require.NoError(t, s.inspect.ArchiveTask(message.Queue(s.sender, message.Bulk), "m0:1"))
		info, err := s.inspect.GetQueueInfo(message.Queue(s.sender, message.Bulk))
		require.NoError(t, err)

		got := gather(t, worker.NewCollector(rdb, s.ledger, map[string]float64{s.sender: 80}))
		queue := "queue=" + message.Queue(s.sender, message.Bulk)
		for state, want := range map[string]int{
			"pending": info.Pending, "active": info.Active, "scheduled": info.Scheduled, "retry": info.Retry, "archived": info.Archived, "completed": info.Completed,
		} {
			require.InDelta(t, want, got["gupdispatch_queue_depth "+queue+" state="+state], 0, state)
		}
		require.Equal(t, 2, info.Pending)
		require.InDelta(t, info.Latency.Seconds(), got["gupdispatch_oldest_pending_seconds "+queue], 5)
		require.Positive(t, got["gupdispatch_oldest_pending_seconds "+queue])
		require.Zero(t, got["gupdispatch_oldest_pending_seconds queue="+message.Queue(s.sender, message.Critical)])
		require.Contains(t, got, "gupdispatch_in_doubt sender="+s.sender)
		require.Contains(t, got, "gupdispatch_duplicates_total sender="+s.sender)
	})
}

func TestCollectorTellsHowFullRedisIs(t *testing.T) {
	t.Parallel()
	const name = "gupdispatch_redis_memory_ratio"
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		memory := redistest.Pretend(rdb)
		memory.Set(85, 100)
		l := ledger.New(rdb, ledger.Config{})
		require.InDelta(t, .85, gather(t, worker.NewCollector(rdb, l, nil))[name], 1e-9)
		memory.Set(85, 0)
		require.NotContains(t, gather(t, worker.NewCollector(rdb, l, nil)), name)
	})
}

func TestCollectorWithoutRedisFailsInTime(t *testing.T) {
	t.Parallel()
	away := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = away.Close() })
	reg := prometheus.NewRegistry()
	reg.MustRegister(worker.NewCollector(away, ledger.New(away, ledger.Config{}), map[string]float64{"a": 1, "b": 1, "c": 1}))
	began := time.Now()
	_, err := reg.Gather()
	require.Error(t, err)
	require.Less(t, time.Since(began), 8*time.Second)
}

func TestCollectorTellsTheEffectiveRate(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		c := worker.NewCollector(rdb, s.ledger, map[string]float64{s.sender: 80})
		gate := flow.NewGate(rdb, flow.GateConfig{Sender: s.sender, Rate: 80})
		name := "gupdispatch_effective_rate sender=" + s.sender
		require.InDelta(t, 80, gather(t, c)[name], 0)
		require.NoError(t, gate.Slow(t.Context(), time.Time{}, 0))
		require.InDelta(t, 40, gather(t, c)[name], 0)
		require.NoError(t, gate.Slow(t.Context(), time.Time{}, time.Minute))
		require.Zero(t, gather(t, c)[name])
	})
}

func TestCollectorTellsWhatIsHeld(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		l := ledger.New(rdb, ledger.Config{Limits: map[string]ledger.Limits{s.sender: {DailyRecipients: 5}}})
		c := worker.NewCollector(rdb, l, map[string]float64{s.sender: 80})
		sender := " sender=" + s.sender
		of := func(reason string) string { return "gupdispatch_sender_hold reason=" + reason + sender }
		set := func(q ledger.HoldRequest) {
			q.Sender, q.For, q.AtMost = s.sender, time.Minute, time.Minute
			_, err := l.SetHold(t.Context(), q)
			require.NoError(t, err)
		}
		got := gather(t, c)
		require.NotContains(t, got, of("by_hand"))
		require.Zero(t, got["gupdispatch_template_holds"+sender])
		require.Zero(t, got["gupdispatch_daily_recipients"+sender])

		set(ledger.HoldRequest{Reason: ledger.ReasonByHand, By: "ops"})
		set(ledger.HoldRequest{Reason: ledger.ReasonByHand, By: "ops", Hold: ledger.Hold{Priorities: []message.Priority{message.Bulk}}})
		set(ledger.HoldRequest{Reason: "template", Code: "4005", Hold: ledger.Hold{Template: "a"}})
		set(ledger.HoldRequest{Reason: "storm", Hold: ledger.Hold{Template: "b"}})
		got = gather(t, c)
		require.InDelta(t, 1, got[of("by_hand")], 0, "one sample for both")
		require.NotContains(t, got, of("template"), "that is no hold of the sender")
		require.InDelta(t, 2, got["gupdispatch_template_holds"+sender], 0)

		_, err := l.Release(t.Context(), s.sender, "")
		require.NoError(t, err)
		set(ledger.HoldRequest{Reason: "account", Code: "1003"})
		_, err = l.Release(t.Context(), s.sender, "a")
		require.NoError(t, err)
		require.NoError(t, rdb.ZAdd(t.Context(), "gupdispatch:{"+s.sender+"}:daily", redis.Z{Score: float64(time.Now().UnixMilli()), Member: "919876543210"}).Err())
		got = gather(t, c)
		require.InDelta(t, 1, got[of("account")], 0)
		require.NotContains(t, got, of("by_hand"), "it is over")
		require.InDelta(t, 1, got["gupdispatch_template_holds"+sender], 0)
		require.InDelta(t, 1, got["gupdispatch_daily_recipients"+sender], 0)
	})
}

// gather returns every sample as "name label=value …".
func gather(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	families, err := reg.Gather()
	require.NoError(t, err)
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, l := range m.GetLabel() {
				key += " " + l.GetName() + "=" + l.GetValue()
			}
			out[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return out
}
