package ledger_test

import (
	"context"
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
	lease      = 15 * time.Second
	parkedMost = 20
)

// book is a ledger whose clock the test moves, for one sender.
type book struct {
	*ledger.Ledger
	t      require.TestingT
	sender string
	ahead  time.Duration
	called int // express tasks that are on their way
}

func newBook(t require.TestingT, rdb redis.UniversalClient) *book {
	b := &book{t: t, sender: redistest.Sender()}
	b.Ledger = ledger.New(rdb, ledger.Config{ParkedMost: parkedMost, Offset: func() time.Duration { return b.ahead }})
	return b
}

func (b *book) message(id string, p message.Priority) message.Message {
	return message.Message{ID: id, Sender: b.sender, To: "919876543210", Priority: p, Content: gupshup.Content{Message: gupshup.Text{Text: "Hello " + id}}}
}

func (b *book) accept(m message.Message) ledger.Acceptance {
	got, errs := b.Accept(context.Background(), []message.Message{m})
	require.NoError(b.t, errs[0])
	return got[0]
}

func (b *book) claim(id string, generation int, token string) ledger.Claim {
	return b.ask(ledger.ClaimRequest{ID: id, Generation: generation, Token: token})
}

// express claims what the sweeper called for.
func (b *book) express(id string, generation int, token string) ledger.Claim {
	return b.ask(ledger.ClaimRequest{ID: id, Generation: generation, Token: token, Express: true})
}

func (b *book) ask(q ledger.ClaimRequest) ledger.Claim {
	q.Sender, q.Lease = b.sender, lease
	c, err := b.Claim(context.Background(), q)
	require.NoError(b.t, err)
	return c
}

func (b *book) commit(c ledger.Commit) ledger.Committed {
	c.Sender = b.sender
	got, err := b.Commit(context.Background(), c)
	require.NoError(b.t, err)
	again, err := b.Commit(context.Background(), c) // as a client does whose reply was lost
	require.NoError(b.t, err)
	require.Equal(b.t, got.Status, again.Status)
	return got
}

func (b *book) get(id string) ledger.Record {
	rec, err := b.Get(context.Background(), b.sender, id)
	require.NoError(b.t, err)
	return rec
}

func (b *book) sweep(q ledger.SweepRequest) ledger.Sweep {
	q.Sender = b.sender
	if q.Owner == "" {
		q.Owner = "test"
	}
	if q.Most == 0 {
		q.Most = 100
	}
	q.Lease = time.Second
	q.LaneEmpty = b.called == 0
	if q.LetGo == 0 {
		q.LetGo, q.Room = 100, 1000
	}
	if q.Grace == nil {
		q.Grace = map[message.Priority]time.Duration{message.Critical: 3 * time.Second, message.Default: 15 * time.Second, message.Bulk: time.Minute}
	}
	s, err := b.Sweep(context.Background(), q)
	require.NoError(b.t, err)
	return s
}

func (b *book) balanced() {
	d, err := b.AuditDeep(context.Background(), b.sender)
	require.NoError(b.t, err)
	require.Empty(b.t, d.Problems)
	require.True(b.t, d.Balanced(), "%+v", d)
}

var (
	taken     = ledger.Commit{Outcome: ledger.OutcomeSubmitted, Next: message.Submitted, Spends: true, MessageID: "ee4a68a0-1203-4c85-8dc3-49d0b3226a35"}
	transient = ledger.Commit{
		Outcome: ledger.OutcomeRefused, Next: message.Queued, Spends: true, Delay: 5 * time.Second, Slack: 3 * time.Second,
		Code: "http_503", Class: gupshup.ClassTransient, Reason: "try again",
	}
	terminal = ledger.Commit{Outcome: ledger.OutcomeRefused, Next: message.Dead, Spends: true, Code: "1002", Class: gupshup.ClassRecipient, Reason: "no WhatsApp"}
	doubtful = ledger.Commit{Outcome: ledger.OutcomeInDoubt, Next: message.InDoubt, Spends: true, Delay: 2 * time.Minute, Code: "timeout", Class: gupshup.ClassInDoubt}
)

