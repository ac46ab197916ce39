package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/config"
)

// repeats is how often the general client sends a command again whose reply was lost. Everything it sends may be applied twice.
const repeats = 3

// connections are the Redis clients of this process. Nothing else opens one.
type connections struct {
	// general is for everything but asynq's servers.
	general redis.UniversalClient
	// queue is for asynq's servers. It never repeats a command: a repeated dequeue would strand the first one's task.
	queue redis.UniversalClient
	// embedded is the Redis within this process, nil with a real one.
	embedded *embeddedRedis
}

// connect opens the clients and waits until Redis answers, for as long as --redis-wait says.
func (e *env) connect(ctx context.Context, c config.Redis) (*connections, error) {
	if c.Embedded() {
		return e.connectEmbedded(c)
	}
	if err := c.CheckSecrets(); err != nil {
		return nil, err
	}
	dial, err := dialler(c)
	if err != nil {
		return nil, err
	}
	conns := newConnections(dial)
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
	conns := newConnections(single(&redis.Options{Addr: server.addr()}, c))
	conns.embedded = server
	return conns, nil
}

// newConnections makes both clients; dial makes one that repeats commands so often, -1 for never.
func newConnections(dial func(repeats int) redis.UniversalClient) *connections {
	conns := &connections{general: dial(repeats), queue: dial(-1)}
	conns.queue.AddHook(breather{})
	return conns
}

// dialler returns what makes a client for the configured Redis: one server, a master behind Sentinels, or a cluster.
func dialler(c config.Redis) (func(repeats int) redis.UniversalClient, error) {
	secure, err := tlsConfig(c)
	if err != nil {
		return nil, err
	}
	if len(c.Sentinel.Addrs) > 0 || len(c.Cluster.Addrs) > 0 {
		return several(c, secure), nil
	}
	opts, err := redis.ParseURL(c.URL.Reveal())
	if err != nil { // its text may repeat the password
		return nil, config.Problems{{Key: "redis.url", What: "cannot be used", Fix: "write redis://host:6379/0, rediss:// for TLS, or unix:///path/to/socket"}}
	}
	if opts.TLSConfig = secure; secure != nil && secure.ServerName == "" {
		host, _, _ := net.SplitHostPort(opts.Addr)
		opts.TLSConfig.ServerName = host
	}
	if c.Username != "" {
		opts.Username = c.Username
	}
	if c.Password.IsSet() {
		opts.Password = c.Password.Reveal()
	}
	return single(opts, c), nil
}

// single makes clients of one server.
func single(opts *redis.Options, c config.Redis) func(repeats int) redis.UniversalClient {
	return func(repeats int) redis.UniversalClient {
		opts := *opts
		opts.ContextTimeoutEnabled, opts.Protocol, opts.DisableIdentity, opts.MaxRetries = heedContexts, protocol, anonymous, repeats
		opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout, opts.PoolSize = c.DialTimeout, c.ReadTimeout, c.WriteTimeout, c.PoolSize
		return redis.NewClient(&opts)
	}
}

// several makes clients of a master that Sentinels know, or of a cluster.
func several(c config.Redis, secure *tls.Config) func(repeats int) redis.UniversalClient {
	return func(repeats int) redis.UniversalClient {
		opts := redis.UniversalOptions{
			Username: c.Username, Password: c.Password.Reveal(), TLSConfig: secure,
			ContextTimeoutEnabled: heedContexts, Protocol: protocol, DisableIdentity: anonymous, MaxRetries: repeats,
			DialTimeout: c.DialTimeout, ReadTimeout: c.ReadTimeout, WriteTimeout: c.WriteTimeout, PoolSize: c.PoolSize,
		}
		if len(c.Sentinel.Addrs) > 0 {
			opts.Addrs, opts.MasterName = c.Sentinel.Addrs, c.Sentinel.Master
			opts.SentinelUsername, opts.SentinelPassword = c.Sentinel.Username, c.Sentinel.Password.Reveal()
			return redis.NewFailoverClient(opts.Failover())
		}
		opts.Addrs = c.Cluster.Addrs
		client := redis.NewClusterClient(opts.Cluster())
		if repeats < 0 {
			client.OnNewNode(func(node *redis.Client) { node.AddHook(once{}) })
		}
		return client
	}
}

const (
	// Without it a command would wait for its read timeout although its context has ended: a stopping process, a request's time.
	heedContexts = true
	// RESP2: we use nothing of RESP3, and looking for its push messages costs a tenth of a worker's CPU.
	protocol = 2
	// Nor does it tell Redis which library it is: an ACL user would need one more permission for it, which Redis 7.0 does not know.
	anonymous = true
)

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

// once keeps a cluster's client from repeating a command at one of its nodes: where no answer came, it may have been executed. (With
// MaxRetries -1 it would do so all the same, as part of following slots from node to node.)
type once struct{}

// DialHook implements redis.Hook.
func (once) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (once) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook implements redis.Hook.
func (once) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		var answer redis.Error
		var network *net.OpError
		switch {
		case err == nil, errors.As(err, &answer), errors.Is(err, redis.ErrClosed), ctx.Err() != nil:
			return err
		case errors.As(err, &network) && network.Op == "dial":
			return err // nothing was sent: another node may be tried
		}
		return fmt.Errorf("no answer: %v", err) //nolint:errorlint // the client must not see what kind of error it is
	}
}

func (c *connections) close() {
	_ = errors.Join(c.general.Close(), c.queue.Close())
	if c.embedded != nil {
		c.embedded.close()
	}
}

// await asks Redis until it answers, and says once that it has to wait.
func (e *env) await(ctx context.Context, rdb redis.UniversalClient, address string) error {
	patience := time.NewTimer(e.redisWait)
	defer patience.Stop()
	told := false
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := ping(ctx, rdb)
		switch {
		case err == nil:
			return nil
		case refused(err):
			return fmt.Errorf("redis at %s refuses us: %w; correct the user, the password and the database under redis", address, err)
		case !told && e.redisWait > 0:
			told = true
			e.note("Redis at %s does not answer (%s); trying for %s", address, err, e.redisWait)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for Redis at %s: %w", address, ctx.Err())
		case <-patience.C:
			return fmt.Errorf("redis at %s did not answer within %s: %w; start it, or correct its address under redis", address, e.redisWait, err)
		case <-time.After(pause):
		}
	}
}

func ping(ctx context.Context, rdb redis.UniversalClient) error {
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
