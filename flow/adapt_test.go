package flow

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/message"
)

// TestSlowDropsWhatIsHeld: the slots that this process has taken ahead of need are of the old pace.
func TestSlowDropsWhatIsHeld(t *testing.T) {
	t.Parallel()
	bubble(t, 10, 1, func(t *testing.T, g *Gate, _ *fakeRedis) {
		var l log
		for _, name := range []string{"a", "b", "c", "d"} {
			l.enter(t.Context(), g, message.Default, name)
		}
		require.Equal(t, []string{"a"}, l.names())
		require.NoError(t, g.Slow(t.Context(), time.Time{}, 0))
		time.Sleep(2 * time.Second)
		// 0, 100 and 200 ms were taken; b's would have been the second of them. The next free one is at 300 ms, then 200 ms apart.
		require.Equal(t, []event{{name: "a"}, {name: "b", after: 300 * ms}, {name: "c", after: 500 * ms}, {name: "d", after: 700 * ms}}, l.all())
	})
}

// TestStopHoldsEverybody: nothing is granted on any replica before the stop ends, and then at the cut rate.
func TestStopHoldsEverybody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeRedis(10, 1)
		refused := startGate(t, f, GateConfig{Sender: "s", Rate: 10, Burst: 1})
		other := startGate(t, f, GateConfig{Sender: "s", Rate: 10, Burst: 1})
		_, err := refused.Wait(t.Context(), message.Default)
		require.NoError(t, err)
		require.NoError(t, refused.Slow(t.Context(), time.Time{}, 3*time.Second))
		var l log
		l.enter(t.Context(), refused, message.Critical, "here")
		l.enter(t.Context(), other, message.Critical, "there")
		time.Sleep(10 * time.Second)
		events := l.all()
		require.ElementsMatch(t, []string{"here", "there"}, l.names())
		require.Equal(t, 3*time.Second, events[0].after)
		require.GreaterOrEqual(t, events[1].after, 3200*ms)
		require.LessOrEqual(t, events[1].after, 3400*ms)
		require.Less(t, f.count(), 20, "waiting for the end of a stop costs little")
	})
}

// TestOtherReplicasDropTheirs: a replica that hears of the cut while it reserves does not use what it took before; of the end of the
// recovery it hears without a loss.
func TestOtherReplicasDropTheirs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeRedis(100, 1)
		g := newGate(f, GateConfig{Sender: "s", Rate: 100, Burst: 1}) // Run is played by hand
		g.call(t.Context(), ask{bulk: 10})
		require.Equal(t, 10, g.pool.held)
		_, err := f.slow(t.Context(), time.Second, 0)
		require.NoError(t, err)
		g.call(t.Context(), ask{bulk: 10})
		require.Zero(t, g.pool.held)

		time.Sleep(time.Second)
		g.call(t.Context(), ask{bulk: 10})
		require.Equal(t, 10, g.pool.held)
		time.Sleep(10*StepEvery - time.Second)
		g.call(t.Context(), ask{bulk: 10})
		held := g.pool.held
		time.Sleep(time.Second)
		g.call(t.Context(), ask{bulk: 1})
		require.Zero(t, g.since, "recovered")
		require.Equal(t, held+1, g.pool.held)
	})
}

// TestReservationOlderThanTheCut: a reply that was under way while the sender was slowed down is not used.
func TestReservationOlderThanTheCut(t *testing.T) {
	t.Parallel()
	bubble(t, 10, 1, func(t *testing.T, g *Gate, f *fakeRedis) {
		var trips atomic.Int64
		f.delay = func() time.Duration {
			if trips.Add(1) == 2 { // the reservation's reply
				return 30 * ms
			}
			return ms
		}
		var l log
		l.enter(t.Context(), g, message.Critical, "m")
		time.Sleep(5 * ms)
		require.NoError(t, g.Slow(t.Context(), time.Time{}, 2*time.Second))
		time.Sleep(5 * time.Second)
		require.Equal(t, []event{{name: "m", after: 2009 * ms}}, l.all(), "stopped at 6 ms; that it is over is asked 1 ms late, and takes 2 ms")
	})
}

