package gupshuptest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestRateLimitHoldsInEveryWindow tries any rate and any arrivals against the
// plain definition: no window has more than its share, and nothing is refused
// that would have fitted.
func TestRateLimitHoldsInEveryWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		perSecond := rapid.Float64Range(0.1, 50).Draw(t, "rate")
		limit := newRateLimit(perSecond)
		share := len(limit.times)
		gaps := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Second)/10), 1, 300).Draw(t, "gaps")
		var now int64
		var taken []int64
		for _, gap := range gaps {
			now += gap
			inWindow := 0
			for _, at := range taken {
				if at > now-limit.window {
					inWindow++
				}
			}
			if allowed := limit.allow(now); allowed != (inWindow < share) {
				t.Fatalf("at %d: allowed %v with %d of %d in the window", now, allowed, inWindow, share)
			} else if allowed {
				taken = append(taken, now)
			}
		}
	})
}

func TestRateLimitShares(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		perSecond float64
		share     int
		window    time.Duration
	}{
		{20, 20, time.Second},
		{1, 1, time.Second},
		{2.5, 2, 800 * time.Millisecond},
		{0.1, 1, 10 * time.Second},
		{0, 0, 0},
	} {
		limit := newRateLimit(tc.perSecond)
		require.Len(t, limit.times, tc.share)
		require.EqualValues(t, tc.window, limit.window)
	}
}

func TestBusiestSecondIsThatOfAnyWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		gaps := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Second)/5), 1, 300).Draw(t, "gaps")
		var p pace
		var now int64
		var all []int64
		busiest := 0
		for _, gap := range gaps {
			now += gap
			all = append(all, now)
			p.record(now, time.Unix(0, now))
			inWindow := 0
			for _, at := range all {
				if at > now-int64(time.Second) {
					inWindow++
				}
			}
			busiest = max(busiest, inWindow)
		}
		if p.busiest != busiest {
			t.Fatalf("busiest second %d, want %d", p.busiest, busiest)
		}
	})
}

func TestPaceForgetsOldSeconds(t *testing.T) {
	t.Parallel()
	var p pace
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const seconds, each = 5 * keptSeconds, 3
	for i := range seconds * each {
		since := time.Duration(i) * time.Second / each
		p.record(int64(since), start.Add(since))
	}
	kept := p.lastSeconds()
	require.Len(t, kept, keptSeconds)
	require.Equal(t, Second{At: start.Add((seconds - 1) * time.Second), Accepted: each}, kept[len(kept)-1])
	require.LessOrEqual(t, cap(p.seconds), 4*keptSeconds)
	require.Less(t, cap(p.window), 8192, "the window shrinks as time passes")
	require.Equal(t, each, p.busiest)
}

func TestPaceWhoseClockIsSetBack(t *testing.T) {
	t.Parallel()
	var p pace
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p.record(0, start)
	p.record(1, start.Add(-time.Hour))
	require.Equal(t, []Second{{At: start, Accepted: 2}}, p.lastSeconds(), "counted where it is noticed")
}
