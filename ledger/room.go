package ledger

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// How full Redis may be, as parts of its maxmemory. The rest belongs to what is under way already: the outcome of a request that
// was made must always find room.
const (
	FullForBulk = .80 // from here on no bulk message is accepted,
	FullForAll  = .90 // from here on none at all,
	FullToSend  = .95 // and from here on none is claimed.
)

const (
	roomFresh = 900 * time.Millisecond // less than a second, so that who asks once a second is told something new each time
	roomStale = 10 * time.Second       // how long an answer is used when there is no newer one
	roomWait  = time.Second            // one question
)

// Consequence tells people what follows from so much of Redis's memory being used; it is empty if nothing does.
func Consequence(used float64) string {
	follows := ""
	switch {
	case used >= FullToSend:
		follows = "nothing is accepted and nothing sent"
	case used >= FullForAll:
		follows = "no message is accepted"
	case used >= FullForBulk:
		follows = "no bulk message is accepted"
	default:
		return ""
	}
	return fmt.Sprintf("Redis's memory is %.0f %% full: %s until there is room; give Redis more maxmemory", math.Floor(100*used), follows)
}

// Room tells how full Redis is. It is safe for concurrent use and has no goroutine of its own: about once a second one of those
// who ask it asks Redis, and all others are told the latest answer.
type Room struct {
	rdb redis.UniversalClient
	now func() time.Time

	mu       sync.Mutex
	asked    time.Time // when somebody last went to ask
	answered time.Time // when used was true; zero: never
	used     float64
}

// NewRoom makes a room over a client that the caller closes.
func NewRoom(rdb redis.UniversalClient) *Room { return &Room{rdb: rdb, now: time.Now} }

// Used returns which part of its maxmemory Redis uses, a cluster the fullest of its masters; above 1 it refuses to write. It is
// not known while Redis has no maxmemory, does not tell (an embedded one, or one whose permissions forbid INFO) or is away for
// longer than some seconds; then it is 0, because that is no reason to refuse anybody.
func (r *Room) Used(ctx context.Context) (used float64, known bool) {
	r.mu.Lock()
	turn := r.now().Sub(r.asked) >= roomFresh
	if turn {
		r.asked = r.now()
	}
	r.mu.Unlock()
	if turn {
		r.ask(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answered.IsZero() || r.now().Sub(r.answered) > roomStale {
		return 0, false
	}
	return r.used, true
}

// ask asks Redis, or all masters of a cluster.
func (r *Room) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, roomWait)
	defer cancel()
	var mu sync.Mutex
	fullest, limited := 0.0, false
	one := func(ctx context.Context, rdb redis.Cmdable) error {
		info, err := rdb.Info(ctx, "memory").Result()
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if used, ok := usedOf(info); ok {
			fullest, limited = max(fullest, used), true
		}
		return nil
	}
	var err error
	if cluster, ok := r.rdb.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, rdb *redis.Client) error { return one(ctx, rdb) })
	} else {
		err = one(ctx, r.rdb)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil: // the last answer stands until it is stale
	case limited:
		r.used, r.answered = fullest, r.now()
	default:
		r.answered = time.Time{}
	}
}

// usedOf reads an answer to INFO memory as Redis itself does before it refuses a write: buffers for replicas and for the
// append-only file do not count.
func usedOf(info string) (part float64, ok bool) {
	var used, uncounted, most float64
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		switch name {
		case "used_memory":
			used = n
		case "mem_not_counted_for_evict":
			uncounted = n
		case "maxmemory":
			most = n
		}
	}
	if used == 0 || most == 0 {
		return 0, false
	}
	return (used - uncounted) / most, true
}
