package flow

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/message"
)

// bubble runs a gate on a fake Redis within synctest's clock. The gate is closed and Run has returned when it ends.
func bubble(t *testing.T, rate float64, burst int, test func(t *testing.T, g *Gate, f *fakeRedis)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeRedis(rate, burst)
		g := startGate(t, f, GateConfig{Sender: "s", Rate: rate, Burst: burst})
		test(t, g, f)
	})
}

func startGate(t *testing.T, r reserver, cfg GateConfig) *Gate {
	t.Helper()
	g := newGate(r, cfg)
	var run sync.WaitGroup
	run.Go(func() { g.Run(context.Background()) })
	t.Cleanup(func() { g.Close(); run.Wait() })
	return g
}

// log is what happened, in order.
type log struct {
	mu     sync.Mutex
	events []event
}

type event struct {
	name  string
	after time.Duration
	err   error
}

func (l *log) add(e event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

// all waits until nothing moves any more and returns what has happened.
func (l *log) all() []event {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

func (l *log) names() (names []string) {
	for _, e := range l.all() {
		names = append(names, e.name)
	}
	return names
}

// enter lets a handler wait and returns once it stands in the line.
func (l *log) enter(ctx context.Context, g *Gate, p message.Priority, name string) {
	start := time.Now()
	go func() {
		_, err := g.Wait(ctx, p)
		l.add(event{name: name, after: time.Since(start), err: err})
	}()
	synctest.Wait()
}

func TestIdleGateGrantsAfterOneRoundTrip(t *testing.T) {
	t.Parallel()
	bubble(t, 80, 1, func(t *testing.T, g *Gate, f *fakeRedis) {
		f.delay = func() time.Duration { return ms }
		start := time.Now()
		_, err := g.Wait(t.Context(), message.Default)
		require.NoError(t, err)
		require.Equal(t, 2*ms, time.Since(start))
		require.Equal(t, 1, f.count())

		time.Sleep(time.Hour)
		require.LessOrEqual(t, f.count(), 1, "an idle gate leaves Redis alone")
	})
}

func TestMostUrgentFirstThenByArrival(t *testing.T) {
	t.Parallel()
	bubble(t, 10, 1, func(t *testing.T, g *Gate, _ *fakeRedis) {
		_, err := g.Wait(t.Context(), message.Bulk) // takes the slot that is there now
		require.NoError(t, err)
		var l log
		for _, w := range []struct {
			p    message.Priority
			name string
		}{
			{message.Bulk, "bulk 1"},
			{message.Default, "default 1"},
			{message.Bulk, "bulk 2"},
			{message.Critical, "critical 1"},
			{message.Default, "default 2"},
			{message.Critical, "critical 2"},
		} {
			l.enter(t.Context(), g, w.p, w.name)
		}
		require.Equal(t, map[message.Priority]int{message.Critical: 2, message.Default: 2, message.Bulk: 2}, g.Waiting())
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{"critical 1", "critical 2", "default 1", "default 2", "bulk 1", "bulk 2"}, l.names())
		require.Equal(t, map[message.Priority]int{message.Critical: 0, message.Default: 0, message.Bulk: 0}, g.Waiting())
	})
}

func TestCriticalTakesTheNextReservedSlot(t *testing.T) {
	t.Parallel()
	bubble(t, 10, 1, func(t *testing.T, g *Gate, f *fakeRedis) {
		var l log
		for _, name := range []string{"b0", "b1", "b2"} {
			l.enter(t.Context(), g, message.Bulk, name)
		}
		time.Sleep(60 * ms)
		l.enter(t.Context(), g, message.Critical, "critical")
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{"b0", "critical", "b1", "b2"}, l.names())
		require.LessOrEqual(t, l.all()[1].after, 100*ms)
		require.True(t, slices.ContainsFunc(f.allAsked(), func(a ask) bool { return a.seen }), "the other replicas must hear of it")
	})
}

