package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// aSender is the least a sender needs, for tests to append to.
const aSender = `
senders:
  - name: my-shop
    app: Shop
    source: "919999900001"
    api_key_env: SHOP_KEY
`

// load parses a file's content as Load does.
func load(t testing.TB, yaml string, environ ...string) (*Config, Problems) {
	t.Helper()
	cfg, err := parse("test.yaml", []byte(yaml), environ)
	if err == nil {
		return cfg, nil
	}
	require.Nil(t, cfg, "a configuration with problems must not be usable")
	var problems Problems
	require.ErrorAs(t, err, &problems)
	return nil, problems
}

func TestDefaultsAreValid(t *testing.T) {
	t.Parallel()
	cfg := Default()
	require.NoError(t, cfg.Validate())
	loaded, problems := load(t, "")
	require.Empty(t, problems)
	require.Equal(t, &cfg, loaded)
}

func TestASenderGetsDefaults(t *testing.T) {
	t.Parallel()
	cfg, problems := load(t, aSender, "SHOP_KEY= k-1 ")
	require.Empty(t, problems)
	got, ok := cfg.Sender("my-shop")
	require.True(t, ok)
	want := NewSender("my-shop")
	want.App, want.Source, want.APIKeyEnv, want.Key = "Shop", "919999900001", "SHOP_KEY", NewSecret("k-1")
	require.Equal(t, want, got)
	_, ok = cfg.Sender("other")
	require.False(t, ok)
}

func TestEnvironmentBeatsFileBeatsDefaults(t *testing.T) {
	t.Parallel()
	const file = "redis: {read_timeout: 1s, pool_size: 7}\nhttp: {api_keys: [{name: web-app, key_env: A}]}\ncodes: {1002: transient}" + aSender
	cfg, problems := load(t, file,
		"GUPDISPATCH_REDIS_URL=unix:///run/redis.sock",
		"GUPDISPATCH_REDIS_READ_TIMEOUT=2s",
		"GUPDISPATCH_HTTP_LISTEN=:9000",
		"GUPDISPATCH_HTTP_API_KEYS_WEB_APP_REVEAL=true",
		"GUPDISPATCH_WORKERS_PUMPS=3",
		"GUPDISPATCH_WORKERS_CONCURRENCY_BULK=5",
		"GUPDISPATCH_RETRY_CRITICAL_ATTEMPTS=2",
		"GUPDISPATCH_RETRY_BACKOFF_CAP=1m",
		"GUPDISPATCH_EXPIRY_BULK=7d",
		"GUPDISPATCH_IN_DOUBT_BULK=resend",
		"GUPDISPATCH_CODES_1002=unknown",
		"GUPDISPATCH_CODES_HTTP_429=transient",
		"GUPDISPATCH_SENDERS_MY_SHOP_RATE=0.5",
		"GUPDISPATCH_SENDERS_MY_SHOP_PAIR_EVERY=0",
		"GUPDISPATCH_SENDERS_MY_SHOP_DAILY_RECIPIENTS=250",
		"GUPDISPATCH_SENDERS_MY_SHOP_BASE_URL=https://example.com/",
		"GUPDISPATCH_SENDERS_MY_SHOP_ON_IN_DOUBT_CRITICAL=hold",
		"OTHER_REDIS_URL=ignored",
	)
	require.Empty(t, problems)
	s := cfg.Senders[0]
	require.Equal(t, "unix:///run/redis.sock", cfg.Redis.URL.Reveal())
	require.Equal(t, 2*time.Second, cfg.Redis.ReadTimeout, "environment over file")
	require.Equal(t, 7, cfg.Redis.PoolSize, "file over default")
	require.Equal(t, 5*time.Second, cfg.Redis.DialTimeout, "default")
	require.Equal(t, ":9000", cfg.HTTP.Listen)
	require.True(t, cfg.HTTP.APIKeys[0].Reveal)
	require.Equal(t, Pumps(3), cfg.Workers.Pumps)
	require.Equal(t, 5, cfg.Workers.Concurrency.Of("bulk"))
	require.Equal(t, 64, cfg.Workers.Concurrency.Of("default"))
	require.Equal(t, RetryBudget{2, 10 * time.Minute}, cfg.Retry.Of("critical"))
	require.Equal(t, time.Minute, cfg.Retry.Backoff.Cap)
	require.Equal(t, 7*24*time.Hour, cfg.Expiry.Bulk)
	require.Equal(t, map[string]string{"1002": "unknown", "http_429": "transient"}, cfg.Codes)
	require.InDelta(t, 0.5, s.Rate, 0)
	require.Zero(t, s.PairEvery, "off")
	require.Equal(t, 10, s.PairBurst, "default")
	require.Equal(t, 250, s.DailyRecipients)
	require.Equal(t, "https://example.com", s.BaseURL)
	require.Equal(t, "hold", cfg.OnInDoubt(s, "critical"), "the sender's own")
	require.Equal(t, "resend", cfg.OnInDoubt(s, "bulk"), "everybody's")
}

