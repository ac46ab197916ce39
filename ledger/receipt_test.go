package ledger_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

const number = "919876543210" // of book.message

func (b *book) receive(r ledger.Receipt) ledger.Received {
	if r.To == "" {
		r.To = number
	}
	got, errs := b.Receive(context.Background(), b.sender, []ledger.Receipt{r})
	require.NoError(b.t, errs[0])
	return got[0]
}

// now is the ledger's time, which the test moves.
func (b *book) now() time.Time { return time.Now().Add(b.ahead).Truncate(time.Millisecond) }

func receipt(event, messageID string, at time.Time) ledger.Receipt {
	return ledger.Receipt{Event: event, MessageID: messageID, At: at}
}

func failure(messageID string, at time.Time, code string, class gupshup.Class) ledger.Receipt {
	return ledger.Receipt{Event: gupshup.ReceiptFailed, MessageID: messageID, At: at, Code: code, Class: class, Reason: "no"}
}

// sent brings a message as far as Gupshup's "submitted" and answers its messageId.
func (b *book) sent(id string) string {
	b.accept(b.message(id, message.Default))
	b.claim(id, 1, "run-"+id)
	c := of(taken, id, 1)
	c.MessageID = message.NewID()
	require.Equal(b.t, message.Submitted, b.commit(c).Status)
	return c.MessageID
}

