package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// What a review found: each of these was so once.

func ofTemplate(c ledger.Commit, template string) ledger.Commit { c.Template = template; return c }

// A sender with one template: the template is paused, and its probe finds that the key is wrong. Each hold waits for the other.
func TestASenderAndItsOnlyTemplateAreHeld(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		for i := range 30 {
			b.accept(b.withTemplate(fmt.Sprint("m", i), templateA, message.Bulk))
		}
		b.fails("m0", pausedTemplate)
		b.ahead += time.Minute + time.Second
		p := b.probe()
		b.commit(of(ofTemplate(wrongKey, templateA), p.ID, b.express(p).Attempt))
		require.Len(t, b.holds(), 2)
		b.accept(b.withTemplate("another", templateB, message.Bulk)) // behind the thirty: no candidate

		probes := 0
		for range 23 * 6 {
			b.ahead += 10 * time.Minute
			for _, q := range b.sweep(ledger.SweepRequest{}).Requeue {
				if q.Express {
					probes++
				}
			}
		}
		require.Positive(t, probes, "within 23 hours something should have been tried")
	})
}

// The key goes bad while requests are under way: a refusal is quick, and the success of what was sent before it comes after it.
func TestASuccessThatWasSentBeforeTheFailureAcquitsNobody(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		claims := map[string]ledger.Claim{}
		for _, id := range []string{"sent before", "first", "second"} {
			id := id
			b.accept(b.withTemplate(id[:5], templateA, message.Bulk))
			claims[id[:5]] = b.next(id[:5])
			b.ahead += 100 * time.Millisecond
		}
		failure := ofTemplate(wrongKey, templateA)
		b.commit(of(failure, "first", 1))
		b.commit(of(failure, "secon", 1))
		b.ahead += 100 * time.Millisecond
		b.commit(of(taken, "sent ", 1))

		b.ahead += time.Minute + time.Second
		p := b.probe()
		got := b.commit(of(failure, p.ID, b.express(p).Attempt))
		require.Equal(t, message.Queued, got.Status, "the key is wrong, it is not the message")
		require.Len(t, b.holds(), 1, "and it still is")
	})
}

// The only way to narrow a hold is to release it and to hold less. What was not let go by then stays.
func TestWhatANarrowerHoldIsNotAboutGoesOn(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		hold := func(priorities ...message.Priority) {
			_, err := b.SetHold(t.Context(), ledger.HoldRequest{Sender: b.sender, Reason: ledger.ReasonByHand, By: "ops", Hold: ledger.Hold{Priorities: priorities}})
			require.NoError(t, err)
		}
		hold(message.Default, message.Bulk)
		b.acceptAll(message.Default, "a", "b")
		require.Equal(t, ledger.Held, b.next("a").Verdict)
		require.Equal(t, ledger.Held, b.next("b").Verdict)
		_, err := b.Release(t.Context(), b.sender, "", "ops")
		require.NoError(t, err)
		hold(message.Bulk)
		free := 0
		for range 50 {
			b.ahead += time.Minute
			free += len(b.sweep(ledger.SweepRequest{}).Requeue)
		}
		require.Equal(t, 2, free, "only bulk is held")
	})
}

// A probe that waits more than 5 s for its slot (a slow sender, one slowed down, a Retry-After) loses its task to its own queue, which is paused.
func TestAProbeMayWaitForItsSlot(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		b.acceptAll(message.Default, "a", "b", "c")
		b.fails("a", wrongKey)
		b.ahead += time.Minute + time.Second
		p := b.probe()
		b.called = 1
		b.ahead += 7 * time.Second
		b.sweep(ledger.SweepRequest{})
		require.Equal(t, ledger.Send, b.express(p).Verdict)
	})
}

// Gupshup answers after 11 s (gupshup.timeout is 30 s): each probe goes through, and none counts.
func TestASlowAnswerToAProbeCounts(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		b.acceptAll(message.Default, "a", "b", "c", "d", "e", "f")
		b.fails("a", wrongKey)
		b.ahead += time.Minute + time.Second
		for range 4 {
			var p ledger.Requeued
			for _, q := range b.sweep(ledger.SweepRequest{}).Requeue {
				if q.Express {
					p = q
				}
			}
			if p.ID == "" {
				continue
			}
			c := b.express(p)
			require.Equal(t, ledger.Send, c.Verdict)
			b.ahead += 10*time.Second + 100*time.Millisecond
			s := b.sweep(ledger.SweepRequest{})
			done := taken
			done.MessageID = fmt.Sprint("mid-", p.ID)
			b.commit(of(done, p.ID, c.Attempt))
			_ = s
			b.ahead += 10 * time.Second
		}
		require.Empty(t, b.holds(), "messages went through")
	})
}

