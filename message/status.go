package message

// Status is where a message stands. The states, and the steps between them, are the project's contract: docs/state.md draws them.
type Status string

// The states of a message.
const (
	Queued     Status = "queued"     // accepted; waits for its turn, its time, its retry or the end of a hold
	Sending    Status = "sending"    // claimed: the intent is written, the request is on its way
	InDoubt    Status = "in_doubt"   // nobody knows whether Gupshup took it
	Failed     Status = "failed"     // Gupshup reported a failure by callback; the worker will decide
	Dead       Status = "dead"       // terminal failure: a dead letter
	Expired    Status = "expired"    // its time was over before it was sent
	Suppressed Status = "suppressed" // the recipient is on the suppression list
	Cancelled  Status = "cancelled"  // taken back before it was sent

	// Gupshup took it. These are the receipt levels, lowest first; a message only ever goes up.
	Submitted Status = "submitted"
	Enqueued  Status = "enqueued"
	Sent      Status = "sent"
	Delivered Status = "delivered"
	Read      Status = "read"
)

// Statuses lists every state, in the order in which a message usually comes through them.
var Statuses = []Status{
	Queued, Sending, InDoubt, Submitted, Enqueued, Sent, Delivered, Read, Failed, Dead, Expired, Suppressed, Cancelled,
}

// steps holds every legal step. Three rules explain what looks odd: facts win over plans (a late success reply moves a message out of
// queued, dead or expired); receipts come in any order; and an attempt in doubt that a callback claimed is in doubt again when a
// commit says that the callback's messageId is another message's.
var steps = map[Status][]Status{
	Queued:     {Sending, Expired, Suppressed, Cancelled, Submitted, Enqueued, Sent, Delivered, Read},
	Sending:    {Queued, InDoubt, Dead, Submitted, Enqueued, Sent, Delivered, Read, Failed},
	InDoubt:    {Queued, Dead, Submitted, Enqueued, Sent, Delivered, Read, Failed},
	Submitted:  {Enqueued, Sent, Delivered, Read, Failed, InDoubt},
	Enqueued:   {Sent, Delivered, Read, Failed, InDoubt},
	Sent:       {Delivered, Read, Failed, InDoubt},
	Delivered:  {Read, InDoubt},
	Read:       {InDoubt},
	Failed:     {Queued, Dead, Submitted, Sent, Delivered, Read},
	Dead:       {Queued, Submitted, Sent, Delivered, Read},
	Expired:    {Submitted, Sent, Delivered, Read},
	Suppressed: {Submitted, Sent, Delivered, Read},
	Cancelled:  {Submitted, Sent, Delivered, Read},
}

// CanBecome says whether a message in state s may go to state next in one step. Staying is not a step.
// It is the specification of the ledger's scripts, which are handed this very table.
func (s Status) CanBecome(next Status) bool {
	for _, t := range steps[s] {
		if t == next {
			return true
		}
	}
	return false
}

// Settled says that nothing is left for us to do with the message: Gupshup took it, or it came to an end.
func (s Status) Settled() bool {
	switch s {
	case Queued, Sending, InDoubt, Failed:
		return false
	}
	return s.Valid()
}

// Taken says that Gupshup took the message, as far as is known now: submitted and above.
func (s Status) Taken() bool {
	switch s {
	case Submitted, Enqueued, Sent, Delivered, Read:
		return true
	}
	return false
}

// Valid says whether s is one of Statuses.
func (s Status) Valid() bool {
	_, ok := steps[s]
	return ok
}
