package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

// notifies is aSender with the beginning of a secret's variable.
const notifies = aSender + "    notify_secret_env: "

// Each row is one mistake. It must give exactly one problem, about that key, with these words in it.
func TestProblems(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, yaml, env, key, words string
	}{
		{"sessions without callbacks", aSender + "    check_session: true", "", "senders[my-shop].check_session", "needs callbacks"},
		{"unknown key", "redis: {ulr: x}", "", "redis.ulr", "did you mean url?"},
		{"unknown key far from all", "log: {destination: x}", "", "log.destination", "known here: level, format"},
		{"unknown group", "sender: []", "", "sender", "did you mean senders?"},
		{"sentinel without addresses", "redis: {sentinel: {master: m}}", "", "redis.sentinel.addrs", "is missing"},
		{"sentinel without a master", "redis: {sentinel: {addrs: [a:1]}}", "", "redis.sentinel.master", "mymaster"},
		{"sentinel and URL", "redis: {url: 'redis://h/1', sentinel: {master: m, addrs: [a:1]}}", "", "redis.url", "redis.sentinel is set, too"},
		{"sentinel and cluster", "redis: {cluster: {addrs: [b:1]}, sentinel: {master: m, addrs: [a:1]}}", "", "redis.cluster", "redis.sentinel is set, too"},
		{"cluster and URL", "redis: {url: 'redis://h/1', cluster: {addrs: [a:1]}}", "", "redis.url", "redis.cluster is set, too"},
		{"cluster: no address", "redis: {cluster: {addrs: [redis]}}", "", "redis.cluster.addrs", "is not an address"},
		{"cluster: a number", "redis: {cluster: {addrs: [6379]}}", "", "redis.cluster.addrs", "holds a number"},
		{"cluster by variable", "", "GUPDISPATCH_REDIS_CLUSTER_ADDRS=a:1,b", "GUPDISPATCH_REDIS_CLUSTER_ADDRS", "is not an address"},
		{"Redis's user without a password", "redis: {username: g}", "", "redis.password_env", "redis.username is set"},
		{"Redis's password itself", "redis: {password: s3cret}", "", "redis.password", "password_env"},
		{"Redis's password as variable", "redis: {password_env: s3cret}", "", "redis.password_env", "not the name of"},
		{"Sentinels' password as variable", "redis: {sentinel: {master: m, addrs: [a:1], password_env: s3cret}}", "", "redis.sentinel.password_env", "not the name of"},
		{"half of Redis's TLS", "redis: {tls: {enabled: true, cert: /c}}", "", "redis.tls.cert", "both files"},
		{"TLS that is off", "redis: {tls: {ca: /ca}}", "", "redis.tls.enabled", "would do nothing"},
		{"strict without replicas", "redis: {url: embedded, durability: strict}", "", "redis.durability", "needs replicas"},
		{"durability", "redis: {durability: loose}", "", "redis.durability", "write standard or strict"},
		{"url scheme", "redis: {url: 'http://x'}", "", "redis.url", "redis://"},
		{"url without host", "redis: {url: 'redis:///0'}", "", "redis.url", "no host"},
		{"url database", "redis: {url: 'redis://h/x'}", "", "redis.url", "number of a database"},
		{"unix without socket", "redis: {url: 'unix://'}", "", "redis.url", "no socket"},
		{"url not a URL", "redis: {url: 'redis://a:%zz@h'}", "", "redis.url", "not a URL"},
		{"url empty by variable", "", "GUPDISPATCH_REDIS_URL=", "redis.url (set by GUPDISPATCH_REDIS_URL)", "rediss://"},
		{"pool size", "redis: {pool_size: -1}", "", "redis.pool_size", "negative"},
		{"timeout 0", "redis: {dial_timeout: 0}", "", "redis.dial_timeout", "above 0"},
		{"duration without unit", "redis: {read_timeout: 5}", "", "redis.read_timeout", "with its unit"},
		{"duration as list", "redis: {read_timeout: [5s]}", "", "redis.read_timeout", "is a list and not a duration"},
		{"group as text", "redis: localhost", "", "redis", "not a group of keys"},
		{"list as group", "senders: {demo: {}}", "", "senders", "not a list"},
		{"entry as text", "senders: [demo]", "", "senders[0]", "not a group of keys"},
		{"text as int", "redis: {pool_size: '5'}", "", "redis.pool_size", "without quotes"},
		{"float as int", "redis: {pool_size: 5.5}", "", "redis.pool_size", "whole number"},
		{"bool as text", "log: {level: true}", "", "log.level", "not text"},
		{"date as text", "log: {level: 2026-01-02}", "", "log.level", "a date"},
		{"log level", "log: {level: verbose}", "", "log.level", "debug or info"},
		{"log format", "log: {format: xml}", "", "log.format", "json or console"},
		{"listen", "http: {listen: '8080'}", "", "http.listen", "host:port"},
		{"listen port", "http: {listen: ':http'}", "", "http.listen", "host:port"},
		{"workers' listen", "workers: {listen: nowhere}", "", "workers.listen", "host:port"},
		{"API's rate", "http: {api_rate: -1}", "", "http.api_rate", "0 to 100000"},
		{"who may use the API", "http: {allow: [everybody]}", "", "http.allow", "write one of these"},
		{"half of TLS", "http: {tls_cert: /etc/tls.crt}", "", "http.tls_cert", "both files"},
		{"API key without variable", "http: {api_keys: [{name: a}]}", "", "http.api_keys[a].key_env", "missing"},
		{"API key itself", "http: {api_keys: [{name: a, key_env: A, key: s3cret}]}", "", "http.api_keys[a].key", "key_env"},
		{"API key twice", "http: {api_keys: [{name: a, key_env: A}, {name: a, key_env: B}]}", "", "http.api_keys[a].name", "twice"},
		{"user's role", "http: {ui_users: [{name: a, password_env: A, role: root}]}", "", "http.ui_users[a].role", "admin or viewer"},
		{"user's password itself", "http: {ui_users: [{name: a, password_env: A, password: s3cret}]}", "", "http.ui_users[a].password", "password_env"},
		{"concurrency 0", "workers: {concurrency: {bulk: 0}}", "", "workers.concurrency.bulk", "1 to 500"},
		{"pumps", "workers: {pumps: 9}", "", "workers.pumps", "1 to 8"},
		{"pumps by word", "workers: {pumps: many}", "", "workers.pumps", "auto"},
		{"sweep interval", "workers: {sweep_interval: 1m}", "", "workers.sweep_interval", "10ms to 2s"},
		{"attempts", "retry: {bulk: {attempts: 0}}", "", "retry.bulk.attempts", "1 to 100"},
		{"age", "retry: {critical: {max_age: -1s}}", "", "retry.critical.max_age", "above 0"},
		{"backoff", "retry: {backoff: {base: 10m}}", "", "retry.backoff.cap", "retry.backoff.base"},
		{"expiry", "expiry: {bulk: -1h}", "", "expiry.bulk", "negative"},
		{"in doubt", "in_doubt: {bulk: drop}", "", "in_doubt.bulk", "resend or hold"},
		{"retention", "ledger: {retention: 0}", "", "ledger.retention", "above 0"},
		{"class", "codes: {1002: nonsense}", "", "codes.1002", "recipient or consent"},
		{"class as number", "codes: {1002: 3}", "", "codes.1002", "not text"},
		{"code", "codes: {abc: transient}", "", "codes.abc", "http_429"},
		{"sender's name", strings.Replace(aSender, "my-shop", "My Shop", 1), "", "senders[0].name", "a-z"},
		{"sender's number unquoted", strings.ReplaceAll(aSender, `"`, ""), "", "senders[my-shop].source", "in quotes"},
		{"sender's number", strings.Replace(aSender, "919", "+919", 1), "", "senders[my-shop].source", "digits only"},
		{"no app", strings.Replace(aSender, "app: Shop", "burst: 1", 1), "", "senders[my-shop].app", "missing"},
		{"no key", strings.Replace(aSender, "api_key_env: SHOP_KEY", "burst: 1", 1), "", "senders[my-shop].api_key_env", "api_key_file"},
		{"two keys", aSender + "    api_key_file: /x", "", "senders[my-shop].api_key_file", "one of the two"},
		{"the key itself", aSender + "    api_key: s3cret", "", "senders[my-shop].api_key", "api_key_env"},
		{"the key as variable", strings.Replace(aSender, "SHOP_KEY", "s3cret", 1), "", "senders[my-shop].api_key_env", "not the name of"},
		{"the token itself", aSender + "    callback_token: s3cret", "", "senders[my-shop].callback_token", "callback_token_env"},
		{"the token as variable", aSender + "    callback_token_env: s3cret", "", "senders[my-shop].callback_token_env", "not the name of"},
		{"allow: not an address", aSender + "    callback_allow: [gupshup.io]", "", "senders[my-shop].callback_allow", "neither an address"},
		{"allow: an address within a network", aSender + "    callback_allow: [192.0.2.7/24]", "", "senders[my-shop].callback_allow", "network (192.0.2.0/24)"},
		{"allow: a number", aSender + "    callback_allow: [7]", "", "senders[my-shop].callback_allow", "holds a number"},
		{"allow: a group", aSender + "    callback_allow: {a: b}", "", "senders[my-shop].callback_allow", "a group of keys"},
		{"allow by variable", aSender, "GUPDISPATCH_SENDERS_MY_SHOP_CALLBACK_ALLOW=here", "GUPDISPATCH_SENDERS_MY_SHOP_CALLBACK_ALLOW", "192.0.2.0/24"},
		{"trusted proxy", "http: {trusted_proxies: [10.0.0.0/33]}", "", "http.trusted_proxies", "neither an address"},
		{"events below 0", aSender + "    events_max: -1", "", "senders[my-shop].events_max", "0 to"},
		{"queue below 0", aSender + "    max_queued: -1", "", "senders[my-shop].max_queued", "0 to"},
		{"queue by word", aSender + "    max_queued: many", "", "senders[my-shop].max_queued", "whole number"},
		{"pair below 0", aSender + "    pair_every: -1s", "", "senders[my-shop].pair_every", "or 0 for no limit"},
		{"pair too often to be counted", aSender + "    pair_every: 500us", "", "senders[my-shop].pair_every", "1ms to 24h"},
		{"pair too seldom", aSender + "    pair_every: 2d", "", "senders[my-shop].pair_every", "1ms to 24h"},
		{"pair without a unit", aSender + "    pair_every: 6", "", "senders[my-shop].pair_every", "with its unit"},
		{"pair burst", aSender + "    pair_burst: 0", "", "senders[my-shop].pair_burst", "1 to 1000"},
		{"recipients below 0", aSender + "    daily_recipients: -1", "", "senders[my-shop].daily_recipients", "0 to"},
		{"recipients by tier", aSender + "    daily_recipients: TIER_250", "", "senders[my-shop].daily_recipients", "whole number"},
		{"notify without a secret", aSender + "    notify_url: https://shop.example/x", "", "senders[my-shop].notify_secret_env", "missing"},
		{"notify with the secret itself", aSender + "    notify_secret: s3cret", "", "senders[my-shop].notify_secret", "notify_secret_env"},
		{"notify with the secret as variable", notifies + "s3cret\n    notify_url: https://shop.example", "", "senders[my-shop].notify_secret_env", "not the name of"},
		{"notify in the clear", notifies + "N\n    notify_url: http://shop.example/?s3cret", "", "senders[my-shop].notify_url", "allow_insecure"},
		{"notify by another scheme", notifies + "N\n    notify_url: ftp://shop.example/s3cret", "", "senders[my-shop].notify_url", "neither http://"},
		{"notify nobody", notifies + "N\n    notify_url: /s3cret", "", "senders[my-shop].notify_url", "no"},
		{"notify with a login", notifies + "N\n    notify_url: https://a:s3cret@shop.example", "", "senders[my-shop].notify_url", "login"},
		{"alerts without a secret", "alerts: {url: \"https://ops.example/x\"}", "", "alerts.secret_env", "missing"},
		{"alerts in the clear", "alerts: {url: \"http://ops.example/?s3cret\", secret_env: N}", "", "alerts.url", "allow_insecure"},
		{"alerts with the secret as variable", "alerts: {secret_env: s3cret}", "", "alerts.secret_env", "not the name of"},
		{"alerts with the secret itself", "alerts: {secret: s3cret}", "", "alerts.secret", "secret_env"},
		{"spans in the clear", "tracing: {endpoint: \"http://otel.example:4318\"}", "", "tracing.endpoint", "allow_insecure"},
		{"spans with a login", "tracing: {endpoint: \"https://a:s3cret@otel.example\"}", "", "tracing.endpoint", "headers_env"},
		{"spans by grpc", "tracing: {endpoint: \"grpc://otel.example\"}", "", "tracing.endpoint", "neither http://"},
		{"spans nowhere", "tracing: {endpoint: otel.example}", "", "tracing.endpoint", "host"},
		{"headers of spans themselves", "tracing: {headers_env: \"key=s3cret\"}", "", "tracing.headers_env", "not the name of"},
		{"more than all spans", "tracing: {sample: 2}", "", "tracing.sample", "0 to 1"},
		{"rate 0", aSender + "    rate: 0", "", "senders[my-shop].rate", "above 0"},
		{"rate too high", aSender + "    rate: 10001", "", "senders[my-shop].rate", "10000"},
		{"rate NaN", aSender + "    rate: .nan", "", "senders[my-shop].rate", "above 0"},
		{"burst", aSender + "    burst: 0", "", "senders[my-shop].burst", "1 to"},
		{"region", aSender + "    default_region: India", "", "senders[my-shop].default_region", "two letters"},
		{"path", aSender + "    session_path: msg", "", "senders[my-shop].session_path", "beginning with /"},
		{"plain http", aSender + "    base_url: http://example.com", "", "senders[my-shop].base_url", "allow_insecure"},
		{"base URL's scheme", aSender + "    base_url: ftp://example.com", "", "senders[my-shop].base_url", "https://"},
		{"base URL with login", aSender + "    base_url: https://a:s3cret@example.com", "", "senders[my-shop].base_url", "more than"},
		{"base URL without host", aSender + "    base_url: example.com", "", "senders[my-shop].base_url", "host"},
		{"sender's doubt", aSender + "    on_in_doubt: {bulk: drop}", "", "senders[my-shop].on_in_doubt.bulk", "resend or hold"},
		{"unknown variable", "", "GUPDISPATCH_REDIS_ULR=x", "GUPDISPATCH_REDIS_ULR", "did you mean GUPDISPATCH_REDIS_URL?"},
		{"variable of unknown sender", aSender, "GUPDISPATCH_SENDERS_OTHER_RATE=5", "GUPDISPATCH_SENDERS_OTHER_RATE", "for a sender the file lists"},
		{"variable of a sender's name", aSender, "GUPDISPATCH_SENDERS_MY_SHOP_NAME=x", "GUPDISPATCH_SENDERS_MY_SHOP_NAME", "no known key"},
		{"the key as setting", aSender, "GUPDISPATCH_SENDERS_MY_SHOP_API_KEY=s3cret", "GUPDISPATCH_SENDERS_MY_SHOP_API_KEY", "API_KEY_ENV"},
		{"variable of the wrong kind", aSender, "GUPDISPATCH_SENDERS_MY_SHOP_RATE=fast", "GUPDISPATCH_SENDERS_MY_SHOP_RATE", `"fast" is not a number`},
		{"variable out of range", aSender, "GUPDISPATCH_SENDERS_MY_SHOP_RATE=NaN", "senders[my-shop].rate (set by GUPDISPATCH_SENDERS_MY_SHOP_RATE)", "above 0"},
		{"a key where a number belongs", "redis: {read_timeout: s3cret-s3cret-s3cret-s3cret}", "", "redis.read_timeout", "27 characters"},
		{"not YAML", "redis: [", "", "test.yaml", "line"},
		{"only a text", "s3cret", "", "test.yaml", "is text"},
		{"two documents", "log: {}\n---\nlog: {}", "", "test.yaml", "second document"},
		{"key twice", "log: {}\nlog: {}", "", "test.yaml", "line 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, problems := load(t, tc.yaml, tc.env)
			require.Len(t, problems, 1, "%v", problems)
			require.Equal(t, tc.key, problems[0].Key)
			require.Contains(t, problems[0].String(), tc.words)
			require.NotEmpty(t, problems[0].Fix)
			require.NotContains(t, problems.Error(), "s3cret", "no secret in an error")
			require.NotContains(t, problems.Error(), "9999900001", "no number in an error")
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, problems := load(t, "redis: {ulr: x, pool_size: -1}\nlog: {level: loud}"+aSender+"    rate: 0", "GUPDISPATCH_NONSENSE=1", "GUPDISPATCH_HTTP_LISTEN=x")
	var keys []string
	for _, p := range problems {
		keys = append(keys, p.Key)
	}
	require.Equal(t, []string{
		"redis.ulr", "GUPDISPATCH_NONSENSE", "redis.pool_size", "http.listen (set by GUPDISPATCH_HTTP_LISTEN)", "log.level", "senders[my-shop].rate",
	}, keys)
	require.Equal(t, 1+len(problems), len(strings.Split(problems.Error(), "\n")), "one line each, below a heading")
}

// config imports none of our packages, so it lists the classes once more; the lists must not drift apart.
func TestClassesAreGupshups(t *testing.T) {
	t.Parallel()
	var want []string
	for _, c := range gupshup.Classes() {
		want = append(want, string(c))
	}
	require.Equal(t, want, classes)
}

// gupshup.timeout < workers.shutdown_timeout < workers.stop_grace: otherwise a request is cut off between its sending and its recording.
func TestStoppingOrder(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		http, shutdown, grace string
		want                  []string
	}{
		{"10s", "20s", "30s", nil},
		{"19.999s", "20s", "20.001s", nil},
		{"20s", "20s", "30s", []string{"workers.shutdown_timeout"}},
		{"10s", "30s", "30s", []string{"workers.stop_grace"}},
		{"30s", "20s", "10s", []string{"workers.shutdown_timeout", "workers.stop_grace"}},
	} {
		_, problems := load(t, "gupshup: {timeout: "+tc.http+"}\nworkers: {shutdown_timeout: "+tc.shutdown+", stop_grace: "+tc.grace+"}")
		var keys []string
		for _, p := range problems {
			keys = append(keys, p.Key)
		}
		require.Equal(t, tc.want, keys, "%s < %s < %s", tc.http, tc.shutdown, tc.grace)
	}
}

