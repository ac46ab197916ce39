package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
	"github.com/gupdispatch/gupdispatch/worker"
)

// The roles this program plays as a child, and how it is told.
const (
	roleVar  = "GUPDISPATCH_BENCH_ROLE"
	redisVar = "GUPDISPATCH_BENCH_REDIS"
	simVar   = "GUPDISPATCH_BENCH_SIM"
	rateVar  = "GUPDISPATCH_BENCH_RATE" // of the sender, messages per second

	// Where the simulator posts callbacks, host:port; empty for none. The receiver listens there.
	callbacksVar = "GUPDISPATCH_BENCH_CALLBACKS"

	roleSimulator = "simulator"
	roleReceiver  = "receiver"
	roleBare      = "bare asynq"
	roleFull      = "gupdispatch"
)

// answersPath is where the simulator's process tells how callbacks were answered since it was last asked.
const answersPath = "/bench/answers"

const (
	sender      = "bench"
	bareQueue   = "bare"
	concurrency = 64
	template    = "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"
)

func play(ctx context.Context, role string) error {
	switch role {
	case roleSimulator:
		return simulator(ctx, os.Getenv(simVar), os.Getenv(callbacksVar))
	case roleReceiver:
		return receiver(ctx, os.Getenv(callbacksVar))
	case roleBare:
		return bare(ctx)
	case roleFull:
		return full(ctx)
	}
	return fmt.Errorf("unknown role %q", role)
}

// content is one message of a campaign, about 200 bytes.
func content(i int) gupshup.Content {
	return gupshup.Content{Template: &gupshup.Template{ID: template, Params: []string{
		"Asha Raman", fmt.Sprintf("ORD-%07d", i), "Friday, between nine in the morning and noon", "https://shop.example/track/4711",
	}}}
}

func number(i int) string { return fmt.Sprintf("91987%07d", i) }

// fill puts n messages where the worker of that role finds them.
func fill(ctx context.Context, role string, rdb *redis.Client, n int) error {
	if role == roleBare {
		return fillBare(ctx, rdb, n)
	}
	p, err := producer.New(producer.Config{Redis: rdb, Senders: []producer.Sender{{Name: sender}}})
	if err != nil {
		return err
	}
	ms := make([]message.Message, n)
	for i := range ms {
		ms[i] = message.Message{Sender: sender, To: number(i), Priority: message.Bulk, Content: content(i)}
	}
	for _, r := range p.SendBatch(ctx, ms) {
		if r.Err != nil {
			return r.Err
		}
	}
	return nil
}

func fillBare(ctx context.Context, rdb *redis.Client, n int) error {
	client := asynq.NewClientFromRedisClient(rdb)
	next := make(chan int)
	errs := make(chan error, concurrency)
	var wg sync.WaitGroup
	for range concurrency {
		wg.Go(func() {
			for i := range next {
				payload, err := json.Marshal(bareTask{To: number(i), Content: content(i)})
				if err == nil {
					_, err = client.EnqueueContext(ctx, asynq.NewTask("send", payload), asynq.Queue(bareQueue))
				}
				if err != nil {
					errs <- err
					for range next { //nolint:revive // lets the producer end
					}
					return
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	close(errs)
	return <-errs
}

// bareTask is what a first draft would put into the queue.
type bareTask struct {
	To      string
	Content gupshup.Content
}

func newClient() (*gupshup.Client, error) {
	return gupshup.New(gupshup.Config{BaseURL: os.Getenv(simVar), APIKey: gupshup.StaticKey("bench")})
}

// bare is the same HTTP request behind nothing but asynq.
func bare(ctx context.Context) error {
	client, err := newClient()
	if err != nil {
		return err
	}
	server := asynq.NewServer(asynq.RedisClientOpt{Addr: os.Getenv(redisVar)}, asynq.Config{
		Concurrency: concurrency, Queues: map[string]int{bareQueue: 1}, LogLevel: asynq.ErrorLevel,
	})
	err = server.Start(asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		var task bareTask
		if err := json.Unmarshal(t.Payload(), &task); err != nil {
			return err
		}
		_, err := client.Send(ctx, gupshup.Request{Source: "917834811114", AppName: "BenchApp", Destination: task.To, Content: task.Content})
		return err
	}))
	if err != nil {
		return err
	}
	<-ctx.Done()
	server.Shutdown()
	return nil
}

// full is gupdispatch's worker.
func full(ctx context.Context) error {
	rate, err := strconv.ParseFloat(os.Getenv(rateVar), 64)
	if err != nil {
		return err
	}
	client, err := newClient()
	if err != nil {
		return err
	}
	rdb := redis.NewClient(&redis.Options{Addr: os.Getenv(redisVar), ContextTimeoutEnabled: true, Protocol: 2})
	queue := redis.NewClient(&redis.Options{Addr: os.Getenv(redisVar), MaxRetries: -1, Protocol: 2})
	budget := worker.Budget{Attempts: 8, MaxAge: 24 * time.Hour}
	w, err := worker.New(worker.Config{
		Redis: rdb, QueueRedis: queue, Ledger: ledger.New(rdb, ledger.Config{}),
		Senders: []worker.SenderConfig{{
			Name: sender, App: "BenchApp", Source: "917834811114", Client: client, Rate: rate, Burst: 10,
			OnInDoubt: map[message.Priority]message.OnInDoubt{message.Critical: message.Resend, message.Default: message.Resend, message.Bulk: message.Hold},
		}},
		Concurrency: map[message.Priority]int{message.Critical: 16, message.Default: concurrency, message.Bulk: concurrency},
		HTTPTimeout: 10 * time.Second, ShutdownTimeout: 20 * time.Second, SweepInterval: 200 * time.Millisecond,
		Budget:      map[message.Priority]worker.Budget{message.Critical: budget, message.Default: budget, message.Bulk: budget},
		BackoffBase: time.Second, BackoffCap: 5 * time.Minute, RetryAfterCap: 10 * time.Minute, DoubtWindow: 2 * time.Minute,
		Log: zap.NewNop(),
	})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// simulator is Gupshup, and the watch on the answers to its callbacks.
func simulator(ctx context.Context, addr, callbacks string) error {
	timed := newStopwatch()
	sim := gupshuptest.New(gupshuptest.Config{MaxKept: 1_000_000, Callbacks: callbacksTo(callbacks, timed)})
	defer sim.Close()
	mux := http.NewServeMux()
	mux.Handle("/", sim)
	mux.Handle(answersPath, timed)
	server := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	server.RegisterOnShutdown(sim.Close)
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed { //nolint:errorlint // the one it returns
		return err
	}
	return nil
}
