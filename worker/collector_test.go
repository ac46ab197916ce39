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

		_, err := l.Release(t.Context(), s.sender, "", "ops")
		require.NoError(t, err)
		set(ledger.HoldRequest{Reason: "account", Code: "1003"})
		_, err = l.Release(t.Context(), s.sender, "a", "ops")
		require.NoError(t, err)
		require.NoError(t, rdb.ZAdd(t.Context(), "gupdispatch:{"+s.sender+"}:daily", redis.Z{Score: float64(time.Now().UnixMilli()), Member: "919876543210"}).Err())
		got = gather(t, c)
		require.InDelta(t, 1, got[of("account")], 0)
		require.NotContains(t, got, of("by_hand"), "it is over")
		require.InDelta(t, 1, got["gupdispatch_template_holds"+sender], 0)
		require.InDelta(t, 1, got["gupdispatch_daily_recipients"+sender], 0)
	})
}

func TestCollectorTellsTheBooks(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		c := worker.NewCollector(rdb, s.ledger, map[string]float64{s.sender: 80})
		got := gather(t, c)
		sender := " sender=" + s.sender
		require.InDelta(t, 1, got["gupdispatch_redis_up"], 0)
		require.InDelta(t, 80, got["gupdispatch_rate"+sender], 0)
		require.NotContains(t, got, "gupdispatch_sweeper_late_seconds"+sender, "no sweeper ever came")
		require.Zero(t, got["gupdispatch_oldest_due_seconds"+sender])

		s.send(s.text("m1", "919876543210", message.Bulk))
		s.send(s.text("m2", "919876543211", message.Bulk))
		_, err := s.ledger.SetHold(t.Context(), ledger.HoldRequest{Sender: s.sender, Reason: ledger.ReasonByHand, By: "ops"})
		require.NoError(t, err)
		_, err = s.ledger.Claim(t.Context(), ledger.ClaimRequest{Sender: s.sender, ID: "m1", Generation: 1, Token: "t", Lease: time.Minute})
		require.NoError(t, err)
		_, err = s.ledger.Sweep(t.Context(), ledger.SweepRequest{Sender: s.sender, Owner: "o", Lease: time.Minute, Most: 10})
		require.NoError(t, err)
		later := time.Now().Add(-40 * time.Second).UnixMilli()
		require.NoError(t, rdb.ZAdd(t.Context(), "gupdispatch:{"+s.sender+"}:due", redis.Z{Score: float64(later), Member: "m2"}).Err())
		got = gather(t, c)
		require.InDelta(t, 2, got["gupdispatch_ledger_messages"+sender+" status=queued"], 0)
		require.InDelta(t, 1, got["gupdispatch_held_messages"+sender], 0)
		require.Contains(t, got, "gupdispatch_sweeper_late_seconds"+sender)
		require.Zero(t, got["gupdispatch_sweeper_late_seconds"+sender], "its lease is not over")
		require.InDelta(t, 40, got["gupdispatch_oldest_due_seconds"+sender], 5)

		require.NoError(t, rdb.HSet(t.Context(), "gupdispatch:{"+s.sender+"}:sweeper", "till", later).Err())
		require.InDelta(t, 40, gather(t, c)["gupdispatch_sweeper_late_seconds"+sender], 5)
	})
}

func TestCollectorAddsUpOpenCampaigns(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		_, _, err := s.ledger.CreateCampaign(t.Context(), ledger.NewCampaign{Sender: s.sender, ID: "spring", Priority: message.Bulk})
		require.NoError(t, err)
		_, _, err = s.ledger.CreateCampaign(t.Context(), ledger.NewCampaign{Sender: s.sender, ID: "autumn", Priority: message.Bulk})
		require.NoError(t, err)
		_, err = s.ledger.SteerCampaign(t.Context(), s.sender, "autumn", message.CampaignCancel, "", "ops")
		require.NoError(t, err)
		got, created := gather(t, worker.NewCollector(rdb, s.ledger, map[string]float64{s.sender: 80})), message.CampaignStatuses[0]
		require.InDelta(t, 1, got["gupdispatch_campaigns sender="+s.sender+" status="+string(created)], 0)
		require.Contains(t, got, "gupdispatch_campaign_recipients sender="+s.sender+" status=delivered")
		require.NotContains(t, got, "gupdispatch_campaigns sender="+s.sender+" status=cancelled", "those are over")
		for name := range got {
			require.NotContains(t, name, "spring", "there is no end to campaigns: they are no labels")
		}
	})
}

// asynq's heartbeat says which servers live; this fails if asynq ever keeps it elsewhere.
func TestCollectorCountsLivingServers(t *testing.T) {
	t.Parallel()
	rdb := redistest.Embedded(t)
	s := newSite(t, rdb, gupshuptest.Config{})
	c := worker.NewCollector(rdb, s.ledger, map[string]float64{s.sender: 80})
	require.Zero(t, gather(t, c)["gupdispatch_asynq_servers"])
	stop := s.run()
	require.Eventually(t, func() bool {
		alive, err := s.inspect.Servers()
		return err == nil && len(alive) > 0 && int(gather(t, c)["gupdispatch_asynq_servers"]) == len(alive)
	}, 20*time.Second, 20*time.Millisecond)
	stop()
	require.Zero(t, gather(t, c)["gupdispatch_asynq_servers"])
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
