package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newHTTPCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "http", Short: "Serve the REST API, Gupshup's callbacks, the web pages, health and metrics; send nothing",
		Long: "On http.listen: the REST API (/v1/, described at /docs and /openapi.json), Gupshup's callbacks (/callbacks/gupshup/{sender}), the pages\n" +
			"for operators (/) and asynq's web UI of the queues (/ui/), /healthz, /readyz and /metrics.\n" +
			"It sends nothing, and so needs no API key of Gupshup's: `worker` does that, on this machine or another one.",
		Args: exactly(0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := e.config()
			if err != nil {
				return err
			}
			if cfg.Redis.Embedded() {
				return usagef("redis.url is embedded, which no worker can see: set redis.url, or GUPDISPATCH_REDIS_URL, to the Redis that the workers use, or run `gupdispatch serve`")
			}
			ctx, d := c.Context(), door{listen: cfg.HTTP.Listen, ui: true}
			return e.daemon(ctx, cfg, func(a *app) error { return a.runHTTP(ctx, d) }, cfg.CheckHTTPSecrets())
		},
	}
}

// runHTTP serves a door until ctx ends; requests under way may then still finish.
func (a *app) runHTTP(ctx context.Context, d door) error {
	server, err := a.openDoor(ctx, d, a.registry())
	if err != nil {
		return err
	}
	return server.Serve(ctx)
}
