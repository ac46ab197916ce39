// Package redistest gives tests a Redis: always an embedded one, and a real one as well when REDIS_ADDR names it.
package redistest

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/message"
)

// Environment variables that tests look at.
const (
	AddrVar    = "REDIS_ADDR"                // host:port of a real Redis 7 that tests may fill
	RequireVar = "GUPDISPATCH_REQUIRE_REDIS" // "1": a skipped real-Redis test is a failure
)

// Each runs test once on an embedded Redis and once on the real one. Both are shared with other tests: use Sender for names.
func Each(t *testing.T, test func(t *testing.T, rdb *redis.Client)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		test(t, Embedded(t))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, Real(t))
	})
}

// Embedded starts an embedded Redis for one test.
func Embedded(t testing.TB) *redis.Client {
	t.Helper()
	return client(t, miniredis.RunT(t).Addr())
}

// Real connects to the Redis that REDIS_ADDR names, or skips the test, loudly.
func Real(t testing.TB) *redis.Client {
	t.Helper()
	addr := os.Getenv(AddrVar)
	if addr == "" {
		if os.Getenv(RequireVar) == "1" {
			t.Fatalf("%s=1, but %s names no Redis", RequireVar, AddrVar)
		}
		t.Skipf("SKIPPED: set %s=host:port to run this on a real Redis, too", AddrVar)
	}
	rdb := client(t, addr)
	if err := rdb.Ping(context.Background()).Err(); err != nil {
		t.Fatalf("the Redis at %s=%s does not answer: %v", AddrVar, addr, err)
	}
	return rdb
}

func client(t testing.TB, addr string) *redis.Client {
	rdb := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, ReadTimeout: 10 * time.Second})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// Sender makes the name of a sender that no other test uses.
func Sender() string { return "t" + strings.ToLower(message.NewID()) }
