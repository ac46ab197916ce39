package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/notify"
)

const secret = "whsec-0123456789"

// application is the receiver: it keeps what was posted, and answers as it is told.
type application struct {
	*httptest.Server
	mu     sync.Mutex
	got    []notify.Event
	bodies []string // of got
	bad    []error
	answer func(n int, e notify.Event) int // n counts posts of the same event, from 1
}

func newApplication(t *testing.T) *application {
	t.Helper()
	a := &application{}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Close)
	return a
}

func (a *application) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	err = errors.Join(err, notify.Verify(secret, r.Header.Get(notify.SignatureHeader), body, time.Minute, time.Now()))
	var e notify.Event
	err = errors.Join(err, json.Unmarshal(body, &e))
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.bad = append(a.bad, err)
	}
	a.got, a.bodies = append(a.got, e), append(a.bodies, string(body))
	n := 0
	for _, g := range a.got {
		if g.EventID == e.EventID {
			n++
		}
	}
	if a.answer != nil {
		w.WriteHeader(a.answer(n, e))
	}
}

// posts counts the posts of each event.
func (a *application) posts() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := map[string]int{}
	for _, e := range a.got {
		out[e.EventID]++
	}
	return out
}

// site is one sender with its stream and its application.
type site struct {
	t       *testing.T
	rdb     *redis.Client
	sender  string
	app     *application
	inspect *asynq.Inspector
	metrics *prometheus.Registry
	logs    *observer.ObservedLogs
	cfg     notify.Config
}

func newSite(t *testing.T, rdb *redis.Client) *site {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	s := &site{
		t: t, rdb: rdb, sender: redistest.Sender(), app: newApplication(t), inspect: asynq.NewInspectorFromRedisClient(rdb),
		metrics: prometheus.NewRegistry(), logs: logs,
	}
	queue := redis.NewClient(&redis.Options{Addr: rdb.Options().Addr, MaxRetries: -1})
	t.Cleanup(func() { _ = queue.Close() })
	s.cfg = notify.Config{
		Redis: rdb, QueueRedis: queue, Senders: []notify.Sender{{Name: s.sender, URL: s.app.URL + "/hook?token=tok", Secret: secret}},
		Timeout: 5 * time.Second, Log: zap.New(core), Registry: s.metrics,
	}
	return s
}

// start runs a Notifier in a hurry; Shutdown comes at the end of the test or before.
func (s *site) start() *notify.Notifier {
	s.t.Helper()
	n, err := notify.New(s.cfg)
	require.NoError(s.t, err)
	n.Hurry()
	require.NoError(s.t, n.Start(context.Background()))
	s.t.Cleanup(n.Shutdown)
	return n
}

// write adds entries as the ledger does, and returns their ids.
func (s *site) write(count int) []string {
	s.t.Helper()
	ids := make([]string, count)
	for i := range ids {
		id, err := s.rdb.XAdd(context.Background(), &redis.XAddArgs{Stream: notify.StreamKey(s.sender), Values: []any{
			"id", fmt.Sprintf("m%d", i), "from", "sending", "status", "submitted", "attempt", "1", "at", "1700000000123", "message_id", "g1",
		}}).Result()
		require.NoError(s.t, err)
		ids[i] = id
	}
	return ids
}

func (s *site) eventually(what string, is func() bool) {
	s.t.Helper()
	require.Eventually(s.t, is, 20*time.Second, 5*time.Millisecond, what)
}

// settled: every entry is acknowledged, and no task waits or runs.
func (s *site) settled() {
	s.t.Helper()
	s.eventually("settled", func() bool {
		groups, err := s.rdb.XInfoGroups(context.Background(), notify.StreamKey(s.sender)).Result()
		if err != nil || len(groups) != 1 || groups[0].Pending != 0 {
			return false
		}
		last, err := s.rdb.XRevRangeN(context.Background(), notify.StreamKey(s.sender), "+", "-", 1).Result()
		if err != nil || len(last) != 1 || groups[0].LastDeliveredID != last[0].ID {
			return false
		}
		q, err := s.inspect.GetQueueInfo(notify.Queue(s.sender))
		return err == nil && q.Pending+q.Active+q.Retry+q.Scheduled == 0
	})
}

