package flow

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/message"
)

// ErrClosed is what Wait returns once the gate is closed: no slot was spent.
var ErrClosed = errors.New("flow: the gate is closed")

// Used is the part of the rate at which slots are given. What leaves on time does not all arrive on time: the hundredth that is kept back keeps
// a second in which more of it arrives below the rate, see docs/decisions/0007.
const Used = 0.99

// reserveTimeout bounds one reservation on clients that heed contexts; others are bounded by their own timeouts.
const reserveTimeout = 2 * time.Second

// GateConfig describes the pace of one sender. Every replica must be given the same Rate and Burst.
type GateConfig struct {
	Sender string  // the sender's name in the configuration
	Rate   float64 // messages per second over all replicas; fractions are allowed
	Burst  int     // messages that may go at once after a rest; 0 means 1, strictly spaced

	// OnWait, if set, is told each granted slot's wait. It is called by the handler that waited, and must be quick.
	OnWait func(p message.Priority, waited time.Duration)
	// OnRedis, if set, is told once when reserving begins to fail, with the error, and once with nil when it works again.
	OnRedis func(err error)
}

// Validate reports what makes the configuration unusable.
func (c GateConfig) Validate() error {
	var problems []error
	if c.Sender == "" {
		problems = append(problems, errors.New("flow: the sender has no name: give it one"))
	}
	if math.IsNaN(c.Rate) || c.Rate < 0.001 || c.Rate > 1e6 {
		problems = append(problems, fmt.Errorf("flow: rate %v of sender %q: use 0.001 to 1000000 messages per second", c.Rate, c.Sender))
	}
	if c.Burst < 0 {
		problems = append(problems, fmt.Errorf("flow: burst %d of sender %q: use 1 or more", c.Burst, c.Sender))
	}
	return errors.Join(problems...)
}

// Gate lets the handlers of one process send at one sender's pace. There is one per sender and process. It owns the slots
// it has reserved; handlers own none before their moment, so an urgent one that comes late still gets the next.
//
// Its methods may be called by any number of goroutines. It works while Run runs.
type Gate struct {
	cfg     GateConfig
	reserve reserver
	wake    chan struct{} // holds one signal: something changed that Run should look at
	done    chan struct{} // closed by Close

	mu      sync.Mutex
	closed  bool
	calling bool // a reservation is under way; there is never more than one
	down    bool // the last reservation failed
	line    line
	pool    pool
	clock   redisClock
	refill  refill

	since     time.Duration // how slowed down the sender was when we last asked, see grant
	guarded   time.Time     // until then, saying again that it is too fast would change nothing
	suspicion bool          // the reservation under way may be older than the cut
}

// NewGate returns a gate that keeps its pace in Redis. The client stays the caller's. It panics if the configuration is
// unusable: call Validate on anything that comes from outside.
func NewGate(rdb redis.UniversalClient, cfg GateConfig) *Gate {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	cfg.Burst = max(1, cfg.Burst)
	cfg.Rate *= Used
	return newGate(newRedisReserver(rdb, cfg.Sender, cfg.Rate, cfg.Burst), cfg)
}

func newGate(r reserver, cfg GateConfig) *Gate {
	return &Gate{
		cfg:     cfg,
		reserve: r,
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		line:    newLine(),
		refill:  newRefill(cfg.Rate, cfg.Burst),
	}
}

// Slot is the right to send one message now. One that is not used should be given back; one that is used needs no further care.
type Slot struct {
	gate *Gate
	w    *waiter
}

