package gupshuptest_test

import (
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// teapot is a fault that nothing else answers with.
func teapot() gupshuptest.Fault {
	return gupshuptest.Fault{Kind: gupshuptest.KindHTTP, Status: http.StatusTeapot}
}

// statuses sends texts to the destinations in turn, without a network.
func statuses(t testing.TB, sim *gupshuptest.Simulator, destinations ...string) []int {
	t.Helper()
	got := make([]int, len(destinations))
	for i, destination := range destinations {
		body := textForm(destination).Encode()
		got[i] = serve(t, sim, body, int64(len(body))).Code
	}
	return got
}

func times(n int, destination string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = destination
	}
	return out
}

func TestRuleChooses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		rule        gupshuptest.Rule
		destination string
		fires       bool
	}{
		{"everything", gupshuptest.Rule{}, testNumber, true},
		{"star", gupshuptest.Rule{Destination: "*"}, testNumber, true},
		{"exact", gupshuptest.Rule{Destination: testNumber}, testNumber, true},
		{"exact, longer number", gupshuptest.Rule{Destination: testNumber}, testNumber + "1", false},
		{"prefix", gupshuptest.Rule{Destination: "9198*"}, testNumber, true},
		{"prefix elsewhere", gupshuptest.Rule{Destination: "198*"}, testNumber, false},
		{"suffix", gupshuptest.Rule{Destination: "*3210"}, testNumber, true},
		{"suffix elsewhere", gupshuptest.Rule{Destination: "*321"}, testNumber, false},
		{"content", gupshuptest.Rule{Match: "hello"}, testNumber, true},
		{"other content", gupshuptest.Rule{Match: "goodbye"}, testNumber, false},
		{"both", gupshuptest.Rule{Destination: "9198*", Match: "hello"}, testNumber, true},
		{"one of both", gupshuptest.Rule{Destination: "4915*", Match: "hello"}, testNumber, false},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.rule.Fault = teapot()
			sim := gupshuptest.New(gupshuptest.Config{Rules: []gupshuptest.Rule{tc.rule}})
			want := http.StatusOK
			if tc.fires {
				want = http.StatusTeapot
			}
			require.Equal(t, []int{want}, statuses(t, sim, tc.destination))
		})
	}
}

func TestRuleMatchesTemplate(t *testing.T) {
	t.Parallel()
	srv := gupshuptest.NewServer(t, gupshuptest.Config{
		Rules: []gupshuptest.Rule{{Match: testTemplate, Times: 1, Fault: teapot()}}, Strict: true,
	})
	require.Equal(t, 200, send(t, srv, testNumber).status)
	got, err := post(t.Context(), newClient(t), srv.URL+templatePath, templateForm(testNumber))
	require.NoError(t, err)
	require.Equal(t, http.StatusTeapot, got.status)
}

func TestRuleTimesAndAfter(t *testing.T) {
	t.Parallel()
	sim := gupshuptest.New(gupshuptest.Config{Rules: []gupshuptest.Rule{
		{Destination: "9198*", After: 1, Times: 2, Fault: teapot()},
		{Destination: "9198*", After: 1, Times: 1, Fault: gupshuptest.Fault{Kind: gupshuptest.Kind429}},
	}})
	require.Equal(t, []int{200, 418, 418, 429, 200, 200}, statuses(t, sim, times(6, testNumber)...),
		"a rule that does not fire leaves the message to the next; the next sees 1 and 4 and fires from its second on")

	rules := sim.Rules()
	require.EqualValues(t, 6, rules[0].Matched)
	require.EqualValues(t, 2, rules[0].Fired)
	require.EqualValues(t, 4, rules[1].Matched)
	require.EqualValues(t, 1, rules[1].Fired)
}

func TestRuleTimesAreExactUnderConcurrency(t *testing.T) {
	t.Parallel()
	const requests, limit = 400, 37
	sim := gupshuptest.New(gupshuptest.Config{Rules: []gupshuptest.Rule{{Times: limit, Probability: 0.5, Fault: teapot()}}})
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range requests / 8 {
				statuses(t, sim, "4915"+strconv.Itoa(100000+worker*1000+i))
			}
		})
	}
	group.Wait()
	stats := sim.Stats()
	require.EqualValues(t, limit, sim.Rules()[0].Fired)
	require.EqualValues(t, limit, stats.Statuses["418"])
	require.EqualValues(t, requests-limit, stats.Accepted)
	require.EqualValues(t, requests, stats.Requests)
	require.Zero(t, stats.Duplicates)
}