func of(c ledger.Commit, id string, attempt int) ledger.Commit {
	c.ID, c.Attempt = id, attempt
	return c
}

func TestAMessageIsAcceptedClaimedAndSubmitted(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		m := b.message("order-1", message.Default)
		m.Metadata = map[string]string{"order": "1"}
		require.Equal(t, ledger.Acceptance{Outcome: ledger.AcceptedNew, Status: message.Queued, Enqueue: true}, b.accept(m))
		b.balanced()

		c := b.claim("order-1", 1, "run-a")
		require.Equal(t, ledger.Send, c.Verdict)
		require.Equal(t, 1, c.Attempt)
		require.Equal(t, m.Content, c.Content)
		require.Equal(t, "919876543210", c.To)
		b.balanced()

		require.Equal(t, ledger.Committed{Status: message.Submitted, Applied: true}, b.commit(of(taken, "order-1", 1)))
		b.balanced()

		for _, id := range []string{"order-1", taken.MessageID} {
			rec, err := b.Find(t.Context(), b.sender, id)
			require.NoError(t, err)
			require.Equal(t, "order-1", rec.ID)
			require.Equal(t, taken.MessageID, rec.MessageID)
			require.Equal(t, message.Submitted, rec.Status)
			require.Equal(t, map[string]string{"order": "1"}, rec.Metadata)
			require.Len(t, rec.Attempts, 1)
			require.Equal(t, ledger.OutcomeSubmitted, rec.Attempts[0].Outcome)
		}
		_, err := b.Find(t.Context(), b.sender, "00000000-1203-4c85-8dc3-49d0b3226a35")
		require.ErrorIs(t, err, ledger.ErrNotFound)
		require.Equal(t, ledger.AlreadyDone, b.claim("order-1", 1, "run-b").Verdict)
	})
}

func TestAcceptingAgainReturnsWhatExistsOrAConflict(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		m := b.message("a", message.Critical)
		b.accept(m)
		require.Equal(t, ledger.Acceptance{Outcome: ledger.AcceptedExisting, Status: message.Queued, Enqueue: true}, b.accept(m),
			"a caller who repeats may have been killed before the task was enqueued")
		b.claim("a", 1, "run-a")
		require.Equal(t, ledger.Acceptance{Outcome: ledger.AcceptedExisting, Status: message.Sending}, b.accept(m))
		other := m
		other.To = "919876543211"
		require.Equal(t, ledger.AcceptConflict, b.accept(other).Outcome)
		a, err := b.Audit(t.Context(), b.sender)
		require.NoError(t, err)
		require.EqualValues(t, 1, a.Accepted)
		b.balanced()
	})
}

func TestOnlyOneRunSends(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		b.accept(b.message("a", message.Default))
		require.Equal(t, ledger.Send, b.claim("a", 1, "run-a").Verdict)
		again := b.claim("a", 1, "run-a")
		require.Equal(t, ledger.Send, again.Verdict, "the same call, repeated by the client, gets the same answer")
		require.Equal(t, 1, again.Attempt)
		require.Equal(t, ledger.Busy, b.claim("a", 1, "run-b").Verdict)
		b.ahead += lease + time.Second
		c := b.claim("a", 1, "run-b")
		require.Equal(t, ledger.Decide, c.Verdict, "after its claim ran out nobody knows what became of the request")
		require.Equal(t, message.InDoubt, c.Status)
		require.Equal(t, "claim_lost", c.Code)
		require.Equal(t, ledger.Busy, b.claim("a", 1, "run-c").Verdict, "one run decides at a time")
		b.balanced()
	})
}

