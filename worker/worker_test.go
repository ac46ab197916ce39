package worker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
	"github.com/gupdispatch/gupdispatch/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is everything one sender needs, from the producer to a Gupshup that can be told to misbehave.
type site struct {
	t        *testing.T
	rdb      *redis.Client
	sender   string
	sim      *gupshuptest.Server
	ledger   *ledger.Ledger
	producer *producer.Producer
	inspect  *asynq.Inspector
	logs     *observer.ObservedLogs
	cfg      worker.Config
	ahead    atomic.Int64 // how far the ledger's clock is ahead
}

const apiKey = "secret-key-0123456789"

func newSite(t *testing.T, rdb *redis.Client, sim gupshuptest.Config) *site {
	t.Helper()
	s := &site{t: t, rdb: rdb, sender: redistest.Sender(), sim: gupshuptest.NewServer(t, sim)}
	s.ledger = ledger.New(rdb, s.books())
	var err error
	s.producer, err = producer.New(producer.Config{Redis: rdb, Senders: []producer.Sender{{Name: s.sender}}})
	require.NoError(t, err)
	client, err := gupshup.New(gupshup.Config{BaseURL: s.sim.URL, APIKey: gupshup.StaticKey(apiKey), Timeout: 2 * time.Second})
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	core, logs := observer.New(zap.DebugLevel)
	s.logs = logs
	s.inspect = asynq.NewInspectorFromRedisClient(rdb)
	queueRedis := redis.NewClient(&redis.Options{Addr: rdb.Options().Addr, MaxRetries: -1})
	t.Cleanup(func() { _ = queueRedis.Close() })
	budget := worker.Budget{Attempts: 4, MaxAge: time.Hour}
	s.cfg = worker.Config{
		Redis: rdb, QueueRedis: queueRedis, Ledger: s.ledger,
		Senders: []worker.SenderConfig{{
			Name: s.sender, App: "DemoApp", Source: "917834811114", Client: client, Rate: 5000, Burst: 10,
			OnInDoubt: map[message.Priority]message.OnInDoubt{message.Critical: message.Resend, message.Default: message.Resend, message.Bulk: message.Hold},
		}},
		Concurrency: map[message.Priority]int{message.Critical: 4, message.Default: 8, message.Bulk: 8},
		HTTPTimeout: 2 * time.Second, ShutdownTimeout: 5 * time.Second, SweepInterval: 50 * time.Millisecond,
		Budget:      map[message.Priority]worker.Budget{message.Critical: budget, message.Default: budget, message.Bulk: budget},
		BackoffBase: 10 * time.Millisecond, BackoffCap: 50 * time.Millisecond, RetryAfterCap: time.Second, DoubtWindow: 3 * time.Second,
		Log: zap.New(core), Registry: prometheus.NewRegistry(),
	}
	return s
}

// books is the ledger's configuration.
func (s *site) books() ledger.Config {
	return ledger.Config{Offset: func() time.Duration { return time.Duration(s.ahead.Load()) }}
}

// passes lets that time pass in the books.
func (s *site) passes(d time.Duration) { s.ahead.Add(int64(d)) }

// run starts a worker and returns what stops it.
func (s *site) run() (stop func()) {
	s.t.Helper()
	w, err := worker.New(s.cfg)
	require.NoError(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(s.t, <-done)
		}
	}
	s.t.Cleanup(stop)
	return stop
}

func (s *site) text(id string, to string, p message.Priority) message.Message {
	return message.Message{ID: id, Sender: s.sender, To: to, Priority: p, Content: gupshup.Content{Message: gupshup.Text{Text: "Your code, " + id}}}
}

func (s *site) send(m message.Message) {
	s.t.Helper()
	_, err := s.producer.Send(s.t.Context(), m)
	require.NoError(s.t, err)
}

// becomes waits until the message has that status, and returns its record.
func (s *site) becomes(id string, want message.Status) ledger.Record {
	s.t.Helper()
	var rec ledger.Record
	require.Eventually(s.t, func() bool {
		var err error
		rec, err = s.ledger.Get(s.t.Context(), s.sender, id)
		return err == nil && rec.Status == want
	}, 30*time.Second, 10*time.Millisecond, "%s should become %s", id, want)
	return rec
}

