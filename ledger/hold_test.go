package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

const (
	templateA = "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"
	templateB = "d7bfdf07-cdc1-4fc2-9211-39d1a5f4cd7c"
)

// What messages fail with here. Each asks for the hold that the policy has for it.
var (
	wrongKey = ledger.Commit{
		Outcome: ledger.OutcomeRefused, Next: message.Queued, WaitingFor: "account", Delay: time.Minute, Code: "http_401", Class: gupshup.ClassAccount,
		Follows: ledger.Follows{Hold: &ledger.Hold{For: time.Minute, AtMost: 15 * time.Minute}},
	}
	spam = ledger.Commit{
		Outcome: ledger.OutcomeRefused, Next: message.Queued, WaitingFor: "spam", Delay: time.Minute, Code: "131048", Class: gupshup.ClassSpam,
		Follows: ledger.Follows{Hold: &ledger.Hold{Priorities: []message.Priority{message.Default, message.Bulk}, For: time.Minute, AtMost: time.Hour}},
	}
	pausedTemplate = ledger.Commit{
		Outcome: ledger.OutcomeRefused, Next: message.Queued, WaitingFor: "template", Delay: time.Minute, Code: "4005", Class: gupshup.ClassTemplate,
		Template: templateA, Follows: ledger.Follows{Hold: &ledger.Hold{Template: templateA, For: time.Minute, AtMost: time.Hour}, Well: true},
	}
	wrongParams = ledger.Commit{
		Outcome: ledger.OutcomeRefused, Next: message.Dead, Spends: true, Code: "132000", Class: gupshup.ClassContent,
		Template: templateA, Follows: ledger.Follows{Guard: ledger.GuardTemplate, Well: true},
	}
	notFound = ledger.Commit{
		Outcome: ledger.OutcomeRefused, Next: message.Dead, Spends: true, Code: "http_404", Class: gupshup.ClassUnknown,
		Follows: ledger.Follows{Guard: ledger.GuardSender},
	}
	lowBalance = ledger.Resolution{
		Next: message.Queued, WaitingFor: "account", Delay: time.Minute, Code: "1003", Class: gupshup.ClassAccount,
		Follows: ledger.Follows{Hold: &ledger.Hold{For: time.Minute, AtMost: 15 * time.Minute}},
	}
)

// holder is a book with the moves that tests of holds are made of.
type holder struct {
	*book
	runs int
}

func newHolder(t *testing.T, rdb *redis.Client) *holder { return &holder{book: newBook(t, rdb)} }

func (h *holder) acceptAll(p message.Priority, ids ...string) {
	for _, id := range ids {
		h.accept(h.message(id, p))
	}
}

func (h *holder) withTemplate(id, template string, p message.Priority) message.Message {
	m := h.message(id, p)
	m.Content = gupshup.Content{Template: &gupshup.Template{ID: template, Params: []string{"x"}}}
	return m
}

// express claims a message as the express queue's handler does.
func (h *holder) express(q ledger.Requeued) ledger.Claim {
	h.runs++
	return h.book.express(q.ID, q.Generation, fmt.Sprint("express-", h.runs))
}

// next claims a message by the task that its record knows of.
func (h *holder) next(id string) ledger.Claim {
	h.runs++
	return h.claim(id, h.get(id).Generation, fmt.Sprint("run-", h.runs))
}

// fails claims a message and has it fail.
func (h *holder) fails(id string, c ledger.Commit) ledger.Committed {
	claimed := h.next(id)
	require.Equal(h.t, ledger.Send, claimed.Verdict, id)
	return h.commit(of(c, id, claimed.Attempt))
}

// probe sweeps, and answers the one message that the holds are tried with.
func (h *holder) probe() ledger.Requeued {
	s := h.sweep(ledger.SweepRequest{})
	require.Len(h.t, s.Requeue, 1)
	require.True(h.t, s.Requeue[0].Express)
	return s.Requeue[0]
}

// holds answers what is held now.
func (h *holder) holds() (on []ledger.HeldScope) {
	all, err := h.Holds(h.t.(*testing.T).Context(), h.sender)
	require.NoError(h.t, err)
	for _, s := range all.Scopes {
		if s.On() {
			on = append(on, s)
		}
	}
	return on
}

