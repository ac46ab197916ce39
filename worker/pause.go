package worker

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// PausedByHold is what asynq's key of a paused queue holds when a hold paused it. asynq looks only at whether the key is there, and
// writes the time when a person pauses a queue; TestAHoldPausesItsQueues fails should that change.
const PausedByHold = "gupdispatch hold"

// unpause removes the key only while it is ours: a person may have paused the queue meanwhile.
var unpause = redis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)

// pauses pauses the asynq queues of what is held, so that ops see it and no task is taken in vain. It is an optimisation: claims obey the
// holds whatever asynq does. A queue that a person paused stays paused when the hold ends; one that a person resumed during a hold
// is paused again.
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
		key := asynqKey(p.sender, priority) + "paused"
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