func TestContextEndSpendsNothing(t *testing.T) {
	t.Parallel()
	bubble(t, 10, 1, func(t *testing.T, g *Gate, _ *fakeRedis) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := g.Wait(ended, message.Bulk)
		require.ErrorIs(t, err, context.Canceled)

		var l log
		l.enter(t.Context(), g, message.Bulk, "first")
		short, cancel := context.WithTimeout(t.Context(), 50*ms)
		defer cancel()
		l.enter(short, g, message.Bulk, "gives up")
		l.enter(t.Context(), g, message.Bulk, "next")
		time.Sleep(time.Second)
		require.Equal(t, []event{
			{name: "first"},
			{name: "gives up", after: 50 * ms, err: context.DeadlineExceeded},
			{name: "next", after: 100 * ms},
		}, l.all())
	})
}

// TestGrantAndEndAtOnce: a handler that finds its slot granted and its context ended gives the slot to the next.
func TestGrantAndEndAtOnce(t *testing.T) {
	t.Parallel()
	g := newGate(newFakeRedis(10, 1), GateConfig{Sender: "s", Rate: 10, Burst: 1})
	ctx, cancel := context.WithCancel(t.Context())
	a, b := &waiter{rank: 2}, &waiter{rank: 2}
	require.NoError(t, g.join(a))
	require.NoError(t, g.join(b))
	now := time.Now()
	g.pool.add(span{base: now, n: 1})
	g.handOut(now)
	require.True(t, a.granted)
	cancel()
	require.ErrorIs(t, g.settle(ctx, a), context.Canceled)
	require.True(t, b.granted)
	require.NoError(t, g.settle(t.Context(), b))
	require.True(t, b.isReady())
}

func TestGiveBack(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		after time.Duration
		want  time.Duration // when the next handler goes
	}{
		{"in time: the next handler goes at once", 15 * ms, 15 * ms},
		{"late: it lapses, and the next waits for its own", 25 * ms, 100 * ms},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, 10, 1, func(t *testing.T, g *Gate, _ *fakeRedis) {
				slot, err := g.Wait(t.Context(), message.Bulk)
				require.NoError(t, err)
				var l log
				l.enter(t.Context(), g, message.Bulk, "next")
				l.enter(t.Context(), g, message.Bulk, "after")
				time.Sleep(tc.after)
				slot.GiveBack()
				slot.GiveBack() // nothing more
				Slot{}.GiveBack()
				time.Sleep(time.Second)
				require.Equal(t, tc.want, l.all()[0].after)
				require.GreaterOrEqual(t, l.all()[1].after, 100*ms)
			})
		})
	}
}

// TestStalledProcessDoesNotBurst: slots whose moment passed while nothing ran, as under SIGSTOP, are not used.
func TestStalledProcessDoesNotBurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeRedis(100, 1)
		g := newGate(f, GateConfig{Sender: "s", Rate: 100, Burst: 1}) // Run is played by hand
		timer := time.NewTimer(time.Hour)
		waiters := make([]*waiter, 10)
		for i := range waiters {
			waiters[i] = &waiter{rank: 0}
			require.NoError(t, g.join(waiters[i]))
		}
		a, ok := g.plan(timer)
		require.True(t, ok)
		g.call(t.Context(), a)
		g.plan(timer)
		require.True(t, waiters[0].granted)
		require.False(t, waiters[1].granted)

		time.Sleep(500 * ms) // stands still
		require.NoError(t, g.settle(t.Context(), waiters[0]))
		require.False(t, waiters[0].isReady(), "granted before the stall, reached after it")
		a, ok = g.plan(timer)
		require.True(t, ok, "new slots must be taken")
		for _, w := range waiters {
			require.False(t, w.granted)
		}
		g.call(t.Context(), a)
		g.plan(timer)
		require.True(t, waiters[0].granted, "its turn is still its turn")
		require.False(t, waiters[1].granted, "one at a time")
	})
}

