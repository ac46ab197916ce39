package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

func TestAMessageSentWhileAWorkerRunsArrivesOnce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{KeepBodies: true, Apps: []gupshuptest.App{{Name: "DemoApp", Source: "917834811114", APIKey: testKey}}}, "")
		w := s.begin("worker")
		got := decode[sent](t, s.ok("send", "--to", testNumber, "--text", "Hello", "--id", "a", "--priority", "critical", "--wait", "--timeout", "30s").out)
		require.Equal(t, message.Submitted, got.Status)
		accepted := s.sim.Accepted(gupshuptest.Filter{})
		require.Len(t, accepted, 1)
		require.Equal(t, got.MessageID, accepted[0].MessageID)
		require.JSONEq(t, `{"type":"text","text":"Hello"}`, accepted[0].Form.Get("message"))

		// Gupshup's id finds it, too.
		require.Equal(t, "a", decode[map[string]any](t, s.ok("message", "show", got.MessageID, "--json").out)["id"])

		end := w.stop()
		require.Equal(t, exitOK, end.code, end.errs)
		require.Empty(t, end.out, "no port was asked for")
		require.Contains(t, end.errs, `"event":"message.attempted"`)
		require.Contains(t, end.errs, `"event":"worker.stopped"`)
		s.ok("audit", "--deep")
	})
}

func TestADeadLetterIsSeenReplayedAndPurged(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{
			{Destination: testNumber, Times: 2, Fault: gupshuptest.Fault{Kind: gupshuptest.KindCode, Code: 1008}},
		}}, "")
		s.begin("worker")
		failed := s.run("send", "--to", testNumber, "--text", "Hello", "--id", "a", "--wait", "--timeout", "30s")
		require.Equal(t, exitFailed, failed.code)
		require.Equal(t, "1008", decode[sent](t, failed.out).Code)
		require.Contains(t, failed.errs, "message a ended as dead: 1008 (consent)")

		inspector, queue := asynq.NewInspectorFromRedisClient(rdb), message.Queue(s.sender, message.Default)
		archived := func(generation int) func() bool {
			return func() bool {
				info, err := inspector.GetTaskInfo(queue, message.TaskID("a", generation))
				return err == nil && info.State == asynq.TaskStateArchived
			}
		}
		require.Eventually(t, archived(1), 20*time.Second, 10*time.Millisecond)
		s.ok("dead", "replay", "a")
		require.False(t, archived(1)(), "the old task is gone")
		require.Eventually(t, archived(2), 20*time.Second, 10*time.Millisecond)
		s.ok("dead", "purge", "a")
		require.False(t, archived(2)())
		s.ok("audit", "--deep")
		require.Empty(t, s.sim.Accepted(gupshuptest.Filter{}))
	})
}

func TestConfiguredCodesReachTheClient(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{Rules: []gupshuptest.Rule{
		{Times: 1, Fault: gupshuptest.Fault{Kind: gupshuptest.KindCode, Code: 1002}},
	}}, "codes: {\"1002\": transient}")
	s.begin("worker")
	s.ok("send", "--to", testNumber, "--text", "Hello", "--wait", "--timeout", "60s")
	require.EqualValues(t, 2, s.sim.Stats().Requests, "tried again, although 1002 usually is final")
}

func TestSendWaitGivesUp(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	got := s.run("send", "--to", testNumber, "--text", "Hello", "--id", "a", "--wait", "--timeout", "50ms")
	require.Equal(t, exitFailed, got.code)
	require.JSONEq(t, `{"id":"a","status":"queued"}`, got.out)
	require.Contains(t, got.errs, "message a is not settled after 50ms (queued): it stays accepted; is a worker running?")
}

// address waits until a process says where it listens.
func (r *running) address() string {
	r.s.t.Helper()
	said := regexp.MustCompile(`listening on (http://\S+) \(`)
	require.Eventually(r.s.t, func() bool { return said.MatchString(r.out.String()) }, 20*time.Second, 5*time.Millisecond, "%s", r.errs)
	return said.FindStringSubmatch(r.out.String())[1]
}

