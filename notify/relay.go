package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// Group is the consumer group of the relays. Its last delivered id and its pending entries are where they stand.
const Group = "notify"

// consumer is the name under which every relay reads. Redis gives an entry to one reader, whatever the names are, and what a
// dead relay has left is found by its age; so names of their own would only pile up in the group.
const consumer = "relay"

const (
	batch      = 100              // entries read at once
	parallel   = 8                // entries of a batch that are enqueued at the same time: one round trip each
	batchTime  = 10 * time.Second // for one batch, which is finished even when the relay is to end
	maxWaiting = 10_000           // tasks that wait, new or for a retry, before the relay stops reading
)

// pace is how often things are looked at.
type pace struct {
	poll        time.Duration // the stream, when it was empty
	pause       time.Duration // Redis, when it failed; the queue, when it was full
	takeOver    time.Duration // entries that another relay has left behind
	abandoned   time.Duration // how long an entry was with a relay before another takes it
	tasks       time.Duration // asynq's queue
	retries     time.Duration // asynq's retries
	backoffBase time.Duration
}

func usualPace() pace {
	return pace{
		poll: 250 * time.Millisecond, pause: time.Second, takeOver: 10 * time.Second, abandoned: 30 * time.Second,
		tasks: time.Second, retries: time.Second, backoffBase: time.Second,
	}
}

// relay makes tasks of one sender's stream.
type relay struct {
	sender  string
	rdb     redis.UniversalClient
	queue   *asynq.Client
	pace    pace
	log     *zap.Logger
	metrics *metrics

	grouped  bool      // the group is there
	tookOver time.Time // when it last looked for abandoned entries
	full     bool      // the queue was full when last looked at
	away     bool      // Redis failed when last asked
}

func (n *Notifier) relay(sender string) *relay {
	return &relay{
		sender: sender, rdb: n.cfg.Redis, queue: asynq.NewClientFromRedisClient(n.cfg.Redis), pace: n.pace,
		log: n.cfg.Log.With(zap.String("sender", sender)), metrics: n.metrics,
	}
}

// run relays until ctx ends. It polls instead of blocking, so that no relay holds a connection while nothing happens.
func (r *relay) run(ctx context.Context) {
	for ctx.Err() == nil {
		pause, err := r.turn(ctx)
		if ctx.Err() == nil {
			r.report(err)
		}
		if err != nil {
			pause = r.pace.pause
		}
		if pause > 0 {
			wait(ctx, pause)
		}
	}
}

// turn does one round, and says how long to wait before the next.
func (r *relay) turn(ctx context.Context) (time.Duration, error) {
	if err := r.join(ctx); err != nil {
		return 0, err
	}
	waiting, err := waitingTasks(ctx, r.rdb, r.sender)
	if err != nil {
		return 0, err
	}
	if r.hold(waiting) {
		return r.pace.pause, nil
	}
	if time.Since(r.tookOver) >= r.pace.takeOver {
		if err := r.takeOver(ctx); err != nil {
			return 0, r.left(err)
		}
		r.tookOver = time.Now()
	}
	n, err := r.read(ctx)
	switch {
	case err != nil:
		return 0, r.left(err)
	case n == batch:
		return 0, nil
	}
	return r.pace.poll, nil
}

// join makes the group, from the stream's beginning, and the stream itself if nothing was written so far.
func (r *relay) join(ctx context.Context) error {
	if r.grouped {
		return nil
	}
	err := r.rdb.XGroupCreateMkStream(ctx, StreamKey(r.sender), Group, "0").Err()
	if err != nil && !redis.HasErrorPrefix(err, "BUSYGROUP") {
		return fmt.Errorf("consumer group: %w", err)
	}
	r.grouped = true
	return nil
}

// left notices that the group has gone, with the stream or by somebody's hand: the next turn makes it anew.
func (r *relay) left(err error) error {
	if redis.HasErrorPrefix(err, "NOGROUP") {
		r.grouped = false
	}
	return err
}

