//go:build unix

package flow

import (
	"context"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/message"
)

// counting counts the reservations that pass.
type counting struct {
	reserver
	calls atomic.Int64
}

func (c *counting) reserve(ctx context.Context, a ask) (grant, error) {
	c.calls.Add(1)
	return c.reserver.reserve(ctx, a)
}

func benchAddr(b *testing.B) string {
	if addr := os.Getenv("REDIS_ADDR"); addr != "" {
		return addr
	}
	return miniredis.RunT(b).Addr()
}

// BenchmarkGate is what a gate costs with 64 handlers that do nothing but wait: without a limit to speak of, and at rates
// that hold them back. Read it as grants/s (at most the rate), reserves/s and the CPU a grant takes.
func BenchmarkGate(b *testing.B) {
	for _, bc := range []struct {
		name string
		rate float64
	}{{"R=1000000", 1e6}, {"R=10000", 1e4}, {"R=1000", 1e3}} {
		b.Run(bc.name, func(b *testing.B) {
			var senders freshSenders
			r := &counting{reserver: newRedisReserver(client(b, benchAddr(b)), senders.next(), bc.rate, 1)}
			g := newGate(r, GateConfig{Sender: "bench", Rate: bc.rate, Burst: 1})
			var run, all sync.WaitGroup
			run.Go(func() { g.Run(b.Context()) })
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			cpu := cpuTime(b)
			for range 64 {
				all.Go(func() {
					for left.Add(-1) >= 0 {
						_, _ = g.Wait(b.Context(), message.Bulk)
					}
				})
			}
			all.Wait()
			b.StopTimer()
			seconds := b.Elapsed().Seconds()
			b.ReportMetric(float64(b.N)/seconds, "grants/s")
			b.ReportMetric(float64(r.calls.Load())/seconds, "reserves/s")
			b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/float64(b.N), "cpu-ns/grant")
			g.Close()
			run.Wait()
		})
	}
}

// BenchmarkFleet is the bar of the design in real time: four gates in one process, each with its own Redis client, share R for 5 s
// a turn. busiest/R must stay below 1.02 + 1/R, used at 0.97 or above.
func BenchmarkFleet(b *testing.B) {
	for _, bc := range []struct {
		name string
		rate float64
	}{{"R=80", 80}, {"R=1000", 1000}, {"R=10000", 10_000}} {
		b.Run(bc.name, func(b *testing.B) {
			addr := benchAddr(b)
			var senders freshSenders
			for range b.N {
				sender := senders.next()
				ctx, cancel := context.WithCancel(b.Context())
				var all sync.WaitGroup
				var mu sync.Mutex
				var sent []time.Duration
				var calls int64
				start := time.Now()
				gates := make([]*counting, 4)
				for i := range gates {
					gates[i] = &counting{reserver: newRedisReserver(client(b, addr), sender, bc.rate, 1)}
					g := newGate(gates[i], GateConfig{Sender: sender, Rate: bc.rate, Burst: 1})
					all.Go(func() { g.Run(ctx) })
					for range 64 {
						all.Go(func() {
							for {
								if _, err := g.Wait(ctx, message.Bulk); err != nil {
									return
								}
								mu.Lock()
								sent = append(sent, time.Since(start))
								mu.Unlock()
								time.Sleep(ms)
							}
						})
					}
				}
				time.Sleep(5 * time.Second)
				cancel()
				all.Wait()
				for _, c := range gates {
					calls += c.calls.Load()
				}
				slices.Sort(sent)
				require.NotEmpty(b, sent)
				b.ReportMetric(float64(busiest(sent, time.Second))/bc.rate, "busiest/R")
				b.ReportMetric(float64(len(sent))/bc.rate/5, "used")
				b.ReportMetric(float64(calls)/4/5, "reserves/s/gate")
			}
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
