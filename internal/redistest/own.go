package redistest

import (
	"context"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// Own starts a redis-server for one test, which may do to it what others must not see, and returns a client. Without one in PATH
// the test is skipped, loudly.
func Own(t testing.TB) *redis.Client {
	t.Helper()
	return OwnWith(t)
}

// OwnWith is Own with further options of redis-server.
func OwnWith(t testing.TB, options ...string) *redis.Client {
	t.Helper()
	server, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("SKIPPED: put redis-server into PATH: this test needs a real Redis of its own")
	}
	return client(t, Start(t, server, options...))
}

// Start runs a redis-server that forgets everything at the end of the test, and returns its address.
func Start(t testing.TB, server string, options ...string) string {
	t.Helper()
	ctx := context.Background() // the test's own ends before its clean-ups, and would leave the server without its shell
	free, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := free.Addr().String()
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	require.NoError(t, free.Close())
	// The shell ends it when its own input ends, which is also when this process is killed itself.
	args := []string{"-c", `"$@" >/dev/null & cat; kill -9 $!`, "sh"}
	args = append(args, server, "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--appendonly", "no", "--save", "")
	cmd := exec.CommandContext(ctx, "/bin/sh", append(args, options...)...) //nolint:gosec // a path from PATH
	running, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = running.Close()
		_ = cmd.Wait()
	})
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = rdb.Close() }()
	require.Eventually(t, func() bool { return rdb.Ping(ctx).Err() == nil }, 10*time.Second, 20*time.Millisecond)
	return addr
}
