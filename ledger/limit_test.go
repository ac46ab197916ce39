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

// limited is a holder whose sender has limits.
func limited(t *testing.T, rdb *redis.Client, limits ledger.Limits) *holder {
	b := newHolder(t, rdb)
	b.Ledger = ledger.New(rdb, ledger.Config{
		Limits: map[string]ledger.Limits{b.sender: limits}, Offset: func() time.Duration { return b.ahead },
	})
	return b
}

// goes says whether a message may be sent now.
func (h *holder) goes(id string) bool {
	c := h.next(id)
	if c.Verdict == ledger.Held {
		return false
	}
	require.Equal(h.t, ledger.Send, c.Verdict, id)
	done := taken
	done.MessageID = fmt.Sprintf("%s-%d", id, c.Attempt)
	h.commit(of(done, id, c.Attempt))
	return true
}

// today is how much of the day's budget is used.
func (h *holder) today() int64 {
	all, err := h.Holds(h.t.(*testing.T).Context(), h.sender)
	require.NoError(h.t, err)
	return all.Today
}

// slowed is how many recipients are written to slowly.
func (h *holder) slowed() int64 {
	all, err := h.Holds(h.t.(*testing.T).Context(), h.sender)
	require.NoError(h.t, err)
	return all.Slowed
}

func TestAPairIsNotWrittenToFasterThanItsRate(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := limited(t, rdb, ledger.Limits{PairEvery: 6 * time.Second, PairBurst: 10})
		const n = 30
		for i := range n {
			b.acceptAll(message.Default, fmt.Sprint("m", i))
		}
		sent := 0
		for i := range n {
			if b.goes(fmt.Sprint("m", i)) {
				sent++
			}
		}
		require.Equal(t, 10, sent, "the burst")
		require.Equal(t, "pair", b.get("m29").WaitingFor)
		require.Zero(t, b.get("m29").Spent)
		b.balanced()
		b.acceptAll(message.Critical, "otp")
		require.False(t, b.goes("otp"))

		// Each of the others comes once, in order, when there is room for it, and not again and again.
		asked := 0
		for range 22 {
			b.ahead += 6 * time.Second
			for _, q := range b.sweep(ledger.SweepRequest{}).Requeue {
				asked++
				if b.goes(q.ID) {
					sent++
				}
			}
		}
		require.Equal(t, n+1, sent)
		require.LessOrEqual(t, asked, n-10+3)
		b.balanced()

		// Who has rested may have its burst again, and somebody else was never concerned.
		other := b.message("other", message.Bulk)
		other.To = "919876543211"
		b.accept(other)
		require.True(t, b.goes("other"))
	})
}

func TestCriticalDoesNotStandInLineForItsRecipient(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := limited(t, rdb, ledger.Limits{PairEvery: 6 * time.Second, PairBurst: 1})
		b.acceptAll(message.Bulk, "a", "b", "c", "d")
		require.True(t, b.goes("a"))
		for _, id := range []string{"b", "c", "d"} {
			require.False(t, b.goes(id))
		}
		b.ahead += 6 * time.Second
		b.acceptAll(message.Critical, "otp")
		b.acceptAll(message.Default, "order")
		require.False(t, b.goes("order"), "it came last")
		require.True(t, b.goes("otp"))
		b.balanced()

		// And where nothing may go at the moment, it is the next that does.
		b.acceptAll(message.Critical, "late")
		require.False(t, b.goes("late"))
		b.ahead += 6 * time.Second
		due := b.sweep(ledger.SweepRequest{}).Requeue
		require.Contains(t, due, ledger.Requeued{ID: "late", Generation: 2, Priority: message.Critical, To: "919876543210"})
		require.True(t, b.goes("late"))
		b.balanced()
	})
}

