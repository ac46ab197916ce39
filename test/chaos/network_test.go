//go:build linux

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// line is a network connection that can be disturbed.
type line struct {
	t     testing.TB
	proxy *toxiproxy.Proxy
	addr  string
}

func newLine(t testing.TB, name, target string) *line {
	t.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled)
	l := &line{t: t, addr: "127.0.0.1:" + freePort(t)}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	l.proxy = toxiproxy.NewProxy(server, name, l.addr, target)
	require.NoError(t, l.proxy.Start())
	t.Cleanup(l.proxy.Stop)
	return l
}

// trouble is something that happens to a line: a toxic of toxiproxy, or that it is cut when there is none.
type trouble struct {
	name       string
	toxic      string // its type
	attributes string
	share      float64 // of connections
}

var troubles = []trouble{
	{"cut", "", "", 1},
	{"delayed by 100 ms", "latency", `{"latency": 100, "jitter": 50}`, 1},
	{"delayed by 2 s", "latency", `{"latency": 2000, "jitter": 500}`, 1},
	{"swallowed", "timeout", `{"timeout": 1500}`, 1},
	{"reset", "reset_peer", `{"timeout": 20}`, 1},
	{"reset, some", "reset_peer", `{"timeout": 0}`, .3},
	{"cut after some bytes", "limit_data", `{"bytes": 5000}`, .5},
	{"narrow", "bandwidth", `{"rate": 20}`, 1},
	{"in slices", "slicer", `{"average_size": 20, "size_variation": 10, "delay": 100}`, .5},
}

// meets lets the line meet a trouble for a while.
func (l *line) meets(tr trouble, stream string, d time.Duration) {
	if tr.toxic == "" {
		l.proxy.Stop()
		time.Sleep(d)
		require.NoError(l.t, l.proxy.Start())
		return
	}
	_, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(
		`{"name": "trouble", "type": %q, "stream": %q, "toxicity": %v, "attributes": %s}`, tr.toxic, stream, tr.share, tr.attributes)))
	require.NoError(l.t, err)
	time.Sleep(d)
	require.NoError(l.t, l.proxy.Toxics.RemoveToxic(context.Background(), "trouble"))
}

// The lines between the workers and Redis, and between the workers and Gupshup, are cut, slow, and lose what is on its way.
func TestChaosNetwork(t *testing.T) {
	t.Parallel()
	r := newServer(t)
	books := newLine(t, "redis", r.addr())
	o := options{rdb: r.rdb, rules: faults(), redis: fmt.Sprintf(`{url: "redis://%s/0"}`, r.addr())}
	s := newSite(t, o)
	provider := newLine(t, "gupshup", strings.TrimPrefix(s.sim.URL, "http://"))
	throughProxies := []string{
		"GUPDISPATCH_REDIS_URL=redis://" + books.addr + "/0",
		"GUPDISPATCH_SENDERS_" + strings.ToUpper(s.sender) + "_BASE_URL=http://" + provider.addr,
	}
	s.receiver(0)
	s.receiver(1)
	for range 2 {
		s.worker(throughProxies...)
	}
	disturb := func(name string, l *line) func(context.Context) {
		return func(ctx context.Context) {
			for _, i := range rand.Perm(2 * len(troubles)) {
				if !pause(ctx, 300*time.Millisecond+rand.N(time.Second)) {
					return
				}
				l.meets(troubles[i/2], []string{"upstream", "downstream"}[i%2], 500*time.Millisecond+rand.N(1500*time.Millisecond))
				s.count("troubles on the line to "+name, 1)
			}
		}
	}
	s.while(disturb("Redis", books), disturb("Gupshup", provider))
	s.settle()
	s.mustHold()
}
