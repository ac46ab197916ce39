package flow

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRedisClock(t *testing.T) {
	t.Parallel()
	start := time.Now()
	type reply struct{ redis, arrives time.Duration } // on Redis's clock, and here since the start
	for _, tc := range []struct {
		name    string
		replies []reply
		want    time.Duration // where the last reply's Redis time lies here, since the start
	}{
		{"the only reply counts", []reply{{1000, 5}}, 5},
		{"a slow reply is corrected by a quick one before it", []reply{{1000 * ms, 5 * ms}, {1100 * ms, 145 * ms}}, 105 * ms},
		{"a quicker reply counts at once", []reply{{1000 * ms, 45 * ms}, {1100 * ms, 105 * ms}}, 105 * ms},
		{"a reading is forgotten with age, for clocks drift", []reply{{1000 * ms, 0}, {11_100 * ms, 10_140 * ms}}, 10_140 * ms},
		{"a clock that went back is believed after eight replies", []reply{
			{9000 * ms, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {6, 6}, {7, 7}, {8, 8},
		}, 8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var c redisClock
			last := tc.replies[len(tc.replies)-1]
			for _, r := range tc.replies {
				c.observe(start.Add(r.arrives), r.redis)
			}
			require.Equal(t, start.Add(tc.want), c.local(start.Add(last.arrives), last.redis))
		})
	}
}
