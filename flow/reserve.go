package flow

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"time"

	"github.com/redis/go-redis/v9"
)

// ask is what one reservation wants.
type ask struct {
	urgent, bulk int  // slots wanted, counted apart because bulk has a share of its own
	seen         bool // messages more urgent than bulk came by, even if they need no slot any more
}

// grant is what a reservation got: urgent + bulk slots, the i-th of them due at now + max(0, first + i·spacing).
type grant struct {
	urgent, bulk int
	first        time.Duration // negative by what is left of the burst
	spacing      time.Duration
	now          time.Duration // Redis's clock, since the Unix epoch
	next         time.Duration // until more of what was wanted and not given can be taken
	since        time.Duration // when the sender was slowed down, or until when it is stopped, on Redis's clock; 0 if neither
}

func (g grant) slots() int { return g.urgent + g.bulk }

// reserver takes slots of one sender's schedule in one round trip. Any error means that nothing may be used, though slots may be lost.
type reserver interface {
	reserve(ctx context.Context, a ask) (grant, error)
	slow(ctx context.Context, retryAfter, known time.Duration) (slowing, error)
}

//go:embed lua/reserve.lua
var reserveLua string

//go:embed lua/slowed.lua
var slowedLua string // goes before each of the others

// redisReserver is the schedule that all replicas share.
type redisReserver struct {
	rdb    redis.Scripter
	script *redis.Script // lua/reserve.lua
	cut    *redis.Script // lua/slow.lua
	sender string
	rate   float64       // messages per second
	burst  int           // at least 1
	offset time.Duration // moves Redis's clock in tests
}

func newRedisReserver(rdb redis.Scripter, sender string, rate float64, burst int) *redisReserver {
	return &redisReserver{
		rdb: rdb, script: redis.NewScript(slowedLua + reserveLua), cut: redis.NewScript(slowedLua + slowLua),
		sender: sender, rate: rate, burst: burst,
	}
}

// paceKey is where a sender's schedule lives; its hash tag keeps all keys of a sender in one slot of a cluster.
func paceKey(sender string) string { return "gupdispatch:{" + sender + "}:pace" }

// spacing is the distance of two slots, rounded up to whole nanoseconds: never faster than the rate.
func spacing(rate float64) time.Duration {
	return time.Duration(math.Ceil(float64(time.Second) / rate))
}

func (r *redisReserver) reserve(ctx context.Context, a ask) (grant, error) {
	seen := 0
	if a.seen {
		seen = 1
	}
	reply, err := r.script.Run(
		ctx, r.rdb, []string{paceKey(r.sender)},
		r.offset.Microseconds(), spacing(r.rate).Nanoseconds(), r.burst, a.urgent, a.bulk, seen,
		Ahead.Microseconds(), BulkAhead.Microseconds(), BulkShare, UrgentMemory.Microseconds(),
		Step, StepEvery.Microseconds(),
	).Int64Slice()
	if err != nil {
		return grant{}, fmt.Errorf("flow: reserve slots of sender %q in Redis: %w", r.sender, err)
	}
	if len(reply) != 7 || reply[0] < 0 || reply[1] < 0 || reply[3] <= 0 {
		return grant{}, fmt.Errorf("flow: reserve slots of sender %q: Redis answered %v, which lua/reserve.lua cannot have said", r.sender, reply)
	}
	return grant{
		urgent:  int(reply[0]),
		bulk:    int(reply[1]),
		first:   time.Duration(reply[2]) * time.Microsecond,
		spacing: time.Duration(reply[3]),
		now:     time.Duration(reply[4]) * time.Microsecond,
		next:    time.Duration(reply[5]) * time.Microsecond,
		since:   time.Duration(reply[6]) * time.Microsecond,
	}, nil
}