func TestAHeldSenderIsTriedWithOneMessageUntilItGoesThrough(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		b.acceptAll(message.Default, "a", "b", "c")
		b.fails("a", wrongKey)
		require.Equal(t, "account", b.get("b").WaitingFor, "what waits in its queue is told so as well")
		require.Equal(t, ledger.Held, b.next("b").Verdict)
		require.Equal(t, "account", b.get("b").WaitingFor)
		require.Equal(t, "http_401", b.holds()[0].Code)
		b.balanced()

		b.ahead += 59 * time.Second
		require.Empty(t, b.sweep(ledger.SweepRequest{}).Requeue, "nobody is asked before it is time")
		b.ahead += 2 * time.Second
		probe := b.probe()
		require.NotEqual(t, "a", probe.ID, "it may have been the fault of a")
		require.Empty(t, b.sweep(ledger.SweepRequest{}).Requeue, "one at a time")
		other := map[string]string{"b": "c", "c": "b"}[probe.ID]
		require.Contains(t, []ledger.Verdict{ledger.Held, ledger.Wait}, b.next(other).Verdict, "the others wait for it")
		b.balanced()
		c := b.express(probe)
		require.Equal(t, ledger.Send, c.Verdict)
		require.Equal(t, 1, c.Spent)
		require.Less(t, c.Age(), 5*time.Second, "waiting behind a hold does not age it")
		b.commit(of(wrongKey, probe.ID, c.Attempt))
		require.InDelta(t, 120, time.Until(b.holds()[0].Until.Add(-b.ahead)).Seconds(), 5, "and each time it is asked later")
		b.balanced()

		b.ahead += 2*time.Minute + time.Second
		probe = b.probe()
		c = b.express(probe)
		require.Equal(t, ledger.Send, c.Verdict)
		b.commit(of(taken, probe.ID, c.Attempt))
		require.Empty(t, b.holds(), "a success ends it")
		require.Len(t, b.sweep(ledger.SweepRequest{}).Requeue, 2, "and what waited goes on")
		b.balanced()
	})
}

func TestAProbeThatIsLostIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		b.acceptAll(message.Default, "a", "b")
		b.fails("a", wrongKey)
		b.ahead += time.Minute + time.Second
		lost := b.probe()
		b.ahead += 10*time.Second + 100*time.Millisecond
		s := b.sweep(ledger.SweepRequest{})
		b.balanced()
		probes := 0
		for _, q := range s.Requeue {
			if q.Express {
				probes++
			}
		}
		require.Equal(t, 1, probes)
		require.Equal(t, ledger.Stale, b.express(lost).Verdict)
	})
}

func TestALowBalanceThatCallbacksTellOfIsOverWhenNoneComes(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		b.acceptAll(message.Default, "a", "b", "c")
		failed := func(id string, attempt int, mid string) {
			b.receive(ledger.Receipt{Event: "failed", MessageID: mid, Code: "1003", Class: gupshup.ClassAccount, At: b.now(), To: "919876543210"})
			s := b.sweep(ledger.SweepRequest{})
			require.Len(t, s.Requeue, 1)
			require.True(t, s.Requeue[0].Express, "a decision does not wait behind the queue")
			c := b.express(s.Requeue[0])
			require.Equal(t, ledger.Decide, c.Verdict)
			d := lowBalance
			d.Sender, d.ID, d.Attempt, d.Token = b.sender, id, attempt, fmt.Sprint("express-", b.runs)
			_, err := b.Resolve(t.Context(), d)
			require.NoError(t, err)
		}
		success := func(mid string) ledger.Commit { c := taken; c.MessageID = mid; return c }
		const first, second = "ee4a68a0-1203-4c85-8dc3-49d0b3226a01", "ee4a68a0-1203-4c85-8dc3-49d0b3226a02"
		c := b.next("a")
		b.commit(of(success(first), "a", c.Attempt))
		failed("a", 1, first)
		require.Len(t, b.holds(), 1)
		b.balanced()

		b.ahead += time.Minute + time.Second
		probe := b.probe()
		require.NotEqual(t, "a", probe.ID)
		b.commit(of(success(second), probe.ID, b.express(probe).Attempt))
		require.Len(t, b.holds(), 1, "a 2xx says nothing about the balance")
		failed(probe.ID, 1, second)
		require.InDelta(t, 120, time.Until(b.holds()[0].Until.Add(-b.ahead)).Seconds(), 5)

		b.ahead += 2*time.Minute + time.Second
		probe = b.probe()
		c = b.express(probe)
		b.commit(of(success("ee4a68a0-1203-4c85-8dc3-49d0b3226a03"), probe.ID, c.Attempt))
		b.ahead += 29 * time.Second
		b.sweep(ledger.SweepRequest{})
		require.Len(t, b.holds(), 1)
		b.ahead += 2 * time.Second
		b.sweep(ledger.SweepRequest{})
		require.Empty(t, b.holds(), "nothing bad was heard of it for half a minute")
		b.balanced()
	})
}

