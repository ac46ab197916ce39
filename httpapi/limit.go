package httpapi

import (
	"sync"
	"time"
)

// limiter allows each key a burst and then one more per interval (GCRA: one
// time per key says it all). It holds at most max keys.
type limiter struct {
	burst    int
	interval time.Duration
	max      int

	mu sync.Mutex
	// full holds, by key, when its burst will be whole again. A time that has
	// passed says the same as no entry.
	full map[string]time.Time
}

func newLimiter(burst int, interval time.Duration, maxKeys int) *limiter {
	return &limiter{burst: burst, interval: interval, max: maxKeys, full: make(map[string]time.Time)}
}

// take counts one attempt of key. It returns 0 if it may go on, or how long to
// wait; a refused attempt is not counted.
func (l *limiter) take(key string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	full, known := l.full[key]
	if full.Before(now) {
		full = now
	}
	full = full.Add(l.interval)
	if wait := full.Sub(now) - time.Duration(l.burst)*l.interval; wait > 0 {
		return wait
	}
	if !known && len(l.full) >= l.max {
		l.evict(now)
	}
	l.full[key] = full
	return 0
}

// evict drops what has passed, or else the one key that comes first: the one
// with the fewest attempts. So a flood of new keys cannot free a busy one.
func (l *limiter) evict(now time.Time) {
	var first string
	for key, full := range l.full {
		if full.Before(now) {
			delete(l.full, key)
		} else if first == "" || full.Before(l.full[first]) {
			first = key
		}
	}
	if len(l.full) >= l.max {
		delete(l.full, first)
	}
}
