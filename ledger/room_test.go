package ledger

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/internal/redistest"
)

// clockedRoom is a room whose clock the test moves.
func clockedRoom(rdb redis.UniversalClient) (r *Room, pass func(time.Duration)) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r = NewRoom(rdb)
	r.now = func() time.Time { return now }
	return r, func(d time.Duration) { now = now.Add(d) }
}

func requireUsed(t *testing.T, r *Room, want float64, wantKnown bool) {
	t.Helper()
	used, known := r.Used(t.Context())
	require.InDelta(t, want, used, 1e-9)
	require.Equal(t, wantKnown, known)
}

func TestRoomAsksOnceASecond(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		m := redistest.Pretend(rdb)
		r, pass := clockedRoom(rdb)
		m.Set(80, 100)
		requireUsed(t, r, .8, true)
		m.Set(95, 100)
		requireUsed(t, r, .8, true)
		pass(roomFresh - 1)
		requireUsed(t, r, .8, true)
		require.EqualValues(t, 1, m.Asked())
		pass(1)
		requireUsed(t, r, .95, true)
		require.EqualValues(t, 2, m.Asked())
		pass(time.Second)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { r.Used(context.Background()) })
		}
		all.Wait()
		require.EqualValues(t, 3, m.Asked(), "one asks for all")
	})
}

func TestRoomThatIsNotKnownIsEnough(t *testing.T) {
	t.Parallel()
	rdb := redistest.Embedded(t)
	m := redistest.Pretend(rdb)
	r, pass := clockedRoom(rdb)
	requireUsed(t, r, 0, false) // an embedded Redis does not know the section

	m.Set(99, 100)
	pass(time.Second)
	requireUsed(t, r, .99, true)
	m.Say("")
	pass(time.Second)
	requireUsed(t, r, .99, true) // one question without an answer frees nothing
	pass(roomStale)
	requireUsed(t, r, 0, false)

	for _, answer := range []string{"", "nonsense", "used_memory:5\r\n", "maxmemory:5\r\n", "used_memory:many\r\nmaxmemory:5\r\n"} {
		m.Set(99, 100)
		pass(time.Second)
		requireUsed(t, r, .99, true)
		m.Say(answer)
		pass(2 * roomStale)
		requireUsed(t, r, 0, false)
	}
	m.Set(99, 100)
	pass(time.Second)
	requireUsed(t, r, .99, true)
	m.Set(99, 0) // somebody took the limit away: that is known at once
	pass(time.Second)
	requireUsed(t, r, 0, false)
}

func TestRoomCountsAsRedisDoes(t *testing.T) {
	t.Parallel()
	rdb := redistest.Own(t)
	ctx := t.Context()
	require.NoError(t, rdb.Set(ctx, "ballast", make([]byte, 20<<20), 0).Err())
	for most, refuses := range map[int64]bool{16 << 20: true, 64 << 20: false} {
		require.NoError(t, rdb.ConfigSet(ctx, "maxmemory", fmt.Sprint(most)).Err())
		used, known := NewRoom(rdb).Used(ctx)
		require.True(t, known)
		err := rdb.Set(ctx, "x", "y", 0).Err()
		require.Equal(t, refuses, used > 1, "%v", used)
		require.Equal(t, refuses, err != nil, "%v", err)
	}
}

func TestRoomOfAClusterIsThatOfItsFullestMaster(t *testing.T) {
	t.Parallel()
	var slots []redis.ClusterSlot
	for i := range 3 {
		slots = append(slots, redis.ClusterSlot{Start: i * 5000, End: i*5000 + 4999, Nodes: []redis.ClusterNode{{Addr: miniredis.RunT(t).Addr()}}})
	}
	used := make(chan int64, len(slots)) // one for each node, in whatever order they are made
	used <- 40
	used <- 91
	used <- 70
	rdb := redis.NewClusterClient(&redis.ClusterOptions{
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) { return slots, nil },
		NewClient: func(o *redis.Options) *redis.Client {
			node := redis.NewClient(o)
			redistest.Pretend(node).Set(<-used, 100)
			return node
		},
	})
	t.Cleanup(func() { _ = rdb.Close() })
	got, known := NewRoom(rdb).Used(t.Context())
	require.True(t, known)
	require.InDelta(t, .91, got, 1e-9)
}
