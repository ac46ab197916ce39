package producer_test

import (
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
)

func TestAFullRedisRefusesBulkFirstAndThenAll(t *testing.T) {
	t.Parallel()
	for used, refused := range map[int64][]message.Priority{
		790: nil,
		799: nil,
		800: {message.Bulk},
		899: {message.Bulk},
		900: {message.Critical, message.Default, message.Bulk},
		990: {message.Critical, message.Default, message.Bulk},
	} {
		redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
			memory := redistest.Pretend(rdb)
			memory.Set(used, 1000)
			p, sender := newProducer(t, rdb)
			for _, priority := range message.Priorities {
				m := order(sender, string(priority))
				m.Priority = priority
				_, err := p.Send(t.Context(), m)
				_, known := ledger.New(rdb, ledger.Config{}).Get(t.Context(), sender, m.ID)
				var full *producer.FullError
				for _, r := range refused {
					if r == priority {
						require.ErrorAs(t, err, &full, "%d %s", used, priority)
						require.ErrorIs(t, known, ledger.ErrNotFound, "nothing was written")
						require.Positive(t, full.RetryAfter)
						require.Contains(t, full.Error(), fmt.Sprintf("Redis's memory is %d %% full", used/10))
						require.Contains(t, full.Error(), "maxmemory")
						require.NotContains(t, full.Error(), "98765")
					}
				}
				if full == nil {
					require.NoError(t, err, "%d %s", used, priority)
					require.NoError(t, known)
				}
			}
		})
	}
}

func TestABatchAsksOnceAndIsAnsweredOneByOne(t *testing.T) {
	t.Parallel()
	rdb := redistest.Embedded(t)
	memory := redistest.Pretend(rdb)
	memory.Set(85, 100)
	p, sender := newProducer(t, rdb)
	ms := make([]message.Message, 400)
	for i := range ms {
		ms[i] = order(sender, fmt.Sprint("m", i))
		if i%2 == 0 {
			ms[i].Priority = message.Bulk
		}
	}
	for i, r := range p.SendBatch(t.Context(), ms) {
		var full *producer.FullError
		if i%2 == 0 {
			require.ErrorAs(t, r.Err, &full)
		} else {
			require.NoError(t, r.Err)
		}
		require.Equal(t, ms[i].ID, r.ID)
	}
	require.EqualValues(t, 1, memory.Asked())
}

func TestASenderWithAFullQueueIsRefused(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		one, other := redistest.Sender(), redistest.Sender()
		p, err := producer.New(producer.Config{Redis: rdb, Senders: []producer.Sender{{Name: one, MaxQueued: 10}, {Name: other}}})
		require.NoError(t, err)
		var full *producer.FullError
		for i := range 10 {
			m := order(one, fmt.Sprint("bulk", i))
			m.To, m.Priority = "+91 98765 43210", message.Bulk
			if _, err = p.Send(t.Context(), m); i < 9 {
				require.NoError(t, err)
			}
		}
		require.ErrorAs(t, err, &full)
		require.Contains(t, full.Error(), "max_queued 10, of which bulk leaves a tenth to others")
		require.Contains(t, full.Error(), "sender "+one)
		_, err = p.Send(t.Context(), order(one, "a"))
		require.NoError(t, err)
		_, err = p.Send(t.Context(), order(one, "b"))
		require.ErrorAs(t, err, &full)
		require.Contains(t, full.Error(), "(max_queued 10): wait")
		require.Positive(t, full.RetryAfter)
		r, err := p.Send(t.Context(), order(one, "a"))
		require.NoError(t, err)
		require.True(t, r.Existing, "a repeat is told what exists")
		_, err = p.Send(t.Context(), order(other, "b"))
		require.NoError(t, err, "another sender has a queue of its own")
	})
}

func TestARedisThatIsFullAllTheSameIsNoUnknown(t *testing.T) {
	t.Parallel()
	rdb := redistest.Own(t)
	redistest.Pretend(rdb).Set(1, 100) // it fills up faster than we look
	p, sender := newProducer(t, rdb)
	_, err := p.Send(t.Context(), order(sender, "a"))
	require.NoError(t, err)
	require.NoError(t, rdb.ConfigSet(t.Context(), "maxmemory", "1").Err())
	_, err = p.Send(t.Context(), order(sender, "b"))
	var full *producer.FullError
	require.ErrorAs(t, err, &full)
	require.Contains(t, full.Error(), "no memory left")
}
