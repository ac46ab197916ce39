package main

import (
	"fmt"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	pretty "github.com/jedib0t/go-pretty/v6/text"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// told is what Gupshup's callbacks said of a message that it took.
type told string

// The lines of the table of callbacks, in its order.
const (
	toldRead      told = "read"
	toldDelivered told = "delivered"
	toldSent      told = "sent, and nothing since"
	toldNothing   told = "nothing yet"
	toldRetried   told = "failed, so it was sent again: delivered or read"
	toldDead      told = "failed for good: dead letter"
	toldAgain     told = "failed, and still to be sent again"
)

// toldOf puts a record into its line; "" if Gupshup has not taken it, as far as is known.
func toldOf(rec ledger.Record) told {
	failed := failedByCallback(rec)
	switch {
	case failed && rec.Status.Taken():
		return toldRetried
	case failed && rec.Status == message.Dead:
		return toldDead
	case failed:
		return toldAgain
	}
	switch rec.Status {
	case message.Read:
		return toldRead
	case message.Delivered:
		return toldDelivered
	case message.Sent:
		return toldSent
	case message.Submitted, message.Enqueued:
		return toldNothing
	}
	return ""
}

// failedByCallback tells whether Gupshup took any attempt and reported afterwards that it failed.
func failedByCallback(rec ledger.Record) bool {
	return slices.ContainsFunc(rec.Receipts, func(l ledger.ReceiptLine) bool { return l.Event == gupshup.ReceiptFailed })
}

// callbacks is the table of what was told, with an example for each line.
func (s *demoStage) callbacks(r *demoResult) string {
	t := newDemoTable("Gupshup took it, and told", "messages", "for example", "its messageId")
	t.SetColumnConfigs([]table.ColumnConfig{{
		Number: 2, Align: pretty.AlignRight, AlignHeader: pretty.AlignRight, AlignFooter: pretty.AlignRight,
	}})
	sum := 0
	for _, line := range []told{toldRead, toldDelivered, toldSent, toldNothing, toldRetried, toldDead, toldAgain} {
		records := r.told[line]
		if len(records) == 0 {
			continue
		}
		sum += len(records)
		first := records[0]
		t.AppendRow(table.Row{string(line), thousands(len(records)), first.ID, first.MessageID})
	}
	t.AppendFooter(table.Row{"", thousands(sum), "", ""})
	return t.Render()
}

// misheard compares a record with what the simulator has taken of its message, and says what is another than was told; "" if
// nothing is. taken is what it accepted, in the order of time.
func misheard(rec ledger.Record, taken []gupshuptest.Accepted) string {
	levels := []gupshuptest.Outcome{gupshuptest.OutcomeSent, gupshuptest.OutcomeDelivered, gupshuptest.OutcomeRead}
	best, failures := -1, 0
	for _, m := range taken {
		best = max(best, slices.Index(levels, m.Outcome))
		if m.Outcome == gupshuptest.OutcomeFailed {
			failures++
		}
	}
	switch {
	case best >= 0 && string(rec.Status) != string(levels[best]):
		return fmt.Sprintf("%s is %s, though Gupshup told %s", rec.ID, rec.Status, levels[best])
	case best < 0 && failures > 0 && failures == len(taken):
		if last := taken[len(taken)-1]; rec.Status != message.Dead || rec.Code != last.Code || rec.MessageID != last.MessageID {
			return fmt.Sprintf("%s is %s %s, though Gupshup told failed %s of %s", rec.ID, rec.Status, rec.Code, last.Code, last.MessageID)
		}
	}
	return ""
}