func TestAMessageThatHoldsItsSenderWhileOthersGoThroughIsTheCulprit(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		const bad, twin, good = "bad", "twin", "good"
		b.accept(b.withTemplate(bad, templateA, message.Default))
		b.accept(b.withTemplate(twin, templateA, message.Default))
		b.accept(b.withTemplate(good, templateB, message.Default))
		failure := wrongKey
		failure.Template = templateA
		b.fails(bad, failure)
		b.ahead += time.Minute + time.Second
		probe := b.probe()
		require.Equal(t, good, probe.ID, "one of another template")
		b.commit(of(taken, good, b.express(probe).Attempt))
		require.Empty(t, b.holds())
		b.sweep(ledger.SweepRequest{})

		got := b.fails(bad, failure)
		require.True(t, got.Turned)
		require.Equal(t, message.Dead, got.Status, "it was not the key")
		require.Empty(t, b.holds())
		got = b.fails(twin, failure)
		require.Equal(t, message.Dead, got.Status, "its template is known for it")
		require.Empty(t, b.holds(), "and holds nobody up")
		b.balanced()
	})
}

func TestWhoIsPoorerThanOthersWaitsAlone(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		b.acceptAll(message.Default, "dear", "cheap")
		poor := wrongKey
		poor.Code, poor.Patient = "1003", true
		b.fails("dear", poor)
		b.ahead += time.Minute + time.Second
		b.commit(of(taken, "cheap", b.express(b.probe()).Attempt))
		b.sweep(ledger.SweepRequest{})
		got := b.fails("dear", poor)
		require.Equal(t, message.Queued, got.Status)
		require.Empty(t, b.holds(), "and holds nobody up")
		require.Equal(t, "account", b.get("dear").WaitingFor)
		b.balanced()
	})
}

func TestAHoldThatNobodyNeedsIsForgotten(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		b.accept(b.withTemplate("a", templateA, message.Bulk))
		gone := terminal
		gone.Class, gone.Code, gone.Template = gupshup.ClassTemplateGone, "132001", templateA
		gone.Hold = &ledger.Hold{Template: templateA, For: time.Minute, AtMost: time.Hour}
		b.fails("a", gone)
		b.ahead += 23 * time.Hour
		b.sweep(ledger.SweepRequest{})
		require.Len(t, b.holds(), 1)
		b.ahead += 2 * time.Hour
		b.sweep(ledger.SweepRequest{})
		require.Empty(t, b.holds())
	})
}

func TestATemplateHoldAndAHoldOfSomePriorities(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		b.accept(b.withTemplate("a", templateA, message.Bulk))
		b.accept(b.withTemplate("b", templateA, message.Bulk))
		b.acceptAll(message.Bulk, "other")
		b.acceptAll(message.Critical, "otp")
		b.fails("a", pausedTemplate)
		require.Equal(t, ledger.Held, b.next("b").Verdict)
		b.fails("other", spam)
		c := b.next("otp")
		require.Equal(t, ledger.Send, c.Verdict, "critical goes on")
		b.acceptAll(message.Default, "third")
		require.Equal(t, ledger.Held, b.next("third").Verdict)
		require.Len(t, b.holds(), 2)
		b.balanced()

		// A hold of the whole sender hides neither.
		b.commit(of(wrongKey, "otp", c.Attempt))
		require.Len(t, b.holds(), 3)
		b.acceptAll(message.Critical, "otp2")
		require.Equal(t, ledger.Held, b.next("otp2").Verdict)
		b.balanced()

		b.ahead += time.Minute + time.Second
		probe := b.probe()
		require.Contains(t, []string{"otp", "otp2"}, probe.ID, "of three holds only the sender's can be tried, and with what nothing else holds")
		b.commit(of(taken, probe.ID, b.express(probe).Attempt))
		tried, free := []string{}, []string{}
		for _, q := range b.sweep(ledger.SweepRequest{}).Requeue {
			if q.Express {
				tried = append(tried, q.ID)
			} else {
				free = append(free, q.ID)
			}
		}
		require.Equal(t, []string{"third"}, tried, "now the next is, and not with what had failed; what two holds keep back waits for both")
		require.Len(t, free, 1, "and the other one-time password is free")
		b.balanced()
	})
}