// TestSlowReplyDoesNotShiftSlots: a reply that took long by itself brings slots that are late, not slots that start later.
func TestSlowReplyDoesNotShiftSlots(t *testing.T) {
	t.Parallel()
	bubble(t, 100, 1, func(t *testing.T, g *Gate, f *fakeRedis) {
		f.delay = func() time.Duration { return ms }
		_, err := g.Wait(t.Context(), message.Default)
		require.NoError(t, err)
		time.Sleep(time.Second)

		replies := 0
		f.delay = func() time.Duration {
			if replies++; replies == 2 { // request, reply: this one is stuck
				return 45 * ms
			}
			return ms
		}
		start := time.Now()
		_, err = g.Wait(t.Context(), message.Default)
		require.NoError(t, err)
		require.Equal(t, 48*ms, time.Since(start), "the slot of the stuck reply is 44 ms late at 46 ms; a new one takes 2 ms")
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	bubble(t, 1, 1, func(t *testing.T, g *Gate, _ *fakeRedis) {
		var l log
		l.enter(t.Context(), g, message.Bulk, "first")
		l.enter(t.Context(), g, message.Critical, "second")
		g.Close()
		g.Close()
		synctest.Wait()
		require.Equal(t, event{name: "second", err: ErrClosed}, l.all()[1])
		_, err := g.Wait(t.Context(), message.Bulk)
		require.ErrorIs(t, err, ErrClosed)
	})
}

// TestRunEndsWithItsContext: the end of Run's context closes the gate, also while a reservation is under way.
func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeRedis(10, 1)
		f.delay = func() time.Duration { return time.Second }
		told := 0
		g := newGate(f, GateConfig{Sender: "s", Rate: 10, Burst: 1, OnRedis: func(error) { told++ }})
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { g.Run(ctx) })
		var l log
		l.enter(t.Context(), g, message.Bulk, "waits")
		cancel()
		synctest.Wait()
		require.Equal(t, []event{{name: "waits", err: ErrClosed}}, l.all())
		run.Wait()
		require.Zero(t, told)
	})
}

func TestUnknownPriority(t *testing.T) {
	t.Parallel()
	g := newGate(newFakeRedis(1, 1), GateConfig{Sender: "s", Rate: 1, Burst: 1})
	_, err := g.Wait(t.Context(), "urgent")
	require.ErrorContains(t, err, `unknown priority "urgent"`)
}

func TestRedisAwayAndBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeRedis(100, 1)
		gone := errors.New("connection refused")
		f.fail(gone)
		var told []error
		g := startGate(t, f, GateConfig{Sender: "s", Rate: 100, Burst: 1, OnRedis: func(err error) { told = append(told, err) }})
		var l log
		for _, name := range []string{"a", "b", "c"} {
			l.enter(t.Context(), g, message.Default, name)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Empty(t, l.all(), "nothing is granted without Redis")
		require.Equal(t, []error{gone}, told, "once per change")
		require.Greater(t, f.count(), 50)
		require.Less(t, f.count(), 150, "tries thin out to about one a second")

		f.fail(nil)
		time.Sleep(1100 * ms)
		synctest.Wait()
		require.Equal(t, []string{"a", "b", "c"}, l.names())
		require.Equal(t, []error{gone, nil}, told)
	})
}

func TestOnWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		waits := map[message.Priority]time.Duration{}
		g := startGate(t, newFakeRedis(10, 1), GateConfig{Sender: "s", Rate: 10, Burst: 1, OnWait: func(p message.Priority, d time.Duration) { waits[p] = d }})
		for _, p := range message.Priorities {
			_, err := g.Wait(t.Context(), p)
			require.NoError(t, err)
		}
		require.Equal(t, map[message.Priority]time.Duration{message.Critical: 0, message.Default: 100 * ms, message.Bulk: 100 * ms}, waits)
	})
}