// A worker comes back to many failures told by callback, and decides 300 of them a second. From the fifth second on it decides none: each is called
// for anew every 5 s, and what is called for anew makes the task before it stale.
func TestDecisionsAreMade(t *testing.T) {
	t.Parallel()
	rdb := redistest.Embedded(t)
	b := newHolder(t, rdb)
	const n, second = 400, 30 // a tenth of all numbers: 4,000 failures, 300 decisions a second
	for i := range n {
		id := fmt.Sprint("m", i)
		m := b.message(id, message.Bulk)
		m.To = fmt.Sprintf("9198765%05d", i)
		b.accept(m)
		done := taken
		done.MessageID = fmt.Sprint("mid-", i)
		b.commit(of(done, id, b.next(id).Attempt))
		b.receive(ledger.Receipt{Event: "failed", MessageID: done.MessageID, Code: "1002", Class: gupshup.ClassRecipient, At: b.now(), To: m.To})
	}
	var lane []ledger.Requeued
	decided, longest := 0, 0
	for range 60 {
		for more := true; more; {
			b.called = len(lane)
			s := b.sweep(ledger.SweepRequest{Most: 500})
			lane, more = append(lane, s.Requeue...), s.More
		}
		for range min(second, len(lane)) {
			q := lane[0]
			lane = lane[1:]
			c := b.express(q)
			if c.Verdict == ledger.Decide {
				decided++
				_, err := b.Resolve(t.Context(), ledger.Resolution{
					Sender: b.sender, ID: q.ID, Attempt: c.Attempt, Token: fmt.Sprint("express-", b.runs), Next: message.Dead, Spends: true,
					Code: "1002", Class: gupshup.ClassRecipient,
				})
				require.NoError(t, err)
			}
		}
		longest = max(longest, len(lane))
		b.ahead += time.Second
	}
	t.Logf("%d of %d decided in a minute, %d tasks in the lane", decided, n, longest)
	require.Equal(t, n, decided, "14 seconds' work")
}

// asynq brings the probe's task again (the worker was killed between the commit and asynq's own note): the day that it has to wait is ignored.
func TestAnExpressTaskThatComesAgainWaits(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		b.acceptAll(message.Default, "a", "b")
		b.fails("a", wrongKey)
		b.ahead += time.Minute + time.Second
		p := b.probe()
		b.commit(of(ledger.Commit{
			Outcome: ledger.OutcomeRefused, Next: message.Queued, WaitingFor: "wait_day", Delay: 24 * time.Hour, Code: "131049", Class: gupshup.ClassWaitDay,
			Follows: ledger.Follows{Well: true},
		}, p.ID, b.express(p).Attempt))
		require.Equal(t, ledger.Wait, b.express(p).Verdict)
	})
}

// A person holds bulk; then WhatsApp says spam, which is about default, too.
func TestAPersonsHoldOfBulkDoesNotKeepDefaultSpamming(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		_, err := b.SetHold(t.Context(), ledger.HoldRequest{Sender: b.sender, Reason: ledger.ReasonByHand, By: "ops", Hold: ledger.Hold{Priorities: []message.Priority{message.Bulk}}})
		require.NoError(t, err)
		b.acceptAll(message.Default, "a", "b")
		b.fails("a", spam)
		require.Equal(t, ledger.Held, b.next("b").Verdict)
	})
}

// Who got a template today is counted, also when the next one to the same number is refused.
func TestARefusalDoesNotTakeBackWhatWasSentBefore(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := limited(t, rdb, ledger.Limits{DailyRecipients: 1})
		b.accept(b.withTemplate("a", templateA, message.Bulk))
		require.True(t, b.goes("a"))
		b.ahead += time.Minute
		b.accept(b.withTemplate("again", templateA, message.Bulk))
		b.fails("again", terminal)
		m := b.withTemplate("other", templateA, message.Bulk)
		m.To = "919876543211"
		b.accept(m)
		require.False(t, b.goes("other"), "that is the second recipient of the day")
	})
}