func (s *site) counted(result string) int { return s.count("gupdispatch_notifications_total", result) }

func (s *site) count(metric, result string) int {
	s.t.Helper()
	families, err := s.metrics.Gather()
	require.NoError(s.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == metric && l.GetName() == "result" && l.GetValue() == result {
					return int(m.GetCounter().GetValue())
				}
			}
		}
	}
	return -1
}

func once(ids []string) map[string]int {
	out := map[string]int{}
	for _, id := range ids {
		out[id] = 1
	}
	return out
}

// Several processes, more entries than a batch, some of them from before the first start: each is posted once, and signed.
func TestEachEventIsPostedOnce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		ids := s.write(150)
		s.start()
		s.cfg.Registry = nil
		s.start()
		ids = append(ids, s.write(150)...)
		s.settled()
		require.Equal(t, once(ids), s.app.posts())
		require.Empty(t, s.app.bad)
		want := notify.Event{
			EventID: ids[0], Sender: s.sender, ID: "m0", From: message.Sending, Status: message.Submitted, Attempt: 1,
			At: time.UnixMilli(1700000000123).UTC(), MessageID: "g1",
		}
		require.Contains(t, s.app.got, want)
	})
}

func TestRetriedUntilTaken(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		s.app.answer = func(n int, _ notify.Event) int {
			return []int{http.StatusInternalServerError, http.StatusTemporaryRedirect, http.StatusTooManyRequests, http.StatusNoContent}[n-1]
		}
		s.start()
		ids := s.write(1)
		s.settled()
		require.Equal(t, map[string]int{ids[0]: 4}, s.app.posts())
		require.Empty(t, s.app.bad)
		require.Equal(t, 3, s.counted("retried"))
		require.Equal(t, 1, s.counted("delivered"))
		require.Zero(t, s.counted("archived"))
	})
}

func TestRefusedIsArchivedAtOnce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		var open atomic.Bool
		s.app.answer = func(int, notify.Event) int {
			if open.Load() {
				return http.StatusOK
			}
			return http.StatusGone
		}
		s.start()
		ids := s.write(1)
		s.settled()
		info, err := s.inspect.GetTaskInfo(notify.Queue(s.sender), ids[0])
		require.NoError(t, err)
		require.Equal(t, asynq.TaskStateArchived, info.State)
		require.Contains(t, info.LastErr, "answered 410 Gone: the receiver wants no events")
		require.NotContains(t, info.LastErr, "tok")
		require.Equal(t, map[string]int{ids[0]: 1}, s.app.posts())
		require.Equal(t, 1, s.counted("archived"))
		require.Len(t, s.logs.FilterMessage("notify.archived").All(), 1)

		open.Store(true) // a person repairs the receiver and presses Run in the web UI
		require.NoError(t, s.inspect.RunTask(notify.Queue(s.sender), ids[0]))
		s.eventually("posted again", func() bool { return s.counted("delivered") == 1 })
		require.Empty(t, s.app.bad)
	})
}

// The last of all retries archives, and says so.
func TestArchivedWhenRetriesAreUsedUp(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t))
	s.app.answer = func(int, notify.Event) int { return http.StatusBadGateway }
	body, err := json.Marshal(notify.Event{EventID: "1-0", Sender: s.sender, ID: "m", Status: message.Queued})
	require.NoError(t, err)
	_, err = asynq.NewClientFromRedisClient(s.rdb).Enqueue(asynq.NewTask(notify.TaskType, body), asynq.Queue(notify.Queue(s.sender)), asynq.TaskID("1-0"), asynq.MaxRetry(1))
	require.NoError(t, err)
	s.start()
	s.eventually("archived", func() bool { return s.counted("archived") == 1 })
	require.Equal(t, 1, s.counted("retried"))
	require.Equal(t, 2, s.app.posts()["1-0"])
}