var inDoubt = ledger.Commit{
	Outcome: ledger.OutcomeInDoubt, Next: message.InDoubt, Delay: doubtWindow, Spends: true, Code: "timeout", Class: gupshup.ClassInDoubt,
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		run  func(b *book)
	}{
		{"levels only go up, and all are kept", func(b *book) {
			mid, at := b.sent("a"), b.now()
			require.Equal(b.t, message.Read, b.receive(receipt("read", mid, at.Add(4*time.Second))).Status)
			require.Equal(b.t, message.Read, b.receive(receipt("delivered", mid, at.Add(3*time.Second))).Status)
			require.Equal(b.t, message.Read, b.receive(receipt("enqueued", mid, at.Add(time.Second))).Status)
			require.Equal(b.t, ledger.ReceiptRepeated, b.receive(receipt("delivered", mid, at.Add(3*time.Second))).Outcome)
			rec := b.get("a")
			require.Equal(b.t, []ledger.ReceiptLine{
				{Event: "enqueued", At: at.Add(time.Second).UTC(), Attempt: 1},
				{Event: "delivered", At: at.Add(3 * time.Second).UTC(), Attempt: 1},
				{Event: "read", At: at.Add(4 * time.Second).UTC(), Attempt: 1},
			}, rec.Receipts)
		}},
		{"a failure waits for the policy, in the due set", func(b *book) {
			mid := b.sent("a")
			require.Equal(b.t, message.Failed, b.receive(failure(mid, b.now(), "1008", gupshup.ClassConsent)).Status)
			q := b.sweep(ledger.SweepRequest{}).Requeue
			require.Len(b.t, q, 1)
			c := b.express("a", q[0].Generation, "decider")
			require.Equal(b.t, ledger.Decide, c.Verdict)
			require.Equal(b.t, message.Failed, c.Status)
			require.Equal(b.t, "1008", c.Code)
			require.Equal(b.t, gupshup.ClassConsent, c.Class)
			require.Equal(b.t, "no", c.Reason)
			require.Equal(b.t, mid, c.MessageID)
		}},
		{"delivered beats a failure whenever it comes", func(b *book) {
			mid := b.sent("a")
			b.receive(failure(mid, b.now(), "131026", gupshup.ClassRecipient))
			require.Equal(b.t, message.Delivered, b.receive(receipt("delivered", mid, b.now())).Status)
			require.Empty(b.t, b.get("a").Code)
			require.Equal(b.t, message.Delivered, b.receive(failure(mid, b.now(), "131026", gupshup.ClassRecipient)).Status)
			require.Empty(b.t, b.sweep(ledger.SweepRequest{}).Requeue)
		}},
		{"a failure beats an earlier sent, not a later one", func(b *book) {
			mid, at := b.sent("a"), b.now()
			b.receive(failure(mid, at.Add(2*time.Second), "131026", gupshup.ClassRecipient))
			require.Equal(b.t, message.Failed, b.receive(receipt("sent", mid, at.Add(time.Second))).Status)
			other := b.sent("b")
			b.receive(failure(other, at.Add(time.Second), "131026", gupshup.ClassRecipient))
			require.Equal(b.t, message.Sent, b.receive(receipt("sent", other, at.Add(2*time.Second))).Status)
		}},
		{"a late receipt of an earlier attempt cancels the retry", func(b *book) {
			mid := b.sent("a")
			b.receive(failure(mid, b.now(), "131000", gupshup.ClassTransient))
			q := b.sweep(ledger.SweepRequest{}).Requeue[0]
			c := b.express("a", q.Generation, "decider")
			b.resolve(ledger.Resolution{ID: "a", Attempt: c.Attempt, Token: "decider", Next: message.Queued, Delay: time.Second, Spends: true})
			require.Equal(b.t, message.Delivered, b.receive(receipt("delivered", mid, b.now())).Status)
			b.ahead += time.Hour
			require.Empty(b.t, b.sweep(ledger.SweepRequest{}).Requeue)
			require.Equal(b.t, ledger.AlreadyDone, b.claim("a", q.Generation, "late").Verdict)
		}},
		{"a late receipt lifts a dead letter", func(b *book) {
			mid := b.sent("a")
			b.receive(failure(mid, b.now(), "1008", gupshup.ClassConsent))
			b.buries("a", "1008")
			require.Equal(b.t, message.Dead, b.get("a").Status)
			require.Equal(b.t, message.Delivered, b.receive(receipt("delivered", mid, b.now())).Status)
		}},
		{"a retry has an attempt of its own, and both are kept", func(b *book) {
			mid := b.sent("a")
			b.receive(failure(mid, b.now(), "131000", gupshup.ClassTransient))
			q := b.sweep(ledger.SweepRequest{}).Requeue[0]
			b.express("a", q.Generation, "decider")
			b.resolve(ledger.Resolution{ID: "a", Attempt: 1, Token: "decider", Next: message.Queued, Spends: true, Code: "131000"})
			b.ahead += time.Second
			require.Equal(b.t, ledger.Send, b.claim("a", q.Generation, "again").Verdict)
			second := of(taken, "a", 2)
			second.MessageID = message.NewID()
			b.commit(second)
			b.receive(receipt("delivered", second.MessageID, b.now()))
			rec := b.get("a")
			require.Equal(b.t, message.Delivered, rec.Status)
			require.Equal(b.t, second.MessageID, rec.MessageID)
			require.Len(b.t, rec.Attempts, 2)
			require.Equal(b.t, mid, rec.Attempts[0].MessageID)
			require.Equal(b.t, []int{1, 2}, []int{rec.Receipts[0].Attempt, rec.Receipts[1].Attempt})
			require.Zero(b.t, b.duplicates())
		}},
		{"a receipt that comes before the commit is merged", func(b *book) {
			b.accept(b.message("a", message.Default))
			b.claim("a", 1, "run")
			mid := message.NewID()
			require.Equal(b.t, ledger.ReceiptParked, b.receive(receipt("sent", mid, b.now())).Outcome)
			b.receive(receipt("delivered", mid, b.now()))
			h, err := b.Hearing(context.Background(), b.sender)
			require.NoError(b.t, err)
			require.Equal(b.t, 1, h.Parked)
			c := of(taken, "a", 1)
			c.MessageID = mid
			require.Equal(b.t, message.Delivered, b.commit(c).Status)
			h, err = b.Hearing(context.Background(), b.sender)
			require.NoError(b.t, err)
			require.Zero(b.t, h.Parked)
			require.Zero(b.t, h.Dropped)
		}},
		{"late receipts name only WhatsApp's id", func(b *book) {
			mid, wa := b.sent("a"), "wamid.HBgMOTE5ODc2NTQzMjEwFQIAERgSQkE4RTFDN0YzQzQ2RTU5RkU1AA=="
			r := receipt("enqueued", mid, b.now())
			r.WhatsAppID = wa
			b.receive(r)
			b.ahead += 6 * 24 * time.Hour
			require.Equal(b.t, message.Read, b.receive(receipt("read", wa, b.now())).Status)
			found, err := b.Find(context.Background(), b.sender, wa)
			require.NoError(b.t, err)
			require.Equal(b.t, "a", found.ID)
		}},
		{"a receipt by WhatsApp's id waits for the one that tells it", func(b *book) {
			mid, wa := b.sent("a"), "wamid.HBgMOTE5ODc2NTQzMjEwFQIAERgSQkE4RTFDN0YzQzQ2RTU5RkU1AA=="
			require.Equal(b.t, ledger.ReceiptParked, b.receive(receipt("sent", wa, b.now())).Outcome)
			r := receipt("enqueued", mid, b.now())
			r.WhatsAppID = wa
			require.Equal(b.t, message.Sent, b.receive(r).Status)
		}},
		{"a callback claims the one attempt in doubt", func(b *book) {
			b.accept(b.message("a", message.Bulk))
			b.claim("a", 1, "run")
			b.commit(of(inDoubt, "a", 1))
			b.ahead += 6 * time.Second
			mid := message.NewID()
			require.Equal(b.t, message.Enqueued, b.receive(receipt("enqueued", mid, b.now())).Status)
			rec := b.get("a")
			require.Equal(b.t, mid, rec.MessageID)
			require.Equal(b.t, ledger.OutcomeSubmitted, rec.Attempts[0].Outcome)
			require.Equal(b.t, "claimed_by_callback", rec.Attempts[0].Code)
			require.Equal(b.t, message.Delivered, b.receive(receipt("delivered", mid, b.now())).Status)
			b.ahead += time.Hour
			require.Empty(b.t, b.sweep(ledger.SweepRequest{}).Requeue)
		}},
		{"a callback that came before the doubt claims it as well", func(b *book) {
			b.accept(b.message("a", message.Bulk))
			b.claim("a", 1, "run")
			b.ahead += 6 * time.Second
			require.Equal(b.t, ledger.ReceiptParked, b.receive(receipt("delivered", "m-1", b.now())).Outcome, "it may be the commit's")
			require.Equal(b.t, message.Delivered, b.commit(of(inDoubt, "a", 1)).Status)
		}},
		{"a callback claims what a killed worker left behind", func(b *book) {
			b.accept(b.message("a", message.Bulk))
			b.claim("a", 1, "run")
			b.ahead += 6 * time.Second
			b.receive(receipt("sent", "m-1", b.now()))
			b.ahead += lease
			q := b.sweep(ledger.SweepRequest{}).Requeue
			require.Len(b.t, q, 1)
			require.Equal(b.t, ledger.AlreadyDone, b.claim("a", q[0].Generation, "next").Verdict)
			require.Equal(b.t, message.Sent, b.get("a").Status)
		}},
		{"a failure may claim, too", func(b *book) {
			b.accept(b.message("a", message.Bulk))
			b.claim("a", 1, "run")
			b.commit(of(inDoubt, "a", 1))
			b.ahead += 6 * time.Second
			require.Equal(b.t, message.Failed, b.receive(failure("m-1", b.now(), "1002", gupshup.ClassRecipient)).Status)
			require.Len(b.t, b.sweep(ledger.SweepRequest{}).Requeue, 1)
		}},
		{"several attempts of one message are no guess", func(b *book) {
			b.accept(b.message("a", message.Critical))
			again := of(inDoubt, "a", 1)
			again.Next, again.Delay = message.Queued, 0
			b.claim("a", 1, "one")
			b.commit(again)
			b.ahead += time.Second
			b.claim("a", 1, "two")
			require.Equal(b.t, message.Delivered, b.receive(receipt("delivered", "m-1", b.now())).Status, "while the second is on the wire")
			again.Attempt = 2
			b.commit(again)
			b.ahead += time.Minute
			require.Equal(b.t, ledger.AlreadyDone, b.claim("a", 1, "three").Verdict)
		}},
		{"a duplicate is counted although nobody told what came of it", func(b *book) {
			b.accept(b.message("a", message.Critical))
			again := of(inDoubt, "a", 1)
			again.Next, again.Delay = message.Queued, 0
			b.claim("a", 1, "one")
			b.commit(again)
			b.ahead += 10 * time.Second
			b.claim("a", 1, "two") // whose worker is killed with its request on the wire
			require.Equal(b.t, message.Read, b.receive(receipt("read", "m-1", b.now().Add(-8*time.Second))).Status)
			require.Equal(b.t, ledger.OutcomeInDoubt, b.get("a").Attempts[1].Outcome)
			require.Zero(b.t, b.duplicates())
			require.Equal(b.t, message.Read, b.receive(receipt("delivered", "m-2", b.now().Add(6*time.Second))).Status)
			require.EqualValues(b.t, 1, b.duplicates())
			b.balanced()
		}},
		{"of an overtaken attempt a commit knows better", func(b *book) {
			b.accept(b.message("a", message.Critical))
			again := of(inDoubt, "a", 1)
			again.Next, again.Delay = message.Queued, 0
			b.claim("a", 1, "one")
			b.commit(again)
			b.ahead += 10 * time.Second
			b.claim("a", 1, "two")
			b.receive(receipt("read", "m-1", b.now().Add(-8*time.Second)))
			refused := of(terminal, "a", 2)
			require.Equal(b.t, message.Read, b.commit(refused).Status)
			require.Equal(b.t, ledger.OutcomeRefused, b.get("a").Attempts[1].Outcome)
			b.balanced()
		}},
		{"a claim that ran out is still on the wire", func(b *book) {
			for _, id := range []string{"a", "b"} {
				b.accept(b.message(id, message.Bulk))
			}
			b.claim("a", 1, "run-a")
			b.commit(of(inDoubt, "a", 1))
			b.claim("b", 1, "run-b")
			b.ahead += lease + time.Second
			b.sweep(ledger.SweepRequest{})
			require.Equal(b.t, ledger.ReceiptParked, b.receive(receipt("delivered", "m-b", b.now())).Outcome)
		}},
		{"a commit corrects a claim of its own attempt", func(b *book) {
			b.accept(b.message("a", message.Bulk))
			b.claim("a", 1, "run")
			b.commit(of(inDoubt, "a", 1))
			require.Equal(b.t, message.Delivered, b.receive(receipt("delivered", "foreign", b.now())).Status)
			require.Equal(b.t, message.Submitted, b.commit(of(taken, "a", 1)).Status)
			require.Equal(b.t, taken.MessageID, b.get("a").MessageID)
			require.Empty(b.t, b.get("a").Receipts)
			require.Equal(b.t, message.Failed, b.receive(failure(taken.MessageID, b.now(), "131026", gupshup.ClassRecipient)).Status)
		}},
		{"receipts of a purged message leave the next one of its id alone", func(b *book) {
			mid := b.sent("a")
			b.receive(failure(mid, b.now(), "1008", gupshup.ClassConsent))
			b.buries("a", "1008")
			require.NoError(b.t, b.Purge(context.Background(), b.sender, "a"))
			b.ahead += time.Second
			b.accept(b.message("a", message.Default))
			require.Equal(b.t, ledger.ReceiptIgnored, b.receive(failure(mid, b.now(), "1008", gupshup.ClassConsent)).Outcome)
			require.Equal(b.t, message.Queued, b.get("a").Status)
			_, err := b.Find(context.Background(), b.sender, mid)
			require.ErrorIs(b.t, err, ledger.ErrNotFound)
		}},
		{"a late refusal ends the doubt about an earlier attempt", func(b *book) {
			b.accept(b.message("a", message.Critical))
			again := of(inDoubt, "a", 1)
			again.Next, again.Delay = message.Queued, 0
			b.claim("a", 1, "one")
			b.commit(again)
			b.ahead += time.Second
			b.claim("a", 1, "two")
			late := of(terminal, "a", 1)
			b.commit(late)
			require.Equal(b.t, ledger.OutcomeRefused, b.get("a").Attempts[0].Outcome)
			require.Equal(b.t, ledger.ReceiptParked, b.receive(receipt("delivered", "m-1", b.now())).Outcome)
		}},
		{"WhatsApp's id is learned from whichever receipt tells it first", func(b *book) {
			mid, wa := b.sent("a"), "wamid.HBgMOTE5ODc2NTQzMjEwFQIAERgSQkE4RTFDN0YzQzQ2RTU5RkU1AA=="
			b.receive(receipt("billing", mid, b.now()))
			r := receipt("sent", mid, b.now())
			r.WhatsAppID = wa
			b.receive(r)
			require.Equal(b.t, message.Read, b.receive(receipt("read", wa, b.now())).Status)
		}},
		{"a dead letter to a suppressed number stays one", func(b *book) {
			mid := b.sent("a")
			b.receive(failure(mid, b.now(), "1002", gupshup.ClassRecipient))
			q := b.sweep(ledger.SweepRequest{}).Requeue[0]
			b.express("a", q.Generation, "decider")
			b.resolve(ledger.Resolution{
				ID: "a", Attempt: 1, Token: "decider", Next: message.Dead, Code: "1002", Spends: true,
				Follows: ledger.Follows{Suppress: gupshup.Suppression{Scope: gupshup.SuppressAll, For: time.Hour}},
			})
			_, err := b.Replay(context.Background(), b.sender, "a", q.Generation)
			var suppressed *ledger.SuppressedError
			require.ErrorAs(b.t, err, &suppressed)
			require.Equal(b.t, "1002", suppressed.Code)
			run, err := b.Claim(context.Background(), ledger.ClaimRequest{Sender: b.sender, ID: "a", Generation: q.Generation, Token: "run", Lease: lease, Replay: true})
			require.NoError(b.t, err)
			require.Equal(b.t, ledger.AlreadyDead, run.Verdict)
			_, err = b.Unsuppress(context.Background(), b.sender, number)
			require.NoError(b.t, err)
			_, err = b.Replay(context.Background(), b.sender, "a", q.Generation)
			require.NoError(b.t, err)
		}},
		{"the code of a decision is not the attempt's", func(b *book) {
			b.accept(b.message("a", message.Bulk))
			b.claim("a", 1, "run")
			b.commit(of(inDoubt, "a", 1))
			b.ahead += doubtWindow
			q := b.sweep(ledger.SweepRequest{}).Requeue[0]
			b.express("a", q.Generation, "decider")
			b.resolve(ledger.Resolution{ID: "a", Attempt: 1, Token: "decider", Next: message.Dead, Code: "IN_DOUBT", Spends: true})
			rec := b.get("a")
			require.Equal(b.t, "IN_DOUBT", rec.Code)
			require.Equal(b.t, "timeout", rec.Attempts[0].Code)
		}},
		{"a number is one in all its forms", func(b *book) {
			m := b.message("a", message.Bulk)
			m.To = "525512345678"
			b.accept(m)
			b.claim("a", 1, "run")
			b.commit(of(inDoubt, "a", 1))
			r := receipt("sent", "m-1", b.now())
			r.To = "5215512345678"
			require.Equal(b.t, message.Sent, b.receive(r).Status)
			require.NoError(b.t, b.Suppress(context.Background(), b.sender, []ledger.Suppression{{Number: r.To, Scope: gupshup.SuppressAll, Code: "opted-out", Source: "user-event"}}))
			m.ID = "b"
			require.Equal(b.t, message.Suppressed, b.accept(m).Status)
		}},
		{"two attempts in doubt to one number: nothing is guessed", func(b *book) {
			for _, id := range []string{"a", "b"} {
				b.accept(b.message(id, message.Bulk))
				b.claim(id, 1, "run-"+id)
				b.commit(of(inDoubt, id, 1))
			}
			require.Equal(b.t, ledger.ReceiptParked, b.receive(receipt("sent", "m-1", b.now())).Outcome)
			require.Equal(b.t, message.InDoubt, b.get("a").Status)
			require.Equal(b.t, message.InDoubt, b.get("b").Status)
		}},
		{"one on the wire to that number: nothing is guessed until it is known", func(b *book) {
			for _, id := range []string{"a", "b"} {
				b.accept(b.message(id, message.Bulk))
				b.claim(id, 1, "run-"+id)
			}
			b.commit(of(inDoubt, "a", 1))
			require.Equal(b.t, ledger.ReceiptParked, b.receive(receipt("sent", "m-a", b.now())).Outcome)
			c := of(taken, "b", 1)
			b.commit(c)
			b.ahead += doubtWindow
			q := b.sweep(ledger.SweepRequest{}).Requeue
			require.Len(b.t, q, 1)
			require.Equal(b.t, ledger.AlreadyDone, b.express("a", q[0].Generation, "decider").Verdict)
			require.Equal(b.t, message.Sent, b.get("a").Status)
		}},
		{"no claim outside the window, and none by another number", func(b *book) {
			b.accept(b.message("a", message.Bulk))
			b.claim("a", 1, "run")
			b.commit(of(inDoubt, "a", 1))
			r := receipt("sent", "m-1", b.now())
			r.To = "919876500000"
			require.Equal(b.t, ledger.ReceiptParked, b.receive(r).Outcome)
			require.Equal(b.t, ledger.ReceiptParked, b.receive(receipt("read", "m-2", b.now().Add(-time.Minute))).Outcome)
			require.Equal(b.t, ledger.ReceiptParked, b.receive(receipt("sent", "m-3", b.now().Add(doubtWindow+time.Minute))).Outcome)
		}},
		{"a resent attempt stays claimable, and is a counted duplicate", func(b *book) {
			b.accept(b.message("a", message.Critical))
			b.claim("a", 1, "run")
			again := of(inDoubt, "a", 1)
			again.Next, again.Delay = message.Queued, 0
			b.commit(again)
			b.ahead += time.Second
			b.claim("a", 1, "again")
			b.commit(of(taken, "a", 2))
			b.ahead += 6 * time.Second
			got := b.receive(receipt("delivered", "m-1", b.now()))
			require.Equal(b.t, 1, got.Attempt)
			require.EqualValues(b.t, 1, b.duplicates())
			rec := b.get("a")
			require.Equal(b.t, "m-1", rec.Attempts[0].MessageID)
			require.Equal(b.t, taken.MessageID, rec.Attempts[1].MessageID)
		}},
		{"a commit takes a messageId back from a wrong claim", func(b *book) {
			b.accept(b.message("a", message.Bulk))
			b.claim("a", 1, "run-a")
			b.commit(of(inDoubt, "a", 1))
			b.receive(receipt("delivered", taken.MessageID, b.now()))
			require.Equal(b.t, message.Delivered, b.get("a").Status)
			b.accept(b.message("b", message.Bulk))
			b.claim("b", 1, "run-b")
			require.Equal(b.t, message.Delivered, b.commit(of(taken, "b", 1)).Status)
			rec := b.get("a")
			require.Equal(b.t, message.InDoubt, rec.Status)
			require.Empty(b.t, rec.MessageID)
			require.Empty(b.t, rec.Receipts)
			require.Len(b.t, b.sweep(ledger.SweepRequest{}).Requeue, 1, "somebody must decide about it")
		}},
		{"parked receipts are given up after an hour", func(b *book) {
			b.receive(receipt("sent", "foreign", b.now()))
			b.ahead += time.Hour + time.Second
			h, err := b.Hearing(context.Background(), b.sender)
			require.NoError(b.t, err)
			require.Zero(b.t, h.Parked)
			require.EqualValues(b.t, 1, h.Dropped)
			parked, err := b.Parked(context.Background(), b.sender, 10)
			require.NoError(b.t, err)
			require.Empty(b.t, parked)
		}},
		{"too many parked receipts push out the oldest", func(b *book) {
			for i := range parkedMost + 3 {
				b.receive(receipt("sent", fmt.Sprint("foreign-", i), b.now()))
				b.ahead += time.Millisecond
			}
			parked, err := b.Parked(context.Background(), b.sender, 100)
			require.NoError(b.t, err)
			require.Len(b.t, parked, parkedMost)
			require.Equal(b.t, "foreign-3", parked[0].MessageID)
			require.Equal(b.t, "sent", parked[0].Event)
			require.Equal(b.t, number, parked[0].To)
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
				b := newBook(t, rdb)
				c.run(b)
				b.balanced()
			})
		})
	}
}

