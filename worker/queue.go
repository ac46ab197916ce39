package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/message"
)

// queueState is what the sweeper must know of an asynq queue to tell a lost task from one that waits its turn.
type queueState struct {
	pending int64
	active  int64 // dequeued: handlers have them, waiting for a slot or sending
	paused  bool
	ours    bool // it is paused because of a hold, and not by a person
}

// idle says that no task waits there, and that nobody has one.
func (q queueState) idle() bool { return q.pending == 0 && q.active == 0 }

// asynqKey is what asynq's keys of a lane begin with.
func asynqKey(sender string, lane message.Priority) string {
	return "asynq:{" + message.Queue(sender, lane) + "}:"
}

// queueStates reads the queues of a sender in one round trip. It looks at asynq's own keys, because asynq's Inspector
// samples the memory of whole queues for the same answer; TestQueueStatesAgreeWithAsynq fails if asynq ever moves them.
func queueStates(ctx context.Context, rdb redis.UniversalClient, sender string) (map[message.Priority]queueState, error) {
	type answers struct {
		pending, active *redis.IntCmd
		paused          *redis.StringCmd
	}
	asked := map[message.Priority]answers{}
	_, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, p := range message.Lanes {
			key := asynqKey(sender, p)
			asked[p] = answers{pipe.LLen(ctx, key+"pending"), pipe.LLen(ctx, key+"active"), pipe.Get(ctx, key+"paused")}
		}
		return nil
	})
	if err != nil && err != redis.Nil { //nolint:errorlint // a queue that is not paused; the pipeline returns it bare
		return nil, fmt.Errorf("queues of %s: %w", sender, err)
	}
	states := make(map[message.Priority]queueState, len(asked))
	for p, a := range asked {
		paused := a.paused.Err() == nil
		states[p] = queueState{pending: a.pending.Val(), active: a.active.Val(), paused: paused, ours: paused && a.paused.Val() == PausedByHold}
	}
	return states, nil
}

// PausedQueues lists the asynq queues of a sender that a person paused, most urgent first. Those stay paused whatever becomes of holds.
func PausedQueues(ctx context.Context, rdb redis.UniversalClient, sender string) ([]string, error) {
	states, err := queueStates(ctx, rdb, sender)
	if err != nil {
		return nil, err
	}
	var paused []string
	for _, p := range message.Lanes {
		if states[p].paused && !states[p].ours {
			paused = append(paused, message.Queue(sender, p))
		}
	}
	return paused, nil
}

// archiveOf looks up the text with which asynq had archived a task before somebody ran it again. A task that is not active now
// was archived by another run of it, while this one was under way: nobody has asked for anything.
func archiveOf(inspector *asynq.Inspector) archiveText {
	return func(sender string, p message.Priority, taskID string) (string, error) {
		info, err := inspector.GetTaskInfo(message.Queue(sender, p), taskID)
		if err != nil || info.State != asynq.TaskStateActive {
			return "", err
		}
		return info.LastErr, nil
	}
}

// DeleteTask removes an archived or finished task from the web UI's lists, by whichever lane it came. That it is not there is no error.
func DeleteTask(inspector *asynq.Inspector, sender string, p message.Priority, taskID string) error {
	var problems []error
	for _, lane := range []message.Priority{p, message.Probe} {
		err := inspector.DeleteTask(message.Queue(sender, lane), taskID)
		if err != nil && !errors.Is(err, asynq.ErrTaskNotFound) && !errors.Is(err, asynq.ErrQueueNotFound) {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}