// Wait blocks until it is this handler's turn and the moment of its slot has come. The caller then sends at once.
// It returns ctx's error when ctx ends first and ErrClosed when the gate closes first; then nothing is spent. While
// Redis is away it waits on. An unknown priority is an error at once.
func (g *Gate) Wait(ctx context.Context, p message.Priority) (Slot, error) {
	w := &waiter{priority: p, rank: rank(p), since: time.Now()}
	if w.rank < 0 {
		return Slot{}, fmt.Errorf("flow: unknown priority %q: use critical, default or bulk", string(p))
	}
	if err := ctx.Err(); err != nil {
		return Slot{}, err
	}
	if err := g.join(w); err != nil {
		return Slot{}, err
	}
	for !w.isReady() {
		select {
		case <-w.ready:
		case <-ctx.Done():
		case <-g.done:
		}
		if err := g.settle(ctx, w); err != nil {
			return Slot{}, err
		}
	}
	if g.cfg.OnWait != nil {
		g.cfg.OnWait(p, time.Since(w.since))
	}
	return Slot{gate: g, w: w}, nil
}

// isReady says that the waiter has a slot to use. Only its own goroutine calls it, after join or settle.
func (w *waiter) isReady() bool { return w.ready == nil }

// join enters a handler into the line. If its slot is there already it is granted on the spot.
func (g *Gate) join(w *waiter) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return ErrClosed
	}
	now := time.Now()
	late := g.pool.dropLate(now.Add(-MaxLate))
	if g.line.n == 0 {
		g.refill.lapsed(late) // nobody waited for them
	}
	g.refill.arrived(urgent(w.rank))
	g.line.join(w)
	g.handOut(now)
	if w.granted {
		if g.refill.low(g.demand()) {
			g.signal()
		}
		return nil
	}
	w.ready = make(chan struct{})
	g.signal()
	return nil
}

// settle finds out why a waiting handler woke up. It leaves w ready, or waiting again because its slot was reached too late.
func (g *Gate) settle(ctx context.Context, w *waiter) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	err := ctx.Err()
	if g.closed {
		err = ErrClosed
	}
	now := time.Now()
	switch {
	case err != nil:
		g.line.leave(w)
		if w.granted {
			g.putBack(w.due, now)
		}
		return err
	case !w.granted: // cannot be: only a grant, ctx and Close wake it
	case now.Sub(w.due) > MaxLate:
		// This process stood still between the grant and here. The slot is void, and its turn is still its turn.
		w.granted, w.ready = false, make(chan struct{})
		g.line.rejoin(w)
		g.signal()
	default:
		w.ready = nil
	}
	return nil
}

// GiveBack returns a slot that was not used. It goes to the next waiting handler of this process at once if its moment is
// not more than MaxLate ago; otherwise it lapses. Giving back twice, or the zero Slot, does nothing.
func (s Slot) GiveBack() {
	if s.gate == nil {
		return
	}
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	if s.w.granted {
		s.w.granted = false
		s.gate.putBack(s.w.due, time.Now())
	}
}

// putBack returns a granted slot to the pool and hands it on.
func (g *Gate) putBack(due, now time.Time) {
	if g.closed || now.Sub(due) > MaxLate {
		return
	}
	g.pool.giveBack(due)
	g.handOut(now)
}

// handOut gives every slot that is due to a waiting handler, in order. It is all that ever grants.
func (g *Gate) handOut(now time.Time) {
	g.pool.dropLate(now.Add(-MaxLate))
	for g.line.n > 0 {
		due, ok := g.pool.next()
		if !ok || due.After(now) {
			return
		}
		w := g.line.first()
		w.granted, w.due = true, g.pool.take()
		if w.ready != nil {
			close(w.ready)
		}
	}
}

func (g *Gate) demand() demand {
	urgents, bulk := g.line.count()
	return demand{urgent: urgents, bulk: bulk, held: g.pool.held, last: g.pool.last()}
}

// Waiting tells how many handlers wait, by priority; every priority is there, also with 0.
func (g *Gate) Waiting() map[message.Priority]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	waiting := make(map[message.Priority]int, len(message.Priorities))
	for i, p := range message.Priorities {
		waiting[p] = g.line.queues[i].Len()
	}
	return waiting
}

// signal wakes Run; a signal that it has not seen yet is enough.
func (g *Gate) signal() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// Close ends the gate: every Wait, now and later, returns ErrClosed, and Run returns. It may be called more than once.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		close(g.done)
	}
}