func TestAProbeThatFailsOfSomethingElseShowsThatItsSenderIsWell(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		b.acceptAll(message.Default, "a", "b")
		b.fails("a", wrongKey)
		b.ahead += time.Minute + time.Second
		probe := b.probe()
		own := terminal
		own.Well = true
		b.commit(of(own, probe.ID, b.express(probe).Attempt))
		require.Empty(t, b.holds())

		b.acceptAll(message.Default, "c", "d")
		b.ahead += time.Hour
		b.sweep(ledger.SweepRequest{})
		b.fails("c", wrongKey)
		b.ahead += time.Minute + time.Second
		probe = b.probe()
		b.commit(of(transient, probe.ID, b.express(probe).Attempt))
		require.Len(t, b.holds(), 1, "a fault of Gupshup's shows nothing")
		b.balanced()
	})
}

func TestAStormHoldsAndSparesTheRest(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		for name, c := range map[string]ledger.Commit{"template": wrongParams, "sender": notFound} {
			b := newHolder(t, rdb)
			send := func(i int) ledger.Committed {
				id := fmt.Sprint("m", i)
				b.accept(b.withTemplate(id, templateA, message.Bulk))
				return b.fails(id, c)
			}
			for i := range 15 {
				require.Equal(t, message.Dead, send(i).Status)
			}
			b.accept(b.withTemplate("good", templateA, message.Bulk))
			b.commit(of(taken, "good", b.next("good").Attempt))
			for i := 15; i < 34; i++ {
				require.Equal(t, message.Dead, send(i).Status, "a success between: it was not in a row")
			}
			b.accept(b.withTemplate("flying", templateA, message.Bulk)) // on its way when the storm is noticed
			flying := b.next("flying")
			got := send(34)
			require.True(t, got.Turned)
			require.Equal(t, message.Queued, got.Status, name)
			require.Equal(t, "storm", b.get("m34").WaitingFor)
			require.Zero(t, b.get("m34").Spent)
			require.Equal(t, message.Queued, b.commit(of(c, "flying", flying.Attempt)).Status)
			require.Equal(t, name == "template", b.holds()[0].Template == templateA)
			b.accept(b.withTemplate("next", templateA, message.Bulk))
			require.Equal(t, ledger.Held, b.next("next").Verdict)
			b.balanced()

			b.ahead += time.Minute + time.Second
			probe := b.probe()
			require.Equal(t, message.Queued, b.commit(of(c, probe.ID, b.express(probe).Attempt)).Status, "a probe is not burnt either")
			require.Len(t, b.holds(), 1)
			b.ahead += 2*time.Minute + time.Second
			probe = b.probe()
			b.commit(of(taken, probe.ID, b.express(probe).Attempt))
			require.Empty(t, b.holds())
			b.balanced()
		}
	})
}

func TestAPersonHoldsAndReleases(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		ctx := t.Context()
		hold := ledger.HoldRequest{Sender: b.sender, Reason: ledger.ReasonByHand, By: "ops", Note: "moving house"}
		isNew, err := b.SetHold(ctx, hold)
		require.NoError(t, err)
		require.True(t, isNew)
		b.acceptAll(message.Critical, "a")
		b.acceptAll(message.Bulk, "b", "c", "d")
		c := b.next("a")
		require.Equal(t, ledger.Held, c.Verdict)
		require.True(t, c.Until.IsZero())
		for _, id := range []string{"b", "c", "d"} {
			require.Equal(t, ledger.Held, b.next(id).Verdict)
		}
		b.ahead += 240 * time.Hour
		s := b.sweep(ledger.SweepRequest{})
		require.Empty(t, s.Requeue, "only a person ends what a person began")
		require.Equal(t, 1, s.Expired, "but what has an end comes to it")
		all, err := b.Holds(ctx, b.sender)
		require.NoError(t, err)
		require.Equal(t, "moving house", all.Scopes[0].Note)
		require.EqualValues(t, 3, all.Waiting(message.Bulk))

		released, err := b.Release(ctx, b.sender, "", "ops")
		require.NoError(t, err)
		require.True(t, released)
		b.balanced()
		require.Len(t, b.sweep(ledger.SweepRequest{LetGo: 2, Room: 100}).Requeue, 2, "bit by bit")
		require.Len(t, b.sweep(ledger.SweepRequest{LetGo: 2, Room: 1}).Requeue, 1, "and where there is no room, a trickle")
		require.Equal(t, ledger.Send, b.next("b").Verdict)
		released, err = b.Release(ctx, b.sender, "", "ops")
		require.NoError(t, err)
		require.False(t, released)
		b.balanced()

		hold.Until = b.now().Add(time.Minute)
		hold.Template = templateA
		_, err = b.SetHold(ctx, hold)
		require.NoError(t, err)
		require.Len(t, b.holds(), 1)
		b.ahead += time.Minute + time.Second
		b.sweep(ledger.SweepRequest{})
		require.Empty(t, b.holds(), "unless they said when")
	})
}

