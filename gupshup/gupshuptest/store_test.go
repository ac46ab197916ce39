package gupshuptest_test

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// number returns the i-th of many destinations.
func number(i int) string { return strconv.Itoa(491511000000 + i) }

func TestAcceptedTellsEverything(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	srv := gupshuptest.NewServer(t, gupshuptest.Config{KeepBodies: true, Now: func() time.Time { return at }})
	_, err := post(t.Context(), newClient(t), srv.URL+templatePath, templateForm(testNumber))
	require.NoError(t, err)
	got := srv.Accepted(gupshuptest.Filter{})
	require.Len(t, got, 1)
	require.Equal(t, gupshuptest.Accepted{
		Seq: 1, MessageID: got[0].MessageID, App: "DemoApp", Source: "917834811114", Destination: testNumber,
		Path: templatePath, Type: "template", TemplateID: testTemplate, At: at, Form: templateForm(testNumber),
	}, got[0])

	send(t, srv, testNumber)
	require.Equal(t, "text", srv.Accepted(gupshuptest.Filter{After: 1})[0].Type)
}

func TestBodiesAreNotKeptUnlessAskedFor(t *testing.T) {
	t.Parallel()
	sim := gupshuptest.New(gupshuptest.Config{})
	accept(t, sim, testNumber)
	require.Nil(t, sim.Accepted(gupshuptest.Filter{})[0].Form)
}

func TestFilter(t *testing.T) {
	t.Parallel()
	sim := gupshuptest.New(gupshuptest.Config{})
	for i := range 5 {
		accept(t, sim, number(i%2))
	}
	all := sim.Accepted(gupshuptest.Filter{})
	tests := []struct {
		name   string
		filter gupshuptest.Filter
		want   []int
	}{
		{"all", gupshuptest.Filter{}, []int{0, 1, 2, 3, 4}},
		{"destination", gupshuptest.Filter{Destination: number(1)}, []int{1, 3}},
		{"message id", gupshuptest.Filter{MessageID: all[2].MessageID}, []int{2}},
		{"app", gupshuptest.Filter{App: "DemoApp"}, []int{0, 1, 2, 3, 4}},
		{"other app", gupshuptest.Filter{App: "OtherApp"}, nil},
		{"after", gupshuptest.Filter{After: all[2].Seq}, []int{3, 4}},
		{"limit", gupshuptest.Filter{Limit: 2}, []int{0, 1}},
		{"next page", gupshuptest.Filter{After: all[1].Seq, Limit: 2}, []int{2, 3}},
	}
	for _, tc := range tests {
		want := []gupshuptest.Accepted{}
		for _, i := range tc.want {
			want = append(want, all[i])
		}
		require.Equal(t, want, sim.Accepted(tc.filter), tc.name)
	}
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	sim := gupshuptest.New(gupshuptest.Config{})
	for range 3 {
		accept(t, sim, number(1))
	}
	for range 2 {
		accept(t, sim, number(2))
	}
	accept(t, sim, number(3))

	other := with(textForm(number(3)), "message", `{"type":"text","text":"something else"}`).Encode()
	require.Equal(t, 200, serve(t, sim, other, int64(len(other))).Code)
	app := with(textForm(number(3)), "src.name", "OtherApp").Encode()
	require.Equal(t, 200, serve(t, sim, app, int64(len(app))).Code)

	require.EqualValues(t, 3, sim.Stats().Duplicates, "other content or another app is no duplicate")
	require.Zero(t, sim.Stats().Untracked)
	ids := func(destination string) (out []string) {
		for _, m := range sim.Accepted(gupshuptest.Filter{Destination: destination}) {
			out = append(out, m.MessageID)
		}
		return out
	}
	require.Equal(t, []gupshuptest.Duplicate{
		{App: "DemoApp", Destination: number(1), Count: 3, MessageIDs: ids(number(1))},
		{App: "DemoApp", Destination: number(2), Count: 2, MessageIDs: ids(number(2))},
	}, sim.Duplicates())
}

func TestMemoryIsBoundedAndTotalsAreExact(t *testing.T) {
	t.Parallel()
	const kept, sent = 10, 35
	sim := gupshuptest.New(gupshuptest.Config{MaxKept: kept, KeepBodies: true})
	for i := range sent {
		accept(t, sim, number(i))
	}
	for range 30 {
		accept(t, sim, number(0)) // watched: one of the first ten
	}
	accept(t, sim, number(20)) // a duplicate that nobody could notice
	stats := sim.Stats()
	require.EqualValues(t, sent+31, stats.Accepted)
	require.EqualValues(t, 30, stats.Duplicates)
	require.EqualValues(t, sent-kept+1, stats.Untracked)
	require.Equal(t, kept, stats.Kept)

	got := sim.Accepted(gupshuptest.Filter{})
	require.Len(t, got, kept)
	for i, m := range got {
		require.EqualValues(t, sent+31-kept+1+i, m.Seq, "the newest are kept, the oldest first")
	}
	duplicates := sim.Duplicates()
	require.Len(t, duplicates, 1)
	require.Equal(t, 31, duplicates[0].Count)
	require.Len(t, duplicates[0].MessageIDs, 20)
}

