//go:build unix

package crash

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/internal/redistest"
)

// realRedis returns the address of a Redis, and whether it is ours alone.
func realRedis(t *testing.T) (addr string, ours bool) {
	t.Helper()
	if addr = os.Getenv(redistest.AddrVar); addr != "" {
		return addr, false
	}
	server, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv(redistest.RequireVar) == "1" {
			t.Fatalf("%s=1, but %s names no Redis and there is no redis-server in PATH", redistest.RequireVar, redistest.AddrVar)
		}
		t.Skipf("SKIPPED: the crash test needs a real Redis: set %s=host:port, or put redis-server into PATH", redistest.AddrVar)
	}
	return redistest.Start(t, server), true
}

// relay stands between the processes and Redis, and cuts.
type relay struct {
	target string
	listen net.Listener

	mu    sync.Mutex
	links map[*link]bool

	cuts atomic.Int64 // connections closed
	lost atomic.Int64 // of them, those with a reply that Redis had given
}

type link struct {
	client, redis net.Conn
	loseReply     atomic.Bool
}

func (l *link) close() {
	_ = l.client.Close()
	_ = l.redis.Close()
}

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{target: target, listen: listen, links: map[*link]bool{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listen.Accept()
			if err != nil {
				return
			}
			all.Go(func() { r.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listen.Close()
		r.each(func(l *link) { l.close() })
		all.Wait()
	})
	return r
}

func (r *relay) addr() string { return r.listen.Addr().String() }

func (r *relay) serve(client net.Conn) {
	server, err := net.Dial("tcp", r.target)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{client: client, redis: server}
	r.mu.Lock()
	r.links[l] = true
	r.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { r.copy(server, client, nil); l.close() })
	both.Go(func() { r.copy(client, server, &l.loseReply); l.close() })
	both.Wait()
	r.mu.Lock()
	delete(r.links, l)
	r.mu.Unlock()
}

// copy carries bytes until an end closes, or until lose says that what comes next is not to arrive.
func (r *relay) copy(to, from net.Conn, lose *atomic.Bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if lose != nil && lose.Load() {
			r.cuts.Add(1)
			r.lost.Add(1)
			return
		}
		if _, err = to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (r *relay) each(do func(*link)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for l := range r.links {
		do(l)
	}
}

// cut closes all connections.
func (r *relay) cut() {
	r.each(func(l *link) {
		r.cuts.Add(1)
		l.close()
	})
}

// loseReplies closes a part of the connections when Redis gives its next reply there: executed, but nobody hears of it.
func (r *relay) loseReplies(part float64) {
	r.each(func(l *link) {
		if rand.Float64() < part {
			l.loseReply.Store(true)
		}
	})
}

// disturb cuts connections, now and then, until ctx ends. It counts those that Redis itself was told to close.
func (r *relay) disturb(ctx context.Context, rdb *redis.Client, ours bool) (killed int64) {
	for {
		pause(ctx, 200*time.Millisecond+rand.N(time.Second))
		if ctx.Err() != nil {
			return killed
		}
		switch n := rand.N(10); {
		case n < 2:
			r.cut()
		case n < 4 && ours: // others may use a Redis that is not ours
			closed, _ := rdb.ClientKillByFilter(ctx, "TYPE", "normal").Result()
			killed += closed
		default:
			r.loseReplies(0.3)
		}
	}
}
