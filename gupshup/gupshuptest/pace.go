package gupshuptest

import (
	"math"
	"time"
)

// maxRate bounds the memory of a rate limit: eight bytes for each message of a second.
const maxRate = 1_000_000

// keptSeconds is how many seconds with traffic the histogram of an app covers.
const keptSeconds = 900

// Second is how many messages of an app were accepted within one second of the clock.
type Second struct {
	At       time.Time `json:"at"`
	Accepted int       `json:"accepted"`
}

// pace watches how fast one app's messages are accepted. Times are nanoseconds
// since the simulator began and never go back. Not safe for concurrent use.
type pace struct {
	limit rateLimit

	window  []int64 // acceptances of the last second, from first on
	first   int
	busiest int

	seconds []Second // the newest last
}

// record notes one acceptance.
func (p *pace) record(now int64, at time.Time) {
	for p.first < len(p.window) && p.window[p.first] <= now-int64(time.Second) {
		p.first++
	}
	if p.first > 1024 && p.first > len(p.window)/2 {
		p.window = append(p.window[:0], p.window[p.first:]...)
		p.first = 0
	}
	p.window = append(p.window, now)
	p.busiest = max(p.busiest, len(p.window)-p.first)

	second := at.UTC().Truncate(time.Second)
	if last := len(p.seconds) - 1; last >= 0 && !second.After(p.seconds[last].At) {
		p.seconds[last].Accepted++
		return
	}
	if len(p.seconds) == 2*keptSeconds {
		p.seconds = append(p.seconds[:0], p.seconds[keptSeconds:]...)
	}
	p.seconds = append(p.seconds, Second{At: second, Accepted: 1})
}

// lastSeconds returns a copy of the histogram.
func (p *pace) lastSeconds() []Second {
	return append([]Second{}, p.seconds[max(0, len(p.seconds)-keptSeconds):]...)
}

// rateLimit allows a number of messages in any window of a fixed length: it
// remembers that many acceptances, and the oldest must have left the window.
type rateLimit struct {
	window int64
	times  []int64
	next   int
}

// newRateLimit allows perSecond messages a second, fractions included: 2.5 is
// 2 in any 800 ms, 0.1 is 1 in any 10 s. Zero allows everything.
func newRateLimit(perSecond float64) rateLimit {
	if perSecond <= 0 {
		return rateLimit{}
	}
	n := math.Max(1, math.Floor(perSecond))
	window := int64(n / perSecond * float64(time.Second))
	times := make([]int64, int(n))
	for i := range times {
		times[i] = -window
	}
	return rateLimit{window: window, times: times}
}

// allow reports whether one more message may be accepted now, and counts it if so.
func (l *rateLimit) allow(now int64) bool {
	if len(l.times) == 0 {
		return true
	}
	if l.times[l.next] > now-l.window {
		return false
	}
	l.times[l.next] = now
	l.next = (l.next + 1) % len(l.times)
	return true
}
