package flow

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func mustSlow(t require.TestingT, r *redisReserver, retryAfter, known time.Duration) slowing {
	s, err := r.slow(context.Background(), retryAfter, known)
	require.NoError(t, err)
	return s
}

// paceAt reads the pace with Redis's clock moved.
func paceAt(t require.TestingT, offset time.Duration, r *redisReserver) Pace {
	p, err := readAt(context.Background(), r.rdb, r.sender, r.rate, offset)
	require.NoError(t, err)
	return p
}

func TestSlow(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, rdb *redis.Client) {
		var senders freshSenders
		hour := time.Hour

		t.Run("a sender that has never sent has its rate", func(t *testing.T) {
			p, err := Read(t.Context(), rdb, senders.next(), 80)
			require.NoError(t, err)
			require.Equal(t, Pace{Effective: 80}, p)
		})
		t.Run("a cut halves the rate for everybody", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 80, 1)
			s := mustSlow(t, at(hour, r), 0, 0)
			require.Equal(t, s.now, s.since)
			require.Equal(t, Guard, s.guarded)
			require.Equal(t, Pace{Effective: 40}, paceAt(t, hour, r))
			g := mustReserve(t, at(hour, r), ask{urgent: 100})
			require.Equal(t, 9, g.urgent) // 0, 25, … 200 ms
			require.Equal(t, 25*ms, g.spacing)
			require.Equal(t, s.since, g.since)
		})
		t.Run("all that is refused in one burst cuts once, whatever its senders knew", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 80, 1)
			first := mustSlow(t, at(hour, r), 0, 0)
			for range 64 {
				mustSlow(t, at(hour+500*ms, r), 0, 0)
				require.Equal(t, first.since, mustSlow(t, at(hour+1500*ms, r), 0, first.since).since)
			}
			require.InDelta(t, 40, paceAt(t, hour+1500*ms, r).Effective, 0)

			second := mustSlow(t, at(hour+2100*ms, r), 0, first.since)
			require.Greater(t, second.since, first.since)
			require.InDelta(t, 20, paceAt(t, hour+2100*ms, r).Effective, 0)
		})
		t.Run("applied twice it cuts once, however late", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 80, 1)
			s := mustSlow(t, at(hour, r), 0, 0)
			require.Equal(t, s.since, mustSlow(t, at(hour+4*time.Second, r), 0, 0).since)
			require.InDelta(t, 40, paceAt(t, hour+4*time.Second, r).Effective, 0)
		})
		t.Run("it recovers by a twentieth every five seconds, and then nothing is left", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 100, 1)
			mustSlow(t, at(hour, r), 0, 0)
			for step := range 10 {
				after := hour + time.Duration(step)*StepEvery
				want := 50 + 5*float64(step)
				require.InDelta(t, want, paceAt(t, after+100*ms, r).Effective, 1e-3)
				require.InDelta(t, want, paceAt(t, after+4800*ms, r).Effective, 1e-3)
				require.InDelta(t, 1e9/want, mustReserve(t, at(after+4800*ms, r), ask{bulk: 1}).spacing, 10)
			}
			g := mustReserve(t, at(hour+50100*ms, r), ask{bulk: 1})
			require.Equal(t, 10*ms, g.spacing)
			require.Zero(t, g.since)
			require.Equal(t, []any{nil, nil, nil}, rdb.HMGet(t.Context(), paceKey(r.sender), "share", "since", "slowed").Val())
		})
		t.Run("after a recovery the next cut starts at the full rate", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 100, 1)
			s := mustSlow(t, at(hour, r), 0, 0)
			mustSlow(t, at(hour+time.Minute, r), 0, s.since) // nobody reserved meanwhile
			require.InDelta(t, 50, paceAt(t, hour+time.Minute, r).Effective, 0)
			mustReserve(t, at(hour+2*time.Minute, r), ask{})
			mustSlow(t, at(hour+2*time.Minute, r), 0, s.since) // one who did not see the recovery
			require.InDelta(t, 50, paceAt(t, hour+2*time.Minute, r).Effective, 0)
		})
		t.Run("cuts end at a twentieth, and never below the slowest rate there is", func(t *testing.T) {
			for _, tc := range []struct{ rate, least float64 }{{1000, 50}, {80, 4}, {0.5, 0.025}, {0.01, 0.001}, {0.001, 0.001}} {
				r := newRedisReserver(rdb, senders.next(), tc.rate, 1)
				known := time.Duration(0)
				for i := range 12 {
					known = mustSlow(t, at(hour+time.Duration(i)*2100*ms, r), 0, known).since
				}
				require.InDelta(t, tc.least, paceAt(t, hour+11*2100*ms, r).Effective, tc.least/1000)
			}
		})
		t.Run("a stop is for everybody, critical included, and the cut rate follows", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 80, 1)
			s := mustSlow(t, at(hour, r), 5*time.Second, 0)
			require.Equal(t, s.now+5*time.Second, s.since)
			require.Equal(t, s.since.Microseconds(), paceAt(t, hour, r).StoppedUntil.UnixMicro())
			g := mustReserve(t, at(hour+4*time.Second, r), ask{urgent: 10, bulk: 10})
			require.Zero(t, g.slots())
			require.Equal(t, s.since-g.now, g.next)

			g = mustReserve(t, at(hour+5*time.Second, r), ask{urgent: 10})
			require.Positive(t, g.urgent)
			require.Equal(t, 25*ms, g.spacing)
			require.Zero(t, paceAt(t, hour+5*time.Second, r).StoppedUntil)
			require.InDelta(t, 40, paceAt(t, hour+9800*ms, r).Effective, 0)
			require.InDelta(t, 44, paceAt(t, hour+10100*ms, r).Effective, 0, "recovery begins when the stop ends")
		})
		t.Run("the longest stop stays, and what is refused during it does not cut again", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 80, 1)
			s := mustSlow(t, at(hour, r), 30*time.Second, 0)
			require.Equal(t, s.since, mustSlow(t, at(hour+3*time.Second, r), 5*time.Second, s.since).since)
			require.Equal(t, s.since, mustSlow(t, at(hour+3*time.Second, r), 0, s.since).since)
			longer := mustSlow(t, at(hour+3*time.Second, r), time.Minute, s.since)
			require.Equal(t, longer.now+time.Minute, longer.since)
			require.InDelta(t, 40, paceAt(t, hour+3*time.Second, r).Effective, 0)
		})
		t.Run("a sender that may not be cut may be stopped", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 0.001, 1)
			mustSlow(t, at(hour, r), 5*time.Second, 0)
			require.Zero(t, mustReserve(t, at(hour+4*time.Second, r), ask{urgent: 1}).urgent)
			require.Equal(t, 1, mustReserve(t, at(hour+5*time.Second, r), ask{urgent: 1}).urgent)
		})
		t.Run("a clock that goes back neither stops the sender nor prolongs a stop", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 80, 1)
			mustSlow(t, at(hour, r), 0, 0)
			require.Zero(t, paceAt(t, 0, r).StoppedUntil)
			require.Positive(t, mustReserve(t, r, ask{urgent: 40}).next)
			require.Positive(t, mustReserve(t, at(time.Second, r), ask{urgent: 1}).urgent)
			require.InDelta(t, 44, paceAt(t, 5500*ms, r).Effective, 0)

			stopped := newRedisReserver(rdb, senders.next(), 80, 1)
			mustSlow(t, at(hour, stopped), 5*time.Second, 0)
			require.Zero(t, mustReserve(t, stopped, ask{urgent: 1}).urgent)
			require.Zero(t, mustReserve(t, at(4*time.Second, stopped), ask{urgent: 1}).urgent)
			require.Equal(t, 1, mustReserve(t, at(5100*ms, stopped), ask{urgent: 1}).urgent)
		})
		t.Run("a cut does not make a burst", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 10, 5)
			mustReserve(t, at(hour, r), ask{urgent: 100})
			mustSlow(t, at(hour, r), 0, 0)
			require.Zero(t, mustReserve(t, at(hour, r), ask{urgent: 100}).urgent)
		})
		t.Run("it is forgotten after the recovery, and the schedule is not forgotten for it", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 100, 1)
			mustSlow(t, r, 20*time.Second, 0)
			mustReserve(t, r, ask{})
			ttl := rdb.PTTL(t.Context(), paceKey(r.sender)).Val()
			require.InDelta(t, 80*time.Second, ttl, float64(time.Second)) // the stop, ten steps, ten seconds

			far := newRedisReserver(rdb, senders.next(), 0.002, 1)
			mustReserve(t, far, ask{urgent: 1})
			mustSlow(t, far, 0, 0)
			require.Greater(t, rdb.PTTL(t.Context(), paceKey(far.sender)).Val(), 500*time.Second)
		})
		t.Run("what was used in the last second is told", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 100, 1)
			for i := range 31 {
				mustReserve(t, at(hour+time.Duration(i)*100*ms, r), ask{bulk: 10})
			}
			require.InDelta(t, 100, paceAt(t, hour+3*time.Second, r).Used, 15)
			require.Zero(t, paceAt(t, hour+6*time.Second, r).Used)
		})
		t.Run("an answer that is none of ours is an error", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 10, 1)
			require.NoError(t, rdb.Set(t.Context(), paceKey(r.sender), "x", time.Minute).Err())
			_, err := r.slow(t.Context(), 0, 0)
			require.ErrorContains(t, err, r.sender)
			_, err = Read(t.Context(), rdb, r.sender, 10)
			require.ErrorContains(t, err, r.sender)
		})
	})
}