func TestPlainHTTPIsForThisMachine(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{"http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1", "http://simulator:1\n    allow_insecure: true"} {
		_, problems := load(t, aSender+"    base_url: "+ok)
		require.Empty(t, problems, ok)
	}
}

func TestNotifyingInTheClearIsForThisMachine(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{"http://localhost:1/x", "http://[::1]:1", "https://shop.example/x?token=y", "http://shop:1\n    allow_insecure: true"} {
		cfg, problems := load(t, notifies+"N\n    notify_url: "+ok)
		require.Empty(t, problems, ok)
		require.Equal(t, 100_000, cfg.Senders[0].EventsKept(), "notifying needs a stream")
	}
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{
		"alerts: {url: \"http://127.0.0.1:1/x\", secret_env: OPS_SECRET}",
		"alerts: {url: \"http://ops:1/x\", secret_env: OPS_SECRET, allow_insecure: true}",
	} {
		cfg, problems := load(t, ok, "OPS_SECRET=s3cret")
		require.Empty(t, problems, ok)
		require.Equal(t, "s3cret", cfg.Alerts.Secret.Reveal())
		require.NoError(t, cfg.CheckNotifySecrets())
		cfg, problems = load(t, ok)
		require.Empty(t, problems, ok)
		require.ErrorContains(t, cfg.CheckNotifySecrets(), "alerts.secret_env")
	}
	_, problems := load(t, "", "GUPDISPATCH_ALERTS_URL=https://ops.example/x", "GUPDISPATCH_ALERTS_SECRET_ENV=OPS_SECRET", "OPS_SECRET=s3cret")
	require.Empty(t, problems)
}

