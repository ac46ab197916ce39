package gupshuptest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

func TestCallbacksAreOffUnlessSet(t *testing.T) {
	t.Parallel()
	sim := gupshuptest.New(gupshuptest.Config{})
	accept(t, sim, testNumber)
	require.Zero(t, sim.Pending())
	require.Empty(t, sim.Accepted(gupshuptest.Filter{})[0].Outcome)
	require.NoError(t, sim.Drain(t.Context()))
	require.ErrorContains(t, sim.Push(gupshuptest.Push{Kind: gupshuptest.PushText, Phone: testNumber}), "no callback URL is set")
}

func TestSetCallbacksRedirectsAndDropsWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := newReceiver(), newReceiver()
		sim := gupshuptest.New(gupshuptest.Config{Callbacks: callbacks(first)})
		defer sim.Close()
		accept(t, sim, testNumber)
		require.NoError(t, sim.SetCallbacks(callbacks(second)))
		require.NoError(t, sim.Drain(t.Context()))
		require.Empty(t, first.all())
		require.Equal(t, []string{"enqueued", "sent", "delivered"}, events(t, second.all()))

		accept(t, sim, testNumber)
		require.Error(t, sim.SetCallbacks(gupshuptest.Callbacks{URL: "ftp://x"}))
		require.Equal(t, 3, sim.Pending(), "what is invalid changes nothing")
		require.NoError(t, sim.SetCallbacks(gupshuptest.Callbacks{}))
		require.Zero(t, sim.Pending())
		require.NoError(t, sim.Drain(t.Context()))
	})
}

func TestResetForgetsCallbacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver()
		r.answer = func(n int, _ posted) (int, error) { return []int{0, 200, 200, 200}[n], nil }
		c := callbacks(r)
		c.FailOnce, c.Failures = true, []gupshuptest.Failure{{Code: "1002", Probability: 1}}
		sim := gupshuptest.New(gupshuptest.Config{Callbacks: c})
		defer sim.Close()
		accept(t, sim, testNumber)
		time.Sleep(7 * time.Second) // of the bubble: it is under way and gets no answer

		sim.Reset()
		require.NoError(t, sim.Drain(t.Context()))
		require.Len(t, r.all(), 1, "what is under way when it is forgotten does not go again")
		require.Zero(t, sim.Stats().Callbacks.Refused)

		accept(t, sim, testNumber)
		require.NoError(t, sim.Drain(t.Context()))
		require.Equal(t, map[string]uint64{"1002": 1}, sim.Stats().Callbacks.Codes, "nobody has failed since")
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver()
		var flying, most atomic.Int64
		r.answer = func(int, posted) (int, error) {
			n := flying.Add(1)
			defer flying.Add(-1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			time.Sleep(time.Second) // of the bubble
			return 200, nil
		}
		c := callbacks(r)
		c.Concurrency = 3
		simulate(t, gupshuptest.Config{Callbacks: c}, numbers(20)...)
		require.EqualValues(t, 3, most.Load())
		require.Len(t, r.all(), 60)
	})
}

func TestTooManyPending(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := callbacks(newReceiver())
		c.MaxPending = 7
		sim := simulate(t, gupshuptest.Config{Callbacks: c}, numbers(4)...)
		stats := sim.Stats().Callbacks
		require.EqualValues(t, 2, stats.Dropped)
		require.EqualValues(t, 6, stats.Delivered)
		require.EqualValues(t, 2, stats.Outcomes[gupshuptest.OutcomeDelivered])
		require.Empty(t, sim.Accepted(gupshuptest.Filter{})[3].Outcome)
	})
}

// A fast clock leaves a receiver time to answer and to come back.
func TestRedeliveryOnAFastClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver()
		r.answer = func(n int, _ posted) (int, error) { return []int{0, 503}[min(n, 1)], nil }
		c := callbacks(r)
		c.Speed = 10_000
		simulate(t, gupshuptest.Config{Callbacks: c, Rules: forced("1002")}, testNumber)
		got := r.all()
		require.Len(t, got, 20)
		require.Equal(t, 1100*time.Millisecond, got[1].at-got[0].at, "a second to answer, 100 ms until the next attempt")
		require.Equal(t, 2*time.Second, got[19].at-got[18].at)
		require.Greater(t, got[19].at, 25*time.Second)
	})
}

func TestLostReplyStillHasItsCallbacks(t *testing.T) {
	t.Parallel()
	received := make(chan string, 8)
	listener := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			received <- r.URL.Path + " " + string(body)
		}
	}))
	defer listener.Close()
	srv := gupshuptest.NewServer(t, gupshuptest.Config{
		MagicNumbers: true, Callbacks: gupshuptest.Callbacks{URL: listener.URL + "/callbacks/gupshup/{app}", Speed: 1000},
	})
	_, err := post(t.Context(), newClient(t), srv.URL+sessionPath, textForm("4915770705"))
	require.Truef(t, isReset(err), "error: %v", err)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, srv.Drain(ctx))
	m := srv.Accepted(gupshuptest.Filter{})[0]
	require.Equal(t, gupshuptest.OutcomeDelivered, m.Outcome)
	for range 3 {
		got := <-received
		require.Contains(t, got, "/callbacks/gupshup/DemoApp ")
		require.Contains(t, got, m.MessageID)
	}
	require.EqualValues(t, 3, srv.Stats().Callbacks.Delivered)
}

