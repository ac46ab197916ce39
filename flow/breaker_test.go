package flow

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestBreakerWindow(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rate float64
		want time.Duration
	}{
		{1000, 10 * time.Second},
		{80, 10 * time.Second},
		{4, 10 * time.Second},
		{2, 20 * time.Second},
		{0.5, 80 * time.Second},
		{0.001, 5 * time.Minute},
	} {
		require.InDelta(t, tc.want, NewBreaker(tc.rate).every*breakerBuckets, float64(time.Microsecond), "%v a second", tc.rate)
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	type attempts struct {
		n      int
		every  time.Duration
		failed func(i int) bool
	}
	all, none := func(int) bool { return true }, func(int) bool { return false }
	half := func(i int) bool { return i%2 == 1 }
	for _, tc := range []struct {
		name  string
		rate  float64
		runs  []attempts
		opens []int // the attempts that open it, counted from 1 over all runs
	}{
		{"an outage opens it with the 20th attempt, and again with the 40th", 80, []attempts{{45, 10 * ms, all}}, []int{20, 40}},
		{"half is enough", 80, []attempts{{30, 10 * ms, half}}, []int{20}},
		{"less than half is not", 80, []attempts{{1000, 10 * ms, func(i int) bool { return i%5 < 2 }}}, nil},
		{"a success does not open it", 80, []attempts{{10, ms, all}, {11, ms, none}}, nil},
		{"failures that are too far apart do not", 80, []attempts{{100, 600 * ms, all}}, nil},
		{"but do for a sender that is that slow", 1, []attempts{{20, time.Second, all}}, []int{20}},
		{"successes of long ago do not hide an outage", 80, []attempts{{800, 12 * ms, none}, {1, 11 * time.Second, all}, {20, 10 * ms, all}}, []int{821}},
		{"an outage of a fast sender shows at once", 1000, []attempts{{10_000, ms, none}, {100, ms, all}}, []int{10_020, 10_040, 10_060}},
		{"and half an outage when it is half of the window", 1000, []attempts{{10_000, ms, none}, {9_000, ms, func(i int) bool { return i%4 > 0 }}}, []int{16_502}}, // 3 of 4 for 6.5 s of a window of 9.5 to 10 s
		{"nineteen in a row are not", 1000, []attempts{{10_000, ms, none}, {3000, ms, func(i int) bool { return i%20 > 0 }}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := NewBreaker(tc.rate)
			now, n := start, 0
			var opens []int
			for _, run := range tc.runs {
				for i := range run.n {
					n++
					if b.Note(now, run.failed(i)) {
						opens = append(opens, n)
					}
					now = now.Add(run.every)
				}
			}
			require.Equal(t, tc.opens, opens[:min(len(opens), max(1, len(tc.opens)))])
		})
	}
}

// TestBreakerCountsTheWindow holds the buckets to a list of attempts: it opens when half of those in the window failed, where the
// window is at most a twentieth shorter than it should be.
func TestBreakerCountsTheWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		type attempt struct {
			at     time.Time
			failed bool
		}
		rate := rapid.SampledFrom([]float64{0.1, 1, 3, 80, 1000}).Draw(t, "rate")
		bias := rapid.IntRange(0, 10).Draw(t, "failures in ten")
		b := NewBreaker(rate)
		window := b.every * breakerBuckets
		broken := func(seen []attempt, since time.Time) bool {
			n, failed := 0, 0
			for _, a := range seen {
				if a.at.After(since) {
					n++
					if a.failed {
						failed++
					}
				}
			}
			return n >= breakerAttempts && 2*failed >= n
		}
		var seen []attempt
		row := 0
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		for range rapid.IntRange(0, 200).Draw(t, "attempts") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(window)/10).Draw(t, "step")))
			failed := rapid.IntRange(1, 10).Draw(t, "dice") <= bias
			seen = append(seen, attempt{now, failed})
			open := b.Note(now, failed)
			// Some window between the shortest and the longest decides; where all of them agree, so must the breaker.
			agree := map[bool]bool{}
			agree[failed && broken(seen, now.Add(-window))] = true
			for _, a := range seen {
				if a.at.After(now.Add(-window)) && !a.at.After(now.Add(-window+b.every)) {
					agree[failed && broken(seen, a.at)] = true
				}
			}
			if row++; !failed {
				row = 0
			}
			if len(agree) == 1 && row < breakerAttempts { // twenty in a row are enough, whatever was before
				require.Equal(t, agree[true], open)
			}
			if open {
				require.True(t, failed)
				seen, row = nil, 0 // forgotten
			}
		}
	})
}

// TestBreakerTakesTimesInAnyOrder: handlers note their attempts as they end; nothing breaks when their times are not in order.
func TestBreakerTakesTimesInAnyOrder(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := NewBreaker(80)
	for i := range breakerAttempts - 1 {
		require.False(t, b.Note(start.Add(-time.Duration(i)*100*ms), true))
	}
	require.False(t, b.Note(start.Add(-time.Hour), true), "an hour late: it does not count")
	require.True(t, b.Note(start, true))

	rapid.Check(t, func(t *rapid.T) {
		b := NewBreaker(80)
		for range 100 {
			b.Note(start.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, "at"))), true)
		}
	})
}
