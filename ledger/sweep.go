package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/message"
)

// SweepRequest is one look of the sweeper.
type SweepRequest struct {
	Sender string
	Owner  string // who sweeps; another owner is refused until the lease has run out
	Lease  time.Duration
	Most   int                                // messages of each kind at a time
	Grace  map[message.Priority]time.Duration // how far a task may be overtaken before it counts as lost
	// LaneEmpty says that no express task waits or is being worked on: what was called for and did not come is lost.
	LaneEmpty bool
	Full      bool                      // Redis is: nothing is handed back, since each new task would need memory
	Idle      map[message.Priority]bool // its asynq queue is empty and not paused: whatever waits longer than grace is lost
	LetGo     float64                   // messages a second that may leave holds that have ended
	Room      int                       // while fewer than so many of their priority wait in their queue, and a tenth in any case
	Tell      bool                      // somebody is told of holds that begin and end; otherwise what there was to tell is forgotten
}

// Sweep is what it found.
type Sweep struct {
	Leader  bool       // false: another owner sweeps this sender, nothing was done
	Requeue []Requeued // to be enqueued by the caller, who then need not confirm: what gets lost is found again
	Expired int
	Retired int
	More    bool        // there was more than Most: look again at once
	Holds   []HeldScope // that there are, without what waits
	News    []HoldNews  // oldest first; the same ones come again until they are Told
}

// Requeued is a message that needs a new task.
type Requeued struct {
	ID         string
	Generation int
	Priority   message.Priority
	To         string
	Template   string
	Express    bool // it does not wait in line: it is to be decided about, or tries a hold
}

// Sweep renews the lease, expires what is past its time, retires what was kept long enough, and takes out what must be
// enqueued anew: all that is due, and all whose task was lost.
func (l *Ledger) Sweep(ctx context.Context, q SweepRequest) (Sweep, error) {
	args := []any{
		q.Owner, q.Lease.Milliseconds(), q.Most, l.cfg.Retention.Milliseconds(), l.cfg.DeadRetention.Milliseconds(),
	}
	for _, p := range message.Priorities {
		args = append(args, q.Grace[p].Milliseconds(), flag(q.Idle[p]))
	}
	r, err := l.run(ctx, sweepScript, q.Sender, append(args, q.LetGo, q.Room, flag(q.Full), flag(q.Tell), flag(q.LaneEmpty))...)
	if err != nil || r.text(0) != "ok" {
		return Sweep{}, err
	}
	s := Sweep{
		Leader: true, Expired: int(r.number(2)), Retired: int(r.number(3)), More: r.number(4) == 1,
	}
	for _, m := range r.list(1) {
		s.Requeue = append(s.Requeue, requeued(m))
	}
	for _, row := range r.list(5) {
		if h, err := parseHold(row.text(0), row.text(1)); err == nil && h.Campaign == "" { // a paused campaign holds nobody else up
			s.Holds = append(s.Holds, h)
		}
	}
	sortScopes(s.Holds)
	for _, entry := range r.list(6) {
		if n, err := parseNews(entry.text(0)); err == nil {
			s.News = append(s.News, n)
		}
	}
	return s, nil
}

func requeued(r reply) Requeued {
	return Requeued{
		ID: r.text(0), Generation: int(r.number(1)), Priority: message.Priority(r.text(2)), To: r.text(3), Template: r.text(4),
		Express: r.text(5) == "1",
	}
}

// Upkeep tells whether a sender's sweeper is at work.
type Upkeep struct {
	Now         time.Time // on Redis's clock, as the others are
	SweeperTill time.Time // until when the last sweeper has its lease; zero if there never was one
	OldestDue   time.Time // when the sweeper has, or had, to look at the message that is due first; zero if none is due ever
}

// Upkeep reads it in one round trip.
func (l *Ledger) Upkeep(ctx context.Context, sender string) (Upkeep, error) {
	var now *redis.TimeCmd
	var till *redis.StringCmd
	var first *redis.ZSliceCmd
	node, err := l.home(ctx, sender) // whose clock the sweeper goes by
	if err != nil {
		return Upkeep{}, err
	}
	_, err = node.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		now, till = pipe.Time(ctx), pipe.HGet(ctx, prefix(sender)+"sweeper", "till")
		first = pipe.ZRangeWithScores(ctx, prefix(sender)+"due", 0, 0)
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) { // there never was a sweeper
		return Upkeep{}, fmt.Errorf("ledger upkeep: %w", err)
	}
	u := Upkeep{Now: now.Val().Add(time.Duration(l.offset()) * time.Millisecond), SweeperTill: fromMillis(parseInt(till.Val()))}
	if due := first.Val(); len(due) > 0 {
		u.OldestDue = fromMillis(int64(due[0].Score))
	}
	return u, nil
}
