package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// TaskType is the type of the asynq task that posts one event.
const TaskType = "notify:event"

// MaxRetry is how often a failed post is repeated before the task is archived: over about 48 minutes, see backoff.
const MaxRetry = 20

const (
	// A finished task stays for this long, longer than a crashed relay's entry takes to be taken over (pace: 30 s, and up to
	// 10 s until somebody looks), so that the entry does not become a second task.
	taskRetention = time.Minute

	taskTimeout   = 5 * time.Minute // a safeguard only: the post has its own, shorter timeout
	backoffCap    = 5 * time.Minute
	retryAfterCap = 10 * time.Minute
)

// Queue is the name of the asynq queue of a sender's events.
func Queue(sender string) string { return sender + ".notify" }

// waitingTasks counts the tasks of a sender that wait, new or for a retry. Retries count: while a receiver is away, all
// tasks are there, and would fill Redis. It looks at asynq's own keys, because asynq's Inspector samples the memory of the
// queue for the same answer; TestWaitingTasksAgreesWithAsynq fails if asynq ever moves them.
func waitingTasks(ctx context.Context, rdb redis.UniversalClient, sender string) (int64, error) {
	key := "asynq:{" + Queue(sender) + "}:"
	var pending, retry *redis.IntCmd
	_, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pending, retry = pipe.LLen(ctx, key+"pending"), pipe.ZCard(ctx, key+"retry")
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("queue %s: %w", Queue(sender), err)
	}
	return pending.Val() + retry.Val(), nil
}

func (n *Notifier) server(queues []string) *asynq.Server {
	shares := map[string]int{}
	for _, q := range queues {
		shares[q] = 1
	}
	return asynq.NewServerFromRedisClient(n.cfg.QueueRedis, asynq.Config{
		Concurrency:              n.cfg.Concurrency,
		Queues:                   shares,
		TaskCheckInterval:        n.pace.tasks,
		DelayedTaskCheckInterval: n.pace.retries,
		RetryDelayFunc:           retryDelay(n.pace.backoffBase),
		IsFailure:                func(err error) bool { return !errors.Is(err, asynq.ErrLeaseExpired) }, // that was a killed process
		ShutdownTimeout:          n.cfg.ShutdownTimeout,
		Logger:                   n.asynqLog,
		LogLevel:                 asynq.WarnLevel,
	})
}

// retryDelay makes asynq's delay function: the backoff, or what the receiver asked for, whichever is longer.
func retryDelay(base time.Duration) asynq.RetryDelayFunc {
	return func(retried int, err error, _ *asynq.Task) time.Duration {
		delay := backoff(base, retried, rand.Float64())
		var f *failure
		if errors.As(err, &f) {
			delay = max(delay, min(f.after, retryAfterCap))
		}
		return delay
	}
}

// backoff doubles from base up to backoffCap. Of that, luck in [0,1) takes up to a half away, so that what failed together
// does not come again together.
func backoff(base time.Duration, retried int, luck float64) time.Duration {
	d := backoffCap
	if retried < 30 { // beyond, the shift could overflow
		d = min(base<<max(retried, 0), backoffCap)
	}
	return d - time.Duration(luck*float64(d)/2)
}

// handler is the border to asynq: a task comes in, an error that asynq understands goes out.
type handler struct {
	sender string
	delivery
}

func (n *Notifier) handler(s Sender) *handler {
	return &handler{sender: s.Name, delivery: n.delivery("notify_url", s.URL, s.Secret, n.metrics.notifications)}
}

// ProcessTask implements asynq.Handler.
func (h *handler) ProcessTask(ctx context.Context, t *asynq.Task) error {
	var event Event
	if err := json.Unmarshal(t.Payload(), &event); err != nil || t.Type() != TaskType || event.Sender != h.sender {
		h.count(h.sender, resultMalformed)
		return fmt.Errorf("this task is no event of sender %s: it does not belong into this queue: %w", h.sender, asynq.SkipRetry)
	}
	return h.deliver(ctx, t, h.sender, zap.String("event_id", event.EventID), zap.String("id", event.ID))
}

// delivery brings tasks to one receiver.
type delivery struct {
	poster  poster
	log     *zap.Logger
	counter *prometheus.CounterVec
	unheard zapcore.Level // of the log line of an attempt that will be repeated
}

func (n *Notifier) delivery(setting, address, secret string, counter *prometheus.CounterVec) delivery {
	return delivery{poster: newPoster(setting, address, secret, n.http, n.cfg.Timeout), log: n.cfg.Log, counter: counter, unheard: zap.DebugLevel}
}

func (d delivery) count(sender, result string) { d.counter.WithLabelValues(sender, result).Inc() }

// deliver posts a task's payload once, counts what came of it, and says what asynq is to do with the task. fields are for the log.
func (d delivery) deliver(ctx context.Context, t *asynq.Task, sender string, fields ...zap.Field) error {
	failed := d.poster.post(ctx, t.Payload())
	if failed == nil {
		d.count(sender, resultDelivered)
		return nil
	}
	retried, _ := asynq.GetRetryCount(ctx)
	most, _ := asynq.GetMaxRetry(ctx)
	seen := append(fields, zap.String("sender", sender), zap.Int("retried", retried), zap.Error(failed))
	switch {
	case failed.final:
		d.count(sender, resultArchived)
		d.log.Warn("notify.archived", seen...)
		return fmt.Errorf("%w: %w", failed, asynq.SkipRetry)
	case retried >= most:
		d.count(sender, resultArchived)
		d.log.Warn("notify.archived", seen...)
	default:
		d.count(sender, resultRetried)
		d.log.Log(d.unheard, "notify.retried", seen...)
	}
	return failed
}