// fleet runs gates of several replicas, each with busy bulk handlers, for a while, and returns when messages went.
func fleet(t *testing.T, f *fakeRedis, rate float64, gates, handlers int, work func() time.Duration, span time.Duration, also func(gates []*Gate)) (sent []time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var all sync.WaitGroup
	start := time.Now()
	var gs []*Gate
	for range gates {
		g := startGate(t, f, GateConfig{Sender: "s", Rate: rate, Burst: 1})
		gs = append(gs, g)
		for range handlers {
			all.Go(func() {
				for {
					if _, err := g.Wait(ctx, message.Bulk); err != nil {
						return
					}
					mu.Lock()
					sent = append(sent, time.Since(start))
					mu.Unlock()
					time.Sleep(work())
				}
			})
		}
	}
	if also != nil {
		also(gs)
	}
	time.Sleep(span)
	cancel()
	all.Wait()
	slices.Sort(sent)
	return sent
}

// TestFourReplicas holds the bars of the design: never above 1.02 R + 1 in any second, at least 97 % of R used, few calls.
func TestFourReplicas(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		rate     float64
		handlers int
	}{
		{"1 a second", 1, 3},
		{"80 a second, a full backlog", 80, 50},
		{"1000 a second, hardly enough handlers", 1000, 16},
		{"5000 a second", 5000, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const span = 10 * time.Second
				f := newFakeRedis(tc.rate, 1)
				f.delay = func() time.Duration { return rand.N(2 * ms) }
				sent := fleet(t, f, tc.rate, 4, tc.handlers, func() time.Duration { return rand.N(40 * ms) }, span, nil)
				require.LessOrEqual(t, float64(busiest(sent, time.Second)), 1.02*tc.rate+1)
				require.GreaterOrEqual(t, float64(len(sent)), 0.97*tc.rate*span.Seconds())
				perGate := float64(f.count()) / 4 / span.Seconds()
				t.Logf("%d sent, busiest second %d, %.1f reservations per gate and second", len(sent), busiest(sent, time.Second), perGate)
				require.LessOrEqual(t, perGate, 21.0)
			})
		})
	}
}

// busiest counts the most events in any window of that length; the events are sorted.
func busiest(sent []time.Duration, window time.Duration) int {
	most, from := 0, 0
	for to := range sent {
		for sent[to]-sent[from] >= window {
			from++
		}
		most = max(most, to-from+1)
	}
	return most
}

// TestUrgentBehindBulk: behind a bulk backlog on all replicas at R = 80, an urgent message waits about 0.1 s, never more than Ahead and a bit.
func TestUrgentBehindBulk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeRedis(80, 1)
		f.delay = func() time.Duration { return rand.N(2 * ms) }
		var waits []time.Duration
		fleet(t, f, 80, 4, 50, func() time.Duration { return 40 * ms }, 0, func(gates []*Gate) {
			for i := range 200 {
				time.Sleep(100*ms + rand.N(3*time.Second))
				start := time.Now()
				_, err := gates[i%len(gates)].Wait(t.Context(), message.Critical)
				require.NoError(t, err)
				waits = append(waits, time.Since(start))
			}
		})
		slices.Sort(waits)
		t.Logf("waits: median %v, p90 %v, longest %v", waits[100], waits[180], waits[199])
		require.LessOrEqual(t, waits[100], 130*ms)
		require.LessOrEqual(t, waits[199], 270*ms)
	})
}

// TestUrgentIsNotTakenFromBulksShare: with a bulk backlog and 10 % urgent messages, the whole rate is used.
func TestUrgentIsNotTakenFromBulksShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rate, span = 200, 10 * time.Second
		f := newFakeRedis(rate, 1)
		f.delay = func() time.Duration { return ms }
		urgents := 0
		sent := fleet(t, f, rate, 2, 50, func() time.Duration { return 40 * ms }, 0, func(gates []*Gate) {
			var done sync.WaitGroup
			for start := time.Now(); time.Since(start) < span; time.Sleep(time.Second / (rate / 10)) {
				urgents++
				g := gates[urgents%2]
				done.Go(func() { _, _ = g.Wait(t.Context(), message.Default) })
			}
			done.Wait()
		})
		require.GreaterOrEqual(t, float64(len(sent)+urgents), 0.97*rate*span.Seconds())
	})
}
