package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// PausedByHold is what asynq's key of a paused queue holds when a hold paused it. asynq looks only at whether the key is there, and
// writes the time when a person pauses a queue; TestAHoldPausesItsQueues fails should that change.
const PausedByHold = "gupdispatch hold"

// unpause removes the key only while it is ours: a person may have paused the queue meanwhile.
var unpause = redis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)

// keepPaused writes what asynq writes when a person pauses a queue, where we have paused it.
var keepPaused = redis.NewScript(`if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end redis.call('SET', KEYS[1], ARGV[2]) return 1`)

// KeepPaused makes the pause of a queue that a hold has paused a person's, which outlives the hold, and says whether there was one. asynq
// itself refuses to pause what is paused.
func KeepPaused(ctx context.Context, rdb redis.UniversalClient, queue string) (bool, error) {
	kept, err := keepPaused.Run(ctx, rdb, []string{pausedKey(queue)}, PausedByHold, time.Now().Unix()).Bool()
	if err != nil {
		return false, fmt.Errorf("queue %s: %w", queue, err)
	}
	return kept, nil
}

// pausedKey is where asynq notes that a queue is paused.
func pausedKey(queue string) string { return "asynq:{" + queue + "}:paused" }

// pauses pauses the asynq queues of what is held, so that ops see it and no task is taken in vain. It is an optimisation: claims obey the
// holds whatever asynq does. A queue that a person paused, before or during the hold, stays paused when it ends; one that a person resumed
// during a hold is paused again.
type pauses struct {
	rdb    redis.UniversalClient
	sender string
}

// follow pauses and resumes what the holds say, given how the queues stand.
func (p pauses) follow(ctx context.Context, holds []ledger.HeldScope, states map[message.Priority]queueState) error {
	for _, priority := range message.Priorities {
		held, state := false, states[priority]
		for _, h := range holds {
			held = held || h.On() && h.Template == "" && h.Covers(priority)
		}
		key := pausedKey(message.Queue(p.sender, priority))
		var err error
		switch {
		case held && !state.paused:
			err = p.rdb.SetNX(ctx, key, PausedByHold, 0).Err()
		case !held && state.ours:
			err = unpause.Run(ctx, p.rdb, []string{key}, PausedByHold).Err()
		}
		if err != nil {
			return fmt.Errorf("queue %s: %w", message.Queue(p.sender, priority), err)
		}
	}
	return nil
}
