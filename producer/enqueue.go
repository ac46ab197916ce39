package producer

import (
	"context"
	"errors"
	"fmt"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/internal/tracing"
	"github.com/gupdispatch/gupdispatch/message"
)

// Enqueuer puts the asynq tasks of messages into their queues. The task's id follows from the message and its generation, so
// enqueueing twice makes one task.
type Enqueuer struct{ client *asynq.Client }

// NewEnqueuer makes an enqueuer over a client that the caller closes.
func NewEnqueuer(rdb redis.UniversalClient) *Enqueuer {
	return &Enqueuer{client: asynq.NewClientFromRedisClient(rdb)}
}

// headers carry the context of the task's trace. A task that is not traced has none, and takes no room for them.
func headers(t message.Task) map[string]string {
	if t.Trace == "" {
		return nil
	}
	return map[string]string{tracing.Header: t.Trace}
}

// Enqueue puts one task into the queue of its sender's priority. A task that is there already is a success: it can only be
// this one, from an earlier try whose reply was lost.
func (e *Enqueuer) Enqueue(ctx context.Context, t message.Task, p message.Priority) error {
	payload, err := t.Encode()
	if err != nil {
		return fmt.Errorf("task of message %s: %w", t.ID, err)
	}
	_, err = e.client.EnqueueContext(
		ctx, asynq.NewTaskWithHeaders(message.TaskType, payload, headers(t)),
		asynq.Queue(message.Queue(t.Sender, p)),
		asynq.TaskID(message.TaskID(t.ID, t.Generation)),
		asynq.MaxRetry(message.TaskMaxRetry),
		asynq.Timeout(message.TaskTimeout),
		asynq.Retention(message.TaskRetention(p)),
	)
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("enqueue message %s: %w", t.ID, err)
	}
	return nil
}