func TestInvalidCallbacks(t *testing.T) {
	t.Parallel()
	const to = "http://127.0.0.1:1/x"
	fails := func(code string, p float64) []gupshuptest.Failure { return []gupshuptest.Failure{{code, p}, {code, p}} }
	for name, c := range map[string]gupshuptest.Callbacks{
		"no host":          {URL: "/callbacks"},
		"another scheme":   {URL: "ftp://127.0.0.1/x"},
		"negative speed":   {URL: to, Speed: -1},
		"code":             {URL: to, Failures: fails("abc", 0.1)},
		"no code":          {URL: to, Failures: fails("", 0.1)},
		"more than all":    {URL: to, Failures: fails("1002", 0.6)},
		"negative failure": {URL: to, Failures: fails("1002", -0.1)},
		"read":             {URL: to, Read: 1.1},
		"duplicates":       {URL: to, Duplicates: -0.1},
		"concurrency":      {URL: to, Concurrency: -1},
	} {
		require.Error(t, c.Validate(), name)
		require.Error(t, gupshuptest.Config{Callbacks: c}.Validate(), name)
	}
	require.NoError(t, gupshuptest.Callbacks{URL: to, Failures: []gupshuptest.Failure{{"1002", 0.1}, {"1003", 0.2}, {"1008", 0.7}}}.Validate())
	for name, f := range map[string]gupshuptest.Fault{
		"callback without outcome":   {Kind: gupshuptest.KindCallback},
		"unknown outcome":            {Kind: gupshuptest.KindCallback, Outcome: "lost"},
		"outcome of what is refused": {Kind: gupshuptest.Kind429, Outcome: "read"},
	} {
		require.Error(t, f.Validate(), name)
	}
}

func TestFaultOutcomeInJSON(t *testing.T) {
	t.Parallel()
	want := gupshuptest.Fault{Kind: gupshuptest.KindResetAfter, Outcome: "131026"}
	body, err := json.Marshal(want)
	require.NoError(t, err)
	require.JSONEq(t, `{"kind":"reset_after","outcome":"131026"}`, string(body))
	var got gupshuptest.Fault
	require.NoError(t, json.Unmarshal(body, &got))
	require.Equal(t, want, got)
}

func TestAdminCallbacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := gupshuptest.New(gupshuptest.Config{})
		defer sim.Close()
		const secret = "token-of-the-test"
		got := admin(t, sim, "PUT", "/_sim/callbacks", `{"url":"http://127.0.0.1:1/x?token=`+secret+`","token":"`+secret+`","speed":2,"failures":[{"code":"1002","probability":1}]}`, 200)
		require.Contains(t, got, `"url":"http://127.0.0.1:1/x"`)
		require.NotContains(t, got, secret)
		accept(t, sim, testNumber)
		require.Contains(t, admin(t, sim, "GET", "/_sim/messages", "", 200), `"outcome":"failed","code":"1002"`)
		require.Contains(t, admin(t, sim, "GET", "/_sim/stats", "", 200), `"outcomes":{"failed":1},"codes":{"1002":1},"pending":1`)
		admin(t, sim, "POST", "/_sim/callback", `{"kind":"opted-out","phone":"919876543210"}`, 200)
		require.Equal(t, 2, sim.Pending())
		admin(t, sim, "PUT", "/_sim/callbacks", `{"url":"nowhere"}`, 400)
		admin(t, sim, "PUT", "/_sim/callbacks", `{"where":"x"}`, 400)
		admin(t, sim, "POST", "/_sim/callback", `{"kind":"opted-out"}`, 400)
		synctest.Wait() // a post that is under way would still be pending
		require.Contains(t, admin(t, sim, "DELETE", "/_sim/callbacks", "", 200), `"pending":0`)
		require.Contains(t, admin(t, sim, "POST", "/_sim/callback", `{"kind":"text","phone":"919876543210"}`, 400), "no callback URL")
	})
}

func TestAdminDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver()
		sim := gupshuptest.New(gupshuptest.Config{Callbacks: callbacks(r)})
		defer sim.Close()
		accept(t, sim, testNumber)
		require.Contains(t, admin(t, sim, "POST", "/_sim/drain", "", 200), `"pending":0,"delivered":3`)
		require.Len(t, r.all(), 3)

		accept(t, sim, testNumber)
		time.AfterFunc(time.Second, sim.Close)
		require.Contains(t, admin(t, sim, "POST", "/_sim/drain", "", 503), "closed")
	})
}
