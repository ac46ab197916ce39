package flow

import "time"

const (
	// breakerAttempts is how many attempts a breaker must have seen in its window, and breakerShare the part of them that failed.
	breakerAttempts = 20
	breakerShare    = 0.5

	shortestWindow = 10 * time.Second
	longestWindow  = 5 * time.Minute
	// windowMessages is how many messages a slow sender's window has room for at its rate, so that half of them are enough attempts.
	windowMessages = 2 * breakerAttempts

	breakerBuckets = 20
)

// Breaker notices an outage: half of the attempts of the last ten seconds failed, twenty at least; or the last twenty did, all of them,
// since a fast sender would burn hundreds until they are half of ten seconds. It is the arithmetic for one
// process and one sender; what counts as failed, and what follows when it opens, is the caller's. Not safe for concurrent use.
type Breaker struct {
	every   time.Duration // covered by one bucket
	origin  time.Time
	buckets [breakerBuckets]bucket
	row     int   // failures since the last success
	began   int64 // the bucket of the first of them
}

// bucket counts the attempts of one twentieth of the window. index is which, from the origin on.
type bucket struct {
	index            int64
	attempts, failed int
}

// NewBreaker returns the breaker of a sender with so many messages a second. A slow sender's window is as long as forty messages take
// it, five minutes at most: below four messages a minute it cannot open.
func NewBreaker(rate float64) *Breaker {
	window := shortestWindow
	if seconds := windowMessages / rate; seconds > shortestWindow.Seconds() {
		window = time.Duration(min(seconds, longestWindow.Seconds()) * float64(time.Second))
	}
	return &Breaker{every: window / breakerBuckets}
}

// Note counts one attempt and says whether the breaker opens with it. When it does, everything counted is forgotten: it opens again
// only by as many attempts as the first time. The window moves in twentieths, so it may be that much shorter than it should. An attempt
// noted late, with a time before others, counts for its own time.
func (b *Breaker) Note(now time.Time, failed bool) (open bool) {
	if b.origin.IsZero() {
		b.origin = now.Add(-longestWindow) // indices stay positive, whatever comes late
	}
	index := int64(now.Sub(b.origin) / b.every)
	at := &b.buckets[max(0, index)%breakerBuckets]
	if index > at.index {
		*at = bucket{index: index}
	}
	if index < at.index {
		return false // too late to count
	}
	at.attempts++
	if !failed {
		b.row = 0
		return false
	}
	at.failed++
	if b.row == 0 || index-b.began >= breakerBuckets { // a row is one only within the window
		b.row, b.began = 0, index
	}
	if b.row++; b.row < breakerAttempts && !b.broken() {
		return false
	}
	*b = Breaker{every: b.every}
	return true
}

// broken looks at the window that ends with the latest attempt.
func (b *Breaker) broken() bool {
	latest := int64(0)
	for _, k := range b.buckets {
		latest = max(latest, k.index)
	}
	attempts, failed := 0, 0
	for _, k := range b.buckets {
		if k.index > latest-breakerBuckets {
			attempts, failed = attempts+k.attempts, failed+k.failed
		}
	}
	return attempts >= breakerAttempts && float64(failed) >= breakerShare*float64(attempts)
}
