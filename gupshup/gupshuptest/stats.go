package gupshuptest

import (
	"strconv"
	"sync/atomic"
)

// Stats is what the simulator has counted since it began or was reset. Once no
// request is in flight, Requests = Accepted + the sum of Refused.
type Stats struct {
	Requests uint64 `json:"requests"` // everything but the admin endpoints
	InFlight int64  `json:"in_flight"`
	Accepted uint64 `json:"accepted"`

	// Refused counts what was not accepted, by reason: see the package
	// comment. Faults that refuse count as "fault:<kind>".
	Refused map[string]uint64 `json:"refused"`
	// Faults counts the faults met, by kind, whether they accept or refuse.
	Faults map[Kind]uint64 `json:"faults"`
	// Statuses counts the HTTP answers; NoReply the requests that got none.
	Statuses map[string]uint64 `json:"statuses"`
	NoReply  uint64            `json:"no_reply"`

	// Duplicates is how many accepted messages had the app, destination and
	// content of an earlier one. It is a lower bound if Untracked is not 0:
	// so many messages came when MaxKept different ones were already watched.
	Duplicates uint64 `json:"duplicates"`
	Untracked  uint64 `json:"untracked"`
	// Kept is how many messages Accepted can still tell about.
	Kept int `json:"kept"`

	Callbacks CallbackStats `json:"callbacks"`

	Apps map[string]AppStats `json:"apps"`
	Seed uint64              `json:"seed"`
}

// AppStats is the pace of one app.
type AppStats struct {
	// BusiestSecond is the most messages accepted within any second, wherever
	// that second begins.
	BusiestSecond int `json:"busiest_second"`
	// Seconds is the newest 900 seconds of the clock in which anything was accepted.
	Seconds []Second `json:"seconds"`
}

// Reasons for a refusal, the keys of Stats.Refused.
const (
	refusedPath        = "path"
	refusedMethod      = "method"
	refusedLegacy      = "legacy"
	refusedAuth        = "auth"
	refusedForm        = "form"
	refusedSize        = "size"
	refusedChannel     = "channel"
	refusedApp         = "app"
	refusedDestination = "destination"
	refusedMessage     = "message"
	refusedTemplate    = "template"
	refusedPostback    = "postback"
	refusedRate        = "rate"
)

var refusals = []string{
	refusedPath, refusedMethod, refusedLegacy, refusedAuth, refusedForm, refusedSize, refusedChannel,
	refusedApp, refusedDestination, refusedMessage, refusedTemplate, refusedPostback, refusedRate,
}

// counts is counted without locks: its maps are complete from the start and
// never written to.
type counts struct {
	requests atomic.Uint64
	inFlight atomic.Int64
	noReply  atomic.Uint64
	statuses [600]atomic.Uint64
	refused  map[string]*atomic.Uint64
	faults   map[Kind]*atomic.Uint64
}

func newCounts() *counts {
	c := &counts{refused: make(map[string]*atomic.Uint64), faults: make(map[Kind]*atomic.Uint64)}
	for _, reason := range refusals {
		c.refused[reason] = new(atomic.Uint64)
	}
	for kind, accepting := range accepts {
		c.faults[kind] = new(atomic.Uint64)
		if !accepting {
			c.refused[faultRefusal(kind)] = new(atomic.Uint64)
		}
	}
	return c
}

func faultRefusal(kind Kind) string { return "fault:" + string(kind) }

// forget sets everything to zero but the requests in flight, which still end.
func (c *counts) forget() {
	c.requests.Store(0)
	c.noReply.Store(0)
	for i := range c.statuses {
		c.statuses[i].Store(0)
	}
	for _, n := range c.refused {
		n.Store(0)
	}
	for _, n := range c.faults {
		n.Store(0)
	}
}

// Stats returns the counts so far.
func (s *Simulator) Stats() Stats {
	out := Stats{
		Requests: s.counts.requests.Load(),
		InFlight: s.counts.inFlight.Load(),
		NoReply:  s.counts.noReply.Load(),
		Refused:  nonZero(s.counts.refused),
		Faults:   nonZero(s.counts.faults),
		Statuses: make(map[string]uint64),
		Apps:     make(map[string]AppStats),
		Seed:     s.cfg.Seed,
	}
	for status := range s.counts.statuses {
		if n := s.counts.statuses[status].Load(); n > 0 {
			out.Statuses[strconv.Itoa(status)] = n
		}
	}
	st := s.store
	st.mu.Lock()
	defer st.mu.Unlock()
	out.Callbacks = s.caller.stats()
	out.Accepted, out.Duplicates, out.Untracked, out.Kept = st.accepted, st.repeats, st.untracked, len(st.kept)
	for app, p := range st.paces {
		out.Apps[app] = AppStats{BusiestSecond: p.busiest, Seconds: p.lastSeconds()}
	}
	return out
}

// nonZero copies the counters that have counted anything.
func nonZero[K comparable](counters map[K]*atomic.Uint64) map[K]uint64 {
	out := make(map[K]uint64)
	for key, n := range counters {
		if v := n.Load(); v > 0 {
			out[key] = v
		}
	}
	return out
}
