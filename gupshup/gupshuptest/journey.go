package gupshuptest

import (
	"time"
)

// step is one callback about a message. Its times count from the acceptance,
// before scaling.
type step struct {
	event    string        // one of the outcomes, or stepBilling
	happened time.Duration // WhatsApp's time, "ts" in a callback
	stamped  time.Duration // Gupshup's time, "timestamp" in a callback
	due      time.Duration // when it is posted

	noGsID     bool
	stringCode bool
	uuid       bool // WhatsApp's id looks like a UUID, as in newer apps
	conversed  bool // sent comes with a conversation, which is optional since July 2025
}

// stepBilling is the step that is no receipt.
const stepBilling = "billing"

// span is a delay that varies.
type span struct{ from, to time.Duration }

func (d *dice) within(s span) time.Duration {
	return s.from + time.Duration(d.unit()*float64(s.to-s.from))
}

// The delays at Speed 1. Gupshup documents that it holds events back for 5 s,
// "to ensure that users have enough time to persist the original message-id";
// the others are what people and networks take.
const heldBack = 5 * time.Second

var (
	untilEnqueued  = span{100 * time.Millisecond, 500 * time.Millisecond}
	untilRefused   = span{100 * time.Millisecond, time.Second} // by Gupshup, after the acceptance
	untilFailed    = span{300 * time.Millisecond, 4 * time.Second}
	untilSent      = span{200 * time.Millisecond, 1500 * time.Millisecond} // after enqueued; the next ones likewise
	untilDelivered = span{300 * time.Millisecond, 3 * time.Second}
	untilRead      = span{2 * time.Second, 40 * time.Second}
	untilBilled    = span{time.Second, 3 * time.Second}
	untilStamped   = span{100 * time.Millisecond, time.Second} // from WhatsApp to Gupshup
	untilRepeated  = span{200 * time.Millisecond, 10 * time.Second}
)

// apart is how long the callbacks of a message keep from each other.
const apart = 50 * time.Millisecond

// sentBeforeFailed is how many failures of WhatsApp's come after it said sent.
const sentBeforeFailed = 0.25

// plan lays out the callbacks of a message, in the order of time.
func (c *Callbacks) plan(d *dice, outcome Outcome, code string) []step {
	steps := make([]step, 0, 6)
	uuid := d.happens(1.0 / 3)
	at := time.Duration(0)
	last := time.Duration(0) // Gupshup's times rise, so that only Reorder disturbs their order
	add := func(event string, after span) {
		at += d.within(after)
		last = max(last+apart, at+d.within(untilStamped))
		steps = append(steps, step{
			event: event, happened: at, stamped: last, due: last + heldBack, uuid: uuid,
			noGsID: d.happens(c.MissingGsID), stringCode: d.happens(c.StringCodes), conversed: d.happens(0.5),
		})
	}

	switch {
	case outcome == "":
		return nil
	case outcome == OutcomeFailed && failsAtOnce(code):
		add(string(OutcomeFailed), untilRefused)
	case outcome == OutcomeFailed:
		add(string(OutcomeEnqueued), untilEnqueued)
		if d.happens(sentBeforeFailed) {
			add(string(OutcomeSent), untilSent)
		}
		add(string(OutcomeFailed), untilFailed)
	default:
		c.planSuccess(d, outcome, add)
	}
	if d.happens(c.Reorder) {
		reorder(d, steps)
	}
	for _, s := range steps {
		if d.happens(c.Duplicates) {
			s.due += d.within(untilRepeated)
			steps = append(steps, s)
		}
	}
	return steps
}

// planSuccess adds the steps up to the outcome.
func (c *Callbacks) planSuccess(d *dice, outcome Outcome, add func(string, span)) {
	add(string(OutcomeEnqueued), untilEnqueued)
	if outcome == OutcomeEnqueued {
		return
	}
	add(string(OutcomeSent), untilSent)
	if d.happens(c.Billing) && !c.V3 {
		add(stepBilling, untilBilled)
	}
	if outcome == OutcomeSent {
		return
	}
	if outcome == OutcomeDelivered || !d.happens(c.ReadOnly) {
		add(string(OutcomeDelivered), untilDelivered)
	}
	if outcome == OutcomeRead {
		add(string(OutcomeRead), untilRead)
	}
}

// reorder deals the times of posting out anew, so that at least two callbacks
// change places, if there are two.
func reorder(d *dice, steps []step) {
	n := len(steps)
	if n < 2 {
		return
	}
	swap := func(i, j int) { steps[i].due, steps[j].due = steps[j].due, steps[i].due }
	for i := n - 1; i > 0; i-- {
		swap(i, d.below(i+1))
	}
	for i := range n - 1 {
		if steps[i].due > steps[i+1].due {
			return
		}
	}
	i := d.below(n - 1)
	swap(i, i+1)
}
