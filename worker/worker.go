// Package worker takes messages from their asynq queues, sends each once, and decides what becomes of failures.
//
// The way of one message is handler.go from top to bottom: slot, claim, one HTTP attempt, commit. policy.go is the table that
// turns a failure into an action. sweeper.go brings back what time or trouble has set aside. server.go is all that asynq needs.
package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gupdispatch/gupdispatch/flow"
	"github.com/gupdispatch/gupdispatch/internal/asynqlog"
	"github.com/gupdispatch/gupdispatch/internal/tracing"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
)

// SenderConfig is one sender that this worker sends for.
type SenderConfig struct {
	Name      string
	App       string // src.name
	Source    string // digits
	Client    Sender
	Rate      float64 // messages per second, over all replicas
	Burst     int
	OnInDoubt map[message.Priority]message.OnInDoubt
	// CheckSession refuses session messages to users who have not written within 24 hours, or sends their fallback template.
	CheckSession bool
}

// AlertFunc is told of each hold that began or ended (see On), at least once: with an error it asks to be told again.
type AlertFunc func(ctx context.Context, sender string, h ledger.HeldScope) error

// Config is what a Worker needs. The clients stay the caller's.
type Config struct {
	Redis      redis.UniversalClient // for the ledger and the pace; may repeat commands
	QueueRedis redis.UniversalClient // for asynq's servers; must not repeat commands: a repeated dequeue strands a task
	Ledger     *ledger.Ledger
	Senders    []SenderConfig

	Concurrency     map[message.Priority]int // handlers of each queue
	Pumps           int                      // asynq servers for each default and bulk queue; 0 chooses by rate and round-trip time
	HTTPTimeout     time.Duration
	ShutdownTimeout time.Duration // longer than HTTPTimeout: sends in flight finish
	SweepInterval   time.Duration
	Budget          map[message.Priority]Budget
	BackoffBase     time.Duration
	BackoffCap      time.Duration
	RetryAfterCap   time.Duration
	DoubtWindow     time.Duration

	Alert AlertFunc // nil: nobody is told of holds

	Tracer trace.TracerProvider // makes spans of attempts and decisions; nil: none

	Log      *zap.Logger
	Registry prometheus.Registerer // nil: no metrics
}

// Worker sends. Make it with New, run it once with Run.
type Worker struct {
	cfg     Config
	metrics *metrics
	gates   []*flow.Gate
	valve   *valve
	ending  chan struct{}

	asynqLog *asynqlog.Logger // of all servers
}