// buries decides, as the policy would, that a failed message is a dead letter.
func (b *book) buries(id, code string) {
	q := b.sweep(ledger.SweepRequest{}).Requeue[0]
	b.express(id, q.Generation, "decider")
	b.resolve(ledger.Resolution{ID: id, Attempt: 1, Token: "decider", Next: message.Dead, Code: code, Spends: true})
}

func (b *book) resolve(d ledger.Resolution) {
	d.Sender = b.sender
	got, err := b.Resolve(context.Background(), d)
	require.NoError(b.t, err)
	require.True(b.t, got.Applied)
}

func (b *book) duplicates() int64 {
	a, err := b.Audit(context.Background(), b.sender)
	require.NoError(b.t, err)
	return a.Duplicates
}

// Any order, any repetition, and the commit at any point, give the same record.
func TestReceiptsComeInAnyOrder(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		rapid.Check(t, func(rt *rapid.T) {
			mid, wa := message.NewID(), "wamid."+message.NewID()+message.NewID()
			base := time.Now().Truncate(time.Second)
			var told []ledger.Receipt
			for _, event := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"enqueued", "sent", "delivered", "read", "failed", "billing"}), 1, 6, rapid.ID).Draw(rt, "events") {
				r := ledger.Receipt{Event: event, MessageID: mid, WhatsAppID: wa, At: base.Add(time.Duration(rapid.IntRange(0, 5).Draw(rt, "second")) * time.Second)}
				switch event {
				case "failed":
					r.Code, r.Class, r.Reason = "131026", gupshup.ClassRecipient, "no"
					other := r
					other.Code, other.Class = "131000", gupshup.ClassTransient
					other.At = base.Add(time.Duration(rapid.IntRange(0, 5).Draw(rt, "second of another failure")) * time.Second)
					told = append(told, other)
				case "billing":
					r.Code = "utility"
				}
				told = append(told, r, r)
			}
			var first *ledger.Record
			for range 3 {
				b := newBook(rt, rdb)
				b.accept(b.message("a", message.Default))
				b.claim("a", 1, "run")
				order := rapid.Permutation(told).Draw(rt, "order")
				at := rapid.IntRange(0, len(order)).Draw(rt, "commit at")
				commit := of(taken, "a", 1)
				commit.MessageID = mid
				for i, r := range order {
					if i == at {
						b.commit(commit)
					}
					b.receive(r)
				}
				if at == len(order) {
					b.commit(commit)
				}
				b.balanced()
				rec := b.get("a")
				rec.Sender, rec.CreatedAt, rec.UpdatedAt, rec.DueAt, rec.Attempts[0].At = "", time.Time{}, time.Time{}, time.Time{}, time.Time{}
				if first == nil {
					first = &rec
				}
				require.Equal(rt, *first, rec)
			}
		})
	})
}

