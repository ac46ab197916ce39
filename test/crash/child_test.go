//go:build unix

package crash

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
	"github.com/gupdispatch/gupdispatch/receipt"
	"github.com/gupdispatch/gupdispatch/worker"
)

// Times of the workers under test, short so that a run is.
const (
	httpTimeout     = time.Second
	shutdownTimeout = 4 * time.Second
	doubtWindow     = 2 * time.Second
	claimHolds      = httpTimeout + 5*time.Second // what a handler adds to the HTTP timeout: see worker/handler.go
)

// clients are the two kinds of Redis client that a process needs, both watched.
func clients(s spec, h *hazard) (books, queues *redis.Client) {
	books = watch(redis.NewClient(&redis.Options{Addr: s.Redis, ContextTimeoutEnabled: true}), h)
	queues = watch(redis.NewClient(&redis.Options{Addr: s.Redis, ContextTimeoutEnabled: true, MaxRetries: -1}), h)
	return books, queues
}

// runWorker sends until it is told to stop.
func runWorker(ctx context.Context, s spec, h *hazard) error {
	books, queues := clients(s, h)
	client, err := gupshup.New(gupshup.Config{BaseURL: s.Gupshup, APIKey: gupshup.StaticKey("a-key-for-the-simulator"), Timeout: httpTimeout})
	if err != nil {
		return err
	}
	budget := worker.Budget{Attempts: 6, MaxAge: time.Hour}
	w, err := worker.New(worker.Config{
		Redis: books, QueueRedis: queues, Ledger: ledger.New(books, ledger.Config{DoubtWindow: s.Window}),
		Senders: []worker.SenderConfig{{
			Name: s.Sender, App: "DemoApp", Source: "917834811114", Client: watchedSender{client, h}, Rate: 1000, Burst: 10,
		}},
		Concurrency: map[message.Priority]int{message.Critical: 8, message.Default: 16, message.Bulk: 16},
		Pumps:       1,
		HTTPTimeout: httpTimeout, ShutdownTimeout: shutdownTimeout, SweepInterval: 50 * time.Millisecond,
		Budget:      map[message.Priority]worker.Budget{message.Critical: budget, message.Default: budget, message.Bulk: budget},
		BackoffBase: 20 * time.Millisecond, BackoffCap: 200 * time.Millisecond, RetryAfterCap: time.Second, DoubtWindow: cmp.Or(s.Window, doubtWindow),
		Log: childLog(),
	})
	if err != nil {
		return err
	}
	h.report("ready")
	return w.Run(ctx)
}

// childLog writes to stderr, of which the parent shows the end if a child ends by itself.
func childLog() *zap.Logger {
	cfg := zap.NewProductionConfig()
	cfg.Level = zap.NewAtomicLevelAt(zap.WarnLevel)
	if os.Getenv("CRASH_LOG") != "" {
		cfg.Level = zap.NewAtomicLevelAt(zap.DebugLevel)
	}
	cfg.Sampling = nil
	log, err := cfg.Build()
	if err != nil {
		return zap.NewNop()
	}
	return log
}

const (
	batch  = 25                     // messages that a producer hands over at once
	repeat = 50 * time.Millisecond  // its pause before handing over again what was not confirmed
	browse = 200 * time.Millisecond // pause of the operator between looks
)

// runProducer hands the stream over from message From on, and again what was not confirmed, until all is.
func runProducer(ctx context.Context, s spec, h *hazard) error {
	books, _ := clients(s, h)
	p, err := producer.New(producer.Config{Redis: books, Senders: []producer.Sender{{Name: s.Sender}}, Log: childLog()})
	if err != nil {
		return err
	}
	h.report("ready")
	for i := s.From; i < s.Stream.N && ctx.Err() == nil; i += batch {
		pause(ctx, time.Until(s.Stream.at(i)))
		var todo []int
		for j := i; j < min(i+batch, s.Stream.N); j++ {
			todo = append(todo, j)
		}
		for len(todo) > 0 && ctx.Err() == nil {
			if todo = handOver(ctx, p, s, todo, h); len(todo) > 0 {
				pause(ctx, repeat)
			}
		}
	}
	return nil
}

// handOver tells the parent of each message that is accepted, or refused for good, and returns the others.
func handOver(ctx context.Context, p *producer.Producer, s spec, indexes []int, h *hazard) (open []int) {
	ms := make([]message.Message, len(indexes))
	for k, i := range indexes {
		ms[k] = s.Stream.message(s.Sender, i)
	}
	accepted, refused := []any{"accepted"}, []any{"refused"}
	for k, r := range p.SendBatch(ctx, ms) {
		var invalid gupshup.FieldErrors // one that expires soon may have expired before it was handed over
		switch {
		case r.Err == nil:
			accepted = append(accepted, indexes[k])
		case errors.As(r.Err, &invalid):
			refused = append(refused, indexes[k])
		default:
			open = append(open, indexes[k])
		}
	}
	h.report(accepted...)
	h.report(refused...)
	return open
}

// runOperator replays dead letters: one half as the command does, the other by "Run" in the asynq web UI.
func runOperator(ctx context.Context, s spec, h *hazard) error {
	books, queues := clients(s, h)
	l, inspector, queue := ledger.New(books, ledger.Config{}), asynq.NewInspectorFromRedisClient(queues), producer.NewEnqueuer(books)
	h.report("ready")
	for ; ctx.Err() == nil; pause(ctx, browse) {
		var found []ledger.Record
		// Only what Gupshup certainly refused: a person who replays an IN_DOUBT takes a duplicate into account.
		_ = l.Dead(ctx, s.Sender, ledger.DeadFilter{Code: refusedCode, Limit: 10}, func(r ledger.Record, _ time.Time) bool {
			found = append(found, r)
			return true
		})
		for i, r := range found {
			task := message.TaskID(r.ID, r.Generation)
			if i%2 == 0 {
				_ = inspector.RunTask(message.Queue(s.Sender, r.Priority), task) // it may not be archived yet
				continue
			}
			again, err := l.Replay(ctx, s.Sender, r.ID, r.Generation)
			if err != nil {
				continue // nobody knows whether it was replayed; if so, the sweeper finds that it has no task
			}
			_ = worker.DeleteTask(inspector, s.Sender, r.Priority, task)
			_ = queue.Enqueue(ctx, worker.TaskOf(s.Sender, again), again.Priority)
		}
	}
	return nil
}

// runReceiver takes callbacks until it is told to stop.
func runReceiver(ctx context.Context, s spec, h *hazard) error {
	books, _ := clients(s, h)
	handler, err := receipt.New(receipt.Config{
		Senders:  []receipt.Sender{{Name: s.Sender, Token: callbackToken}},
		Recorder: ledger.New(books, ledger.Config{DoubtWindow: s.Window}),
		Client:   func(*http.Request) netip.Addr { return netip.Addr{} },
		Log:      childLog(),
	})
	if err != nil {
		return err
	}
	listen, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Second}
	context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		_ = server.Shutdown(end)
	})
	h.report("ready")
	if err := server.Serve(listen); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

const callbackToken = "a-token-for-the-simulator"

// pause waits in real time: what is tested here are processes.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