// Every scalar must be reachable from the environment, so a new key of a new kind cannot be forgotten.
func TestEveryScalarHasAVariable(t *testing.T) {
	t.Parallel()
	cfg := Default()
	cfg.Senders, cfg.HTTP.APIKeys, cfg.HTTP.UIUsers = []Sender{NewSender("a")}, []APIKey{{Name: "b"}}, []UIUser{{Name: "c"}}
	for name, s := range environment(&cfg) {
		var d decoder
		d.text(name, s.value, "\x00")
		for _, p := range d.problems {
			require.NotContains(t, p.What, "cannot be set")
		}
	}
	require.Contains(t, environment(&cfg), "GUPDISPATCH_SENDERS_A_CALLBACK_TOKEN_ENV")
	require.NotContains(t, environment(&cfg), "GUPDISPATCH_SENDERS_A_NAME", "a name identifies the entry")
	require.NotContains(t, environment(&cfg), "GUPDISPATCH_SENDERS_A_KEY", "a secret's value is not a key")
}

func TestVariablesThatAreNotOurs(t *testing.T) {
	t.Parallel()
	_, problems := load(t, "http: {api_keys: [{name: a, key_env: GUPDISPATCH_SHOP_TOKEN}]}",
		"GUPDISPATCH_SHOP_TOKEN=x", // named by the file
		"GUPDISPATCH_REQUIRE_REDIS=1",
		"GUPDISPATCH_SERVICE_HOST=10.0.0.1", "GUPDISPATCH_SERVICE_PORT=80", "GUPDISPATCH_SERVICE_PORT_HTTP=80",
		"GUPDISPATCH_PORT=tcp://10.0.0.1:80", "GUPDISPATCH_PORT_8080_TCP=tcp://10.0.0.1:80", "GUPDISPATCH_PORT_8080_TCP_ADDR=10.0.0.1",
		"GUPDISPATCH_HTTP_PORT_8080_TCP_PROTO=tcp", "GUPDISPATCH_REDIS_SERVICE_HOST=10.0.0.2",
	)
	require.Empty(t, problems)
}

func TestLoadFindsTheFile(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir) // hence not parallel: the default path is relative
	cfg, err := Load("", nil)
	require.NoError(t, err)
	require.Equal(t, "info", cfg.Log.Level)

	require.NoError(t, os.WriteFile(DefaultPath, []byte("log: {level: debug}"), 0o600))
	cfg, err = Load("", nil)
	require.NoError(t, err)
	require.Equal(t, "debug", cfg.Log.Level)

	missing := filepath.Join(dir, "missing.yaml")
	_, err = Load(missing, nil)
	var problems Problems
	require.True(t, errors.As(err, &problems))
	require.Equal(t, missing, problems[0].Key)
	require.Contains(t, problems[0].What, "no such file")
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"10s": 10 * time.Second, "168h": 168 * time.Hour, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "0.5d": 12 * time.Hour, "0": 0, "0d": 0,
	} {
		got, err := ParseDuration(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "d", "7", "7 d", "1e9d", "-1d", "1d-12h", "999999d", "NaNd", "0x1d", "1_0d", "1dd", "7days"} {
		_, err := ParseDuration(text)
		require.Error(t, err, text)
	}
}

func TestPumpsReadTheirOwnText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"auto", "1", "8"} {
		var p Pumps
		require.NoError(t, p.UnmarshalText([]byte(text)))
		back, err := p.MarshalText()
		require.NoError(t, err)
		require.Equal(t, text, string(back))
	}
}

func TestWaysToRedis(t *testing.T) {
	t.Parallel()
	cfg, problems := load(t, `redis: {sentinel: {master: m, addrs: ["a:1", "b:2"], username: s, password_env: S}, username: g, password_env: G}`,
		"S=one", "G=two", "GUPDISPATCH_REDIS_TLS_ENABLED=true", "GUPDISPATCH_REDIS_TLS_CA=/ca", "GUPDISPATCH_REDIS_DURABILITY=strict")
	require.Empty(t, problems)
	r := cfg.Redis
	require.Equal(t, Addresses{"a:1", "b:2"}, r.Sentinel.Addrs)
	require.Equal(t, []string{"one", "two"}, []string{r.Sentinel.Password.Reveal(), r.Password.Reveal()})
	require.NoError(t, r.CheckSecrets())
	require.True(t, r.UsesTLS())
	require.True(t, r.Strict())
	require.Equal(t, "m (Sentinels a:1, b:2)", r.Address())

	cfg, problems = load(t, "redis: {password_env: G}", "GUPDISPATCH_REDIS_CLUSTER_ADDRS=a:1, b:2")
	require.Empty(t, problems)
	require.Equal(t, Addresses{"a:1", "b:2"}, cfg.Redis.Cluster.Addrs)
	require.Equal(t, "a:1, b:2 (cluster)", cfg.Redis.Address())
	require.ErrorContains(t, cfg.Redis.CheckSecrets(), "redis.password_env")
	require.False(t, cfg.Redis.UsesTLS())

	cfg, problems = load(t, "redis: {url: 'rediss://h:1/2', tls: {server_name: n}}")
	require.Empty(t, problems)
	require.True(t, cfg.Redis.UsesTLS())
}