// fetch gets a page as a browser with a session would.
func fetch(t *testing.T, client *http.Client, address string) (int, string) {
	t.Helper()
	res, err := client.Get(address)
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode, string(body)
}

func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport}
}

func TestServe(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{},
		"http: {listen: \"127.0.0.1:0\", ui_users: [{name: ops, password_env: TEST_PASSWORD, role: admin}]}")
	r := s.begin("serve")
	base, client := r.address(), browser(t)
	require.Contains(t, r.out.String(), "(/, /ui/, /v1/, /docs, /callbacks/gupshup/{sender}, /healthz, /readyz, /metrics)")
	s.ok("send", "--to", testNumber, "--text", "Hello", "--wait", "--timeout", "30s")

	for path, want := range map[string]string{"/healthz": `"ok"`, "/readyz": `"ready"`, "/ui/": "password"} {
		code, body := fetch(t, client, base+path)
		require.Equal(t, http.StatusOK, code, path)
		require.Contains(t, body, want, path)
	}
	var metrics string
	require.Eventually(t, func() bool { // the ledger knows a little before asynq does
		_, metrics = fetch(t, client, base+"/metrics")
		return strings.Contains(metrics, `queue="`+s.sender+`.default",state="completed"} 1`)
	}, 20*time.Second, 20*time.Millisecond)
	for _, want := range []string{
		`gupdispatch_messages_total{priority="default",sender="` + s.sender + `",status="submitted"} 1`,
		`gupdispatch_queue_depth{queue="` + s.sender + `.bulk",state="pending"} 0`,
		`gupdispatch_queue_depth{queue="` + s.sender + `.default",state="completed"} 1`,
		`gupdispatch_oldest_pending_seconds{queue="` + s.sender + `.critical"} 0`,
		`gupdispatch_in_doubt{sender="` + s.sender + `"} 0`,
		`gupdispatch_duplicates_total{sender="` + s.sender + `"} 0`,
		"gupdispatch_pace_wait_seconds_count 1", "go_goroutines", "process_resident_memory_bytes",
	} {
		require.Contains(t, metrics, want)
	}

	res, err := client.PostForm(base+"/ui/login", url.Values{"name": {"ops"}, "password": {testPassword}})
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	code, queues := fetch(t, client, base+"/ui/api/queues")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, queues, s.sender+".default")
	_, tasks := fetch(t, client, base+"/ui/api/queues/"+s.sender+".default/completed_tasks")
	require.Contains(t, tasks, "9198******10")
	require.NotContains(t, queues+tasks+metrics, testNumber)

	end := r.stop()
	require.Equal(t, exitOK, end.code, end.errs)
	require.Contains(t, end.errs, `"event":"worker.stopped"`)
}

// Resume in the web UI does not end a hold, and a Pause during one outlives it.
func TestPauseAndResumeDuringAHold(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{},
			"http: {listen: \"127.0.0.1:0\", ui_users: [{name: ops, password_env: TEST_PASSWORD, role: admin}]}")
		base, client := s.begin("serve").address(), browser(t)
		res, err := client.PostForm(base+"/ui/login", url.Values{"name": {"ops"}, "password": {testPassword}})
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		press := func(p message.Priority, button string) {
			t.Helper()
			res, err := client.Post(base+"/ui/api/queues/"+message.Queue(s.sender, p)+":"+button, "", nil)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, http.StatusNoContent, res.StatusCode)
		}
		paused := func(p message.Priority, want bool) {
			t.Helper()
			require.Eventually(t, func() bool {
				n, err := rdb.Exists(t.Context(), "asynq:{"+message.Queue(s.sender, p)+"}:paused").Result()
				return err == nil && (n == 1) == want
			}, 20*time.Second, 10*time.Millisecond, "%s should be paused: %t", p, want)
		}
		_, err = s.ledger.SetHold(t.Context(), ledger.HoldRequest{Sender: s.sender, Reason: ledger.ReasonByHand, By: "ops"})
		require.NoError(t, err)
		for _, p := range message.Priorities {
			paused(p, true)
		}
		press(message.Default, "resume")
		paused(message.Default, true)
		press(message.Critical, "pause")
		_, err = s.ledger.Release(t.Context(), s.sender, "", "ops")
		require.NoError(t, err)
		paused(message.Default, false)
		paused(message.Bulk, false)
		paused(message.Critical, true)
		press(message.Critical, "resume")
		paused(message.Critical, false)
	})
}

func TestWorkerListensForHealthOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{},
		"workers: {listen: \"127.0.0.1:0\"}\nhttp: {ui_users: [{name: ops, password_env: TEST_PASSWORD}]}\nlog: {format: console}")
	r := s.begin("worker")
	base, client := r.address(), browser(t)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/ui/": 404, "/ui/login": 404} {
		code, _ := fetch(t, client, base+path)
		require.Equal(t, want, code, path)
	}
	end := r.stop()
	require.Equal(t, exitOK, end.code)
	require.Contains(t, end.errs, "INFO\tworker.started")
}

func TestProcessesNameEverySecretThatIsMissing(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "http: {ui_users: [{name: ops, password_env: TEST_PASSWORD}]}")
	s.environ = nil
	got := s.run("serve")
	require.Equal(t, exitUsage, got.code)
	for _, want := range []string{"2 problems", `"TEST_KEY" is not set`, `"TEST_PASSWORD" is not set`} {
		require.Contains(t, got.errs, want)
	}
	worker := s.run("worker")
	require.Equal(t, exitUsage, worker.code)
	require.NotContains(t, worker.errs, "TEST_PASSWORD", "a worker has no use for it")
	require.Equal(t, exitOK, s.run("send", "--to", testNumber, "--text", "Hello").code, "who only hands over needs no key")
}

func TestServeOnATakenPort(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "http: {listen: \""+l.Addr().String()+"\"}")
	got := s.run("serve")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.errs, "free the port or change http.listen")
	require.NotContains(t, got.errs, "worker.started", "nothing was sent before")
}

func TestServeWithTheEmbeddedRedis(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "http: {listen: \"127.0.0.1:0\"}")
	s.environ = append(s.environ, "GUPDISPATCH_REDIS_URL=embedded")
	r := s.begin("serve")
	r.address()
	said := regexp.MustCompile(`forgets everything when this process ends \((redis://\S+) meanwhile\)`).FindStringSubmatch(r.errs.String())
	require.NotNil(t, said, r.errs)
	s.environ[len(s.environ)-1] = "GUPDISPATCH_REDIS_URL=" + said[1]
	s.ok("send", "--to", testNumber, "--text", "Hello", "--wait", "--timeout", "30s")
	require.Equal(t, exitOK, r.stop().code)
	require.Len(t, s.sim.Accepted(gupshuptest.Filter{}), 1)
}

func TestTimePassesInTheEmbeddedRedis(t *testing.T) {
	t.Parallel()
	e, err := startEmbedded()
	require.NoError(t, err)
	t.Cleanup(e.close)
	rdb := redis.NewClient(&redis.Options{Addr: e.addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	require.NoError(t, rdb.Set(t.Context(), "k", "v", time.Second).Err())
	require.Eventually(t, func() bool { return rdb.Exists(context.Background(), "k").Val() == 0 }, 5*time.Second, 20*time.Millisecond)
}

// Redis clients are told apart by what a lost reply must not do.
func TestOnlyTheGeneralClientRepeatsCommands(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	e := newEnv(append(s.environ, "GUPDISPATCH_REDIS_POOL_SIZE=7", "GUPDISPATCH_REDIS_READ_TIMEOUT=2s"), strings.NewReader(""), io.Discard, io.Discard)
	e.configFile, e.redisWait = s.file, time.Second
	a, err := e.open(t.Context())
	require.NoError(t, err)
	t.Cleanup(a.close)
	general, queue := a.redis.general.(*redis.Client).Options(), a.redis.queue.(*redis.Client).Options()
	require.Equal(t, 3, general.MaxRetries)
	require.Equal(t, 0, queue.MaxRetries) // the client's own form of -1: none
	for _, o := range []*redis.Options{general, queue} {
		require.True(t, o.ContextTimeoutEnabled)
		require.Equal(t, 7, o.PoolSize)
		require.Equal(t, 2*time.Second, o.ReadTimeout)
	}
}
