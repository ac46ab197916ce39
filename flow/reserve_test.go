package flow

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const ms = time.Millisecond

// at moves Redis's clock for one reservation. Real time passes as well, so what depends on it is tested by bounds.
func at(offset time.Duration, r *redisReserver) *redisReserver {
	moved := *r
	moved.offset = offset
	return &moved
}

func mustReserve(t require.TestingT, r *redisReserver, a ask) grant {
	g, err := r.reserve(context.Background(), a)
	require.NoError(t, err)
	return g
}

func TestReserve(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, rdb *redis.Client) {
		var senders freshSenders
		hour := time.Hour // real time spent between two calls is far below the steps of these tests

		t.Run("a rested sender has one slot now and the rest spaced, up to 200 ms ahead", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 80, 1)
			g := mustReserve(t, r, ask{urgent: 100})
			require.Equal(t, 17, g.urgent) // 0, 12.5, … 200 ms
			require.Zero(t, g.first)
			require.Equal(t, 12500*time.Microsecond, g.spacing)
			require.Positive(t, g.next)
			require.LessOrEqual(t, g.next, 12500*time.Microsecond)

			again := mustReserve(t, at(100*ms, r), ask{urgent: 100})
			require.GreaterOrEqual(t, again.urgent, 8)
			require.GreaterOrEqual(t, again.now+again.first, g.now+17*g.spacing)
		})
		t.Run("fewer than a slot a second", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 0.5, 1)
			require.Equal(t, 1, mustReserve(t, r, ask{bulk: 9}).bulk)
			g := mustReserve(t, at(time.Second, r), ask{bulk: 9})
			require.Zero(t, g.bulk)
			require.InDelta(t, 800*ms, g.next, float64(300*ms))
			require.Equal(t, 1, mustReserve(t, at(1900*ms, r), ask{bulk: 9}).bulk)
		})
		t.Run("a burst goes at once, then spacing", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 10, 3)
			g := mustReserve(t, r, ask{urgent: 100})
			require.Equal(t, 5, g.urgent)
			dues := g.dues()
			require.Equal(t, []time.Duration{g.now, g.now, g.now, g.now + 100*ms, g.now + 200*ms}, dues)
		})
		t.Run("ten thousand a second", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 10_000, 1)
			require.Equal(t, 2001, mustReserve(t, r, ask{bulk: 1 << 20}).bulk)
		})
		t.Run("bulk has all of it while nothing urgent was seen, and its share for a second after", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 1000, 1)
			require.Equal(t, 201, mustReserve(t, at(hour, r), ask{bulk: 999}).bulk)

			require.Zero(t, mustReserve(t, at(hour+250*ms, r), ask{seen: true}).slots())
			got := mustReserve(t, at(hour+500*ms, r), ask{bulk: 999}).bulk
			require.Equal(t, 91, got) // 100 ms at 90 %, and the one now
			got = mustReserve(t, at(hour+1000*ms, r), ask{bulk: 999}).bulk
			require.Equal(t, 91, got)
			got = mustReserve(t, at(hour+1800*ms, r), ask{bulk: 999}).bulk
			require.Equal(t, 201, got)
		})
		t.Run("urgent goes before the bulk of other replicas at any rate", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 1, 1)
			require.Equal(t, 1, mustReserve(t, at(hour, r), ask{bulk: 1}).bulk)
			require.Zero(t, mustReserve(t, at(hour+700*ms, r), ask{urgent: 1}).urgent)
			require.Zero(t, mustReserve(t, at(hour+850*ms, r), ask{bulk: 1}).bulk)
			require.Equal(t, 1, mustReserve(t, at(hour+850*ms, r), ask{urgent: 1}).urgent)
		})
		t.Run("a clock that went back does not stop the sender, nor speed it up", func(t *testing.T) {
			r := newRedisReserver(rdb, senders.next(), 10, 1)
			mustReserve(t, at(hour, r), ask{urgent: 99})
			g := mustReserve(t, r, ask{urgent: 99})
			require.Zero(t, g.urgent)
			require.LessOrEqual(t, g.next, 101*ms)
			g = mustReserve(t, at(300*ms, r), ask{urgent: 99})
			require.Positive(t, g.urgent)
			require.LessOrEqual(t, g.urgent, 4)
		})
		t.Run("an idle sender leaves nothing behind", func(t *testing.T) {
			sender := senders.next()
			mustReserve(t, newRedisReserver(rdb, sender, 10, 1), ask{urgent: 3})
			ttl, err := rdb.PTTL(t.Context(), "gupdispatch:{"+sender+"}:pace").Result()
			require.NoError(t, err)
			require.InDelta(t, 10*time.Second, ttl, float64(time.Second))
		})
		t.Run("an answer that is none of ours is an error", func(t *testing.T) {
			sender := senders.next()
			require.NoError(t, rdb.Set(t.Context(), paceKey(sender), "x", time.Minute).Err())
			_, err := newRedisReserver(rdb, sender, 10, 1).reserve(t.Context(), ask{urgent: 1})
			require.ErrorContains(t, err, sender)
		})
	})
}

// history draws reservations of several replicas at random times and asks for them.
func history(t *rapid.T, steps int, advance *rapid.Generator[int64], wants *rapid.Generator[ask], do func(offset time.Duration, a ask)) {
	offset := time.Duration(0)
	for range steps {
		offset += time.Duration(advance.Draw(t, "step")) * time.Microsecond
		do(offset, wants.Draw(t, "ask"))
	}
}