// What was learned by callback is disproved only by callbacks (0015), but a refusal of the probe's own number by reply ends the hold.
func TestAReplyDoesNotDisproveWhatACallbackTold(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		b.acceptAll(message.Default, "a", "b")
		done := taken
		b.commit(of(done, "a", b.next("a").Attempt))
		b.receive(ledger.Receipt{Event: "failed", MessageID: done.MessageID, Code: "1003", Class: gupshup.ClassAccount, At: b.now(), To: "919876543210"})
		q := b.sweep(ledger.SweepRequest{}).Requeue[0]
		c := b.express(q)
		d := lowBalance
		d.Sender, d.ID, d.Attempt, d.Token = b.sender, "a", c.Attempt, fmt.Sprint("express-", b.runs)
		_, err := b.Resolve(t.Context(), d)
		require.NoError(t, err)
		require.Len(t, b.holds(), 1)
		b.ahead += time.Minute + time.Second
		p := b.probe()
		own := terminal
		own.Well = true
		b.commit(of(own, p.ID, b.express(p).Attempt))
		require.Len(t, b.holds(), 1, "nobody has heard from the wallet")
	})
}

// A slow sender: one message is let go at each sweep whatever stands in the queue, which is 5 a second, for a sender of 1 a second.
func TestASlowSendersQueueStaysShort(t *testing.T) {
	t.Parallel()
	rdb := redistest.Embedded(t)
	b := newHolder(t, rdb)
	_, err := b.SetHold(t.Context(), ledger.HoldRequest{Sender: b.sender, Reason: ledger.ReasonByHand, By: "ops"})
	require.NoError(t, err)
	for i := range 300 {
		b.acceptAll(message.Bulk, fmt.Sprint("m", i))
		b.next(fmt.Sprint("m", i))
	}
	_, err = b.Release(t.Context(), b.sender, "", "ops")
	require.NoError(t, err)
	for range 20 * 5 { // 20 s; nothing is sent meanwhile
		b.sweep(ledger.SweepRequest{LetGo: 1, Room: 20}) // as worker/sweeper.go asks for 1/s and 200 ms
		b.ahead += 200 * time.Millisecond
	}
	all, err := b.Holds(t.Context(), b.sender)
	require.NoError(t, err)
	require.LessOrEqual(t, all.Queued[message.Bulk], int64(25), "there was room for 20, and a trickle")
}

// A dead letter that a person replays is as if new: it does not remember to have failed before.
func TestAReplayIsAsIfNew(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		b.accept(b.withTemplate("bad", templateA, message.Default))
		b.accept(b.withTemplate("good", templateB, message.Default))
		failure := ofTemplate(wrongKey, templateA)
		b.fails("bad", failure)
		b.ahead += time.Minute + time.Second
		p := b.probe()
		b.commit(of(taken, p.ID, b.express(p).Attempt))
		b.sweep(ledger.SweepRequest{})
		require.Equal(t, message.Dead, b.fails("bad", failure).Status)
		b.ahead += time.Hour // mended, and hours later the key is wrong
		_, err := b.Replay(t.Context(), b.sender, "bad", b.get("bad").Generation)
		require.NoError(t, err)
		require.Equal(t, message.Queued, b.fails("bad", failure).Status)
		require.Len(t, b.holds(), 1)
	})
}

// A person holds bulk while what was held for spam is let go: default is not theirs.
func TestAPersonsHoldOfBulkKeepsNoDefault(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		b.acceptAll(message.Default, "a", "b")
		b.acceptAll(message.Bulk, "c")
		b.fails("a", spam)
		require.Equal(t, ledger.Held, b.next("b").Verdict)
		require.Equal(t, ledger.Held, b.next("c").Verdict)
		_, err := b.Release(t.Context(), b.sender, "", "ops")
		require.NoError(t, err)
		_, err = b.SetHold(t.Context(), ledger.HoldRequest{Sender: b.sender, Reason: ledger.ReasonByHand, By: "ops", Hold: ledger.Hold{Priorities: []message.Priority{message.Bulk}}})
		require.NoError(t, err)
		require.Len(t, b.sweep(ledger.SweepRequest{}).Requeue, 2)
		b.balanced()
	})
}

// Two messages fail as if the key were wrong. Tried in turn they would hold their sender for ever.
func TestTwoCulpritsAreNotTriedInTurn(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		b.acceptAll(message.Default, "a", "b", "c")
		b.fails("a", wrongKey)
		tried := map[string]bool{"a": true}
		for span := time.Minute; len(tried) < 3; span *= 2 {
			b.ahead += span + time.Second
			p := b.probe()
			require.False(t, tried[p.ID], "%s has failed already, and others have not", p.ID)
			tried[p.ID] = true
			b.commit(of(wrongKey, p.ID, b.express(p).Attempt))
		}
		b.ahead += time.Hour
		require.Equal(t, "a", b.probe().ID, "the one that failed longest ago")
	})
}
