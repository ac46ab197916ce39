package worker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestALateClaimIsOneThatTakesLongerThanUsual(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, c := range []struct {
		name   string
		usual  time.Duration
		inTime time.Duration
		late   time.Duration
	}{
		{"Redis beside us", 500 * time.Microsecond, 11 * ms, 13 * ms},
		{"Redis in the next zone", 2 * ms, 17 * ms, 19 * ms},
		{"Redis far away", 30 * ms, 100 * ms, 101 * ms},
		{"Redis on another continent", 250 * ms, 450 * ms, 600 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var p prompt
			require.False(t, p.late(slotLifeMost), "nothing is known yet")
			for range 2000 { // it is learnt first, where it takes longer than slotLifeMost
				p.late(c.usual)
			}
			for range 100 {
				require.False(t, p.late(c.usual), "what is usual is never late")
			}
			require.False(t, p.late(c.inTime))
			require.True(t, p.late(c.late))
			late := 0
			for range 40 { // a stall of this process: all that were under way come back together
				if p.late(90 * ms) {
					late++
				}
			}
			if c.usual < 5*ms {
				require.Equal(t, 40, late, "and none of them sends at once")
			}
		})
	}
}