func TestWhatsAppSaysThatAPairIsTooFast(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := limited(t, rdb, ledger.Limits{PairEvery: 6 * time.Second, PairBurst: 10})
		b.acceptAll(message.Default, "a", "b")
		b.fails("a", ledger.Commit{
			Outcome: ledger.OutcomeRefused, Next: message.Queued, WaitingFor: "pair_throttled", Delay: time.Minute, Code: "131056",
			Class: gupshup.ClassPairThrottled, Follows: ledger.Follows{Well: true},
		})
		require.False(t, b.goes("b"), "its other messages would be too fast as well")
		require.EqualValues(t, 1, b.slowed())
		b.ahead += time.Minute + time.Second
		sent := 0
		for range 3 {
			for _, q := range b.sweep(ledger.SweepRequest{}).Requeue {
				if b.goes(q.ID) {
					sent++
				}
			}
			b.ahead += 6 * time.Second
		}
		require.Equal(t, 2, sent, "then one after the other, without a burst")
		require.EqualValues(t, 1, b.slowed())
		b.ahead += time.Minute
		require.Zero(t, b.slowed(), "as fast as others")
		b.balanced()
	})
}

func TestTheDaysBudgetOfRecipients(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := limited(t, rdb, ledger.Limits{DailyRecipients: 50})
		to := func(id string, number int) message.Message {
			m := b.withTemplate(id, templateA, message.Bulk)
			m.To = fmt.Sprintf("9198765%05d", number)
			return m
		}
		sent := 0
		for i := range 80 {
			id := fmt.Sprint("m", i)
			b.accept(to(id, i))
			if b.goes(id) {
				sent++
			}
			b.ahead += time.Minute
		}
		require.Equal(t, 50, sent)
		require.EqualValues(t, 50, b.today())
		require.Equal(t, "daily_recipients", b.get("m79").WaitingFor)
		require.Zero(t, b.get("m79").Spent)
		b.accept(to("again", 3))
		require.True(t, b.goes("again"), "a recipient of today is no new one")
		text := b.message("text", message.Default)
		text.To = "919876599999"
		b.accept(text)
		require.True(t, b.goes("text"), "only templates count")
		require.NoError(t, b.OpenSession(t.Context(), b.sender, "919876588888", b.now()))
		m := to("in session", 0)
		m.ID, m.To = "session", "919876588888"
		b.accept(m)
		require.True(t, b.goes("session"), "and not those who write to us")
		b.balanced()

		// A day later room comes back bit by bit, and so do those who wait: each is asked about once.
		b.ahead += 24*time.Hour - 82*time.Minute
		asked := 0
		for range 100 {
			b.ahead += time.Minute
			for _, q := range b.sweep(ledger.SweepRequest{}).Requeue {
				asked++
				if b.goes(q.ID) {
					sent++
				}
			}
		}
		require.Equal(t, 80, sent)
		require.LessOrEqual(t, asked, 35)
		b.balanced()
		b.ahead += 25 * time.Hour
		require.Zero(t, b.today(), "who is still in the set does not count any more")
	})
}

// Recipients of one moment make room for as many, a day later.
func TestTheLineOfADayCountsThoseOfOneMoment(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := limited(t, rdb, ledger.Limits{DailyRecipients: 20})
		at := float64(b.now().UnixMilli())
		for i := range 20 {
			require.NoError(t, rdb.ZAdd(t.Context(), "gupdispatch:{"+b.sender+"}:daily", redis.Z{Score: at, Member: fmt.Sprint("9198765", i)}).Err())
		}
		for i := range 20 {
			m := b.withTemplate(fmt.Sprint("m", i), templateA, message.Bulk)
			m.To = fmt.Sprintf("9198766%05d", i)
			b.accept(m)
			require.False(t, b.goes(m.ID))
		}
		b.ahead += 24*time.Hour + time.Second
		due := b.sweep(ledger.SweepRequest{}).Requeue
		require.Len(t, due, 20)
		for _, q := range due {
			require.True(t, b.goes(q.ID))
		}
	})
}

func TestWhoWasNotReachedIsNotCounted(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := limited(t, rdb, ledger.Limits{DailyRecipients: 1})
		m := b.withTemplate("a", templateA, message.Bulk)
		b.accept(m)
		b.fails("a", terminal)
		m = b.withTemplate("b", templateA, message.Bulk)
		m.To = "919876543211"
		b.accept(m)
		require.True(t, b.goes("b"))
	})
}