// read takes the next entries from the stream.
func (r *relay) read(ctx context.Context) (int, error) {
	streams, err := r.rdb.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: Group, Consumer: consumer, Streams: []string{StreamKey(r.sender), ">"}, Count: batch, Block: -1,
	}).Result()
	if errors.Is(err, redis.Nil) || (err == nil && len(streams) == 0) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	entries := streams[0].Messages
	return len(entries), r.forward(ctx, entries)
}

// takeOver brings the entries that were read and not acknowledged: their relay has died, or Redis failed it. That their tasks
// may be there already is no harm.
func (r *relay) takeOver(ctx context.Context) error {
	start := "0-0"
	for {
		entries, next, err := r.rdb.XAutoClaim(ctx, &redis.XAutoClaimArgs{
			Stream: StreamKey(r.sender), Group: Group, Consumer: consumer, MinIdle: r.pace.abandoned, Start: start, Count: batch,
		}).Result()
		if err != nil {
			return err
		}
		if err := r.forward(ctx, entries); err != nil {
			return err
		}
		if next == "0-0" {
			return nil
		}
		start = next
	}
}

// forward makes tasks of entries, and acknowledges those whose task is there. What fails is taken over later.
func (r *relay) forward(ctx context.Context, entries []redis.XMessage) error {
	if len(entries) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchTime)
	defer cancel()
	done := make([]bool, len(entries))
	var group errgroup.Group
	group.SetLimit(parallel)
	for i, entry := range entries {
		group.Go(func() error {
			err := r.enqueue(ctx, entry)
			done[i] = err == nil
			return err
		})
	}
	err := group.Wait()
	var ids []string
	for i, entry := range entries {
		if done[i] {
			ids = append(ids, entry.ID)
		}
	}
	if len(ids) == 0 {
		return err
	}
	return errors.Join(err, r.rdb.XAck(ctx, StreamKey(r.sender), Group, ids...).Err())
}

// enqueue makes the task of one entry. Its id is the entry's, so a second time does nothing: the first was ours as well.
func (r *relay) enqueue(ctx context.Context, entry redis.XMessage) error {
	event, err := readEntry(r.sender, entry)
	if err != nil {
		r.metrics.notifications.WithLabelValues(r.sender, resultMalformed).Inc()
		r.log.Warn("notify.malformed", zap.Error(err))
		return nil // nobody can do anything with it, now or later
	}
	body, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("event %s: %w", event.EventID, err)
	}
	_, err = r.queue.EnqueueContext(ctx, asynq.NewTask(TaskType, body), options(Queue(r.sender), event.EventID)...)
	if err == nil || errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil
	}
	return fmt.Errorf("event %s: enqueue: %w", event.EventID, err)
}

// options are those of the one task that there is to be for what eventID names.
func options(queue, eventID string) []asynq.Option {
	return []asynq.Option{
		asynq.Queue(queue), asynq.TaskID(eventID), asynq.MaxRetry(MaxRetry), asynq.Retention(taskRetention), asynq.Timeout(taskTimeout),
	}
}

// hold decides whether to leave the stream alone, and says so once when it begins and once when it ends.
func (r *relay) hold(waiting int64) bool {
	full := waiting > maxWaiting
	if full != r.full {
		r.full = full
		if full {
			r.log.Warn("notify.full", zap.Int64("waiting", waiting), zap.String("queue", Queue(r.sender)),
				zap.String("hint", "the receiver does not keep up; the stream is bounded and drops its oldest entries"))
		} else {
			r.log.Info("notify.reading_again", zap.Int64("waiting", waiting))
		}
	}
	return full
}

// report says once that Redis fails, and once that it is back.
func (r *relay) report(err error) {
	if away := err != nil; away != r.away {
		r.away = away
		if away {
			r.log.Warn("notify.redis", zap.Error(err))
		} else {
			r.log.Info("notify.redis_back")
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
