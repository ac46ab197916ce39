package gupshuptest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// posted is one callback as the receiver sees it.
type posted struct {
	at     time.Duration // since the receiver began
	url    string
	header http.Header
	body   string
}

// receiver is a callback receiver without a network, so that it works in a
// synctest bubble.
type receiver struct {
	begun  time.Time
	answer func(n int, p posted) (int, error) // to the n-th callback, from 0; 200 if nil

	mu  sync.Mutex
	got []posted
}

func newReceiver() *receiver { return &receiver{begun: time.Now()} }

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	p := posted{time.Since(r.begun), req.URL.String(), req.Header, string(body)}
	r.mu.Lock()
	n := len(r.got)
	r.got = append(r.got, p)
	r.mu.Unlock()
	status := http.StatusOK
	if r.answer != nil {
		if status, err = r.answer(n, p); err != nil {
			return nil, err
		}
		if status == 0 { // no answer at all
			<-req.Context().Done()
			return nil, req.Context().Err()
		}
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(bytes.NewReader(nil)), Request: req}, nil
}

func (r *receiver) all() []posted {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]posted(nil), r.got...)
}

// told is what a v2 callback says, as far as the tests look.
type told struct {
	App       string
	Phone     string
	Timestamp int64
	Type      string
	Payload   struct {
		ID, GsID, Type, Destination string
		Payload                     struct {
			WhatsappMessageID string
			Type              string
			Ts                int64
			Code              json.RawMessage
			Reason            string
		}
	}
}

func read(t testing.TB, p posted) told {
	t.Helper()
	var out told
	require.NoError(t, json.Unmarshal([]byte(p.body), &out), p.body)
	return out
}

// events are the kinds of callbacks in the order in which they came.
func events(t testing.TB, got []posted) []string {
	t.Helper()
	var out []string
	for _, p := range got {
		e := read(t, p)
		if e.Type == "message-event" {
			out = append(out, e.Payload.Type)
		} else {
			out = append(out, e.Type)
		}
	}
	return out
}

// callbacks is a configuration that posts to the receiver.
func callbacks(r *receiver) gupshuptest.Callbacks {
	return gupshuptest.Callbacks{URL: "http://receiver.invalid/callbacks/gupshup/{app}", Transport: r}
}

// simulate has a simulator with these callbacks accept messages to the
// destinations, and returns it once it has told everything.
func simulate(t *testing.T, cfg gupshuptest.Config, destinations ...string) *gupshuptest.Simulator {
	t.Helper()
	if cfg.Seed == 0 {
		cfg.Seed = 7
	}
	sim := gupshuptest.New(cfg)
	t.Cleanup(sim.Close)
	for _, destination := range destinations {
		accept(t, sim, destination)
	}
	require.NoError(t, sim.Drain(t.Context()))
	return sim
}

func TestCallbacksTellTheWayOfAMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver()
		c := callbacks(r)
		c.Token, c.Read = "token-of-the-test", 1
		sim := simulate(t, gupshuptest.Config{Callbacks: c}, testNumber)

		got := r.all()
		require.Equal(t, []string{"enqueued", "sent", "delivered", "read"}, events(t, got))
		require.GreaterOrEqual(t, got[0].at, 5*time.Second, "Gupshup holds events back")
		require.Less(t, got[2].at, 15*time.Second)
		m := sim.Accepted(gupshuptest.Filter{})[0]
		for _, p := range got {
			require.Equal(t, "http://receiver.invalid/callbacks/gupshup/DemoApp", p.url)
			require.Equal(t, "token-of-the-test", p.header.Get("X-Callback-Token"))
			require.Equal(t, "application/json; charset=utf-8", p.header.Get("Content-Type"))
			require.NotEmpty(t, p.header.Get("User-Agent"))
			require.Contains(t, p.body, m.MessageID)
		}
		require.Equal(t, gupshuptest.OutcomeRead, m.Outcome)
		require.Empty(t, m.Code)
		stats := sim.Stats().Callbacks
		require.EqualValues(t, 4, stats.Delivered)
		require.Equal(t, map[gupshuptest.Outcome]uint64{gupshuptest.OutcomeRead: 1}, stats.Outcomes)
		require.Zero(t, sim.Pending())
	})
}

