package flow

import (
	"context"
	"sync"
	"time"
)

// Run reserves slots and wakes handlers until ctx ends or the gate is closed; then the gate is closed. It returns when
// everything it started has ended, which takes as long as a reservation that is under way. Call it once.
func (g *Gate) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var call sync.WaitGroup
	defer call.Wait()
	defer cancel()
	defer g.Close()

	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if a, ok := g.plan(timer); ok {
			call.Go(func() { g.call(ctx, a) })
		}
		select {
		case <-g.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		case <-g.done:
			return
		}
	}
}

// plan hands out what is due, and says whether to reserve now; it sets the timer to when it wants to be called again.
func (g *Gate) plan(timer *time.Timer) (ask, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.handOut(now)

	timer.Stop()
	wakeAt := time.Time{}
	if due, ok := g.pool.next(); ok && g.line.n > 0 {
		wakeAt = due
	}
	var a ask
	reserve := false
	if !g.calling { // the end of a call is a signal
		d := g.demand()
		if at, needed := g.refill.next(d); needed {
			if reserve = !at.After(now); reserve {
				g.calling = true
				a = g.refill.ask(now, d)
			} else if wakeAt.IsZero() || at.Before(wakeAt) {
				wakeAt = at
			}
		}
	}
	if !wakeAt.IsZero() {
		timer.Reset(wakeAt.Sub(now))
	}
	return a, reserve
}

// call makes one reservation and puts what it brings into the pool.
func (g *Gate) call(ctx context.Context, a ask) {
	timeout, cancel := context.WithTimeout(ctx, reserveTimeout)
	defer cancel()
	got, err := g.reserve.reserve(timeout, a)
	if ctx.Err() != nil {
		return // the gate ends; that is nobody's failure
	}
	if g.record(a, got, err) && g.cfg.OnRedis != nil {
		g.cfg.OnRedis(err)
	}
	g.signal()
}

// record takes in the result of a reservation and says whether Redis went away or came back with it.
func (g *Gate) record(a ask, got grant, err error) (changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.calling = false
	changed = g.down != (err != nil)
	g.down = err != nil
	if err != nil {
		g.suspicion = false
		g.refill.failed(now)
		return changed
	}
	g.clock.observe(now, got.now)
	switch changed := got.since != g.since; {
	case changed && g.suspicion:
		got.urgent, got.bulk = 0, 0 // taken before the cut: at the old pace, or for a time in which nothing may go
	case changed:
		if got.since > 0 {
			g.pool = pool{} // another replica has slowed the sender down
		}
		g.since = got.since
	}
	g.suspicion = false
	g.pool.add(span{base: g.clock.local(now, got.now), first: got.first, spacing: got.spacing, n: got.slots()})
	g.refill.done(now, a, got)
	return changed
}