func TestALateSuccessIsNeverThrownAway(t *testing.T) {
	t.Parallel()
	stages := []struct {
		name   string
		before func(b *book)
	}{
		{"while in doubt", func(b *book) { b.claim("a", 1, "run-b") }},
		{"after it was queued again", func(b *book) {
			b.claim("a", 1, "run-b")
			_, err := b.Resolve(context.Background(), ledger.Resolution{Sender: b.sender, ID: "a", Attempt: 1, Token: "run-b", Next: message.Queued})
			require.NoError(b.t, err)
		}},
		{"after it was given up", func(b *book) {
			b.claim("a", 1, "run-b")
			_, err := b.Resolve(context.Background(), ledger.Resolution{Sender: b.sender, ID: "a", Attempt: 1, Token: "run-b", Next: message.Dead, Code: "IN_DOUBT"})
			require.NoError(b.t, err)
		}},
		{"after the sweeper took it out", func(b *book) { require.Len(b.t, b.sweep(ledger.SweepRequest{}).Requeue, 1) }},
	}
	for _, stage := range stages {
		t.Run(stage.name, func(t *testing.T) {
			t.Parallel()
			redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
				b := newBook(t, rdb)
				b.accept(b.message("a", message.Default))
				b.claim("a", 1, "run-a")
				b.ahead += lease + time.Second
				stage.before(b)
				b.balanced()
				require.Equal(t, message.Submitted, b.commit(of(taken, "a", 1)).Status)
				require.Equal(t, taken.MessageID, b.get("a").MessageID)
				b.balanced()
			})
		})
	}
}

func TestASuccessOfAnEarlierAttemptCountsWhenTheLaterOneFails(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		b.accept(b.message("a", message.Default))
		b.claim("a", 1, "run-a")
		b.commit(of(ledger.Commit{Outcome: ledger.OutcomeInDoubt, Next: message.Queued, Spends: true, Code: "timeout", Class: gupshup.ClassInDoubt}, "a", 1))
		b.ahead += time.Second
		require.Equal(t, 2, b.claim("a", 1, "run-b").Attempt)
		require.Equal(t, message.Submitted, b.commit(of(taken, "a", 1)).Status)
		require.Equal(t, message.Submitted, b.commit(of(terminal, "a", 2)).Status)
		rec := b.get("a")
		require.Equal(t, taken.MessageID, rec.MessageID)
		b.balanced()
	})
}

func TestTwoSuccessesAreACountedDuplicate(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		b.accept(b.message("a", message.Default))
		b.claim("a", 1, "run-a")
		b.commit(of(ledger.Commit{Outcome: ledger.OutcomeInDoubt, Next: message.Queued, Spends: true, Class: gupshup.ClassInDoubt}, "a", 1))
		b.ahead += time.Second
		b.claim("a", 1, "run-b")
		second := of(taken, "a", 2)
		second.MessageID = "0a4a68a0-1203-4c85-8dc3-49d0b3226a35"
		b.commit(second)
		b.commit(of(taken, "a", 1))
		a, err := b.Audit(t.Context(), b.sender)
		require.NoError(t, err)
		require.EqualValues(t, 1, a.Duplicates)
		require.Equal(t, second.MessageID, b.get("a").MessageID)
		b.balanced()
	})
}

func TestASecondSuccessIsKeptWhereverItComes(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		b.accept(b.message("a", message.Default))
		b.claim("a", 1, "run-a")
		b.commit(of(ledger.Commit{Outcome: ledger.OutcomeInDoubt, Next: message.Queued, Spends: true, Class: gupshup.ClassInDoubt}, "a", 1))
		b.ahead += time.Second
		b.claim("a", 1, "run-b")
		b.ahead += lease + time.Second
		require.Equal(t, ledger.Decide, b.claim("a", 1, "run-c").Verdict)
		require.Equal(t, message.Submitted, b.commit(of(taken, "a", 1)).Status)
		second := of(taken, "a", 2)
		second.MessageID = "0a4a68a0-1203-4c85-8dc3-49d0b3226a35"
		b.commit(second)
		a, err := b.Audit(t.Context(), b.sender)
		require.NoError(t, err)
		require.EqualValues(t, 1, a.Duplicates)
		rec, err := b.Find(t.Context(), b.sender, second.MessageID)
		require.NoError(t, err)
		require.Equal(t, taken.MessageID, rec.MessageID)
		require.Len(t, rec.Attempts, 2)
		for i, mid := range []string{taken.MessageID, second.MessageID} {
			require.Equal(t, ledger.Attempt{N: i + 1, At: rec.Attempts[i].At, Outcome: ledger.OutcomeSubmitted, MessageID: mid}, rec.Attempts[i])
		}
		b.balanced()
	})
}