// New checks the configuration and makes a worker. It connects to nothing.
func New(cfg Config) (*Worker, error) {
	var problems []error
	if cfg.Redis == nil || cfg.QueueRedis == nil || cfg.Ledger == nil {
		problems = append(problems, errors.New("worker: Redis, QueueRedis and Ledger must be given"))
	}
	if len(cfg.Senders) == 0 {
		problems = append(problems, errors.New("worker: no senders given"))
	}
	for _, s := range cfg.Senders {
		if err := (flow.GateConfig{Sender: s.Name, Rate: s.Rate, Burst: s.Burst}).Validate(); err != nil {
			problems = append(problems, err)
		}
	}
	if cfg.HTTPTimeout <= 0 || cfg.ShutdownTimeout <= cfg.HTTPTimeout {
		problems = append(problems, fmt.Errorf("worker: shutdown timeout %s must be longer than the HTTP timeout %s", cfg.ShutdownTimeout, cfg.HTTPTimeout))
	}
	for _, p := range message.Priorities {
		if cfg.Concurrency[p] < 1 || cfg.Budget[p].Attempts < 1 || cfg.Budget[p].MaxAge <= 0 {
			problems = append(problems, fmt.Errorf("worker: %s needs handlers, attempts and a maximal age", p))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	names := make([]string, len(cfg.Senders))
	for i, s := range cfg.Senders {
		names[i] = s.Name
	}
	return &Worker{
		cfg: cfg, metrics: newMetrics(cfg.Registry, names...), valve: newValve(ledger.NewRoom(cfg.Redis).Used, cfg.Log), ending: make(chan struct{}),
		asynqLog: asynqlog.New(cfg.Log),
	}, nil
}

// quiet is memory that is never touched. The garbage collector, which waits until the heap has grown by as much as lives, counts it as living: so
// there are some 24 MB more of garbage, and a worker, which keeps a few megabytes, does not go through them dozens of times a second.
const quiet = 24 << 20

// Run sends until ctx ends, and then stops in order: no new tasks, handlers that wait for room or a slot give up, requests in flight
// finish and are written down, all within ShutdownTimeout. It returns an error only if it could not start.
func (w *Worker) Run(ctx context.Context) error {
	servers, err := w.start(ctx)
	if err != nil {
		return err
	}
	calm := make([]byte, quiet)
	defer runtime.KeepAlive(calm)
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	group.Go(func() { w.valve.run(ctx) })
	for i, s := range w.cfg.Senders {
		group.Go(func() { w.gates[i].Run(background) })
		group.Go(func() { w.sweeper(s).run(ctx) })
	}
	w.cfg.Log.Info("worker.started", zap.Int("senders", len(w.cfg.Senders)), zap.Int("servers", len(servers)))
	<-ctx.Done()

	w.cfg.Log.Info("worker.stopping")
	end := time.AfterFunc(w.cfg.ShutdownTimeout, func() { close(w.ending) })
	w.shutdown(servers)
	end.Stop()
	stop()
	group.Wait()
	w.cfg.Log.Info("worker.stopped")
	return nil
}

// shutdown ends all servers, each step for all at the same time: first no new tasks (a server takes up to its polling interval
// for that), then the handlers that wait for room or a slot, then those that are sending.
func (w *Worker) shutdown(servers []*asynq.Server) {
	each := func(do func(s *asynq.Server)) {
		var group sync.WaitGroup
		for _, s := range servers {
			group.Go(func() { do(s) })
		}
		group.Wait()
	}
	each((*asynq.Server).Stop)
	w.valve.end()
	for _, g := range w.gates {
		g.Close()
	}
	each((*asynq.Server).Shutdown)
}

// start makes the gates and starts the asynq servers of all queues.
func (w *Worker) start(ctx context.Context) ([]*asynq.Server, error) {
	var servers []*asynq.Server
	inspector := asynq.NewInspectorFromRedisClient(w.cfg.QueueRedis)
	trip := w.roundTrip(ctx)
	w.valve.look(ctx) // before the first handler comes
	for _, s := range w.cfg.Senders {
		gate := flow.NewGate(w.cfg.Redis, flow.GateConfig{
			Sender: s.Name, Rate: s.Rate, Burst: s.Burst,
			OnWait: func(_ message.Priority, waited time.Duration) { w.metrics.paceWait.Observe(waited.Seconds()) },
			OnRedis: func(err error) {
				w.cfg.Log.Warn("pace.redis", zap.String("sender", s.Name), zap.Bool("away", err != nil), zap.Error(err))
			},
		})
		w.gates = append(w.gates, gate)
		h := w.handler(s, gate, inspector)
		handlers := maps.Clone(w.cfg.Concurrency)
		handlers[message.Probe] = probeHandlers
		for _, p := range message.Lanes {
			for _, concurrency := range pumps(p, handlers[p], w.cfg.Pumps, s.Rate, trip) {
				server := w.server(s.Name, p, concurrency)
				if err := server.Start(asynqlog.Guard(w.cfg.Log, processor{h: h, lane: p})); err != nil {
					w.shutdown(servers)
					return nil, fmt.Errorf("worker: queue %s: %w", message.Queue(s.Name, p), err)
				}
				servers = append(servers, server)
			}
		}
	}
	return servers, nil
}

func (w *Worker) handler(s SenderConfig, gate Gate, inspector *asynq.Inspector) *handler {
	return &handler{
		name: s.Name, app: s.App, source: s.Source, client: s.Client, valve: w.valve, gate: gate, ledger: w.cfg.Ledger,
		archive: archiveOf(inspector), timeout: w.cfg.HTTPTimeout, doubt: s.OnInDoubt, checks: s.CheckSession, log: w.cfg.Log, tracer: tracing.New(w.cfg.Tracer), rare: rarely(w.cfg.Log), metrics: w.metrics,
		ending: w.ending, slack: grace, outage: newOutage(s.Rate),
		limits: limits{
			budget: w.cfg.Budget, base: w.cfg.BackoffBase, cap: w.cfg.BackoffCap,
			retryAfterCap: w.cfg.RetryAfterCap, doubtWindow: w.cfg.DoubtWindow,
		},
	}
}

// rarely is a log in which a line comes once in ten seconds.
func rarely(log *zap.Logger) *zap.Logger {
	return log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, 10*time.Second, 1, 0)
	}))
}

func (w *Worker) sweeper(s SenderConfig) *sweeper {
	return &sweeper{
		sender: s.Name, rate: s.Rate, owner: message.NewID(), interval: w.cfg.SweepInterval, ledger: w.cfg.Ledger,
		rdb: w.cfg.Redis, pauses: pauses{rdb: w.cfg.Redis, sender: s.Name}, queue: producer.NewEnqueuer(w.cfg.Redis), valve: w.valve,
		alert: w.cfg.Alert, log: w.cfg.Log,
	}
}

// roundTrip measures how far away Redis is, for the number of pumps. Any answer will do; without one it counts as near.
func (w *Worker) roundTrip(ctx context.Context) time.Duration {
	best := time.Second
	for range 5 {
		try, cancel := context.WithTimeout(ctx, time.Second)
		began := time.Now()
		err := w.cfg.QueueRedis.Ping(try).Err()
		cancel()
		if err == nil {
			best = min(best, time.Since(began))
		}
	}
	return best
}