// cutAck makes the first acknowledgements fail as they do for a relay that dies after enqueuing: they are never sent.
type cutAck struct{ left atomic.Int32 }

func (c *cutAck) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *cutAck) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "xack" && c.left.Add(-1) >= 0 {
			return errors.New("killed before the acknowledgement")
		}
		return next(ctx, cmd)
	}
}

func (c *cutAck) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestKilledBetweenEnqueueAndAckDoublesNothing(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		ids := s.write(20)
		cut := &cutAck{}
		cut.left.Store(1)
		mortal := redis.NewClient(&redis.Options{Addr: rdb.Options().Addr})
		t.Cleanup(func() { _ = mortal.Close() })
		mortal.AddHook(cut)
		s.cfg.Redis = mortal
		s.start()
		s.settled() // which means: taken over, and acknowledged the second time
		require.Negative(t, cut.left.Load(), "there was no second acknowledgement")
		require.Equal(t, once(ids), s.app.posts())
	})
}

func TestEntriesOfADeadConsumerAreTakenOver(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		ctx := context.Background()
		s := newSite(t, rdb)
		ids := s.write(250) // more than two batches
		require.NoError(t, rdb.XGroupCreate(ctx, notify.StreamKey(s.sender), notify.Group, "0").Err())
		require.NoError(t, rdb.XReadGroup(ctx, &redis.XReadGroupArgs{
			Group: notify.Group, Consumer: "dead", Streams: []string{notify.StreamKey(s.sender), ">"}, Count: 1000, Block: -1,
		}).Err())

		idle, err := notify.New(notify.Config{Redis: rdb, QueueRedis: rdb, Senders: s.cfg.Senders})
		require.NoError(t, err)
		require.NoError(t, idle.TakeOver(ctx, s.sender))
		pending, err := rdb.XPending(ctx, notify.StreamKey(s.sender), notify.Group).Result()
		require.NoError(t, err)
		require.EqualValues(t, 250, pending.Count, "entries were taken from a consumer that may still be at work")

		s.start()
		s.settled()
		require.Equal(t, once(ids), s.app.posts())
	})
}

// A full queue is left alone, and the stream keeps what comes. Retries count as well as what is new.
func TestBackPressure(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t))
	ctx := context.Background()
	retry := "asynq:{" + notify.Queue(s.sender) + "}:retry"
	_, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i := range notify.MaxWaiting + 1 {
			pipe.ZAdd(ctx, retry, redis.Z{Score: 1e12, Member: fmt.Sprint(i)})
		}
		return nil
	})
	require.NoError(t, err)
	ids := s.write(1)
	s.start()
	s.eventually("the queue is seen to be full", func() bool { return s.logs.FilterMessage("notify.full").Len() == 1 })
	groups, err := s.rdb.XInfoGroups(ctx, notify.StreamKey(s.sender)).Result()
	require.NoError(t, err)
	require.Less(t, groups[0].LastDeliveredID, ids[0], "the stream was read")
	require.Empty(t, s.app.posts())

	require.NoError(t, s.rdb.Del(ctx, retry).Err())
	s.eventually("posted", func() bool { return s.app.posts()[ids[0]] == 1 })
	require.Equal(t, 1, s.logs.FilterMessage("notify.reading_again").Len())
}

func TestWaitingTasksAgreesWithAsynq(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		s.app.answer = func(int, notify.Event) int { return http.StatusInternalServerError }
		n, err := notify.New(s.cfg) // by the pace of production: the first retry is half a second away
		require.NoError(t, err)
		queue := asynq.NewClientFromRedisClient(rdb)
		body, err := json.Marshal(notify.Event{Sender: s.sender})
		require.NoError(t, err)
		for range 3 {
			_, err = queue.Enqueue(asynq.NewTask(notify.TaskType, body), asynq.Queue(notify.Queue(s.sender)))
			require.NoError(t, err)
		}
		agree := func() {
			info, err := s.inspect.GetQueueInfo(notify.Queue(s.sender))
			require.NoError(t, err)
			waiting, err := notify.WaitingTasks(context.Background(), rdb, s.sender)
			require.NoError(t, err)
			require.EqualValues(t, 3, waiting)
			require.Equal(t, 3, info.Pending+info.Retry)
		}
		agree()
		require.NoError(t, n.Start(context.Background()))
		s.eventually("all failed", func() bool { return s.counted("retried") >= 3 })
		n.Shutdown()
		agree()
	})
}