// archivedText waits until the asynq web UI shows the message's task as archived, and returns its error.
func (s *site) archivedText(id string, generation int, p message.Priority) string {
	s.t.Helper()
	var info *asynq.TaskInfo
	require.Eventually(s.t, func() bool {
		for _, lane := range []message.Priority{p, message.Probe} { // decided about at once, or much later
			var err error
			info, err = s.inspect.GetTaskInfo(message.Queue(s.sender, lane), message.TaskID(id, generation))
			if err == nil && info.State == asynq.TaskStateArchived {
				return true
			}
		}
		return false
	}, 10*time.Second, 10*time.Millisecond, "task of %s should be archived", id)
	return info.LastErr
}

// paused waits until asynq's queue is paused, or is not.
func (s *site) paused(p message.Priority, want bool) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		_, paused, err := worker.LookAtQueue(s.t.Context(), s.rdb, s.sender, p)
		return err == nil && paused == want
	}, 20*time.Second, 10*time.Millisecond, "%s should be paused: %t", p, want)
}

func (s *site) balanced() {
	s.t.Helper()
	d, err := s.ledger.AuditDeep(s.t.Context(), s.sender)
	require.NoError(s.t, err)
	require.True(s.t, d.Balanced(), "%+v", d)
}

func TestEveryMessageArrivesOnce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		stop := s.run()
		var ms []message.Message
		for i := range 150 {
			ms = append(ms, s.text(fmt.Sprintf("m%d", i), fmt.Sprintf("9198765%05d", i), message.Priorities[i%3]))
		}
		for _, r := range s.producer.SendBatch(t.Context(), ms) {
			require.NoError(t, r.Err)
		}
		for _, m := range ms {
			rec := s.becomes(m.ID, message.Submitted)
			require.NotEmpty(t, rec.MessageID)
		}
		stop()
		require.EqualValues(t, 150, s.sim.Stats().Accepted)
		require.Empty(t, s.sim.Duplicates())
		s.balanced()
	})
}

func rule(destination string, f gupshuptest.Fault) gupshuptest.Rule {
	return gupshuptest.Rule{Destination: destination, Fault: f}
}

func TestATerminalCodeIsArchivedWithWhatOpsMustKnow(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{
			rule("919876543210", gupshuptest.Fault{Kind: gupshuptest.KindCode, Code: 1002, Message: "Number Does Not Exist On WhatsApp"}),
		}})
		s.run()
		s.send(s.text("a", "919876543210", message.Default))
		rec := s.becomes("a", message.Dead)
		require.Equal(t, "1002", rec.Code)
		require.Equal(t, gupshup.ClassRecipient, rec.Class)
		require.Equal(t,
			"dead letter: 1002 · Number Does Not Exist On WhatsApp · messageId none · attempt 1: skip retry for the task",
			s.archivedText("a", 1, message.Default))
		s.balanced()
	})
}

func TestRunInTheWebUISendsADeadLetterAgain(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{
			{Times: 1, Fault: gupshuptest.Fault{Kind: gupshuptest.KindCode, Code: 1008}},
		}})
		s.run()
		s.send(s.text("a", "919876543210", message.Critical))
		s.becomes("a", message.Dead)
		s.archivedText("a", 1, message.Critical)
		require.NoError(t, s.inspect.RunTask(message.Queue(s.sender, message.Critical), message.TaskID("a", 1)))
		rec := s.becomes("a", message.Submitted)
		require.Len(t, rec.Attempts, 2)
		s.balanced()
	})
}

func TestTransientFailuresAreRetriedUntilTheBudgetEnds(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		fault := gupshuptest.Fault{Kind: gupshuptest.KindHTTP, Status: 503}
		s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{
			{Destination: "919876543210", Times: 2, Fault: fault}, {Destination: "919876543211", Fault: fault},
		}})
		s.run()
		s.send(s.text("recovers", "919876543210", message.Critical))
		s.send(s.text("does-not", "919876543211", message.Critical))
		require.Len(t, s.becomes("recovers", message.Submitted).Attempts, 3)
		rec := s.becomes("does-not", message.Dead)
		require.Equal(t, "http_503", rec.Code)
		require.Len(t, rec.Attempts, 4)
		s.balanced()
	})
}