// TestKeptMessagesDoNotHoldTheirBodies would keep some 60 MB if the strings of
// a message were parts of its request's body.
func TestKeptMessagesDoNotHoldTheirBodies(t *testing.T) {
	sim := gupshuptest.New(gupshuptest.Config{}) // not parallel: it measures the heap
	padding := make([]byte, 60_000)
	for i := range padding {
		padding[i] = 'x'
	}
	before := heap()
	for i := range 1000 {
		body := "x=" + string(padding) + "&" + textForm(number(i)).Encode()
		require.Equal(t, 200, serve(t, sim, body, int64(len(body))).Code)
	}
	require.Less(t, heap()-before, int64(10<<20))
	require.EqualValues(t, 1000, sim.Stats().Accepted)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestManyAppNamesShareAPace(t *testing.T) {
	t.Parallel()
	sim := gupshuptest.New(gupshuptest.Config{MaxKept: 1})
	for i := range 1100 {
		body := with(textForm(testNumber), "src.name", "App"+strconv.Itoa(i)).Encode()
		require.Equal(t, 200, serve(t, sim, body, int64(len(body))).Code)
	}
	apps := sim.Stats().Apps
	require.Len(t, apps, 1025)
	require.Equal(t, 1100-1024, apps["(other apps)"].Seconds[0].Accepted+later(apps["(other apps)"].Seconds))
}

// later counts what was not accepted in the first second.
func later(seconds []gupshuptest.Second) int {
	n := 0
	for _, s := range seconds[1:] {
		n += s.Accepted
	}
	return n
}

func TestConcurrentAcceptsAreAllRecorded(t *testing.T) {
	t.Parallel()
	const workers, each = 8, 100
	srv := gupshuptest.NewServer(t, gupshuptest.Config{LatencyJitter: time.Millisecond})
	client := newClient(t)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for i := range each {
				got, err := post(t.Context(), client, srv.URL+sessionPath, textForm(number(worker*each+i)))
				if err != nil || got.status != 200 {
					t.Errorf("worker %d, message %d: %v, %v", worker, i, got, err)
				}
				if i%25 == 0 {
					srv.Stats()
					srv.Duplicates()
					srv.Accepted(gupshuptest.Filter{Limit: 3})
				}
			}
		})
	}
	require.NoError(t, srv.WaitAccepted(t.Context(), workers*each))
	group.Wait()

	seen, ids := map[string]bool{}, map[string]bool{}
	for i, m := range srv.Accepted(gupshuptest.Filter{}) {
		require.EqualValues(t, i+1, m.Seq)
		seen[m.Destination], ids[m.MessageID] = true, true
	}
	require.Len(t, seen, workers*each)
	require.Len(t, ids, workers*each)
	stats := srv.Stats()
	require.EqualValues(t, workers*each, stats.Accepted)
	require.Equal(t, map[string]uint64{"200": workers * each}, stats.Statuses)
	require.Zero(t, stats.Duplicates)
}

func TestWaitAccepted(t *testing.T) {
	t.Parallel()
	sim := gupshuptest.New(gupshuptest.Config{})
	require.NoError(t, sim.WaitAccepted(t.Context(), 0))

	ended, end := context.WithCancel(t.Context())
	end()
	require.ErrorIs(t, sim.WaitAccepted(ended, 1), context.Canceled)

	done := make(chan error, 1)
	go func() { done <- sim.WaitAccepted(t.Context(), 2) }()
	accept(t, sim, testNumber)
	accept(t, sim, testNumber)
	require.NoError(t, <-done)
}

func TestResetForgetsButDoesNotRepeatIDs(t *testing.T) {
	t.Parallel()
	sim := gupshuptest.New(gupshuptest.Config{Seed: 1})
	accept(t, sim, testNumber)
	first := sim.Accepted(gupshuptest.Filter{})[0]
	sim.Reset()
	require.Empty(t, sim.Accepted(gupshuptest.Filter{}))
	stats := sim.Stats()
	require.Zero(t, stats.Requests+stats.Accepted)
	require.Empty(t, stats.Statuses)

	accept(t, sim, testNumber)
	second := sim.Accepted(gupshuptest.Filter{})[0]
	require.NotEqual(t, first.MessageID, second.MessageID)
	require.Greater(t, second.Seq, first.Seq)
	require.Zero(t, sim.Stats().Duplicates)
}
