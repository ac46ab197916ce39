package gupshuptest

import "strconv"

// CallbackStats is what became of the callbacks since the start or the last Reset.
type CallbackStats struct {
	// Outcomes counts the accepted messages by what their callbacks tell in the
	// end, whether those have come already or not; Codes counts the failed ones.
	Outcomes map[Outcome]uint64 `json:"outcomes"`
	Codes    map[string]uint64  `json:"codes"`

	Pending   int    `json:"pending"`   // callbacks that wait or are under way
	Delivered uint64 `json:"delivered"` // callbacks that were answered with a 2xx
	Refused   uint64 `json:"refused"`   // attempts that were answered otherwise, or not in time
	GivenUp   uint64 `json:"given_up"`  // callbacks that were tried often enough
	Dropped   uint64 `json:"dropped"`   // messages without callbacks, because too many waited
	// Statuses counts all attempts by the HTTP status of the answer, those
	// without an answer as "none".
	Statuses map[string]uint64 `json:"statuses"`
}

// stats returns the counts so far.
func (c *caller) stats() CallbackStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := CallbackStats{
		Outcomes: make(map[Outcome]uint64), Codes: make(map[string]uint64), Statuses: make(map[string]uint64),
		Pending: c.pending(), Delivered: c.counts.delivered, Refused: c.counts.refused,
		GivenUp: c.counts.givenUp, Dropped: c.counts.dropped,
	}
	for outcome, n := range c.counts.outcomes {
		out.Outcomes[outcome] = n
	}
	for code, n := range c.counts.codes {
		out.Codes[code] = n
	}
	for status, n := range c.counts.statuses {
		name := "none"
		if status != 0 {
			name = strconv.Itoa(status)
		}
		out.Statuses[name] = n
	}
	return out
}

// callbackCounts is what a caller counts.
type callbackCounts struct {
	delivered, refused, givenUp, dropped uint64
	statuses                             map[int]uint64 // 0: no answer
	outcomes                             map[Outcome]uint64
	codes                                map[string]uint64
}