func asks(most int) *rapid.Generator[ask] {
	return rapid.Custom(func(t *rapid.T) ask {
		return ask{
			urgent: rapid.IntRange(0, most).Draw(t, "urgent"),
			bulk:   rapid.IntRange(0, most).Draw(t, "bulk"),
			seen:   rapid.Bool().Draw(t, "seen"),
		}
	})
}

var rates = rapid.SampledFrom([]float64{0.5, 1, 3, 7.3, 80, 333, 1000, 12_345})

// TestNeverAboveRate: whatever replicas ask and whenever, no window of length w holds more than R·w + burst slots, and none is further ahead than allowed.
func TestNeverAboveRate(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, rdb *redis.Client) {
		var senders freshSenders
		rapid.Check(t, func(t *rapid.T) {
			rate, burst := rates.Draw(t, "rate"), rapid.IntRange(1, 5).Draw(t, "burst")
			r := newRedisReserver(rdb, senders.next(), rate, burst)
			var dues []time.Duration
			history(t, rapid.IntRange(1, 40).Draw(t, "steps"), rapid.Int64Range(0, 400_000), asks(20), func(offset time.Duration, a ask) {
				g := mustReserve(t, at(offset, r), a)
				require.LessOrEqual(t, g.urgent, a.urgent)
				require.LessOrEqual(t, g.bulk, a.bulk)
				got := g.dues()
				if len(got) > 0 {
					require.LessOrEqual(t, got[len(got)-1]-g.now, Ahead+time.Microsecond)
				}
				dues = append(dues, got...)
			})
			slices.Sort(dues)
			for i := range dues {
				for j := i; j < len(dues); j++ {
					window := (dues[j] - dues[i] + 2*time.Microsecond).Seconds()
					if float64(j-i+1) > rate*window+float64(burst) {
						t.Fatalf("%d slots in %v at rate %v, burst %d", j-i+1, dues[j]-dues[i], rate, burst)
					}
				}
			}
		})
	})
}

// TestRateIsUsed: while there is demand at least every 100 ms, 97 % of the rate and more is given out.
func TestRateIsUsed(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, rdb *redis.Client) {
		var senders freshSenders
		rapid.Check(t, func(t *rapid.T) {
			rate := rapid.SampledFrom([]float64{10, 80, 333, 12_345}).Draw(t, "rate")
			bulk := rapid.Bool().Draw(t, "bulk alone")
			r := newRedisReserver(rdb, senders.next(), rate, 1)
			want := ask{urgent: 5000}
			if bulk {
				want = ask{bulk: 5000}
			}
			total, usable, last := 0, time.Duration(0), time.Duration(0)
			history(t, 100, rapid.Int64Range(10_000, 100_000), rapid.Just(want), func(offset time.Duration, a ask) {
				g := mustReserve(t, at(offset, r), a)
				if last != 0 {
					usable += min(g.now-last, Ahead) // a test that was held up longer made no demand
				}
				total, last = total+g.slots(), g.now
			})
			require.GreaterOrEqual(t, float64(total), 0.97*rate*usable.Seconds())
		})
	})
}

// TestBulkKeepsItsShare: while urgent messages are about, bulk gets 90 % and no more, and still gets them.
func TestBulkKeepsItsShare(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, rdb *redis.Client) {
		var senders freshSenders
		rapid.Check(t, func(t *rapid.T) {
			const rate = 1000
			r := newRedisReserver(rdb, senders.next(), rate, 1)
			bulk, start, usable, last := 0, time.Duration(0), time.Duration(0), time.Duration(0)
			history(t, 60, rapid.Int64Range(10_000, 90_000), rapid.Just(ask{bulk: 500, seen: true}), func(offset time.Duration, a ask) {
				g := mustReserve(t, at(offset, r), a)
				if last == 0 {
					start = g.now
				} else {
					usable += min(g.now-last, BulkAhead) // a test that was held up longer made no demand
				}
				bulk, last = bulk+g.bulk, g.now
			})
			most := BulkShare * rate * (last - start + BulkAhead).Seconds()
			require.LessOrEqual(t, float64(bulk), most+1)
			require.GreaterOrEqual(t, float64(bulk), 0.99*BulkShare*rate*usable.Seconds())
		})
	})
}

// TestModel holds the Go model, on which the gate is tested, to the script, also through clocks that go back.
func TestModel(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, rdb *redis.Client) {
		var senders freshSenders
		rapid.Check(t, func(t *rapid.T) {
			m := model{rate: rates.Draw(t, "rate"), burst: rapid.IntRange(1, 5).Draw(t, "burst")}
			r := newRedisReserver(rdb, senders.next(), m.rate, m.burst)
			known := time.Duration(0)
			steps := rapid.SampledFrom([]int64{700_000, 4_000_000}).Draw(t, "longest step") // sooner or later recovery shows
			history(t, 30, rapid.Int64Range(-200_000, steps), asks(300), func(offset time.Duration, a ask) {
				if rapid.IntRange(0, 3).Draw(t, "slow") == 0 {
					stop := rapid.SampledFrom([]time.Duration{0, 0, time.Second, 5 * time.Second}).Draw(t, "retry after")
					got := mustSlow(t, at(offset, r), stop, known)
					require.Equal(t, m.slow(float64(got.now.Microseconds()), stop, known), got)
				}
				got := mustReserve(t, at(offset, r), a)
				require.Equal(t, m.reserve(float64(got.now.Microseconds()), a), got)
				if rapid.Bool().Draw(t, "learns") {
					known = got.since
				}
			})
		})
	})
}
