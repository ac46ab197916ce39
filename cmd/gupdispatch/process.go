package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/gupdispatch/gupdispatch/config"
	"github.com/gupdispatch/gupdispatch/httpapi"
)

func newWorkerCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "worker", Short: "Send messages, until it is told to stop",
		Long: "Send messages, and post their changes to notify_url and alerts to alerts.url, until SIGTERM or SIGINT: then requests in flight are finished and recorded.\n" +
			"It opens no port, unless workers.listen is set: there it answers /healthz, /readyz and /metrics.",
		Args: exactly(0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := e.config()
			if err != nil {
				return err
			}
			return e.process(c.Context(), cfg, door{listen: cfg.Workers.Listen}, cfg.CheckSenderKeys(), cfg.CheckNotifySecrets())
		},
	}
}

func newServeCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Send messages, and serve the REST API, Gupshup's callbacks, the web pages, health and metrics",
		Long: "What `worker` and `http` do, in one process.",
		Args: exactly(0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := e.config()
			if err != nil {
				return err
			}
			return e.process(c.Context(), cfg, door{listen: cfg.HTTP.Listen, ui: true}, cfg.CheckSenderKeys(), cfg.CheckHTTPSecrets(), cfg.CheckNotifySecrets())
		},
	}
}

// door is where a process can be reached.
type door struct {
	listen string               // "" opens no port
	ui     bool                 // the public side: the REST API, the web UI and Gupshup's callbacks
	opened func(address string) // told where it listens; nil prints a line
}

// process runs a worker and its door until ctx ends. secrets are the results of the configuration's checks for what it needs.
func (e *env) process(ctx context.Context, cfg *config.Config, d door, secrets ...error) error {
	return e.daemon(ctx, cfg, func(a *app) error { return a.run(ctx, d) }, secrets...)
}

// daemon connects what runs until it is told to stop, and closes it afterwards.
func (e *env) daemon(ctx context.Context, cfg *config.Config, run func(*app) error, secrets ...error) error {
	if err := joinProblems(append(secrets, cfg.CheckTracingSecrets())...); err != nil {
		return err
	}
	a, err := e.build(ctx, cfg, newLog(cfg.Log, e.stderr).With(zap.String("process", e.self)))
	if err != nil {
		return err
	}
	defer a.close()
	if err := a.checkRedis(ctx); err != nil {
		return err
	}
	stop, err := a.trace(ctx)
	if err != nil {
		return err
	}
	defer stop()
	return run(a)
}

// joinProblems makes one list of several.
func joinProblems(errs ...error) error {
	var all config.Problems
	for _, err := range errs {
		var some config.Problems
		if errors.As(err, &some) {
			all = append(all, some...)
		} else if err != nil {
			return err
		}
	}
	if len(all) > 0 {
		return all
	}
	return nil
}

// run starts everything and, when ctx ends or a part fails, stops it in order: no new requests and no new tasks; what is under
// way is finished and written down; idle connections to Gupshup are closed. Redis is closed by the caller, after all that.
func (a *app) run(ctx context.Context, d door) error {
	registry := a.registry()
	w, hangUp, err := a.worker(registry)
	if err != nil {
		return err
	}
	defer hangUp()
	notifier, err := a.notifier(registry)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if d.listen != "" { // before anything is sent: a port in use is noticed at once
		server, err := a.openDoor(ctx, d, registry)
		if err != nil {
			return err
		}
		group.Go(func() error { return server.Serve(ctx) })
	}
	group.Go(func() error { return w.Run(ctx) })
	group.Go(func() error {
		a.expander().Run(ctx)
		return nil
	})
	group.Go(func() error { return runNotifier(ctx, notifier) })
	return a.ended(ctx, group.Wait)
}

// openDoor makes the server and lets it listen.
func (a *app) openDoor(ctx context.Context, d door, registry *prometheus.Registry) (*httpapi.Server, error) {
	server, err := a.httpServer(d, registry)
	if err != nil {
		return nil, err
	}
	address, err := server.Listen(ctx)
	if err != nil {
		return nil, err
	}
	a.tell(d, address)
	return server, nil
}

func (a *app) tell(d door, address net.Addr) {
	if d.opened != nil {
		d.opened(address.String())
		return
	}
	scheme, paths := "http", "/healthz, /readyz, /metrics"
	if d.ui {
		paths = "/, /ui/, /v1/, /docs, /callbacks/gupshup/{sender}, " + paths
		if a.cfg.HTTP.TLSCert != "" {
			scheme = "https"
		}
	}
	fmt.Fprintf(a.env.stdout, "listening on %s://%s (%s)\n", scheme, address, paths)
}

// ended waits for the parts. Each of them is bounded by workers.shutdown_timeout; should one hang all the same, the process ends
// halfway between that and workers.stop_grace, rather than be killed without a word.
func (a *app) ended(ctx context.Context, wait func() error) error {
	done := make(chan error, 1)
	go func() { done <- wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	c := a.cfg.Workers
	limit := c.ShutdownTimeout + (c.StopGrace-c.ShutdownTimeout)/2
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		a.log.Error("process.stuck", zap.Duration("after", limit))
		return fmt.Errorf("still not stopped %s after it was told to: ended by force; what was in flight counts as in doubt", limit)
	}
}
