package ledger

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/message"
)

// Receipt is one thing that Gupshup told about one of our messages after it took it.
type Receipt struct {
	Event      string    // gupshup.ReceiptEnqueued, …Sent, …Delivered, …Read or …Failed, or "billing"
	At         time.Time // when it happened; zero means now
	MessageID  string    // gsId, or else id
	WhatsAppID string    // WhatsApp's, where certain
	To         string    // destination, digits
	Code       string    // failed
	Class      gupshup.Class
	Reason     string
}

// Outcome of a receipt.
const (
	ReceiptApplied  = "applied"  // it is on record, and moved the message if it said something new
	ReceiptRepeated = "repeated" // it was on record already
	ReceiptParked   = "parked"   // nobody knows the messageId yet: kept for an hour, in case its commit is still to come
	ReceiptIgnored  = "ignored"  // the message is known and its record gone
)

// Received tells what became of a receipt.
type Received struct {
	Outcome string
	ID      string         // of the message; empty when parked
	Attempt int            // that it is about
	Status  message.Status // of the message, afterwards
	Trace   string         // of the attempt, or of the message's latest; empty if that is not traced
}

// Receive records receipts of one sender, in one round trip for all of them. They may come in any order, any number of times,
// and before the commit of the attempt that they are about. Results and errors come in the order of the receipts.
func (l *Ledger) Receive(ctx context.Context, sender string, receipts []Receipt) ([]Received, []error) {
	out := make([]Received, len(receipts))
	replies, errs := l.runEach(ctx, receiveScript, sender, len(receipts), func(i int) []any {
		if letters[receipts[i].Event] == "" {
			return nil
		}
		return l.receiptArgs(receipts[i])
	})
	for i, r := range replies {
		switch {
		case r == nil && errs[i] == nil:
			out[i] = Received{Outcome: ReceiptIgnored} // no event of ours
		case errs[i] == nil:
			out[i] = Received{Outcome: r.text(0), ID: r.text(1), Attempt: int(r.number(2)), Status: message.Status(r.text(3)), Trace: r.text(4)}
		}
	}
	return out, errs
}

// letters are how a record writes down the events.
var letters = map[string]string{
	gupshup.ReceiptEnqueued: "e", gupshup.ReceiptSent: "s", gupshup.ReceiptDelivered: "d", gupshup.ReceiptRead: "r",
	gupshup.ReceiptFailed: "f", Billing: "b",
}

// Billing is the event of a Receipt that tells what the message cost; its Code is the category.
const Billing = "billing"

func (l *Ledger) receiptArgs(r Receipt) []any {
	bucket, field := indexOf(r.MessageID)
	waBucket, waField := indexOf(r.WhatsAppID)
	return []any{
		oneLine(r.MessageID), bucket, field, oneLine(r.WhatsAppID), waBucket, waField, letters[r.Event], millis(r.At),
		oneLine(r.Code), string(r.Class), oneLine(r.Reason), message.NumberKey(r.To), l.indexDays(), int64(l.indexKept().Seconds()),
		l.cfg.DoubtWindow.Milliseconds(), l.cfg.ParkedMost,
	}
}

// ReceiptLine is a receipt as a record keeps it.
type ReceiptLine struct {
	Event   string // as in Receipt
	At      time.Time
	Attempt int
	Code    string // of a failure; the category of a billing event
}

// parseReceipts reads a record's field rc (see lua/receipt.lua), in order of time. created is the record's, in ms.
func parseReceipts(rc string, created int64) []ReceiptLine {
	var out []ReceiptLine
	for line := range strings.Lines(rc) {
		head, code, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		code, _, _ = strings.Cut(code, " ") // behind it stands the class
		for event, letter := range letters {
			if n, since, found := strings.Cut(head, letter); found {
				out = append(out, ReceiptLine{Event: event, At: fromMillis(created + parseInt(since)), Attempt: int(parseInt(n)), Code: code})
			}
		}
	}
	slices.SortFunc(out, func(a, b ReceiptLine) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Attempt, b.Attempt), cmp.Compare(rank(a.Event), rank(b.Event)), cmp.Compare(a.Code, b.Code))
	})
	return out
}

// rank orders events of one second as they follow each other.
func rank(event string) int {
	return slices.Index([]string{
		gupshup.ReceiptEnqueued, gupshup.ReceiptSent, gupshup.ReceiptDelivered, gupshup.ReceiptRead, gupshup.ReceiptFailed, Billing,
	}, event)
}

// OpenSession records that a user wrote to us at that time, which opens the 24 hours in which session messages may be sent.
// Of several times the latest counts.
func (l *Ledger) OpenSession(ctx context.Context, sender, number string, at time.Time) error {
	if at.IsZero() || at.After(l.now()) {
		at = l.now()
	}
	err := l.rdb.ZAddArgs(ctx, prefix(sender)+"session", redis.ZAddArgs{
		GT: true, Members: []redis.Z{{Score: float64(at.UnixMilli()), Member: message.NumberKey(number)}},
	}).Err()
	if err != nil {
		return fmt.Errorf("ledger open session: %w", err)
	}
	return nil
}

// ParkedReceipt is a receipt whose messageId nobody knows so far.
type ParkedReceipt struct {
	Receipt
	ArrivedAt time.Time
}

// Parked lists at most limit parked receipts of a sender, those of the messageId that has waited longest first.
func (l *Ledger) Parked(ctx context.Context, sender string, limit int) ([]ParkedReceipt, error) {
	r, err := l.run(ctx, parkedScript, sender, limit)
	if err != nil {
		return nil, err
	}
	out := make([]ParkedReceipt, 0, len(r))
	for i := range r {
		cols := strings.SplitN(r.text(i), "\t", 9)
		if len(cols) < 9 {
			continue
		}
		p := ParkedReceipt{
			Receipt: Receipt{
				MessageID: cols[0], At: fromMillis(parseInt(cols[2])), Code: cols[3], Class: gupshup.Class(cols[4]), Reason: cols[5], To: cols[6],
			},
			ArrivedAt: fromMillis(parseInt(cols[7])),
		}
		for event, letter := range letters {
			if letter == cols[1] {
				p.Event = event
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// Hearing is what a sender's callbacks look like as a whole.
type Hearing struct {
	Last    time.Time // when the latest receipt came; zero if none ever did
	Parked  int       // messageIds with parked receipts
	Oldest  time.Time // when the one of them that waits longest came
	Dropped int64     // parked messageIds that were given up, because an hour had passed or there were too many
}

// Hearing tells how a sender's callbacks are coming in.
func (l *Ledger) Hearing(ctx context.Context, sender string) (Hearing, error) {
	r, err := l.run(ctx, hearingScript, sender)
	if err != nil {
		return Hearing{}, err
	}
	return Hearing{
		Last: fromMillis(r.number(0)), Parked: int(r.number(1)), Oldest: fromMillis(r.number(2)), Dropped: r.number(3),
	}, nil
}