func TestSeedRepeatsDecisionsAndIDs(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) ([]int, []string, uint64) {
		sim := gupshuptest.New(gupshuptest.Config{
			Seed:  seed,
			Rules: []gupshuptest.Rule{{Probability: 0.3, Fault: teapot()}, {Probability: 0.3, Fault: gupshuptest.Fault{Kind: gupshuptest.Kind429}}},
		})
		got := statuses(t, sim, times(200, testNumber)...)
		var ids []string
		for _, m := range sim.Accepted(gupshuptest.Filter{}) {
			ids = append(ids, m.MessageID)
		}
		return got, ids, sim.Stats().Seed
	}
	firstStatuses, firstIDs, seed := run(7)
	againStatuses, againIDs, _ := run(seed)
	require.Equal(t, firstStatuses, againStatuses)
	require.Equal(t, firstIDs, againIDs)
	otherStatuses, otherIDs, _ := run(8)
	require.NotEqual(t, firstStatuses, otherStatuses)
	require.NotEqual(t, firstIDs, otherIDs)

	_, _, drawn := run(0)
	_, _, drawnAgain := run(0)
	require.NotZero(t, drawn)
	require.NotEqual(t, drawn, drawnAgain, "without a seed every simulator has its own")
}

func TestProbabilityIsAboutRight(t *testing.T) {
	t.Parallel()
	sim := gupshuptest.New(gupshuptest.Config{Seed: 1, Rules: []gupshuptest.Rule{{Probability: 0.25, Fault: teapot()}}})
	statuses(t, sim, times(2000, testNumber)...)
	require.InDelta(t, 500, sim.Rules()[0].Fired, 60) // three standard deviations
}

func TestSetAddAndResetRules(t *testing.T) {
	t.Parallel()
	sim := gupshuptest.New(gupshuptest.Config{Rules: []gupshuptest.Rule{{Times: 1, Fault: teapot()}}})
	require.Equal(t, []int{418, 200}, statuses(t, sim, testNumber, testNumber))

	require.NoError(t, sim.AddRule(gupshuptest.Rule{Fault: gupshuptest.Fault{Kind: gupshuptest.Kind429}}))
	require.Equal(t, []int{429}, statuses(t, sim, testNumber))
	require.EqualValues(t, 3, sim.Rules()[0].Matched, "adding keeps the counts of the others")

	require.Error(t, sim.AddRule(gupshuptest.Rule{}))
	require.ErrorContains(t, sim.SetRules([]gupshuptest.Rule{{Fault: teapot()}, {Times: -1, Fault: teapot()}}), "rules[1]")
	require.Len(t, sim.Rules(), 2, "what is invalid changes nothing")

	require.NoError(t, sim.SetRules(nil))
	require.Equal(t, []int{200}, statuses(t, sim, testNumber))

	sim.Reset()
	require.Equal(t, []int{418, 200}, statuses(t, sim, testNumber, testNumber))
}

func TestInvalidRules(t *testing.T) {
	t.Parallel()
	ok := teapot()
	for name, rule := range map[string]gupshuptest.Rule{
		"star inside":      {Destination: "91*98", Fault: ok},
		"two stars":        {Destination: "*98*", Fault: ok},
		"plus":             {Destination: "+91", Fault: ok},
		"probability":      {Probability: 1.1, Fault: ok},
		"negative times":   {Times: -1, Fault: ok},
		"negative after":   {After: -1, Fault: ok},
		"no fault":         {},
		"unknown kind":     {Fault: gupshuptest.Fault{Kind: "explode"}},
		"code without one": {Fault: gupshuptest.Fault{Kind: gupshuptest.KindCode}},
		"status 100":       {Fault: gupshuptest.Fault{Kind: gupshuptest.KindHTTP, Status: 100}},
		"body":             {Fault: gupshuptest.Fault{Kind: gupshuptest.KindHTTP, Body: "xml"}},
		"negative delay":   {Fault: gupshuptest.Fault{Kind: gupshuptest.KindSlow, Delay: -1}},
	} {
		require.Error(t, rule.Validate(), name)
		require.Panics(t, func() { gupshuptest.New(gupshuptest.Config{Rules: []gupshuptest.Rule{rule}}) }, name)
	}
}