func TestARetryIsClaimedByItsTaskOrByTheSweeper(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		b.accept(b.message("a", message.Default))
		b.claim("a", 1, "run-a")
		b.commit(of(transient, "a", 1))
		require.Equal(t, ledger.Wait, b.claim("a", 1, "run-b").Verdict, "too early")
		require.Empty(t, b.sweep(ledger.SweepRequest{}).Requeue)
		b.ahead += transient.Delay
		require.Empty(t, b.sweep(ledger.SweepRequest{}).Requeue, "asynq's own retry goes first")
		c := b.claim("a", 1, "run-b")
		require.Equal(t, ledger.Send, c.Verdict)
		require.Equal(t, 2, c.Attempt)
		require.Equal(t, 2, c.Spent)
		b.commit(of(transient, "a", 2))
		b.ahead += transient.Delay + transient.Slack + time.Second
		again := b.sweep(ledger.SweepRequest{}).Requeue
		require.Equal(t, []ledger.Requeued{{ID: "a", Generation: 2, Priority: message.Default, To: "919876543210"}}, again)
		require.Equal(t, ledger.Stale, b.claim("a", 1, "run-c").Verdict, "the old task does nothing any more")
		require.Equal(t, ledger.Send, b.claim("a", 2, "run-c").Verdict)
		b.commit(of(taken, "a", 3))
		attempts := b.get("a").Attempts
		require.Len(t, attempts, 3)
		require.Equal(t, "http_503", attempts[0].Code)
		require.Equal(t, taken.MessageID, attempts[2].MessageID)
		b.balanced()
	})
}

func TestARecordTellsWhenItsMessageIsLookedAtNext(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		at := time.Now().Add(time.Hour).Truncate(time.Millisecond)
		m := b.message("later", message.Default)
		m.SendAt = at
		b.accept(m)
		require.WithinDuration(t, at, b.get("later").DueAt, 0)

		for id, outcome := range map[string]ledger.Commit{"retry": transient, "doubt": doubtful} {
			b.accept(b.message(id, message.Default))
			require.Zero(t, b.get(id).DueAt, "it stands in line")
			c := b.claim(id, 1, "run")
			b.commit(of(outcome, id, c.Attempt))
			require.WithinDuration(t, time.Now().Add(outcome.Delay), b.get(id).DueAt, 10*time.Second, id)
		}
	})
}

func TestWhatWasNotSentSpendsNothing(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		b.accept(b.message("a", message.Default))
		b.claim("a", 1, "run-a")
		b.commit(of(ledger.Commit{Outcome: ledger.OutcomeNotSent, Next: message.Queued, Delay: time.Second, Code: "connect", Class: gupshup.ClassNotSent}, "a", 1))
		require.Zero(t, b.get("a").Spent)
		b.ahead += 2 * time.Second
		require.Equal(t, 1, b.claim("a", 1, "run-b").Spent)
	})
}

