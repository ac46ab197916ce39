package notify

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Hurry makes a Notifier look often and wait little, before it is started.
func (n *Notifier) Hurry() {
	n.pace = pace{
		poll: 5 * time.Millisecond, pause: 20 * time.Millisecond, takeOver: 20 * time.Millisecond, abandoned: 100 * time.Millisecond,
		tasks: 10 * time.Millisecond, retries: 50 * time.Millisecond, backoffBase: time.Millisecond,
	}
}

// TakeOver looks once for abandoned entries, by the pace of production.
func (n *Notifier) TakeOver(ctx context.Context, sender string) error {
	r := n.relay(sender)
	r.pace = usualPace()
	return r.takeOver(ctx)
}

// WaitingTasks is waitingTasks.
func WaitingTasks(ctx context.Context, rdb redis.UniversalClient, sender string) (int64, error) {
	return waitingTasks(ctx, rdb, sender)
}

// MaxWaiting is maxWaiting.
const MaxWaiting = maxWaiting
