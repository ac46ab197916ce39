package gupshuptest

import (
	"strconv"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

// Outcome is how far a message gets in the end, as its callbacks tell.
type Outcome string

// The outcomes. A message without callbacks has the empty one.
const (
	OutcomeEnqueued  Outcome = "enqueued"
	OutcomeSent      Outcome = "sent"
	OutcomeDelivered Outcome = "delivered"
	OutcomeRead      Outcome = "read"
	OutcomeFailed    Outcome = "failed"
)

// OutcomeNone is the Outcome of a Fault that keeps all callbacks of the message back.
const OutcomeNone = "none"

// validOutcome reports whether a Fault may force this outcome.
func validOutcome(forced string) bool {
	switch forced {
	case "", OutcomeNone, string(OutcomeEnqueued), string(OutcomeSent), string(OutcomeDelivered), string(OutcomeRead):
		return true
	}
	return isCode(forced)
}

// outcome decides how far a message gets and, if it fails, with which code.
// What a fault forces goes before the dice.
func (c *Callbacks) outcome(d *dice, forced string) (Outcome, string) {
	switch forced {
	case "":
	case OutcomeNone:
		return "", ""
	case string(OutcomeEnqueued), string(OutcomeSent), string(OutcomeDelivered), string(OutcomeRead):
		return Outcome(forced), ""
	default:
		return OutcomeFailed, forced
	}
	roll := d.unit()
	for _, f := range c.Failures {
		if roll < f.Probability {
			return OutcomeFailed, f.Code
		}
		roll -= f.Probability
	}
	return c.success(d), ""
}

// success decides how far a message gets that does not fail.
func (c *Callbacks) success(d *dice) Outcome {
	switch {
	case d.happens(c.Undelivered):
		return OutcomeSent
	case d.happens(c.Read):
		return OutcomeRead
	}
	return OutcomeDelivered
}

// failsAtOnce reports whether a code is one of Gupshup's own, which it tells
// without asking WhatsApp.
func failsAtOnce(code string) bool {
	row, ok := gupshup.LookupCode(code)
	return ok && row.Source == gupshup.SourceGupshup && len(code) == 4
}

// codeMeaning is what package gupshup knows about a code.
func codeMeaning(code string) string {
	number, err := strconv.Atoi(code)
	if err != nil {
		return codeText(0)
	}
	return codeText(number)
}

// dice are the decisions about one message, or another numbered thing: the
// same seed and number roll the same again.
type dice struct {
	seed, stream, number uint64
	rolled               uint64
}

func (d *dice) next() uint64 {
	d.rolled++
	return draw(mix(d.seed^mix(d.number)), d.stream, d.rolled)
}

// unit is a number from 0 up to but without 1.
func (d *dice) unit() float64 { return float64(d.next()>>11) / (1 << 53) }

func (d *dice) happens(p float64) bool { return d.unit() < p }

// below is a number from 0 up to but without n.
func (d *dice) below(n int) int { return int(d.next() % uint64(n)) }