// TestNeverAboveEffectiveRate: through cuts, stops and recoveries at random, no two slots are closer than the spacing that counted
// when one of them was taken, and none is taken while the sender is stopped. The rate that counts is worked out here once more.
func TestNeverAboveEffectiveRate(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, rdb *redis.Client) {
		var senders freshSenders
		rapid.Check(t, func(t *rapid.T) {
			rate := rates.Draw(t, "rate")
			r := newRedisReserver(rdb, senders.next(), rate, 1)
			part, since := 1.0, time.Duration(0)
			effective := func(now time.Duration) float64 {
				return rate * min(1, part+Step*math.Floor(max(0, now-since).Seconds()/StepEvery.Seconds()+1e-9))
			}
			type slot struct{ due, spacing time.Duration }
			var slots []slot
			history(t, rapid.IntRange(1, 60).Draw(t, "steps"), rapid.Int64Range(0, 1_500_000), asks(20), func(offset time.Duration, a ask) {
				if rapid.IntRange(0, 9).Draw(t, "refused") == 0 {
					stop := rapid.SampledFrom([]time.Duration{0, 3 * time.Second}).Draw(t, "retry after")
					s := mustSlow(t, at(offset, r), stop, since)
					now := effective(s.now) / rate
					if s.now >= since+Guard {
						now = max(Least, now/2)
					}
					if s.since != since {
						part, since = now, s.since
					}
				}
				g := mustReserve(t, at(offset, r), a)
				if g.now < since {
					require.Zero(t, g.slots())
				}
				for _, due := range g.dues() {
					slots = append(slots, slot{due, spacing(effective(g.now) * (1 + 1e-6))})
				}
			})
			require.True(t, slices.IsSortedFunc(slots, func(a, b slot) int { return int(a.due - b.due) }))
			for i := 1; i < len(slots); i++ {
				a, b := slots[i-1], slots[i]
				require.GreaterOrEqual(t, b.due-a.due, min(a.spacing, b.spacing)-time.Microsecond)
			}
		})
	})
}
