package redistest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// Own starts a redis-server for one test, which may do to it what others must not see, and returns a client. Without one in PATH
// the test is skipped, loudly.
func Own(t testing.TB, settings ...string) *redis.Client {
	t.Helper()
	server, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv(RequireVar) == "1" {
			t.Fatalf("%s=1, but there is no redis-server in PATH", RequireVar)
		}
		t.Skip("SKIPPED: put redis-server into PATH: this test needs a real Redis of its own")
	}
	return client(t, Start(t, server, settings...))
}

// Start runs a redis-server that forgets everything at the end of the test, and returns its address. settings are more of its
// arguments, such as "--replicaof", "127.0.0.1 6379".
func Start(t testing.TB, server string, settings ...string) string {
	t.Helper()
	ctx := context.Background() // the test's own ends before its clean-ups, and would leave the server without its shell
	free, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := free.Addr().String()
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	require.NoError(t, free.Close())
	// The shell ends it when its own input ends, which is also when this process is killed itself.
	args := append([]string{
		"-c", `"$@" >/dev/null & cat; kill -9 $!`, "sh",
		server, "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--appendonly", "no", "--save", "",
	}, settings...)
	cmd := exec.CommandContext(ctx, "/bin/sh", args...) //nolint:gosec // a path from PATH
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
