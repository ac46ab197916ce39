package gupshuptest_test

import (
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// numbers are n different destinations.
func numbers(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = strconv.Itoa(919_800_000_000 + i)
	}
	return out
}

func TestASeedRepeatsTheCallbacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run := func(seed uint64) []posted {
			r := newReceiver()
			c := callbacks(r)
			c.Read, c.Duplicates, c.Reorder, c.Billing, c.MissingGsID = 0.5, 0.3, 0.3, 0.5, 0.2
			c.Failures = []gupshuptest.Failure{{Code: "1002", Probability: 0.1}, {Code: "131000", Probability: 0.1}}
			start := time.Unix(1_700_000_000, 0)
			simulate(t, gupshuptest.Config{Seed: seed, Callbacks: c, Now: func() time.Time { return start }}, numbers(50)...)
			return r.all()
		}
		same := func(a, b posted) bool { return a.at == b.at && a.url == b.url && a.body == b.body }
		first := run(7)
		require.True(t, slices.EqualFunc(first, run(7), same))
		require.False(t, slices.EqualFunc(first, run(8), same))
	})
}

func TestOutcomesAreWhatWasTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver()
		var refusals atomic.Int64
		r.answer = func(n int, _ posted) (int, error) {
			if n%7 == 0 {
				refusals.Add(1)
				return 503, nil
			}
			return 200, nil
		}
		c := callbacks(r)
		c.Read, c.ReadOnly, c.Undelivered, c.Duplicates, c.Reorder, c.Billing, c.StringCodes = 0.5, 0.3, 0.1, 0.2, 0.2, 0.3, 0.5
		c.Failures = []gupshuptest.Failure{{Code: "1002", Probability: 0.05}, {Code: "131000", Probability: 0.1}}
		sim := simulate(t, gupshuptest.Config{Callbacks: c}, numbers(1000)...)

		rank := map[string]int{"enqueued": 1, "sent": 2, "delivered": 3, "read": 4, "failed": 5}
		best := map[string]string{} // by destination
		for _, p := range r.all() {
			e := read(t, p)
			if e.Type == "message-event" && rank[e.Payload.Type] > rank[best[e.Payload.Destination]] {
				best[e.Payload.Destination] = e.Payload.Type
			}
			if e.Payload.Type == "delivered" || e.Payload.Type == "read" {
				require.NotEqual(t, "failed", best[e.Payload.Destination], "once failed, never delivered")
			}
		}
		outcomes := map[gupshuptest.Outcome]uint64{}
		codes := map[string]uint64{}
		for _, m := range sim.Accepted(gupshuptest.Filter{}) {
			require.Equal(t, best[m.Destination], string(m.Outcome))
			require.Equal(t, m.Outcome == gupshuptest.OutcomeFailed, m.Code != "")
			outcomes[m.Outcome]++
			if m.Code != "" {
				codes[m.Code]++
			}
		}
		stats := sim.Stats().Callbacks
		require.Equal(t, outcomes, stats.Outcomes)
		require.Equal(t, codes, stats.Codes)
		require.EqualValues(t, refusals.Load(), stats.Refused)
		require.EqualValues(t, len(r.all()), stats.Refused+stats.Delivered)
		require.InDelta(t, 50, codes["1002"], 21) // three standard deviations
		require.InDelta(t, 100, codes["131000"], 29)
		require.InDelta(t, 85, outcomes[gupshuptest.OutcomeSent], 27)
	})
}

func TestDuplicatesAreExact(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver()
		c := callbacks(r)
		c.Duplicates = 1
		simulate(t, gupshuptest.Config{Callbacks: c}, testNumber)
		times := map[string]int{}
		for _, p := range r.all() {
			times[p.body]++
		}
		require.Len(t, times, 3)
		for body, n := range times {
			require.Equal(t, 2, n, body)
		}
	})
}

func TestReorder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, reorder := range []float64{0, 1} {
			r := newReceiver()
			c := callbacks(r)
			c.Reorder, c.Read = reorder, 1
			simulate(t, gupshuptest.Config{Callbacks: c}, numbers(100)...)
			stamps := map[string][]int64{}
			for _, p := range r.all() {
				e := read(t, p)
				stamps[e.Payload.Destination] = append(stamps[e.Payload.Destination], e.Timestamp)
				require.GreaterOrEqual(t, p.at, 5*time.Second)
			}
			require.Len(t, stamps, 100)
			for number, s := range stamps {
				require.Equal(t, reorder == 0, slices.IsSorted(s), number)
			}
		}
	})
}

func TestFailOnce(t *testing.T) {
	t.Parallel()
	for name, once := range map[string]bool{"once": true, "always": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := callbacks(newReceiver())
				c.FailOnce = once
				c.Failures = []gupshuptest.Failure{{Code: "131000", Probability: 1}}
				sim := simulate(t, gupshuptest.Config{Callbacks: c, MagicNumbers: true}, testNumber, testNumber, "49157771002", "49157771002")
				var got []gupshuptest.Outcome
				for _, m := range sim.Accepted(gupshuptest.Filter{}) {
					got = append(got, m.Outcome)
				}
				again := gupshuptest.OutcomeFailed
				if once {
					again = gupshuptest.OutcomeDelivered
				}
				require.Equal(t, []gupshuptest.Outcome{gupshuptest.OutcomeFailed, again, gupshuptest.OutcomeFailed, again}, got)
			})
		})
	}
}

func TestMagicNumbersChooseTheOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, magic := range gupshuptest.Magic() {
			if magic.Fault.Kind != gupshuptest.KindCallback {
				continue
			}
			r := newReceiver()
			sim := simulate(t, gupshuptest.Config{Callbacks: callbacks(r), MagicNumbers: true}, "49151"+magic.Suffix)
			m := sim.Accepted(gupshuptest.Filter{})[0]
			got := events(t, r.all())
			switch magic.Fault.Outcome {
			case gupshuptest.OutcomeNone:
				require.Empty(t, got)
				require.Empty(t, m.Outcome)
			case "enqueued", "sent", "delivered", "read":
				require.Equal(t, magic.Fault.Outcome, got[len(got)-1])
				require.EqualValues(t, magic.Fault.Outcome, m.Outcome)
			default:
				require.Equal(t, "failed", got[len(got)-1])
				require.Equal(t, gupshuptest.OutcomeFailed, m.Outcome)
				require.Equal(t, magic.Fault.Outcome, m.Code)
			}
		}
	})
}
