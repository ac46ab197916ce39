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

	"github.com/gupdispatch/gupdispatch/campaign"
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
	// How many senders the worker has; one if it is not set.
	sendersVar = "GUPDISPATCH_BENCH_SENDERS"

	// Where the simulator posts callbacks, host:port; empty for none. The receiver listens there.
	callbacksVar = "GUPDISPATCH_BENCH_CALLBACKS"

	roleSimulator = "simulator"
	roleReceiver  = "receiver"
	roleBare      = "bare asynq"
	roleNoted     = "bare asynq, noting" // the least that any ledger must do: what is about to be sent, and what came of it
	roleFull      = "gupdispatch"
	roleStrict    = "gupdispatch, strict" // every change confirmed by a replica
	roleTimer     = "timer"
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
		return bare(ctx, nothing)
	case roleNoted:
		return bare(ctx, noteInRedis())
	case roleFull:
		return full(ctx, 0)
	case roleStrict:
		return full(ctx, time.Second)
	case roleTimer:
		return timer(ctx)
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
	if role == roleBare || role == roleNoted {
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

// note writes something down about a message, or does not.
type note func(ctx context.Context, to, field string) error

func nothing(context.Context, string, string) error { return nil }

// noteInRedis writes one field of a hash with one plain command.
func noteInRedis() note {
	rdb := redis.NewClient(&redis.Options{Addr: os.Getenv(redisVar), ContextTimeoutEnabled: true, Protocol: 2})
	return func(ctx context.Context, to, field string) error { return rdb.HSet(ctx, "noted:"+to, field, 1).Err() }
}

// bare is the same HTTP request behind nothing but asynq, with a note before and after it.
func bare(ctx context.Context, write note) error {
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
		if err := write(ctx, task.To, "intent"); err != nil {
			return err
		}
		if _, err := client.Send(ctx, gupshup.Request{Source: "917834811114", AppName: "BenchApp", Destination: task.To, Content: task.Content}); err != nil {
			return err
		}
		return write(ctx, task.To, "outcome")
	}))
	if err != nil {
		return err
	}
	<-ctx.Done()
	server.Shutdown()
	return nil
}

// senders are one, unless more are asked for.
func senders(client *gupshup.Client, rate float64) []worker.SenderConfig {
	n, _ := strconv.Atoi(os.Getenv(sendersVar))
	out := make([]worker.SenderConfig, max(1, n))
	for i := range out {
		out[i] = worker.SenderConfig{
			Name: sender, App: "BenchApp", Source: "917834811114", Client: client, Rate: rate, Burst: 1,
			OnInDoubt: map[message.Priority]message.OnInDoubt{message.Critical: message.Resend, message.Default: message.Resend, message.Bulk: message.Hold},
		}
		if i > 0 {
			out[i].Name += strconv.Itoa(i)
		}
	}
	return out
}

// full is gupdispatch's worker.
// full is the worker as it is; confirm is how long a replica may take, 0 asks none.
func full(ctx context.Context, confirm time.Duration) error {
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
	books, all := ledger.New(rdb, ledger.Config{Confirm: confirm}), senders(client, rate)
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = s.Name
	}
	w, err := worker.New(worker.Config{
		Redis: rdb, QueueRedis: queue, Ledger: books,
		Senders:     all,
		Concurrency: map[message.Priority]int{message.Critical: 16, message.Default: concurrency, message.Bulk: concurrency},
		HTTPTimeout: 10 * time.Second, ShutdownTimeout: 20 * time.Second, SweepInterval: 200 * time.Millisecond,
		Budget:      map[message.Priority]worker.Budget{message.Critical: budget, message.Default: budget, message.Bulk: budget},
		BackoffBase: time.Second, BackoffCap: 5 * time.Minute, RetryAfterCap: 10 * time.Minute, DoubtWindow: 2 * time.Minute,
		Log: zap.NewNop(),
	})
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	group.Go(func() {
		campaign.NewExpander(campaign.ExpanderConfig{Redis: rdb, Ledger: books, Senders: names, Window: campaignWindow}).Run(ctx)
	})
	defer group.Wait()
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
	mux.Handle(arrivalsPath, arrivals(sim))
	mux.Handle(whenPath, when(sim))
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
