package flow

import (
	"context"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"
)

// model is lua/reserve.lua told in Go. TestModel holds the two together; the gate's tests then run on the model, because
// a synctest bubble cannot hold network sockets.
type model struct {
	rate  float64
	burst int

	tat, bulk, urgent float64 // microseconds

	share, since, slowedAt float64 // share 0: not slowed down
}

// pace is the function of the same name in lua/slowed.lua.
func (m *model) pace(now float64) (part, since, slowedAt float64) {
	if m.share == 0 {
		return 1, 0, 0
	}
	since, slowedAt = m.since, m.slowedAt
	if slowedAt > now {
		since, slowedAt = since-slowedAt+now, now
	}
	part = m.share + math.Floor(math.Max(0, now-since)/float64(StepEvery.Microseconds()))*Step
	if part > 1-1e-9 {
		part = 1
	}
	return part, since, slowedAt
}

// slow is lua/slow.lua.
func (m *model) slow(now float64, retryAfter, known time.Duration) slowing {
	part, since, _ := m.pace(now)
	stop, guard := float64(retryAfter.Microseconds()), float64(Guard.Microseconds())
	changed := false
	if since <= float64(known.Microseconds()) && now >= since+guard {
		part, since, changed = math.Max(least(m.rate), part*CutTo), now, true
	}
	if stop > 0 && now+stop > since {
		since, changed = now+stop, true
	}
	if changed {
		share, _ := strconv.ParseFloat(strconv.FormatFloat(part, 'f', 9, 64), 64)
		m.share, m.since, m.slowedAt = share, since, now
	}
	us := func(x float64) time.Duration { return time.Duration(x) * time.Microsecond }
	return slowing{since: us(since), now: us(now), guarded: us(math.Max(0, since+guard-now))}
}

func (m *model) reserve(now float64, a ask) grant {
	full := float64(spacing(m.rate).Nanoseconds())
	part, since, slowedAt := m.pace(now)
	stopped := math.Max(0, since-now)
	if m.since, m.slowedAt = since, slowedAt; part == 1 && stopped == 0 {
		m.share, since = 0, 0
	}
	gap := math.Ceil(full/part) / 1000
	bulkGap := gap / BulkShare
	ahead, bulkAhead := float64(Ahead.Microseconds()), float64(BulkAhead.Microseconds())
	tolerance := float64(m.burst-1) * full / 1000
	load := func(v, gap float64) float64 {
		return math.Min(math.Max(v, now), math.Ceil(now+ahead+tolerance+gap))
	}
	fits := func(tat, gap, horizon float64) int {
		return max(0, int(math.Floor((now+horizon+tolerance-tat)/gap))+1)
	}
	opens := func(tat, horizon float64) float64 { return math.Max(0, math.Ceil(tat-tolerance-horizon-now)) }

	m.tat, m.bulk, m.urgent = load(m.tat, gap), load(m.bulk, bulkGap), math.Min(m.urgent, now)
	if a.seen || a.urgent > 0 {
		m.urgent = now
	}
	quiet := now-m.urgent > float64(UrgentMemory.Microseconds())
	if quiet {
		bulkAhead = ahead
	}

	if stopped > 0 {
		a.urgent, a.bulk = 0, 0
	}
	g := grant{spacing: time.Duration(math.Ceil(full / part)), now: time.Duration(now) * time.Microsecond, since: time.Duration(since) * time.Microsecond}
	g.first = time.Duration(math.Ceil(m.tat-tolerance-now)) * time.Microsecond
	g.urgent = min(a.urgent, fits(m.tat, gap, ahead))
	g.bulk = min(a.bulk, fits(m.tat+float64(g.urgent)*gap, gap, bulkAhead))
	if !quiet {
		g.bulk = min(g.bulk, fits(m.bulk, bulkGap, bulkAhead))
	}
	m.tat = math.Ceil(m.tat + float64(g.slots())*gap)
	if quiet {
		m.bulk = math.Max(m.bulk, m.tat)
	} else {
		m.bulk = math.Ceil(m.bulk + float64(g.bulk)*bulkGap)
	}

	next := math.Inf(1)
	if g.urgent < a.urgent {
		next = opens(m.tat, ahead)
	}
	if g.bulk < a.bulk {
		at := opens(m.tat, bulkAhead)
		if !quiet {
			at = math.Max(at, opens(m.bulk, bulkAhead))
		}
		next = math.Min(next, at)
	}
	if stopped > 0 {
		next = stopped
	}
	if !math.IsInf(next, 1) {
		g.next = time.Duration(next) * time.Microsecond
	}
	return g
}

// fakeRedis is a model that several gates share, a network delay away. Its clock is an hour off theirs.
type fakeRedis struct {
	delay func() time.Duration // of the request and, again, of the reply; nil means none

	mu    sync.Mutex
	model model
	err   error // what every reservation fails with, while set
	calls int
	slows int
	asked []ask
}

func newFakeRedis(rate float64, burst int) *fakeRedis {
	return &fakeRedis{model: model{rate: rate, burst: burst}}
}

func (f *fakeRedis) reserve(_ context.Context, a ask) (grant, error) {
	f.travel()
	f.mu.Lock()
	f.calls++
	f.asked = append(f.asked, a)
	err := f.err
	var g grant
	if err == nil {
		g = f.model.reserve(float64(time.Now().Add(time.Hour).UnixMicro()), a)
	}
	f.mu.Unlock()
	f.travel()
	return g, err
}

func (f *fakeRedis) slow(_ context.Context, retryAfter, known time.Duration) (slowing, error) {
	f.travel()
	f.mu.Lock()
	f.slows++
	err := f.err
	var s slowing
	if err == nil {
		s = f.model.slow(float64(time.Now().Add(time.Hour).UnixMicro()), retryAfter, known)
	}
	f.mu.Unlock()
	f.travel()
	return s, err
}

func (f *fakeRedis) travel() {
	if f.delay != nil {
		time.Sleep(f.delay())
	}
}

func (f *fakeRedis) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeRedis) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func (f *fakeRedis) allAsked() []ask {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

// dues lists when the slots of a grant are due, on Redis's clock.
func (g grant) dues() []time.Duration {
	dues := make([]time.Duration, g.slots())
	for i := range dues {
		dues[i] = g.now + max(0, g.first+time.Duration(i)*g.spacing)
	}
	return dues
}
