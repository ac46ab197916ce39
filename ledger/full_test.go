package ledger_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// newBookOf is a book whose sender may have so many messages queued.
func newBookOf(t *testing.T, rdb redis.UniversalClient, most int) *book {
	b := &book{t: t, sender: redistest.Sender()}
	b.Ledger = ledger.New(rdb, ledger.Config{MaxQueued: map[string]int{b.sender: most}, Offset: func() time.Duration { return b.ahead }})
	return b
}

func TestNoMoreAreQueuedThanTheSenderMayHave(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBookOf(t, rdb, 10)
		outcome := func(id string, p message.Priority) string { return b.accept(b.message(id, p)).Outcome }
		for i := range 9 {
			require.Equal(t, ledger.AcceptedNew, outcome(fmt.Sprint("bulk", i), message.Bulk))
		}
		require.Equal(t, ledger.AcceptFull, outcome("bulk9", message.Bulk), "the last tenth is not for bulk")
		require.Equal(t, ledger.AcceptedNew, outcome("a", message.Critical))
		require.Equal(t, ledger.AcceptFull, outcome("b", message.Critical))
		require.Equal(t, ledger.AcceptFull, outcome("c", message.Default))

		require.Equal(t, ledger.AcceptedExisting, outcome("bulk0", message.Bulk), "what is in stays in")
		require.Equal(t, ledger.AcceptConflict, outcome("bulk0", message.Default))
		_, err := b.Get(t.Context(), b.sender, "b")
		require.ErrorIs(t, err, ledger.ErrNotFound, "nothing was written")
		b.balanced()

		require.Equal(t, ledger.Send, b.claim("a", 1, "run").Verdict)
		require.Equal(t, ledger.AcceptedNew, outcome("b", message.Critical), "one was sent, so there is room for one")
		require.Equal(t, ledger.AcceptFull, outcome("c", message.Default))
		b.balanced()
	})
}

func TestManyProducersTogetherKeepToWhatMayBeQueued(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		const most, producers, each = 50, 8, 20
		b := newBookOf(t, rdb, most)
		var all sync.WaitGroup
		var accepted, full atomic.Int64
		for p := range producers {
			all.Go(func() {
				ms := make([]message.Message, each)
				for i := range ms {
					ms[i] = b.message(fmt.Sprintf("m%d-%d", p, i), message.Default)
				}
				got, errs := b.Accept(context.Background(), ms)
				for i, a := range got {
					switch {
					case errs[i] != nil:
					case a.Outcome == ledger.AcceptedNew:
						accepted.Add(1)
					case a.Outcome == ledger.AcceptFull:
						full.Add(1)
					}
				}
			})
		}
		all.Wait()
		require.EqualValues(t, most, accepted.Load())
		require.EqualValues(t, producers*each-most, full.Load())
		b.balanced()
	})
}

func TestAFewMayBeQueuedByAnyPriority(t *testing.T) {
	t.Parallel()
	b := newBookOf(t, redistest.Embedded(t), 1)
	require.Equal(t, ledger.AcceptedNew, b.accept(b.message("a", message.Bulk)).Outcome, "a tenth of fewer than ten is none")
	require.Equal(t, ledger.AcceptFull, b.accept(b.message("b", message.Critical)).Outcome)
}

func TestASweepOfAFullRedisHandsNothingBack(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		b.accept(b.message("lost", message.Bulk))
		retried := b.message("retried", message.Default)
		retried.To = "919876543211"
		b.accept(retried)
		b.claim("retried", 1, "run")
		b.commit(of(transient, "retried", 1))
		expires := b.message("expires", message.Critical)
		b.accept(expires)
		b.ahead += time.Hour
		idle := map[message.Priority]bool{message.Bulk: true}
		s := b.sweep(ledger.SweepRequest{Idle: idle, Full: true})
		require.Empty(t, s.Requeue)
		require.False(t, s.More)
		require.Equal(t, 1, s.Expired, "what ends makes room")
		b.balanced()
		require.Len(t, b.sweep(ledger.SweepRequest{Idle: idle}).Requeue, 2)
		b.balanced()
	})
}

// fill lowers the maxmemory of a Redis of our own to less than it uses.
func fill(t *testing.T, rdb *redis.Client) {
	t.Helper()
	ctx := t.Context()
	info, err := rdb.Info(ctx, "memory").Result()
	require.NoError(t, err)
	_, used, _ := strings.Cut(info, "used_memory:")
	used, _, _ = strings.Cut(used, "\r\n")
	n, err := strconv.Atoi(used)
	require.NoError(t, err)
	require.NoError(t, rdb.ConfigSet(ctx, "maxmemory", strconv.Itoa(n/2)).Err())
	require.ErrorContains(t, rdb.Set(ctx, "x", "y", 0).Err(), "OOM")
}

// The promise is that no outcome is lost for want of memory, and the way out must not need memory either.
func TestAFullRedisTakesWhatCameOfARequestAndNothingNew(t *testing.T) {
	t.Parallel()
	rdb := redistest.Own(t)
	b := newBook(t, rdb)
	ctx := context.Background()
	outcomes := map[string]ledger.Commit{"taken": taken, "transient": transient, "terminal": terminal, "doubtful": doubtful}
	for i, id := range []string{"taken", "transient", "terminal", "doubtful"} {
		m := b.message(id, message.Default)
		m.To = "91987654321" + strconv.Itoa(i)
		b.accept(m)
		require.Equal(t, ledger.Send, b.claim(id, 1, "run").Verdict)
	}
	expires := b.message("expires", message.Critical)
	b.accept(expires)
	b.accept(b.message("waits", message.Default))
	fill(t, rdb)

	_, errs := b.Accept(ctx, []message.Message{b.message("new", message.Critical), b.message("waits", message.Default)})
	require.ErrorIs(t, errs[0], ledger.ErrNoMemory)
	require.NoError(t, errs[1], "what is in is still known")
	_, err := b.Get(ctx, b.sender, "new")
	require.ErrorIs(t, err, ledger.ErrNotFound)
	_, err = b.Claim(ctx, ledger.ClaimRequest{Sender: b.sender, ID: "waits", Generation: 1, Token: "run", Lease: lease})
	require.ErrorIs(t, err, ledger.ErrNoMemory)
	b.balanced()

	for id, c := range outcomes {
		require.Equal(t, c.Next, b.commit(of(c, id, 1)).Status)
	}
	b.balanced()

	b.ahead += time.Hour
	require.Equal(t, 1, b.sweep(ledger.SweepRequest{Full: true}).Expired)
	b.ahead += 8 * 24 * time.Hour
	require.Equal(t, 2, b.sweep(ledger.SweepRequest{Full: true}).Retired, "retention makes room")
	require.NoError(t, b.Purge(ctx, b.sender, "terminal"), "and so does a person")
	b.balanced()

	require.NoError(t, rdb.ConfigSet(ctx, "maxmemory", "0").Err())
	require.Equal(t, ledger.AcceptedNew, b.accept(b.message("new", message.Critical)).Outcome)
	require.Equal(t, ledger.Send, b.claim("waits", 1, "run").Verdict)
	b.commit(of(taken, "waits", 1))
	b.balanced()
}
