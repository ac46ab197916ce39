package worker_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
)

const ballast = "ballast"

// fillTo loads a Redis of our own until that part of its memory is used.
func fillTo(t *testing.T, rdb *redis.Client, part float64) {
	t.Helper()
	stone := make([]byte, 32<<10)
	for range 10_000 {
		used, known := ledger.NewRoom(rdb).Used(t.Context())
		require.True(t, known)
		if used >= part {
			return
		}
		require.NoError(t, rdb.RPush(t.Context(), ballast, stone).Err())
	}
	t.Fatal("Redis does not fill")
}

// A real Redis fills up under a worker at work, is freed again, and nothing is missing.
func TestARedisThatFillsUpAndIsFreed(t *testing.T) {
	t.Parallel()
	rdb := redistest.Own(t)
	require.NoError(t, rdb.ConfigSet(t.Context(), "maxmemory", "64mb").Err())
	s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{
		rule("919876543299", gupshuptest.Fault{Kind: gupshuptest.KindSlow, Delay: time.Second}),
	}})
	accepted := 0
	refused := func(id string, p message.Priority) bool {
		_, err := s.producer.Send(t.Context(), s.text(id, "919876543210", p))
		if err == nil {
			accepted++
			return false
		}
		var full *producer.FullError
		require.ErrorAs(t, err, &full)
		return true
	}
	eventuallyRefused := func(p message.Priority, want bool) {
		t.Helper()
		tries := 0
		require.Eventually(t, func() bool {
			tries++
			return refused(fmt.Sprintf("%s-%v-%d-%d", p, want, accepted, tries), p) == want
		}, 10*time.Second, 50*time.Millisecond)
	}
	stop := s.run()
	require.False(t, refused("first", message.Bulk))
	s.becomes("first", message.Submitted)

	fillTo(t, rdb, .81)
	eventuallyRefused(message.Bulk, true)
	require.NoError(t, s.inspect.PauseQueue(message.Queue(s.sender, message.Default)))
	const waiting = 20
	for i := range waiting {
		require.False(t, refused(fmt.Sprint("waits", i), message.Default))
	}
	require.False(t, refused("urgent", message.Critical))
	s.becomes("urgent", message.Submitted)

	fillTo(t, rdb, .91)
	eventuallyRefused(message.Critical, true)
	require.True(t, refused("x", message.Default))
	require.True(t, refused("y", message.Bulk))

	s.counted(message.Queued, waiting) // all others are on their way
	fillTo(t, rdb, .96)
	logged := func(what string) func() bool {
		return func() bool { return s.logs.FilterMessage(what).Len() == 1 }
	}
	require.Eventually(t, logged("redis.full"), 10*time.Second, 20*time.Millisecond)
	before := s.sim.Stats().Accepted
	require.NoError(t, s.inspect.UnpauseQueue(message.Queue(s.sender, message.Default)))
	require.Eventually(t, func() bool {
		info, err := s.inspect.GetQueueInfo(message.Queue(s.sender, message.Default))
		return err == nil && info.Active == s.cfg.Concurrency[message.Default]
	}, 10*time.Second, 20*time.Millisecond, "every handler has a message")
	books, err := s.ledger.Audit(t.Context(), s.sender)
	require.NoError(t, err)
	require.EqualValues(t, waiting, books.Counts[message.Queued], "and none has claimed it")
	require.Equal(t, before, s.sim.Stats().Accepted)

	require.NoError(t, rdb.Del(t.Context(), ballast).Err())
	for i := range waiting {
		s.becomes(fmt.Sprint("waits", i), message.Submitted)
	}
	eventuallyRefused(message.Bulk, false)
	require.True(t, logged("redis.room")())

	// And if it fills faster than anybody looks, what came of a request still finds room.
	slow := s.text("slow", "919876543299", message.Critical)
	s.send(slow)
	accepted++
	s.becomes("slow", message.Sending)
	require.NoError(t, rdb.ConfigSet(t.Context(), "maxmemory", "1mb").Err())
	s.becomes("slow", message.Submitted)
	require.ErrorContains(t, rdb.Set(t.Context(), "x", "y", 0).Err(), "OOM")
	require.NoError(t, rdb.ConfigSet(t.Context(), "maxmemory", "0").Err())

	require.Eventually(t, func() bool {
		books, err = s.ledger.Audit(context.Background(), s.sender)
		return err == nil && books.Unsettled() == 0
	}, 20*time.Second, 20*time.Millisecond)
	stop()
	require.EqualValues(t, accepted, books.Accepted)
	require.EqualValues(t, accepted, s.sim.Stats().Accepted)
	require.Empty(t, s.sim.Duplicates())
	s.balanced()
}

// A worker that is told to stop while Redis is full does so at once, and its messages stay where they were.
func TestAWorkerOnAFullRedisStops(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		memory := redistest.Pretend(rdb)
		memory.Set(10, 100)
		s := newSite(t, rdb, gupshuptest.Config{})
		for i := range 4 {
			s.send(s.text(fmt.Sprint("m", i), "919876543210", message.Critical))
		}
		memory.Set(96, 100)
		stop := s.run()
		require.Eventually(t, func() bool {
			info, err := s.inspect.GetQueueInfo(message.Queue(s.sender, message.Critical))
			return err == nil && info.Active == 4
		}, 10*time.Second, 20*time.Millisecond)
		began := time.Now()
		stop()
		require.Less(t, time.Since(began), s.cfg.ShutdownTimeout)
		books, err := s.ledger.Audit(t.Context(), s.sender)
		require.NoError(t, err)
		require.EqualValues(t, 4, books.Counts[message.Queued])
		s.balanced()

		memory.Set(10, 100)
		s.cfg.Registry = nil
		s.run()
		for i := range 4 {
			s.becomes(fmt.Sprint("m", i), message.Submitted)
		}
		s.balanced()
	})
}