// TestBurstOfRefusals: 64 handlers that are refused at once cut once and tell Redis once each at most; those that come after it not at all.
func TestBurstOfRefusals(t *testing.T) {
	t.Parallel()
	bubble(t, 80, 1, func(t *testing.T, g *Gate, f *fakeRedis) {
		f.delay = func() time.Duration { return ms }
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() { require.NoError(t, g.Slow(t.Context(), time.Time{}, 0)) })
		}
		all.Wait()
		require.InDelta(t, 0.5, f.model.share, 0)
		told := f.slows
		for range 64 {
			require.NoError(t, g.Slow(t.Context(), time.Time{}, 0))
		}
		require.Equal(t, told, f.slows)

		time.Sleep(Guard)
		require.NoError(t, g.Slow(t.Context(), time.Time{}, 0))
		require.InDelta(t, 0.25, f.model.share, 0)
	})
}

func TestSlowWithoutRedis(t *testing.T) {
	t.Parallel()
	bubble(t, 80, 1, func(t *testing.T, g *Gate, f *fakeRedis) {
		gone := errors.New("connection refused")
		f.fail(gone)
		require.ErrorIs(t, g.Slow(t.Context(), time.Time{}, 0), gone)
		f.fail(nil)
		g.Close()
		require.NoError(t, g.Slow(t.Context(), time.Time{}, 0), "the last requests of a stopping worker may be refused")
		require.InDelta(t, 0.5, f.model.share, 0)
	})
}

// provider refuses what goes beyond a number of messages in any second, as gupshuptest does.
type provider struct {
	limit    int
	accepted []time.Time
	refused  int
}

func (p *provider) take(now time.Time) bool {
	n := len(p.accepted)
	if n >= p.limit && now.Sub(p.accepted[n-p.limit]) < time.Second {
		p.refused++
		return false
	}
	p.accepted = append(p.accepted, now)
	return true
}

// TestAdaptsToALimit: four replicas whose rate is set above what the provider takes find its limit, use most of it, and are hardly
// ever refused. It is the measurement of docs/decisions/0013; -v shows it.
func TestAdaptsToALimit(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name         string
		rate         float64
		limit        int
		answer       time.Duration // how long the provider takes
		used         float64       // of the limit, at least
		refusedShare float64       // of all requests, at most
	}{
		{"twice the limit", 80, 40, 50 * ms, 0.65, 0.01},
		{"twice the limit, slow answers", 80, 40, time.Second, 0.65, 0.01},
		{"a little above it", 80, 72, 50 * ms, 0.65, 0.005},
		{"four times", 80, 20, 50 * ms, 0.65, 0.02},
		{"twelve times", 1000, 80, 50 * ms, 0.55, 0.05},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const span, warm = 5 * time.Minute, time.Minute
				f := newFakeRedis(tc.rate, 1)
				f.delay = func() time.Duration { return rand.N(2 * ms) }
				p := provider{limit: tc.limit}
				ctx, cancel := context.WithCancel(t.Context())
				var mu sync.Mutex
				var all sync.WaitGroup
				for range 4 {
					g := startGate(t, f, GateConfig{Sender: "s", Rate: tc.rate, Burst: 1})
					for range int(tc.rate*tc.answer.Seconds()/4) + 16 {
						all.Go(func() {
							for {
								if _, err := g.Wait(ctx, message.Bulk); err != nil {
									return
								}
								mu.Lock()
								ok := p.take(time.Now())
								mu.Unlock()
								time.Sleep(tc.answer)
								if !ok {
									require.NoError(t, g.Slow(t.Context(), time.Time{}, 0))
								}
							}
						})
					}
				}
				time.Sleep(warm)
				mu.Lock()
				accepted, refused := len(p.accepted), p.refused
				mu.Unlock()
				time.Sleep(span)
				cancel()
				all.Wait()
				accepted, refused = len(p.accepted)-accepted, p.refused-refused
				used, share := float64(accepted)/(float64(tc.limit)*span.Seconds()), float64(refused)/float64(accepted+refused)
				t.Logf("%.0f %% of the limit used, %.2f %% of the requests refused", used*100, share*100)
				require.GreaterOrEqual(t, used, tc.used)
				require.LessOrEqual(t, share, tc.refusedShare)
			})
		})
	}
}