func TestDoubtFollowsItsRule(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{
			{Times: 1, Destination: "919876543210", Fault: gupshuptest.Fault{Kind: gupshuptest.KindResetAfter}},
			{Times: 1, Destination: "919876543211", Fault: gupshuptest.Fault{Kind: gupshuptest.KindResetAfter}},
			{Times: 1, Destination: "919876543212", Fault: gupshuptest.Fault{Kind: gupshuptest.Kind504After}},
		}})
		s.run()
		s.send(s.text("otp", "919876543210", message.Critical))
		s.send(s.text("order", "919876543211", message.Default))
		s.send(s.text("offer", "919876543212", message.Bulk))
		require.Len(t, s.becomes("otp", message.Submitted).Attempts, 2, "critical: again at once")
		s.becomes("order", message.InDoubt)
		s.becomes("offer", message.InDoubt)
		require.Len(t, s.becomes("order", message.Submitted).Attempts, 2, "default: again after the window")
		rec := s.becomes("offer", message.Dead)
		require.Equal(t, worker.CodeInDoubt, rec.Code)
		require.Contains(t, s.archivedText("offer", rec.Generation, message.Bulk), "it may have been delivered")
		require.Len(t, s.sim.Accepted(gupshuptest.Filter{Destination: "919876543212"}), 1, "hold never sends twice")
		s.balanced()
	})
}

func TestAWrongKeyHoldsTheSenderAndSpendsNothing(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{{Times: 1, Fault: gupshuptest.Fault{Kind: gupshuptest.Kind401Nested}}}})
		s.run()
		s.send(s.text("a", "919876543210", message.Critical))
		require.Eventually(t, func() bool {
			rec, err := s.ledger.Get(t.Context(), s.sender, "a")
			return err == nil && rec.WaitingFor == "account" && rec.Spent == 0
		}, 10*time.Second, 10*time.Millisecond)
		s.paused(message.Critical, true)
		s.send(s.text("b", "919876543211", message.Critical))
		require.EqualValues(t, 1, s.sim.Stats().Requests, "the second message was not even tried")
		s.balanced()
	})
}

// A producer that is killed between accepting and enqueueing leaves a record without a task.
func TestAMessageWithoutATaskIsFoundByTheSweeper(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		s.run()
		m := s.text("a", "919876543210", message.Critical)
		require.NoError(t, m.Normalise("", time.Now()))
		_, errs := s.ledger.Accept(t.Context(), []message.Message{m})
		require.NoError(t, errs[0])
		rec := s.becomes("a", message.Submitted)
		require.Less(t, rec.Attempts[0].At.Sub(rec.CreatedAt), 20*time.Second)
	})
}

func TestADeletedTaskIsEnqueuedAnew(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		queue := message.Queue(s.sender, message.Critical)
		s.send(s.text("a", "919876543210", message.Critical))
		require.NoError(t, s.inspect.DeleteTask(queue, "a:1"))
		s.run()
		require.Equal(t, 2, s.becomes("a", message.Submitted).Generation)
	})
}

func TestNothingSentWhileAPersonHasPausedTheQueue(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		queue := message.Queue(s.sender, message.Critical)
		require.NoError(t, s.inspect.PauseQueue(queue))
		s.run()
		s.send(s.text("a", "919876543210", message.Critical))
		s.send(s.text("b", "919876543210", message.Default))
		s.becomes("b", message.Submitted)
		require.Len(t, s.sim.Accepted(gupshuptest.Filter{}), 1)
		require.NoError(t, s.inspect.UnpauseQueue(queue))
		s.becomes("a", message.Submitted)
	})
}

func TestShutdownFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{{Times: 1, Fault: gupshuptest.Fault{Kind: gupshuptest.KindSlow, Delay: time.Second}}}})
		stop := s.run()
		s.send(s.text("a", "919876543210", message.Critical))
		require.NoError(t, s.sim.WaitAccepted(t.Context(), 1))
		stop()
		rec, err := s.ledger.Get(t.Context(), s.sender, "a")
		require.NoError(t, err)
		require.Equal(t, message.Submitted, rec.Status, "the reply was waited for and written down")
		s.balanced()
	})
}

