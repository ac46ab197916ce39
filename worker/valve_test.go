package worker

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gupdispatch/gupdispatch/message"
)

// tank is how full a valve's Redis is.
type tank struct {
	mu    sync.Mutex
	part  float64
	known bool
	looks int
}

func (k *tank) set(part float64, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.part, k.known = part, known
}

func (k *tank) used(context.Context) (float64, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.looks++
	return k.part, k.known
}

func TestTheValveShutsAt95PercentAndOpensBelow(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	k := &tank{}
	v := newValve(k.used, zap.New(core))
	for _, step := range []struct {
		part  float64
		known bool
		shut  bool
		lines int
	}{
		{0, false, false, 0},
		{.9499, true, false, 0},
		{.95, true, true, 1},
		{1.2, true, true, 1}, // told once
		{.9499, true, false, 2},
		{.5, true, false, 2},
		{.99, true, true, 3},
		{0, false, false, 4}, // not known is room enough
	} {
		k.set(step.part, step.known)
		v.look(t.Context())
		require.Equal(t, step.shut, v.closed() != nil, "%+v", step)
		require.Equal(t, step.lines, logs.Len(), "%+v", step)
	}
	require.Equal(t, "redis.full", logs.All()[0].Message)
	require.Equal(t, "redis.room", logs.All()[1].Message)
}

func TestHandlersWaitAtTheValve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &tank{}
		k.set(.96, true)
		v := newValve(k.used, zap.NewNop())
		v.look(t.Context())
		ctx, cancel := context.WithCancel(t.Context())
		var background, handlers sync.WaitGroup
		background.Go(func() { v.run(ctx) })
		const n = 50
		client, gates := [n]fakeSender{}, [n]fakeGate{}
		for i := range n {
			h := &handler{
				name: "shop", outage: newOutage(100), client: &client[i], valve: v, gate: &gates[i], ledger: &fakeLedger{}, limits: testLimits, timeout: 10 * time.Second,
				log: zap.NewNop(), metrics: newMetrics(nil), slack: grace, ending: make(chan struct{}),
			}
			handlers.Go(func() {
				_ = h.handle(t.Context(), job{message.Task{Sender: "shop", ID: "a", Generation: 1}, message.Bulk}, func(string) {})
			})
		}
		time.Sleep(10*time.Second + valveLook/2)
		synctest.Wait()
		require.Zero(t, client[0].sent+gates[0].waits)
		require.Equal(t, 11, k.looks, "one looks for all")

		k.set(.94, true)
		time.Sleep(valveLook)
		handlers.Wait()
		for i := range n {
			require.Equal(t, 1, client[i].sent)
		}
		cancel()
		background.Wait()
	})
}

func TestNobodyWaitsAtTheValveForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &tank{}
		k.set(1, true)
		v := newValve(k.used, zap.NewNop())
		v.look(t.Context())
		task := message.Task{Sender: "shop", ID: "a", Generation: 1}
		l, client := &fakeLedger{}, &fakeSender{}
		h := &handler{name: "shop", outage: newOutage(100), client: client, valve: v, gate: &fakeGate{}, ledger: l, log: zap.NewNop()}
		results := make(chan error, 2)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { results <- h.handle(ctx, job{task, message.Bulk}, nil) }()
		go func() { results <- h.handle(t.Context(), job{task, message.Bulk}, nil) }()
		synctest.Wait()
		require.Empty(t, results)
		cancel() // asynq ends a task
		require.Equal(t, errStopping, <-results)
		synctest.Wait()
		require.Empty(t, results)
		v.end() // the worker stops
		require.Equal(t, errStopping, <-results)
		require.Empty(t, l.tokens, "nothing was claimed")
		require.Zero(t, client.sent)
	})
}
