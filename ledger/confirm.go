package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrNotReplicated says that no replica confirmed a change in time. The change stands on the master, and is lost if that fails now:
// repeat the call until it is confirmed. It is only met with Config.Confirm.
var ErrNotReplicated = errors.New("no replica of Redis confirmed it in time")

const (
	confirmers = 1                  // replicas that must have a change
	fenceKept  = 7 * 24 * time.Hour // how long the key of confirm lives without use
)

// confirm waits until a replica has everything that p's commands did, and all that was written before them. WAIT asks for what its
// own connection wrote last, and a call that is repeated on another connection finds its work done and writes nothing: so before
// WAIT something is written in any case. That must need no memory, or a full Redis could not confirm what came of a request; hence a
// key that is only made to live longer.
func (l *Ledger) confirm(ctx context.Context, p redis.Pipeliner, sender string) *confirmation {
	fence := prefix(sender) + "fence"
	return &confirmation{fence: fence, kept: p.PExpire(ctx, fence, fenceKept), replicas: wait(ctx, p, l.cfg.Confirm)}
}

func wait(ctx context.Context, p redis.Pipeliner, within time.Duration) *redis.Cmd {
	return p.Do(ctx, "wait", confirmers, max(1, within.Milliseconds())) // 0 would be for ever
}

// confirmation is what a pipeline's confirm came to, once it was executed.
type confirmation struct {
	fence    string
	kept     *redis.BoolCmd
	replicas *redis.Cmd
}

// err is nil if a replica has it all.
func (c *confirmation) err(ctx context.Context, rdb redis.Cmdable, within time.Duration) error {
	if err := errors.Join(c.kept.Err(), c.replicas.Err()); err != nil {
		return err
	}
	replicas := c.replicas
	if !c.kept.Val() { // there was nothing to write to: make it, and ask again
		p := rdb.Pipeline()
		made := p.Set(ctx, c.fence, "", fenceKept)
		replicas = wait(ctx, p, within)
		_, _ = p.Exec(ctx)
		if err := errors.Join(made.Err(), replicas.Err()); err != nil {
			return err
		}
	}
	if n, err := replicas.Int(); err != nil || n < confirmers {
		return fmt.Errorf("%w (%s)", ErrNotReplicated, within)
	}
	return nil
}

// home returns the client of the node that a sender's keys live on, where commands without a key, and SCAN, are to go. Only a
// cluster has more than one.
func (l *Ledger) home(ctx context.Context, sender string) (redis.Cmdable, error) {
	cluster, ok := l.rdb.(*redis.ClusterClient)
	if !ok {
		return l.rdb, nil
	}
	node, err := cluster.MasterForKey(ctx, prefix(sender))
	if err != nil {
		return nil, fmt.Errorf("ledger: the cluster node of sender %s: %w", sender, err)
	}
	return node, nil
}

// moved has the client learn anew where keys live, after a node said that it is not, or no longer, the right one. The call is repeated
// by whoever made it.
func (l *Ledger) moved(ctx context.Context, err error) {
	cluster, ok := l.rdb.(*redis.ClusterClient)
	if ok && err != nil {
		cluster.ReloadState(ctx)
	}
}