func TestForeignAndCorruptTasksAreArchived(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		s.run()
		client := asynq.NewClientFromRedisClient(rdb)
		queue := message.Queue(s.sender, message.Critical)
		for id, task := range map[string]*asynq.Task{
			"corrupt": asynq.NewTask(message.TaskType, []byte("{not json")),
			"foreign": asynq.NewTask("email:send", nil),
			"astray":  asynq.NewTask(message.TaskType, []byte(`{"sender":"other","id":"x","generation":1}`)),
		} {
			_, err := client.Enqueue(task, asynq.Queue(queue), asynq.TaskID(id))
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				info, err := s.inspect.GetTaskInfo(queue, id)
				return err == nil && info.State == asynq.TaskStateArchived
			}, 10*time.Second, 10*time.Millisecond, id)
		}
	})
}

func TestNoSecretIsLogged(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{Rules: []gupshuptest.Rule{
		rule("*1", gupshuptest.Fault{Kind: gupshuptest.Kind401Text}), rule("*2", gupshuptest.Fault{Kind: gupshuptest.KindCode, Code: 1002, Message: "no 919876543212"}),
	}})
	stop := s.run()
	s.send(s.text("ok", "919876543210", message.Critical))
	s.becomes("ok", message.Submitted)
	s.send(s.text("dead", "919876543212", message.Critical))
	s.becomes("dead", message.Dead)
	s.send(s.text("held", "919876543211", message.Critical))
	require.Eventually(t, func() bool { return s.logs.FilterField(zap.String("id", "held")).Len() > 0 }, 10*time.Second, 10*time.Millisecond)
	stop()
	for _, e := range s.logs.All() {
		line := fmt.Sprint(e.Message, e.ContextMap())
		for _, secret := range []string{apiKey, "9198765432", "Your code"} {
			require.NotContains(t, line, secret)
		}
	}
}

func TestQueueStatesAgreeWithAsynq(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{})
		for i := range 3 {
			s.send(s.text(fmt.Sprint("m", i), "919876543210", message.Bulk))
		}
		require.NoError(t, s.inspect.PauseQueue(message.Queue(s.sender, message.Bulk)))
		pending, paused, err := worker.LookAtQueue(t.Context(), rdb, s.sender, message.Bulk)
		require.NoError(t, err)
		info, err := s.inspect.GetQueueInfo(message.Queue(s.sender, message.Bulk))
		require.NoError(t, err)
		require.EqualValues(t, info.Pending, pending)
		require.EqualValues(t, 3, pending)
		require.True(t, paused)
	})
}

func TestRedisAwayWhileRunning(t *testing.T) {
	t.Parallel()
	rdb := redistest.Embedded(t)
	s := newSite(t, rdb, gupshuptest.Config{})
	relay := newRelay(t, rdb.Options().Addr)
	through := redis.NewClient(&redis.Options{Addr: relay.addr, ReadTimeout: time.Second, MaxRetries: 1})
	queue := redis.NewClient(&redis.Options{Addr: relay.addr, ReadTimeout: time.Second, MaxRetries: -1})
	t.Cleanup(func() { _ = errors.Join(through.Close(), queue.Close()) })
	s.cfg.Redis, s.cfg.QueueRedis, s.cfg.Ledger = through, queue, ledger.New(through, ledger.Config{})
	s.run()
	s.send(s.text("before", "919876543210", message.Critical))
	s.becomes("before", message.Submitted)
	relay.cut()
	s.send(s.text("during", "919876543210", message.Critical))
	relay.mend()
	s.becomes("during", message.Submitted)
	s.balanced()
	require.Empty(t, s.sim.Duplicates())
}

// relay is a wire to Redis that can be cut.
type relay struct {
	addr  string
	mu    sync.Mutex
	down  bool
	conns map[net.Conn]bool
}

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{addr: l.Addr().String(), conns: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil || !r.keep(in, out) {
				_ = in.Close()
				continue
			}
			wg.Go(func() { _, _ = io.Copy(out, in); _ = out.Close() })
			wg.Go(func() { _, _ = io.Copy(in, out); _ = in.Close() })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.cut()
		wg.Wait()
	})
	return r
}

func (r *relay) keep(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		if r.conns[c] = true; r.down {
			_ = c.Close()
		}
	}
	return !r.down
}

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = true
	for c := range r.conns {
		_ = c.Close()
	}
}

func (r *relay) mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = false
}
