package flow

import (
	"math/rand/v2"
	"time"
)

const (
	// refillEvery is how long a gate that has slots, but fewer than waiters, lets pass between two reservations.
	refillEvery = 100 * time.Millisecond
	// retryEvery is the same for a gate that got less than it wanted and has none left.
	retryEvery = 50 * time.Millisecond
	// retryAtLatest bounds the wait for a slot that is far away: the rate, or the key in Redis, may have changed.
	retryAtLatest = time.Second
	// lead is how long before the last slot's moment new ones are fetched, besides a round trip.
	lead = 20 * time.Millisecond
	// tellUrgent is how often waiting urgent messages are made known to the other replicas; below UrgentMemory.
	tellUrgent = 500 * time.Millisecond

	firstBackoff, longestBackoff = 10 * time.Millisecond, time.Second
)

// demand is what a gate sees when it considers a reservation.
type demand struct {
	urgent, bulk int       // handlers that wait
	held         int       // slots in the pool
	last         time.Time // when the latest of them is due
}

// refill decides when a gate goes to Redis and how many slots it asks for. It does no I/O; times are passed in.
//
// It asks for what the waiting handlers lack and for some ahead of need: as many as come by between two reservations. That
// number is learned: it doubles when slots run out soon after a reservation that Redis had met in full, and sinks by what
// lapsed unused. A sender with a message now and then takes single slots; one with thousands a second makes a few
// reservations a second, too; and one that nobody uses makes none.
type refill struct {
	limit int // most that can be reserved within Ahead

	extra    int // slots to ask for ahead of need
	arrivals int // handlers that came since the last reservation
	owed     int // urgent handlers among those that came and were not asked for yet
	urgent   bool
	bulk     bool

	lastCall   time.Time
	lastUrgent time.Time // when the other replicas last heard of an urgent message of ours
	roundTrip  time.Duration
	short      bool      // the last reservation got less than it wanted
	openAt     time.Time // then: when there is more
	failures   int
	retryAt    time.Time
}

func newRefill(rate float64, burst int) refill {
	return refill{limit: int(rate*Ahead.Seconds()) + burst}
}

// arrived notes a handler that begins to wait.
func (r *refill) arrived(urgent bool) {
	r.arrivals++
	if urgent {
		r.urgent = true
		r.owed = min(r.owed+1, r.limit)
	} else {
		r.bulk = true
	}
}

// lapsed notes slots that came to nothing because nobody waited.
func (r *refill) lapsed(slots int) { r.extra = max(0, r.extra-slots) }

// low says that slots taken ahead of need are running out while there is traffic.
func (r *refill) low(d demand) bool { return r.arrivals > 0 && r.extra > 0 && d.held <= r.extra/4 }

// next returns when the next reservation is due; false if none is needed.
func (r *refill) next(d demand) (time.Time, bool) {
	lacking := d.urgent+d.bulk > d.held || r.low(d)
	tell := r.urgent || d.urgent > 0
	var at time.Time
	switch {
	case lacking:
		at = r.nextLacking(d)
		if tell {
			at = earlier(at, r.lastUrgent.Add(tellUrgent))
		}
	case tell:
		at = r.lastUrgent.Add(tellUrgent)
	default:
		return time.Time{}, false
	}
	return later(at, r.retryAt), true
}

func (r *refill) nextLacking(d demand) time.Time {
	var at time.Time // at once
	if r.short {
		at = later(r.lastCall.Add(retryEvery), r.openAt)
	}
	if d.held > 0 {
		calm := earlier(d.last.Add(-lead-r.roundTrip), r.lastCall.Add(refillEvery))
		at = later(at, calm)
	}
	return at
}

// ask tells what to reserve now, and learns from how soon it came to that.
func (r *refill) ask(now time.Time, d demand) ask {
	lacking := d.urgent+d.bulk > d.held || r.low(d)
	if lacking && !r.short && !r.lastCall.IsZero() && now.Sub(r.lastCall) < refillEvery {
		r.extra = min(r.limit, max(1, 2*r.extra, d.urgent+d.bulk))
	}
	want := 0
	if lacking {
		want = min(r.limit, d.urgent+d.bulk+r.extra-d.held)
	}
	a := ask{urgent: want, seen: r.urgent || d.urgent > 0}
	if d.bulk > 0 || (r.bulk && d.urgent == 0) {
		// Slots are alike once they are here: an urgent handler may have taken one that was reserved for bulk. What
		// came in urgent is asked for as urgent even so, or the urgent messages would be counted against bulk's share.
		a.urgent = min(want, max(r.owed, d.urgent))
		a.bulk = want - a.urgent
	}
	r.lastCall = now
	r.arrivals, r.urgent, r.bulk = 0, false, false
	return a
}

// done notes what a reservation brought.
func (r *refill) done(now time.Time, a ask, g grant) {
	r.failures, r.retryAt = 0, time.Time{}
	r.roundTrip = min(now.Sub(r.lastCall), refillEvery)
	r.owed = max(0, r.owed-g.urgent)
	if a.bulk == 0 && a.urgent == g.urgent {
		r.owed = 0 // nothing was wanted that would have been counted as bulk
	}
	if a.seen {
		r.lastUrgent = r.lastCall
	}
	r.short = g.slots() < a.urgent+a.bulk
	r.openAt = now.Add(min(g.next, retryAtLatest))
}

// failed notes that Redis did not answer, and puts the next try off: longer each time, and at random, so that replicas
// do not come back all at once.
func (r *refill) failed(now time.Time) {
	backoff := longestBackoff
	if r.failures < 7 { // 10 ms · 2⁷ is above the longest
		backoff = min(longestBackoff, firstBackoff<<r.failures)
	}
	r.failures++
	r.retryAt = now.Add(backoff/2 + rand.N(backoff/2))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