func TestSuppression(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b, ctx := newBook(t, rdb), t.Context()
		b.accept(b.message("waiting", message.Bulk))
		b.accept(b.message("code", message.Bulk))
		b.claim("code", 1, "run")
		refused := of(terminal, "code", 1)
		refused.Code, refused.Suppress = "131050", gupshup.Suppression{Scope: gupshup.SuppressBulk}
		b.commit(refused)

		require.Equal(t, ledger.Suppressed, b.claim("waiting", 1, "run").Verdict)
		require.Equal(t, message.Suppressed, b.get("waiting").Status)
		require.Equal(t, message.Suppressed, b.accept(b.message("bulk", message.Bulk)).Status)
		require.Equal(t, message.Queued, b.accept(b.message("urgent", message.Critical)).Status, "only bulk is suppressed")

		all := ledger.Suppression{Number: number, Scope: gupshup.SuppressAll, Code: "1002", Source: "code", Until: b.now().Add(time.Hour)}
		require.NoError(t, b.Suppress(ctx, b.sender, []ledger.Suppression{all}))
		require.NoError(t, b.Suppress(ctx, b.sender, []ledger.Suppression{{Number: number, Scope: gupshup.SuppressBulk, Code: "stop", Source: "hand"}}))
		var list []ledger.Suppression
		collect := func(s ledger.Suppression) bool { list = append(list, s); return true }
		require.NoError(t, b.Suppressions(ctx, b.sender, collect))
		require.Len(t, list, 2, "one for everything, one for bulk")
		i := slices.IndexFunc(list, func(s ledger.Suppression) bool { return s.Scope == gupshup.SuppressAll })
		require.WithinDuration(t, all.Until, list[i].Until, time.Millisecond)
		require.Equal(t, number, list[1-i].Number)
		require.Zero(t, list[1-i].Until)
		require.Equal(t, "131050", list[1-i].Code, "of two that last for ever the first stays")
		require.Equal(t, ledger.Suppressed, b.claim("urgent", 1, "run").Verdict)

		b.ahead += time.Hour
		require.Equal(t, message.Queued, b.accept(b.message("later", message.Default)).Status, "it ran out")
		require.Equal(t, message.Suppressed, b.accept(b.message("later-bulk", message.Bulk)).Status, "which did not touch the one for bulk")
		all.Until = b.now().Add(time.Hour)
		require.NoError(t, b.Suppress(ctx, b.sender, []ledger.Suppression{all}))
		require.NoError(t, b.UnsuppressBulk(ctx, b.sender, number))
		require.Equal(t, message.Suppressed, b.accept(b.message("still", message.Bulk)).Status)
		n, err := b.Unsuppress(ctx, b.sender, number, "4915100000000")
		require.NoError(t, err)
		require.Equal(t, 1, n, "the user lifted the one for bulk")
		byHand := []ledger.Suppression{{Number: number, Scope: gupshup.SuppressBulk, Code: "asked", Source: "hand", Until: b.now().Add(time.Hour)}}
		require.NoError(t, b.Suppress(ctx, b.sender, byHand))
		require.NoError(t, b.UnsuppressBulk(ctx, b.sender, number))
		require.Equal(t, message.Suppressed, b.accept(b.message("by-hand", message.Bulk)).Status, "a user does not lift what a person decided")
		b.ahead += time.Hour
		b.sweep(ledger.SweepRequest{})
		left, err := rdb.HLen(ctx, "gupdispatch:{"+b.sender+"}:suppress").Result()
		require.NoError(t, err)
		require.Zero(t, left, "what ran out is swept up")
		require.Equal(t, message.Queued, b.accept(b.message("again", message.Bulk)).Status)
		b.balanced()
	})
}

