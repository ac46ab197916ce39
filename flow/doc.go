// Package flow keeps the pace: never more than R messages a second of one sender, over all replicas together, with the
// urgent ones first and room kept for them.
//
// The rate lives in Redis as a GCRA (a leaky bucket told as "when may the next one go"), on Redis's own clock, in the one
// script lua/reserve.lua. Each process has one [Gate] per sender. The gate takes slots, which are moments in the near future,
// several in one round trip, and hands them to the handlers that wait for them: most urgent first, in order of arrival
// within one priority. Handlers wait inside [Gate.Wait] and are never sent back to their queue.
//
// What keeps the promise "at most R":
//   - a slot is a moment, and two slots are never closer than 1/R (beyond the burst), whoever took them;
//   - nothing is granted before its moment, nor more than [MaxLate] after it, so a stalled process cannot catch up in a burst;
//   - nothing is granted without Redis, and a reservation that was applied twice only loses slots.
//
// When Gupshup says that we are too fast, [Gate.Slow] cuts the rate of all replicas at once; it comes back step by step (additive
// increase, multiplicative decrease). Both are a few fields in the same hash, from which the scripts work out the rate that counts
// now; there is no timer and no owner. [Read] tells it. What other replicas hold by then may still go: at most the slots of [Ahead].
package flow

import "time"

const (
	// Ahead is how far before its moment a slot may be reserved, on Redis's clock. Reserved slots are what a message on
	// another replica has to wait behind, so this bounds the wait of an urgent message behind a bulk backlog. Simulated at
	// R = 80: reserving 3 s ahead delays urgent messages by 3 s, 200 ms ahead by about 0.1 s.
	Ahead = 200 * time.Millisecond

	// BulkAhead takes the place of Ahead for bulk while urgent messages are about. Being the smaller of the two, it lets an
	// urgent message on one replica take the next slot before the bulk of all other replicas may ask for it.
	BulkAhead = 100 * time.Millisecond

	// BulkShare is the part of the rate that bulk may use while urgent messages are about. The rest stays free for them, so
	// that the schedule has gaps near the present instead of being full up to Ahead.
	BulkShare = 0.9

	// UrgentMemory is how long after the last message more urgent than bulk, on any replica, bulk stays at BulkShare.
	UrgentMemory = time.Second

	// MaxLate is how long after its moment a slot may still be used. Slots are spaced by 1/R, so in any second at most the
	// slots of 1 s + MaxLate can be used: 20 ms is what makes "never above 1.02 R + 1 in any second" hold whatever stalls.
	// (50 ms would allow 1.05 R + 1.) It is also the time for which a slot taken ahead of need is kept for the next handler.
	MaxLate = 20 * time.Millisecond
)

// How a sender is slowed down and comes back. docs/decisions/0013-adaptive-pace.md has the simulation that these were chosen by.
const (
	// CutTo is what one cut leaves of the rate that counted before it.
	CutTo = 0.5
	// Least is the part of the set rate that cuts end at. Below it the set rate is wrong, and no pace of ours.
	Least = 0.05
	// leastRate is the same in messages per second: the slowest that a rate may be set to.
	leastRate = 0.001
	// Step is the part of the set rate by which a slowed sender gets faster after each StepEvery.
	Step      = 0.05
	StepEvery = 5 * time.Second
	// Guard is the time after a cut without another. Answers to what was sent before the cut come in it, and the second that
	// Gupshup looks back upon passes.
	Guard = 2 * time.Second
)