func TestCallbackOutcomes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change  func(*gupshuptest.Callbacks)
		want    []string
		outcome gupshuptest.Outcome
		code    string
	}{
		"delivered":              {func(*gupshuptest.Callbacks) {}, []string{"enqueued", "sent", "delivered"}, gupshuptest.OutcomeDelivered, ""},
		"undelivered":            {func(c *gupshuptest.Callbacks) { c.Undelivered = 1 }, []string{"enqueued", "sent"}, gupshuptest.OutcomeSent, ""},
		"read without delivered": {func(c *gupshuptest.Callbacks) { c.Read, c.ReadOnly = 1, 1 }, []string{"enqueued", "sent", "read"}, gupshuptest.OutcomeRead, ""},
		"billing":                {func(c *gupshuptest.Callbacks) { c.Billing = 1 }, []string{"enqueued", "sent", "billing-event", "delivered"}, gupshuptest.OutcomeDelivered, ""},
		"failed at once": {func(c *gupshuptest.Callbacks) {
			c.Failures = []gupshuptest.Failure{{Code: "1002", Probability: 1}}
		}, []string{"failed"}, gupshuptest.OutcomeFailed, "1002"},
		"failed by WhatsApp": {func(c *gupshuptest.Callbacks) {
			c.Failures = []gupshuptest.Failure{{Code: "131026", Probability: 1}}
		}, []string{"enqueued", "failed"}, gupshuptest.OutcomeFailed, "131026"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newReceiver()
				c := callbacks(r)
				tc.change(&c)
				sim := simulate(t, gupshuptest.Config{Callbacks: c}, testNumber)
				require.Equal(t, tc.want, events(t, r.all()))
				m := sim.Accepted(gupshuptest.Filter{})[0]
				require.Equal(t, tc.outcome, m.Outcome)
				require.Equal(t, tc.code, m.Code)
			})
		})
	}
}

func TestCallbackSpeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		last := func(speed float64) time.Duration {
			r := newReceiver()
			c := callbacks(r)
			c.Speed, c.Read = speed, 1
			simulate(t, gupshuptest.Config{Callbacks: c}, testNumber)
			got := r.all()
			return got[len(got)-1].at
		}
		require.InDelta(t, last(1).Seconds(), 100*last(100).Seconds(), 0.01)
	})
}

func TestCallbacksAreRedelivered(t *testing.T) {
	t.Parallel()
	down := errors.New("nobody listens")
	for name, tc := range map[string]struct {
		answer    func(n int, p posted) (int, error)
		delivered uint64
		statuses  map[string]uint64
		givenUp   uint64
		gaps      []time.Duration // between attempts
	}{
		"on 503":       {func(n int, _ posted) (int, error) { return []int{503, 503, 200}[n], nil }, 1, map[string]uint64{"503": 2, "200": 1}, 0, []time.Duration{5 * time.Second, 10 * time.Second}},
		"on an error":  {func(n int, _ posted) (int, error) { return 204, []error{down, nil}[n] }, 1, map[string]uint64{"none": 1, "204": 1}, 0, []time.Duration{5 * time.Second}},
		"on a 302":     {func(n int, _ posted) (int, error) { return []int{302, 200}[n], nil }, 1, map[string]uint64{"302": 1, "200": 1}, 0, []time.Duration{5 * time.Second}},
		"after 10 s":   {func(n int, _ posted) (int, error) { return []int{0, 200}[n], nil }, 1, map[string]uint64{"none": 1, "200": 1}, 0, []time.Duration{15 * time.Second}},
		"not for ever": {func(int, posted) (int, error) { return 401, nil }, 0, map[string]uint64{"401": 4}, 1, []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newReceiver()
				r.answer = tc.answer
				c := callbacks(r)
				c.Attempts = 4
				sim := simulate(t, gupshuptest.Config{Callbacks: c, Rules: forced("1002")}, testNumber)

				got := r.all()
				require.Len(t, got, len(tc.gaps)+1)
				for i, gap := range tc.gaps {
					require.Equal(t, got[0].body, got[i+1].body, "byte for byte")
					require.Equal(t, gap, got[i+1].at-got[i].at)
				}
				stats := sim.Stats().Callbacks
				require.Equal(t, tc.delivered, stats.Delivered)
				require.Equal(t, tc.statuses, stats.Statuses)
				require.Equal(t, tc.givenUp, stats.GivenUp)
				require.Zero(t, stats.Pending)
			})
		})
	}
}

// forced has every message end with the outcome.
func forced(outcome string) []gupshuptest.Rule {
	return []gupshuptest.Rule{{Fault: gupshuptest.Fault{Kind: gupshuptest.KindCallback, Outcome: outcome}}}
}

func TestDrainEndsWithItsContextOrTheSimulator(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver()
		r.answer = func(int, posted) (int, error) { return 0, nil }
		sim := gupshuptest.New(gupshuptest.Config{Callbacks: callbacks(r)})
		require.NoError(t, sim.Drain(t.Context()), "nothing is pending")
		accept(t, sim, testNumber)
		require.Equal(t, 3, sim.Pending())

		ended := make(chan error, 1)
		go func() { ended <- sim.Drain(t.Context()) }()
		time.Sleep(6 * time.Second) // of the bubble: one callback is under way
		sim.Close()
		require.Error(t, <-ended)
		sim.Close()
	})
}