func TestSessions(t *testing.T) {
	t.Parallel()
	const template = "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		claim := func(id string) ledger.Claim {
			c, err := b.Claim(t.Context(), ledger.ClaimRequest{Sender: b.sender, ID: id, Generation: 1, Token: id, Lease: lease, Sessions: true})
			require.NoError(t, err)
			require.Equal(t, ledger.Send, c.Verdict)
			return c
		}
		with := func(id string) {
			m := b.message(id, message.Default)
			m.Fallback = gupshup.Content{Template: &gupshup.Template{ID: template}}
			b.accept(m)
		}
		b.accept(b.message("closed", message.Default))
		require.True(t, claim("closed").NoSession)
		with("fallback")
		c := claim("fallback")
		require.False(t, c.NoSession)
		require.Equal(t, template, c.Template)
		require.Equal(t, template, c.Content.TemplateID())
		require.True(t, b.get("fallback").FellBack)

		require.NoError(t, b.OpenSession(t.Context(), b.sender, number, b.now()))
		require.NoError(t, b.OpenSession(t.Context(), b.sender, number, b.now().Add(-48*time.Hour)), "an older one changes nothing")
		with("open")
		c = claim("open")
		require.False(t, c.NoSession)
		require.Empty(t, c.Template)
		b.ahead += 24*time.Hour + time.Second
		b.accept(b.message("over", message.Default))
		require.True(t, claim("over").NoSession)
	})
}

func TestEventsAreStreamed(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		b.Ledger = ledger.New(rdb, ledger.Config{Events: map[string]int{b.sender: 1000}, Offset: func() time.Duration { return b.ahead }})
		mid := b.sent("a")
		b.receive(failure(mid, b.now(), "1008", gupshup.ClassConsent))
		entries, err := rdb.XRange(t.Context(), "gupdispatch:{"+b.sender+"}:events", "-", "+").Result()
		require.NoError(t, err)
		var steps []string
		for _, e := range entries {
			steps = append(steps, fmt.Sprint(e.Values["from"], ">", e.Values["status"]))
			require.Equal(t, "a", e.Values["id"])
			require.NotEmpty(t, e.Values["at"])
		}
		require.Equal(t, []string{">queued", "queued>sending", "sending>submitted", "submitted>failed"}, steps)
		last := entries[3].Values
		require.Equal(t, mid, last["message_id"])
		require.Equal(t, "1008", last["code"])
		require.Equal(t, "consent", last["class"])
		require.False(t, slices.Contains([]string{"", "0"}, last["attempt"].(string)))
	})
}
