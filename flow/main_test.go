package flow

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eachRedis runs a test on miniredis and, when REDIS_ADDR names one, on a real Redis. With GUPDISPATCH_REQUIRE_REDIS=1 a
// missing REDIS_ADDR is a failure, so that CI cannot skip it silently.
func eachRedis(t *testing.T, test func(t *testing.T, rdb *redis.Client)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		test(t, client(t, miniredis.RunT(t).Addr()))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, realRedis(t))
	})
}

func realRedis(t testing.TB) *redis.Client {
	t.Helper()
	addr := os.Getenv("REDIS_ADDR")
	if addr == "" {
		if os.Getenv("GUPDISPATCH_REQUIRE_REDIS") == "1" {
			t.Fatal("REDIS_ADDR is not set, but GUPDISPATCH_REQUIRE_REDIS=1 asks for a real Redis")
		}
		t.Skip("NOT TESTED on a real Redis: set REDIS_ADDR=host:port")
	}
	return client(t, addr)
}

func client(t testing.TB, addr string) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	require.NoError(t, rdb.Ping(t.Context()).Err())
	return rdb
}

// freshSenders makes names that no other test, process or earlier run uses.
type freshSenders struct{ n atomic.Int64 }

func (f *freshSenders) next() string {
	return fmt.Sprintf("flowtest-%d-%p-%d", os.Getpid(), f, f.n.Add(1))
}
