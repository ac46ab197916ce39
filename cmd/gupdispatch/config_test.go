package main

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/config"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
)

func TestConfigCheckReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "gupshup: {timeout: 60s}\nlgo: {level: info}")
	got := s.run("config", "check")
	require.Equal(t, exitUsage, got.code)
	for _, want := range []string{"2 problems", "lgo", "workers.shutdown_timeout: 20s is not longer than gupshup.timeout"} {
		require.Contains(t, got.errs, want)
	}
	missing := s.run("config", "check", "--config", "/does/not/exist.yaml")
	require.Equal(t, exitUsage, missing.code)
	require.Contains(t, missing.errs, "cannot be read")
}

func TestConfigCheckAsksRedis(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		got := s.run("config", "check")
		require.Contains(t, got.errs, "the configuration is valid; senders: 1")
		for _, name := range []string{"redis_version", "maxmemory-policy", "appendonly", "hash-max-listpack-value", "maxmemory"} {
			require.Contains(t, got.errs, name)
		}
		if askRedis(t.Context(), rdb, false, true)[0].version == "" { // the embedded one cannot tell, and that is no failure
			require.Equal(t, exitOK, got.code)
			require.Equal(t, 5, strings.Count(got.errs, "unknown "))
		} else {
			require.NotContains(t, got.errs, "unknown ")
		}
	})
}

func TestConfigCheckOffline(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	s.environ = []string{"GUPDISPATCH_REDIS_URL=redis://127.0.0.1:1/0"}
	got := s.ok("config", "check", "--offline")
	require.Contains(t, got.errs, `warning  senders[`+s.sender+`]: no API key: the environment variable "TEST_KEY" is not set`)
	require.NotContains(t, got.errs, "answer")
}

func TestConfigPrintIsTheConfigurationWithoutSecrets(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "codes: {\"1002\": transient}\nhttp: {ui_users: [{name: ops, password_env: TEST_PASSWORD}]}")
	s.environ = append(s.environ, "GUPDISPATCH_REDIS_URL=redis://:"+testPassword+"@127.0.0.1:1/3", "GUPDISPATCH_WORKERS_CONCURRENCY_BULK=7",
		"GUPDISPATCH_ALERTS_URL=https://ops.example/hook?"+testPassword, "GUPDISPATCH_ALERTS_SECRET_ENV=TEST_SECRET")
	got := s.ok("config", "check", "--offline", "--print")
	require.Contains(t, got.out, "url: redis://:xxxxx@127.0.0.1:1/3")
	require.Contains(t, got.out, "url: https://ops.example/hook?[redacted]")
	require.NotContains(t, got.out, testPassword)

	// It can be read again, and says the same.
	again := strings.ReplaceAll(got.out, "xxxxx", testPassword)
	file := s.file + ".printed.yaml"
	require.NoError(t, os.WriteFile(file, []byte(again), 0o600))
	s.environ = s.environ[:2]
	require.Equal(t, got.out, s.ok("config", "check", "--offline", "--print", "--config", file).out)
	cfg, err := config.Load(file, s.environ)
	require.NoError(t, err)
	require.Equal(t, 7, cfg.Workers.Concurrency.Bulk)
	require.Equal(t, map[string]string{"1002": "transient"}, cfg.Codes)
	require.Equal(t, s.sender, cfg.Senders[0].Name)
}

func TestJudgingRedis(t *testing.T) {
	t.Parallel()
	good := redisFacts{version: "7.0.15", eviction: "noeviction", appends: "yes", listpack: "1024", memory: "1073741824"}
	for name, tt := range map[string]struct {
		change func(*redisFacts)
		want   string // the finding that is not ok
	}{
		"good":         {func(*redisFacts) {}, ""},
		"newer":        {func(f *redisFacts) { f.version = "8.2.1" }, ""},
		"old":          {func(f *redisFacts) { f.version = "6.0.16" }, "error    redis_version 6.0.16 is too old"},
		"oldest":       {func(f *redisFacts) { f.version = "6.2.0" }, "warning  redis_version 6.2.0 works"},
		"no version":   {func(f *redisFacts) { f.version = "" }, "unknown  redis_version"},
		"evicts":       {func(f *redisFacts) { f.eviction = "allkeys-lru" }, "error    maxmemory-policy allkeys-lru throws messages away"},
		"no policy":    {func(f *redisFacts) { f.eviction = "" }, "unknown  maxmemory-policy"},
		"forgets":      {func(f *redisFacts) { f.appends = "no" }, "warning  appendonly no: a restart of Redis loses messages"},
		"no word":      {func(f *redisFacts) { f.appends = "" }, "unknown  appendonly"},
		"big records":  {func(f *redisFacts) { f.listpack = "64" }, "warning  hash-max-listpack-value 64: messages take more than twice"},
		"no list pack": {func(f *redisFacts) { f.listpack = "" }, "unknown  hash-max-listpack-value"},
		"no limit":     {func(f *redisFacts) { f.memory = "0" }, "warning  maxmemory is not set: nothing is refused"},
		"no memory":    {func(f *redisFacts) { f.memory = "" }, "unknown  maxmemory is not told"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := good
			tt.change(&f)
			var wrong []string
			for _, one := range f.judge() {
				if one.grade != gradeOK {
					wrong = append(wrong, one.String())
				}
			}
			if tt.want == "" {
				require.Empty(t, wrong)
				return
			}
			require.Len(t, wrong, 1)
			require.True(t, strings.HasPrefix(wrong[0], tt.want), wrong[0])
		})
	}
}

func TestRedisAwayAtStart(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	s.environ = append(s.environ, "GUPDISPATCH_REDIS_URL=redis://:"+testPassword+"@127.0.0.1:1/0")
	for _, args := range []string{"worker", "serve", "audit", "config check", "send --to " + testNumber + " --text x"} {
		got := s.run(strings.Fields(args)...)
		require.Equal(t, exitFailed, got.code, args)
		require.Contains(t, got.errs, "does not answer", args)
		require.Contains(t, got.errs, "did not answer within 200ms", args)
		require.NotContains(t, got.errs, "goroutine", args)
	}
}

func TestRedisThatComesLater(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	s.environ = append(s.environ, "GUPDISPATCH_REDIS_URL=redis://"+address+"/0")
	r := s.begin("audit", "--redis-wait", "20s")
	require.Eventually(t, func() bool { return strings.Contains(r.errs.String(), "does not answer") }, 10*time.Second, 10*time.Millisecond)
	late := miniredis.NewMiniRedis()
	require.NoError(t, late.StartAddr(address))
	t.Cleanup(late.Close)
	select {
	case code := <-r.done:
		r.done <- code
		require.Equal(t, exitOK, code, r.errs)
	case <-time.After(15 * time.Second):
		t.Fatal("it still waits for a Redis that answers")
	}
}

func TestRedisThatRefusesIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	m.RequireAuth("right")
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	s.environ = append(s.environ, "GUPDISPATCH_REDIS_URL=redis://:"+testPassword+"@"+m.Addr()+"/0")
	got := s.run("audit", "--redis-wait", "1h")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.errs, "refuses us")
	require.Contains(t, got.errs, "correct the user, the password and the database under redis")
}
