package flow

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/slow.lua
var slowLua string

// slowing is what Redis says to a refusal.
type slowing struct {
	since   time.Duration // of the cut that counts, or the end of the stop, on Redis's clock
	now     time.Duration // Redis's clock; only tests look at it
	guarded time.Duration // until there can be another cut
}

// Slow tells all replicas that Gupshup refused a message of this sender because it is too fast. The rate is halved at once and
// comes back by a twentieth of the set rate every five seconds; it is cut once for all that is refused within two seconds, and not for what was
// sent before the last cut: sent is when the refused message was, on Redis's clock, and zero if that is now. With a
// retryAfter above 0 nothing at all is granted for so long, critical messages included, and then at the cut rate; the longest one
// counts. The caller caps retryAfter.
//
// This gate drops the slots that it holds; other replicas drop theirs when they next reserve. Until then they still go, which takes
// at most [Ahead]; so do messages that have their slot already. Slow works on a closed gate, too: the last requests of a stopping worker
// may be refused. An error says that nobody may have heard of it.
func (g *Gate) Slow(ctx context.Context, sent time.Time, retryAfter time.Duration) error {
	g.mu.Lock()
	known, heard := g.since, retryAfter <= 0 && time.Now().Before(g.guarded)
	g.mu.Unlock()
	if !sent.IsZero() {
		known = time.Duration(sent.UnixMicro()) * time.Microsecond
	}
	if heard {
		return nil // one of a burst; the others have told Redis
	}
	timeout, cancel := context.WithTimeout(ctx, reserveTimeout)
	defer cancel()
	got, err := g.reserve.slow(timeout, max(0, retryAfter), known)
	if err != nil {
		return err
	}
	g.slowed(got)
	return nil
}

// slowed takes in how slow the sender is now. What was reserved before is void.
func (g *Gate) slowed(got slowing) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.guarded = time.Now().Add(got.guarded)
	if got.since == g.since {
		return // our slots are of the new pace
	}
	g.since, g.suspicion = got.since, g.calling
	g.pool = pool{}
	g.signal()
}

func (r *redisReserver) slow(ctx context.Context, retryAfter, known time.Duration) (slowing, error) {
	reply, err := r.cut.Run(
		ctx, r.rdb, []string{paceKey(r.sender)},
		r.offset.Microseconds(), Step, StepEvery.Microseconds(), known.Microseconds(), CutTo, least(r.rate),
		Guard.Microseconds(), retryAfter.Microseconds(),
	).Int64Slice()
	if err != nil {
		return slowing{}, fmt.Errorf("flow: slow sender %q down in Redis: %w", r.sender, err)
	}
	if len(reply) != 3 {
		return slowing{}, fmt.Errorf("flow: slow sender %q down: Redis answered %v, which lua/slow.lua cannot have said", r.sender, reply)
	}
	us := func(i int) time.Duration { return time.Duration(reply[i]) * time.Microsecond }
	return slowing{since: us(0), now: us(1), guarded: us(2)}, nil
}

// least is the part of a rate below which it is not cut.
func least(rate float64) float64 { return min(1, max(Least, leastRate/rate)) }

//go:embed lua/read.lua
var readLua string

var readScript = redis.NewScript(slowedLua + readLua)

// Pace is how fast a sender goes, over all replicas.
type Pace struct {
	Effective    float64   // messages per second that it may send now; below its rate while it is slowed down
	StoppedUntil time.Time // nothing is sent before; zero if it is not stopped, and Effective then is what follows
	Used         float64   // slots taken in the last second; a few of them may not have been used
}

// Read tells the pace of a sender whose set rate is given. It takes one round trip, and needs no gate.
func Read(ctx context.Context, rdb redis.Scripter, sender string, rate float64) (Pace, error) {
	return readAt(ctx, rdb, sender, rate, 0)
}

// Restore gives a sender its whole rate back, and ends a stop, because a person knows better. It says whether it was slowed down. Should Gupshup
// still find it too fast, it is slowed down again.
func Restore(ctx context.Context, rdb redis.Cmdable, sender string) (bool, error) {
	n, err := rdb.HDel(ctx, paceKey(sender), "share", "since", "slowed").Result()
	if err != nil {
		return false, fmt.Errorf("flow: restore the pace of sender %q: %w", sender, err)
	}
	return n > 0, nil
}

// readAt is Read with Redis's clock moved, for tests.
func readAt(ctx context.Context, rdb redis.Scripter, sender string, rate float64, offset time.Duration) (Pace, error) {
	reply, err := readScript.Run(
		ctx, rdb, []string{paceKey(sender)}, offset.Microseconds(), Step, StepEvery.Microseconds(),
	).Int64Slice()
	if err != nil {
		return Pace{}, fmt.Errorf("flow: read the pace of sender %q: %w", sender, err)
	}
	if len(reply) != 3 {
		return Pace{}, fmt.Errorf("flow: read the pace of sender %q: Redis answered %v, which lua/read.lua cannot have said", sender, reply)
	}
	p := Pace{Effective: rate * float64(reply[0]) / 1e6, Used: float64(reply[2]) / 1e3}
	if reply[1] > 0 {
		p.StoppedUntil = time.UnixMicro(reply[1])
	}
	return p, nil
}
