package flow

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestPoolIsAListOfMoments compares the spans with a plain list of due times.
func TestPoolIsAListOfMoments(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var p pool
		var list []time.Time
		base := time.Unix(0, 0)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "do") {
			case 0: // a reservation: begins where the list ends
				if len(list) > 0 {
					base = list[len(list)-1].Add(ms)
				}
				s := span{
					base:    base,
					first:   time.Duration(rapid.IntRange(-5000, 5000).Draw(t, "first")),
					spacing: time.Duration(rapid.IntRange(1, 3000).Draw(t, "spacing")),
					n:       rapid.IntRange(0, 8).Draw(t, "n"),
				}
				p.add(s)
				for i := range s.n {
					list = append(list, s.due(i))
				}
			case 1:
				if len(list) > 0 {
					require.Equal(t, list[0], p.take())
					list = list[1:]
				}
			case 2:
				before := base.Add(time.Duration(rapid.IntRange(-9000, 9000).Draw(t, "before")))
				n := 0
				for n < len(list) && list[n].Before(before) {
					n++
				}
				require.Equal(t, n, p.dropLate(before))
				list = list[n:]
			case 3:
				if len(list) > 0 {
					due := list[0].Add(-1)
					p.giveBack(due)
					list = append([]time.Time{due}, list...)
				}
			}
			require.Equal(t, len(list), p.held)
			next, ok := p.next()
			require.Equal(t, len(list) > 0, ok)
			if ok {
				require.Equal(t, list[0], next)
				require.Equal(t, list[len(list)-1], p.last())
			}
		}
	})
}
