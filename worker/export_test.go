package worker

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/message"
)

// LookAtQueue shows tests what the sweeper sees.
func LookAtQueue(ctx context.Context, rdb redis.UniversalClient, sender string, p message.Priority) (pending int64, paused bool, err error) {
	states, err := queueStates(ctx, rdb, sender)
	return states[p].pending, states[p].paused, err
}
