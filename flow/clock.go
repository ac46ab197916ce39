package flow

import "time"

// redisClock translates moments of Redis's clock into this process's time. The only thing a reply tells is that Redis's now
// lies before the moment of its arrival; the quickest of the latest replies tells it best. So slots come to be due a
// network delay after Redis means them, the same delay for each, and a reply that was slow by itself, or that this process
// read late, does not shift its slots: they are simply found to be late.
type redisClock struct {
	origin time.Time // carries the monotonic clock
	seen   [8]reading
	next   int
}

type reading struct {
	at   time.Time
	lead time.Duration // local time since origin, minus Redis's now
}

// readingAge bounds how long a reading counts: clocks drift apart, and are set.
const readingAge = 10 * time.Second

// observe takes the Redis time that a reply which arrived at the given local time carried.
func (c *redisClock) observe(arrived time.Time, redisNow time.Duration) {
	if c.origin.IsZero() {
		c.origin = arrived
	}
	c.seen[c.next] = reading{at: arrived, lead: arrived.Sub(c.origin) - redisNow}
	c.next = (c.next + 1) % len(c.seen)
}

// local translates a moment of Redis's clock. There must have been a reading at or shortly before now.
func (c *redisClock) local(now time.Time, redis time.Duration) time.Time {
	best, found := time.Duration(0), false
	for _, r := range c.seen {
		if !r.at.IsZero() && now.Sub(r.at) <= readingAge && (!found || r.lead < best) {
			best, found = r.lead, true
		}
	}
	return c.origin.Add(redis + best)
}