func TestDeadLettersAreListedReplayedAndPurged(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		for _, id := range []string{"a", "b", "c"} {
			b.accept(b.message(id, message.Default))
			b.claim(id, 1, "run-"+id)
			b.commit(of(terminal, id, 1))
			b.ahead += time.Minute
		}
		list := func(q ledger.DeadFilter) (ids []string) {
			require.NoError(t, b.Dead(t.Context(), b.sender, q, func(r ledger.Record, _ time.Time) bool {
				ids = append(ids, r.ID)
				return true
			}))
			return ids
		}
		require.Equal(t, []string{"c", "b", "a"}, list(ledger.DeadFilter{}))
		require.Equal(t, []string{"c"}, list(ledger.DeadFilter{Limit: 1, Code: "1002"}))
		require.Empty(t, list(ledger.DeadFilter{Code: "1003"}))
		require.Equal(t, []string{"a"}, list(ledger.DeadFilter{Until: time.Now().Add(30 * time.Second)}))
		require.Equal(t, ledger.AlreadyDead, b.claim("a", 1, "run-x").Verdict)

		task, err := b.Replay(t.Context(), b.sender, "a", 1)
		require.NoError(t, err)
		require.Equal(t, 2, task.Generation)
		again, err := b.Replay(t.Context(), b.sender, "a", 1) // as a client does whose reply was lost
		require.NoError(t, err)
		require.Equal(t, task, again)
		require.Equal(t, "919876543210", task.To)
		c := b.claim("a", 2, "run-y")
		require.Equal(t, ledger.Send, c.Verdict)
		require.Equal(t, 1, c.Spent, "a replay has a new budget")
		_, err = b.Replay(t.Context(), b.sender, "a", 1)
		var notDead *ledger.NotDeadError
		require.ErrorAs(t, err, &notDead)
		require.Equal(t, message.Sending, notDead.Status)

		require.NoError(t, b.Purge(t.Context(), b.sender, "b"))
		require.ErrorIs(t, b.Purge(t.Context(), b.sender, "b"), ledger.ErrNotFound)
		require.Equal(t, []string{"c"}, list(ledger.DeadFilter{}))
		b.balanced()
	})
}

func TestRunInTheWebUIReplaysADeadLetter(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		b.accept(b.message("a", message.Critical))
		b.claim("a", 1, "run-a")
		b.commit(of(terminal, "a", 1))
		b.ahead += time.Hour // its expiry is long over: a person wants it sent all the same
		c, err := b.Claim(t.Context(), ledger.ClaimRequest{Sender: b.sender, ID: "a", Generation: 1, Token: "run-b", Lease: lease, Replay: true})
		require.NoError(t, err)
		require.Equal(t, ledger.Send, c.Verdict)
		require.Equal(t, 2, c.Attempt)
		require.Equal(t, 1, c.Spent)
		b.balanced()
	})
}

func TestALostTaskIsFoundAgain(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		b.accept(b.message("lost", message.Critical))
		b.ahead += 4 * time.Second
		require.Empty(t, b.sweep(ledger.SweepRequest{}).Requeue, "nothing younger was claimed: it may just wait its turn")
		b.accept(b.message("next", message.Critical))
		b.claim("next", 1, "run-a")
		s := b.sweep(ledger.SweepRequest{})
		require.Len(t, s.Requeue, 1)
		require.Equal(t, "lost", s.Requeue[0].ID)
		require.Equal(t, 2, s.Requeue[0].Generation)

		b.ahead += 4 * time.Second
		s = b.sweep(ledger.SweepRequest{})
		require.Empty(t, s.Requeue)
		s = b.sweep(ledger.SweepRequest{Idle: map[message.Priority]bool{message.Critical: true}})
		require.Len(t, s.Requeue, 1, "the queue is empty, so there is nothing it could be waiting behind")
		b.balanced()
	})
}

func TestOneSweeperAtATime(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		require.True(t, b.sweep(ledger.SweepRequest{Owner: "one"}).Leader)
		require.False(t, b.sweep(ledger.SweepRequest{Owner: "two"}).Leader)
		b.ahead += 2 * time.Second
		require.True(t, b.sweep(ledger.SweepRequest{Owner: "two"}).Leader)
		require.False(t, b.sweep(ledger.SweepRequest{Owner: "one"}).Leader)
	})
}

