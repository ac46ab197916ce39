package gupshuptest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// clock is a clock that only a test moves.
type clock struct{ nanos atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(1_700_000_000, c.nanos.Load()).UTC() }

func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

func TestRatePerAppGets429(t *testing.T) {
	t.Parallel()
	var clk clock
	sim := gupshuptest.New(gupshuptest.Config{RatePerSecond: 3, Now: clk.now})
	require.Equal(t, []int{200, 200, 200, 429, 429}, statuses(t, sim, times(5, testNumber)...))

	other := with(textForm(testNumber), "src.name", "OtherApp").Encode()
	require.Equal(t, 200, serve(t, sim, other, int64(len(other))).Code, "each app has its own rate")

	clk.advance(999 * time.Millisecond)
	require.Equal(t, []int{429}, statuses(t, sim, testNumber))
	clk.advance(time.Millisecond)
	require.Equal(t, []int{200, 200, 200, 429}, statuses(t, sim, times(4, testNumber)...))

	stats := sim.Stats()
	require.EqualValues(t, 7, stats.Accepted)
	require.EqualValues(t, 4, stats.Refused["rate"])
	require.Equal(t, 3, stats.Apps["DemoApp"].BusiestSecond)
	require.Equal(t, 1, stats.Apps["OtherApp"].BusiestSecond)
	require.Equal(t, []gupshuptest.Second{
		{At: time.Unix(1_700_000_000, 0).UTC(), Accepted: 3},
		{At: time.Unix(1_700_000_001, 0).UTC(), Accepted: 3},
	}, stats.Apps["DemoApp"].Seconds)
}

func TestFaultsThatAcceptObeyTheRate(t *testing.T) {
	t.Parallel()
	var clk clock
	sim := gupshuptest.New(gupshuptest.Config{
		RatePerSecond: 1, Now: clk.now,
		Rules: []gupshuptest.Rule{{Fault: gupshuptest.Fault{Kind: gupshuptest.Kind504After}}},
	})
	require.Equal(t, []int{504, 429}, statuses(t, sim, testNumber, testNumber))
	require.EqualValues(t, 1, sim.Stats().Accepted)
	require.EqualValues(t, 1, sim.Stats().Faults[gupshuptest.Kind504After])
}

func TestLatencyDelaysTheAnswerButNotTheAcceptance(t *testing.T) {
	t.Parallel()
	srv := gupshuptest.NewServer(t, gupshuptest.Config{Latency: time.Hour})
	done := make(chan error, 1)
	go func() {
		_, err := post(t.Context(), newClient(t), srv.URL+sessionPath, textForm(testNumber))
		done <- err
	}()
	require.NoError(t, srv.WaitAccepted(t.Context(), 1))
	require.EqualValues(t, 1, srv.Stats().InFlight)
	require.Empty(t, srv.Stats().Statuses)
	srv.Close()
	require.Error(t, <-done)
}

func TestLatencyAppliesToRefusals(t *testing.T) {
	t.Parallel()
	const latency = 20 * time.Millisecond
	srv := gupshuptest.NewServer(t, gupshuptest.Config{Latency: latency})
	begin := time.Now()
	require.Equal(t, 400, send(t, srv, "1").status)
	require.GreaterOrEqual(t, time.Since(begin), latency)
}

func TestRequestsAreAcceptedOrRefused(t *testing.T) {
	t.Parallel()
	var rules []gupshuptest.Rule
	for _, tc := range faultCases() {
		rules = append(rules, gupshuptest.Rule{Probability: 0.1, Fault: tc.fault})
	}
	srv := gupshuptest.NewServer(t, gupshuptest.Config{Rules: rules, Seed: 42})
	client := newClient(t)
	const requests = 300
	for i := range requests {
		_, _ = post(t.Context(), client, srv.URL+sessionPath, textForm(number(i))) // what it says is tested elsewhere
	}
	require.Eventually(t, func() bool { return srv.Stats().InFlight == 0 }, 10*time.Second, time.Millisecond)
	stats := srv.Stats()
	sum := func(counts map[string]uint64) (n uint64) {
		for _, count := range counts {
			n += count
		}
		return n
	}
	require.EqualValues(t, requests, stats.Requests)
	require.Equal(t, stats.Requests, stats.Accepted+sum(stats.Refused))
	require.Equal(t, stats.Requests, stats.NoReply+sum(stats.Statuses))
}

func TestWithoutAConnectionToBreak(t *testing.T) {
	t.Parallel()
	for _, kind := range []gupshuptest.Kind{gupshuptest.KindResetBefore, gupshuptest.KindResetAfter, gupshuptest.KindGarbage} {
		sim := gupshuptest.New(gupshuptest.Config{Rules: []gupshuptest.Rule{{Fault: gupshuptest.Fault{Kind: kind}}}})
		require.PanicsWithError(t, http.ErrAbortHandler.Error(), func() { statuses(t, sim, testNumber) },
			"%s: a recorder or an HTTP/2 stream cannot be hijacked, so it is aborted", kind)
	}
}

func TestResetOverTLS(t *testing.T) {
	t.Parallel()
	sim := gupshuptest.New(gupshuptest.Config{Rules: []gupshuptest.Rule{{Fault: gupshuptest.Fault{Kind: gupshuptest.KindResetAfter}}}})
	srv := httptest.NewTLSServer(sim)
	t.Cleanup(srv.Close)
	_, err := post(t.Context(), srv.Client(), srv.URL+sessionPath, textForm(testNumber))
	require.Truef(t, isReset(err), "error: %v", err)
	require.EqualValues(t, 1, sim.Stats().Accepted)
}

func TestConfigReportsEveryProblem(t *testing.T) {
	t.Parallel()
	require.NoError(t, gupshuptest.Config{}.Validate())
	err := gupshuptest.Config{
		Apps:    []gupshuptest.App{{Name: "DemoApp", APIKey: "very secret"}},
		Rules:   []gupshuptest.Rule{{}},
		Latency: -1, RatePerSecond: -1, SuccessStatus: "ok", LegacySM: "404", MaxKept: -1,
	}.Validate()
	for _, part := range []string{"apps[0]", "rules[0]", "latency", "rate", "success status", "legacy sm", "max kept"} {
		require.ErrorContains(t, err, part)
	}
	require.NotContains(t, err.Error(), "secret")
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", gupshuptest.App{APIKey: "very secret"}, gupshuptest.App{APIKey: "very secret"}, gupshuptest.App{APIKey: "very secret"}), "very secret")
}

func BenchmarkServe(b *testing.B) {
	sim := gupshuptest.New(gupshuptest.Config{})
	body := templateBody()
	b.ReportAllocs()
	for b.Loop() {
		sim.ServeHTTP(&discard{header: make(http.Header, 1)}, templateRequest(body))
	}
}

// BenchmarkLoopback measures client and server together.
func BenchmarkLoopback(b *testing.B) {
	srv := gupshuptest.NewServer(b, gupshuptest.Config{})
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := post(b.Context(), client, srv.URL+templatePath, templateForm(testNumber)); err != nil {
				b.Error(err)
			}
		}
	})
}
