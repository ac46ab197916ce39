//go:build linux

package chaos

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// server is one redis-server, which keeps its data over restarts.
type server struct {
	t    testing.TB
	port string
	args []string
	env  []string
	run  *process
	rdb  *redis.Client // straight to it
}

// newServer starts a redis-server with an append-only file. settings are more of its arguments.
func newServer(t testing.TB, settings ...string) *server {
	t.Helper()
	port := freePort(t)
	return newServerAt(t, &redis.Options{Addr: "127.0.0.1:" + port, Password: valueOf(settings, "--requirepass")}, append([]string{"--port", port}, settings...)...)
}

// newServerAt starts one that settings let listen where opts look for it.
func newServerAt(t testing.TB, opts *redis.Options, settings ...string) *server {
	t.Helper()
	s := &server{t: t}
	s.prepare(opts, settings...)
	return s
}

// prepare starts it for the first time.
func (s *server) prepare(opts *redis.Options, settings ...string) {
	_, port, err := net.SplitHostPort(opts.Addr)
	require.NoError(s.t, err)
	s.port = port
	s.args = append([]string{
		"--bind", "127.0.0.1", "--dir", s.t.TempDir(), "--save", "", "--appendonly", "yes", "--appendfsync", "everysec",
		"--maxmemory-policy", "noeviction", "--hash-max-listpack-value", "1024", "--repl-diskless-sync-delay", "0",
	}, settings...)
	opts.Protocol = 2
	s.rdb = redis.NewClient(opts)
	s.t.Cleanup(func() { _ = s.rdb.Close() })
	s.start()
}

func valueOf(args []string, name string) string {
	for i := range len(args) - 1 {
		if args[i] == name {
			return args[i+1]
		}
	}
	return ""
}

func (s *server) addr() string { return "127.0.0.1:" + s.port }

// start runs it, again if it was killed, and waits until it answers.
func (s *server) start() {
	s.run = start(s.t, "redis-server "+s.port, s.env, needs(s.t, "redis-server"), s.args...)
	for s.rdb.Ping(context.Background()).Err() != nil {
		select {
		case <-s.run.done:
			s.t.Fatal("a Redis does not start")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *server) config(name, value string) {
	require.NoError(s.t, s.rdb.ConfigSet(context.Background(), name, value).Err())
}

// password is of every Redis that asks for one.
const password = "a-password-for-redis"

// replicated is a master, two replicas and three Sentinels.
type replicated struct {
	t         testing.TB
	master    *server
	replicas  []*server
	sentinels []string // host:port
}

func newReplicated(t *testing.T) *replicated {
	t.Helper()
	secret := []string{"--requirepass", password, "--masterauth", password}
	r := &replicated{t: t, master: newServer(t, secret...)}
	for range 2 {
		r.replicas = append(r.replicas, newServer(t, append(secret, "--replicaof", "127.0.0.1 "+r.master.port)...))
	}
	for range 3 {
		port := freePort(t)
		conf := write(t, t.TempDir(), "sentinel.conf", strings.Join([]string{
			"port " + port, "bind 127.0.0.1", "dir " + t.TempDir(),
			"sentinel monitor mymaster 127.0.0.1 " + r.master.port + " 2",
			"sentinel auth-pass mymaster " + password,
			"sentinel down-after-milliseconds mymaster 1000", "sentinel failover-timeout mymaster 10000",
			"requirepass " + password, // of the Sentinels themselves
		}, "\n")+"\n")
		start(t, "sentinel "+port, nil, needs(t, "redis-server"), conf, "--sentinel")
		r.sentinels = append(r.sentinels, "127.0.0.1:"+port)
	}
	r.await()
	return r
}

// client asks the Sentinels for the master.
func (r *replicated) client() redis.UniversalClient {
	rdb := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: "mymaster", SentinelAddrs: r.sentinels, Password: password, SentinelPassword: password, MaxRetries: 10, Protocol: 2,
	})
	r.t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// await waits until all Sentinels know of both replicas and of each other, and the replicas have what the master has.
func (r *replicated) await() {
	ctx := context.Background()
	for _, addr := range r.sentinels {
		s := redis.NewSentinelClient(&redis.Options{Addr: addr, Password: password, Protocol: 2})
		require.Eventually(r.t, func() bool {
			m, err := s.Master(ctx, "mymaster").Result()
			return err == nil && m["num-slaves"] == "2" && m["num-other-sentinels"] == "2"
		}, 30*time.Second, 50*time.Millisecond)
		_ = s.Close()
	}
	require.Eventually(r.t, func() bool {
		p := r.master.rdb.Pipeline()
		p.Set(ctx, "replicated", 1, 0)
		have := p.Do(ctx, "wait", 2, 100)
		_, err := p.Exec(ctx)
		n, _ := have.Int()
		return err == nil && n == 2
	}, 30*time.Second, 50*time.Millisecond)
}

// part cuts the master off from its replicas, and nobody else: they cannot log in to it any more.
func (r *replicated) part() {
	for _, s := range r.replicas {
		s.config("masterauth", "another-password")
	}
	require.NoError(r.t, r.master.rdb.Do(context.Background(), "client", "kill", "type", "replica").Err())
}

// fail kills the master, and waits until another one is there.
func (r *replicated) fail() {
	r.master.run.kill()
	for _, s := range r.replicas { // of the new master
		s.config("masterauth", password)
	}
	ctx := context.Background()
	require.Eventually(r.t, func() bool {
		for _, s := range r.replicas {
			if role, err := s.rdb.Do(ctx, "role").Slice(); err == nil && role[0] == "master" {
				return true
			}
		}
		return false
	}, 60*time.Second, 20*time.Millisecond, "no Sentinel made a replica the master")
}
