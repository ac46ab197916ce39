package view

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

func TestWhatWaitsForASendersHolds(t *testing.T) {
	t.Parallel()
	bulk := []message.Priority{message.Bulk}
	waits := func(n int64) map[message.Priority]int64 {
		return map[message.Priority]int64{message.Critical: n, message.Default: n, message.Bulk: n}
	}
	all := ledger.Holds{Queued: waits(1), Scopes: []ledger.HeldScope{
		{Waiting: waits(10)},
		{Priorities: bulk, Waiting: waits(100)},
		{Template: "held", Waiting: waits(1000)},
		{Template: "let go", Waiting: waits(10_000), Ended: time.Now()},
	}}
	require.Equal(t, Waiting{}, WaitingFor(all))
	require.Equal(t, Waiting{Bulk: 10_111}, WaitingFor(all, HoldOf(ledger.HeldScope{Priorities: bulk})))
	require.Equal(t, Waiting{Critical: 10_111, Default: 10_111, Bulk: 10_111}, WaitingFor(all, HoldOf(all.Scopes[1]), HoldOf(all.Scopes[0])))
}

func TestHoldsForPeople(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(d time.Duration) Stamp { return Stamp(now.Add(d)) }
	for want, v := range map[string]Hold{
		"account (1003), for 1m0s; tried again in 3m1s":                        {Reason: "account", Code: "1003", Since: at(-time.Minute), Until: at(3*time.Minute + 1)},
		"account (http_401), for 0s, first seen by web-1:7; tried again in 1s": {Reason: "account", Code: "http_401", SeenBy: "web-1:7", Since: at(0), Until: at(time.Second)},
		"storm, for 0s; being tried with m-1":                                  {Reason: "storm", Since: at(0), Until: at(time.Second), Probe: "m-1"},
		"outage (http_503), for 1m0s; tried with the next message that comes":  {Reason: "outage", Code: "http_503", Since: at(-time.Minute), Until: at(-1)},
		`by ravi, "a \"wrong\" link", for 48h0m0s; until it is released`:       {Reason: "by_hand", By: "ravi", Note: `a "wrong" link`, Since: at(-48 * time.Hour)},
		`by ravi, "x", for 0s; ends in 0s`:                                     {Reason: "by_hand", By: "ravi", Note: "x", Since: at(time.Second), Until: at(-time.Hour)},
		`by ravi, "x", for 0s; ends in 26h0m0s`:                                {Reason: "by_hand", By: "ravi", Note: "x", Since: at(0), Until: at(26 * time.Hour)},
	} {
		require.Equal(t, want, v.Story(now))
	}
}