// What is no event is counted, said once, acknowledged, and does not stop the rest.
func TestMalformedEntriesAreLeftOut(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		require.NoError(t, rdb.XAdd(context.Background(), &redis.XAddArgs{Stream: notify.StreamKey(s.sender), Values: []any{"to", "919999900001"}}).Err())
		ids := s.write(1)
		s.start()
		s.settled()
		require.Equal(t, once(ids), s.app.posts())
		require.Equal(t, 1, s.counted("malformed"))
		for _, line := range s.logs.All() {
			require.NotContains(t, fmt.Sprint(line.ContextMap()), "919999900001")
		}
	})
}

// A stream that is deleted, group and all, is begun anew when it comes back.
func TestStreamThatWasDeleted(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		s.start()
		s.write(1)
		s.settled()
		require.NoError(t, rdb.Del(context.Background(), notify.StreamKey(s.sender)).Err())
		ids := s.write(1)
		s.eventually("posted", func() bool { return s.app.posts()[ids[0]] == 1 })
		s.settled()
	})
}

// A post that is under way when the process is told to stop is finished, and not posted again by the next.
func TestShutdownFinishesPosts(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t))
	begun, finish := make(chan struct{}), make(chan struct{})
	s.app.answer = func(int, notify.Event) int {
		close(begun)
		<-finish
		return http.StatusOK
	}
	n := s.start()
	ids := s.write(1)
	<-begun
	ended := make(chan struct{})
	go func() {
		n.Shutdown()
		close(ended)
	}()
	close(finish)
	<-ended
	n.Shutdown() // again: nothing
	s.settled()
	require.Equal(t, once(ids), s.app.posts())
	require.ErrorContains(t, n.Start(context.Background()), "only once")
}

func TestRedisMayBeAwayAtTheStart(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t))
	away := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = away.Close() })
	s.cfg.Redis = away
	s.start()
	s.eventually("said", func() bool { return s.logs.FilterMessage("notify.redis").Len() == 1 })
}

func TestNewNamesEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := notify.New(notify.Config{Timeout: time.Hour, Senders: []notify.Sender{
		{Name: "a", URL: "ftp://user:pw@h.test/", Secret: "s"},
		{Name: "a", URL: "https://user:pw@h.test:port/%zz", Secret: "s"},
		{URL: "/relative"},
	}, Alerts: notify.Alerts{URL: "https://user:pw@h.test:port", Senders: []string{"a"}}})
	for _, part := range []string{
		"Redis and QueueRedis", "below 5m0s", "sender a: notify_url must be", "sender a is given twice", "has no name", "secret is empty",
		"alerts.url must be", "secret of alerts is empty",
	} {
		require.ErrorContains(t, err, part)
	}
	require.NotContains(t, err.Error(), "pw")
	require.Equal(t, 2, strings.Count(err.Error(), "sender a: notify_url"))
}

func TestSenderPrintsNoSecret(t *testing.T) {
	t.Parallel()
	cfg := notify.Config{Senders: []notify.Sender{{Name: "a", URL: "https://h.test/?key=tok", Secret: "s3cret"}}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		text := fmt.Sprintf(verb, cfg)
		require.NotContains(t, text, "s3cret")
		require.NotContains(t, text, "tok")
	}
}

func TestMetricsBeginAtZero(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t))
	_, err := notify.New(s.cfg)
	require.NoError(t, err)
	for _, result := range []string{"delivered", "retried", "archived", "malformed"} {
		require.Zero(t, s.counted(result), result)
	}
}
