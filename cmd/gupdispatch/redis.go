package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/config"
)

// repeats is how often the general client sends a command again whose reply was lost. Everything it sends may be applied twice.
const repeats = 3

// connections are the Redis clients of this process. Nothing else opens one.
type connections struct {
	// general is for everything but asynq's servers.
	general *redis.Client
	// queue is for asynq's servers. It never repeats a command: a repeated dequeue would strand the first one's task.
	queue *redis.Client
	// embedded is the Redis within this process, nil with a real one.
	embedded *embeddedRedis
}

// connect opens the clients and waits until Redis answers, for as long as --redis-wait says.
func (e *env) connect(ctx context.Context, c config.Redis) (*connections, error) {
	if c.Embedded() {
		return e.connectEmbedded(c)
	}
	opts, err := redis.ParseURL(c.URL.Reveal())
	if err != nil { // its text may repeat the password
		return nil, config.Problems{{Key: "redis.url", What: "cannot be used", Fix: "write redis://host:6379/0, rediss:// for TLS, or unix:///path/to/socket"}}
	}
	conns := newConnections(opts, c)
	if err := e.await(ctx, conns.general, c.Address()); err != nil {
		conns.close()
		return nil, err
	}
	return conns, nil
}

func (e *env) connectEmbedded(c config.Redis) (*connections, error) {
	server, err := startEmbedded()
	if err != nil {
		return nil, err
	}
	e.note("redis.url is embedded: this Redis is for trying things out and forgets everything when this process ends (redis://%s/0 meanwhile)", server.addr())
	conns := newConnections(&redis.Options{Addr: server.addr()}, c)
	conns.embedded = server
	return conns, nil
}

func newConnections(opts *redis.Options, c config.Redis) *connections {
	// Without it a command would wait for its read timeout although its context has ended: a stopping process, a request's time.
	opts.ContextTimeoutEnabled = true
	opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout = c.DialTimeout, c.ReadTimeout, c.WriteTimeout
	opts.PoolSize = c.PoolSize
	// RESP2: we use nothing of RESP3, and looking for its push messages costs a tenth of a worker's CPU.
	opts.Protocol = 2
	general, queue := *opts, *opts
	general.MaxRetries, queue.MaxRetries = repeats, -1
	conns := &connections{general: redis.NewClient(&general), queue: redis.NewClient(&queue)}
	conns.queue.AddHook(breather{})
	return conns
}

// breather makes a client wait after a command that Redis did not answer. asynq's servers ask again at once when a dequeue
// fails, and each would keep a core busy for as long as Redis is away.
type breather struct{}

const breath = 200 * time.Millisecond

// DialHook implements redis.Hook.
func (breather) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (breather) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook implements redis.Hook.
func (breather) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		var answer redis.Error
		if err == nil || errors.As(err, &answer) { // also redis.Nil
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(breath):
		}
		return err
	}
}

func (c *connections) close() {
	_ = errors.Join(c.general.Close(), c.queue.Close())
	if c.embedded != nil {
		c.embedded.close()
	}
}

// await asks Redis until it answers, and says once that it has to wait.
func (e *env) await(ctx context.Context, rdb *redis.Client, address string) error {
	patience := time.NewTimer(e.redisWait)
	defer patience.Stop()
	told := false
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := ping(ctx, rdb)
		switch {
		case err == nil:
			return nil
		case refused(err):
			return fmt.Errorf("redis at %s refuses us: %w; correct user, password and database in redis.url", address, err)
		case !told && e.redisWait > 0:
			told = true
			e.note("Redis at %s does not answer (%s); trying for %s", address, err, e.redisWait)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for Redis at %s: %w", address, ctx.Err())
		case <-patience.C:
			return fmt.Errorf("redis at %s did not answer within %s: %w; start it, or correct redis.url", address, e.redisWait, err)
		case <-time.After(pause):
		}
	}
}

func ping(ctx context.Context, rdb *redis.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return rdb.Ping(ctx).Err()
}

// refused tells an answer that will be the same next time, such as a wrong password, from one that passes.
func refused(err error) bool {
	var answer redis.Error
	if !errors.As(err, &answer) {
		return false
	}
	for _, passing := range []string{"LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "READONLY", "max number of clients"} {
		if redis.HasErrorPrefix(err, passing) {
			return false
		}
	}
	return true
}