func TestAPersonHoldsMoreThanIsHeldAlready(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		hold := func(until time.Duration, priorities ...message.Priority) ledger.HeldScope {
			q := ledger.HoldRequest{Sender: b.sender, Reason: ledger.ReasonByHand, By: "ops", Hold: ledger.Hold{Priorities: priorities}}
			if until > 0 {
				q.Until = b.now().Add(until)
			}
			_, err := b.SetHold(t.Context(), q)
			require.NoError(t, err)
			on := b.holds()
			i := slices.IndexFunc(on, func(h ledger.HeldScope) bool { return h.By == "ops" })
			require.NotEqual(t, -1, i)
			return on[i]
		}
		b.acceptAll(message.Default, "a", "b")
		b.fails("a", spam) // holds default and bulk
		require.Equal(t, ledger.Held, b.next("b").Verdict)

		both := []message.Priority{message.Default, message.Bulk}
		require.Equal(t, []message.Priority{message.Bulk}, hold(time.Hour, message.Bulk).Priorities)
		require.Len(t, b.holds(), 2, "beside the policy's")
		at := hold(time.Minute, message.Default)
		require.Equal(t, both, at.Priorities, "what a person adds widens what they hold")
		require.WithinDuration(t, b.now().Add(time.Hour), at.Until, time.Second, "no shorter than was said before")
		require.WithinDuration(t, b.now().Add(time.Minute), hold(time.Minute, both...).Until, time.Second, "unless all of it is meant")
		require.True(t, hold(0, message.Bulk).Until.IsZero())
		require.True(t, hold(time.Minute, message.Default).Until.IsZero())

		released, err := b.Release(t.Context(), b.sender, "", "ops")
		require.NoError(t, err)
		require.True(t, released)
		require.Len(t, b.sweep(ledger.SweepRequest{LetGo: 5, Room: 100}).Requeue, 2)
		require.Equal(t, []message.Priority{message.Bulk}, hold(0, message.Bulk).Priorities, "what is over is not held again")
		b.balanced()
	})
}

func TestWhatIsTriedWhileNobodyWaits(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		isNew, err := b.SetHold(t.Context(), ledger.HoldRequest{
			Sender: b.sender, Reason: ledger.ReasonOutage, Code: "http_503", Hold: ledger.Hold{For: 5 * time.Second, AtMost: 30 * time.Second},
		})
		require.NoError(t, err)
		require.True(t, isNew)
		isNew, err = b.SetHold(t.Context(), ledger.HoldRequest{Sender: b.sender, Reason: ledger.ReasonOutage, Hold: ledger.Hold{For: time.Second, AtMost: time.Second}})
		require.NoError(t, err)
		require.False(t, isNew, "the other worker saw it, too")
		b.ahead += time.Hour
		require.Empty(t, b.sweep(ledger.SweepRequest{}).Requeue)
		require.Len(t, b.holds(), 1)
		b.acceptAll(message.Critical, "a")
		probe := b.probe()
		require.Equal(t, "a", probe.ID, "the first that comes")
		b.commit(of(taken, "a", b.express(probe).Attempt))
		require.Empty(t, b.holds())
		b.ahead += time.Hour
		b.sweep(ledger.SweepRequest{})
		left, err := b.Holds(t.Context(), b.sender)
		require.NoError(t, err)
		require.Empty(t, left.Scopes, "and is forgotten in the end")
	})
}

