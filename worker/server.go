package worker

import (
	"context"
	"encoding/json"
	"math"
	"time"

	"github.com/hibiken/asynq"

	"github.com/gupdispatch/gupdispatch/internal/tracing"
	"github.com/gupdispatch/gupdispatch/message"
)

// How often a server asks asynq for tasks: asynq cannot be woken. A critical message is taken by an idle worker within
// 1.5 times its interval.
var pollEvery = map[message.Priority]time.Duration{
	message.Critical: 66 * time.Millisecond,
	message.Default:  200 * time.Millisecond,
	message.Bulk:     time.Second,
	message.Probe:    250 * time.Millisecond,
}

// How often a server looks for retries whose time has come.
var retriesEvery = map[message.Priority]time.Duration{
	message.Critical: time.Second,
	message.Default:  2 * time.Second,
	message.Bulk:     5 * time.Second,
	message.Probe:    5 * time.Second,
}

// probeHandlers are enough for the probe lane: a probe is one message, and a decision takes no time.
const probeHandlers = 8

const maxPumps = 8

// pumps says how many asynq servers one queue gets, and how many handlers each. An asynq server dequeues one task per round
// trip, so a fast sender with Redis at a distance needs several; each costs its idle polling.
func pumps(p message.Priority, concurrency, fixed int, rate float64, trip time.Duration) []int {
	n := 1
	if p == message.Default || p == message.Bulk {
		if n = fixed; n == 0 {
			n = int(math.Ceil(1.5 * rate * trip.Seconds())) // half as much again as the rate needs
		}
		n = min(max(n, 1), maxPumps, concurrency)
	}
	out := make([]int, n)
	for i := range out {
		out[i] = concurrency / n
		if i < concurrency%n {
			out[i]++
		}
	}
	return out
}

// server makes the asynq server of one queue. Each queue has its own, so that bulk messages that wait for slots cannot take
// the handlers of critical ones.
func (w *Worker) server(sender string, p message.Priority, concurrency int) *asynq.Server {
	return asynq.NewServerFromRedisClient(w.cfg.QueueRedis, asynq.Config{
		Concurrency:              concurrency,
		Queues:                   map[string]int{message.Queue(sender, p): 1},
		TaskCheckInterval:        pollEvery[p],
		DelayedTaskCheckInterval: retriesEvery[p],
		RetryDelayFunc:           retryDelay,
		IsFailure:                isFailure,
		ShutdownTimeout:          w.cfg.ShutdownTimeout,
		Logger:                   w.asynqLog,
		LogLevel:                 asynq.WarnLevel,
	})
}

// processor is the border to asynq: a task comes in, an error that asynq understands goes out.
type processor struct {
	h    *handler
	lane message.Priority
}

// ProcessTask implements asynq.Handler.
func (p processor) ProcessTask(ctx context.Context, t *asynq.Task) error {
	task, err := message.DecodeTask(t.Payload())
	switch {
	case t.Type() != message.TaskType:
		return archived("task type " + t.Type() + " is not " + message.TaskType + ": it does not belong into this queue")
	case err != nil:
		return archived(err.Error())
	case task.Sender != p.h.name:
		return archived("task payload names another sender than its queue")
	}
	task.Trace = t.Headers()[tracing.Header]
	return p.h.handle(ctx, job{Task: task, lane: p.lane}, func(messageID string) {
		if message.TaskRetention(p.lane) == 0 {
			return
		}
		shown, err := json.Marshal(map[string]string{"message_id": messageID})
		if err == nil {
			_, _ = t.ResultWriter().Write(shown) // only for show; the ledger has it
		}
	})
}