func TestEventsKept(t *testing.T) {
	t.Parallel()
	require.Zero(t, NewSender("a").EventsKept())
	require.Equal(t, 7, Sender{EventsMax: 7}.EventsKept())
	require.Equal(t, 7, Sender{EventsMax: 7, NotifyURL: "https://shop.example"}.EventsKept())
}

// Whatever the file and the environment say, Load answers with a configuration or with Problems; it never panics.
func FuzzLoad(f *testing.F) {
	example, err := readExample()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example, "GUPDISPATCH_REDIS_URL=x")
	f.Add("'':", "\x00")
	f.Add("senders: [{name: a, rate: .inf}, null, 3, [1]]\n? [x]\n: y", "GUPDISPATCH_CODES_=")
	f.Add("a: &a [*a]\ncodes: {null: x, 2026-01-01: y, 1.5: z}", "GUPDISPATCH_=\x00")
	f.Fuzz(func(t *testing.T, yaml, variable string) {
		cfg, problems := load(t, yaml, variable, "GUPDISPATCH_"+variable)
		if cfg != nil {
			require.NoError(t, cfg.Validate())
		}
		for _, p := range problems {
			require.NotEmpty(t, p.Key)
			require.NotEmpty(t, p.What)
			require.NotEmpty(t, p.Fix)
		}
	})
}