// What begins and ends is handed on, in its order, until somebody was told of it; that a probe failed is no news.
func TestNewsOfHolds(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		tell := func() (told []string, news []ledger.HoldNews) {
			news = b.sweep(ledger.SweepRequest{Tell: true}).News
			for _, n := range news {
				told = append(told, fmt.Sprint(n.Name(), " ", n.Reason, " ", n.By, " ", n.On()))
			}
			return told, news
		}
		took := func(news []ledger.HoldNews) {
			for _, n := range news {
				require.NoError(t, b.Told(t.Context(), b.sender, n))
				require.NoError(t, b.Told(t.Context(), b.sender, n), "as a client does whose reply was lost")
			}
		}
		byHand := func(h ledger.Hold, until time.Time) {
			_, err := b.SetHold(t.Context(), ledger.HoldRequest{Sender: b.sender, Hold: h, Reason: ledger.ReasonByHand, By: "ops", Until: until})
			require.NoError(t, err)
		}
		b.acceptAll(message.Default, "a", "b")
		b.fails("a", wrongKey)
		want := []string{"sender account  true"}
		told, news := tell()
		require.Equal(t, want, told)
		require.Equal(t, "http_401", news[0].Code)
		require.Equal(t, news[0].Since.Add(time.Minute), news[0].Until)
		told, news = tell()
		require.Equal(t, want, told, "nobody has said that they were told")
		took(news)

		b.ahead += time.Minute + time.Second
		p := b.probe() // by a sweeper of whom nobody is told
		b.commit(of(wrongKey, p.ID, b.express(p).Attempt))
		told, _ = tell()
		require.Empty(t, told, "a probe that failed only moves the next one")

		byHand(ledger.Hold{}, time.Time{})
		byHand(ledger.Hold{Template: templateA}, b.now().Add(time.Hour))
		_, err := b.Release(t.Context(), b.sender, "", "ops")
		require.NoError(t, err)
		byHand(ledger.Hold{Priorities: []message.Priority{message.Bulk}}, time.Time{})
		b.ahead += time.Hour + time.Second
		told, news = tell()
		require.Equal(t, []string{
			"sender by_hand ops true", "template " + templateA + " by_hand ops true", "sender account  false", "sender by_hand ops false", "bulk by_hand ops true",
			"template " + templateA + " by_hand ops false",
		}, told)
		require.Equal(t, news[0].Since, news[3].Since)
		require.False(t, news[3].Ended.IsZero())
		took(news[:2])
		told, _ = tell()
		require.Len(t, told, 4)

		b.sweep(ledger.SweepRequest{})
		told, _ = tell()
		require.Empty(t, told, "where nobody is told, nothing is kept")
		b.balanced()
	})
}

// Whoever mends it has to know which process has the wrong key, and whoever looks later who or what ended the hold.
func TestAHoldTellsWhoSawItAndWhoEndedIt(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newHolder(t, rdb)
		b.Ledger = ledger.New(rdb, ledger.Config{Process: "web-1:7", Offset: func() time.Duration { return b.ahead }})
		told := func() (last ledger.HoldNews) {
			for _, n := range b.sweep(ledger.SweepRequest{Tell: true}).News {
				require.NoError(t, b.Told(t.Context(), b.sender, n))
				last = n
			}
			return last
		}
		b.acceptAll(message.Default, "a", "b", "c", "d")
		b.fails("a", wrongKey)
		require.Equal(t, "web-1:7", told().SeenBy)
		require.Equal(t, "web-1:7", b.holds()[0].SeenBy)
		require.Empty(t, b.holds()[0].EndedBy)
		b.ahead += time.Minute + time.Second
		p := b.probe()
		b.commit(of(taken, p.ID, b.express(p).Attempt))
		require.Equal(t, ledger.EndedByProbe, told().EndedBy)

		_, err := b.SetHold(t.Context(), ledger.HoldRequest{Sender: b.sender, Reason: ledger.ReasonOutage, Hold: ledger.Hold{For: time.Hour, AtMost: time.Hour}})
		require.NoError(t, err)
		require.Equal(t, "web-1:7", told().SeenBy, "a worker that notices an outage")
		_, err = b.Release(t.Context(), b.sender, "", "asha")
		require.NoError(t, err)
		require.Equal(t, "asha", told().EndedBy)

		_, err = b.SetHold(t.Context(), ledger.HoldRequest{Sender: b.sender, Reason: ledger.ReasonByHand, By: "ravi", Until: b.now().Add(time.Hour)})
		require.NoError(t, err)
		began := told()
		require.Empty(t, began.SeenBy)
		require.Empty(t, began.EndedBy, "what ended the one before is forgotten")
		b.ahead += time.Hour + time.Second
		require.Equal(t, ledger.EndedByTime, told().EndedBy)
	})
}