func TestSendAtAndExpiry(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		m := b.message("later", message.Default)
		m.SendAt = time.Now().Add(time.Hour)
		require.False(t, b.accept(m).Enqueue)
		require.Equal(t, ledger.Wait, b.claim("later", 1, "run-a").Verdict)
		require.Empty(t, b.sweep(ledger.SweepRequest{}).Requeue)
		b.accept(b.message("otp", message.Critical))
		m = b.message("offer", message.Bulk)
		m.ExpiresAt = time.Now().Add(30 * time.Minute)
		b.accept(m)

		b.ahead += 11 * time.Minute
		require.Equal(t, 1, b.sweep(ledger.SweepRequest{}).Expired, "a one-time password has ten minutes")
		require.Equal(t, message.Expired, b.get("otp").Status)
		b.ahead += 20 * time.Minute
		require.Equal(t, ledger.ExpiredNow, b.claim("offer", 1, "run-b").Verdict)
		b.ahead += 30 * time.Minute
		s := b.sweep(ledger.SweepRequest{})
		require.Len(t, s.Requeue, 1)
		require.Equal(t, ledger.Send, b.claim("later", 2, "run-c").Verdict)
		b.balanced()
	})
}

func TestRetention(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		b.accept(b.message("done", message.Default))
		b.claim("done", 1, "run-a")
		b.commit(of(taken, "done", 1))
		b.accept(b.message("dead", message.Default))
		b.claim("dead", 1, "run-b")
		b.commit(of(terminal, "dead", 1))
		b.accept(b.message("open", message.Default))
		b.ahead += 6 * 24 * time.Hour
		require.Zero(t, b.sweep(ledger.SweepRequest{}).Retired)
		b.ahead += 25 * time.Hour
		require.Equal(t, 1, b.sweep(ledger.SweepRequest{}).Retired)
		_, err := b.Get(t.Context(), b.sender, "done")
		require.ErrorIs(t, err, ledger.ErrNotFound)
		require.Equal(t, message.Dead, b.get("dead").Status)
		b.balanced()
		b.ahead += 90 * 24 * time.Hour
		require.Equal(t, 1, b.sweep(ledger.SweepRequest{}).Retired)
		require.Equal(t, message.Queued, b.get("open").Status, "what is not settled is kept for ever")
		b.balanced()
	})
}

func TestTheDeepAuditSeesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		tamper := map[string]func(b *book, p string){
			"a lost place":          func(b *book, p string) { rdb.ZRem(t.Context(), p+"waiting:default", "a") },
			"a second place":        func(b *book, p string) { rdb.ZAdd(t.Context(), p+"due", redis.Z{Score: 1, Member: "a"}) },
			"a place and no record": func(b *book, p string) { rdb.ZAdd(t.Context(), p+"due", redis.Z{Score: 1, Member: "ghost"}) },
			"a lost record":         func(b *book, p string) { rdb.Del(t.Context(), p+"m:a") },
			"a wrong state":         func(b *book, p string) { rdb.HSet(t.Context(), p+"m:a", "st", "delivered") },
			"a wrong counter":       func(b *book, p string) { rdb.HIncrBy(t.Context(), p+"count", "accepted", 1) },
		}
		for name, do := range tamper {
			b := newBook(t, rdb)
			b.accept(b.message("a", message.Default))
			b.balanced()
			do(b, "gupdispatch:{"+b.sender+"}:")
			d, err := b.AuditDeep(t.Context(), b.sender)
			require.NoError(t, err)
			require.False(t, d.Balanced(), name)
		}
	})
}

func TestScriptsComeBackAfterRedisForgotThem(t *testing.T) {
	t.Parallel()
	b := newBook(t, redistest.Embedded(t))
	b.accept(b.message("a", message.Default))
	rdb := redistest.Embedded(t)
	other := newBook(t, rdb)
	require.NoError(t, rdb.ScriptFlush(t.Context()).Err())
	got, errs := other.Accept(t.Context(), []message.Message{other.message("x", message.Bulk), other.message("y", message.Bulk)})
	require.NoError(t, errs[0])
	require.NoError(t, errs[1])
	require.Equal(t, ledger.AcceptedNew, got[1].Outcome)
}
