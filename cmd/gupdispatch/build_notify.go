package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gupdispatch/gupdispatch/notify"
)

// notifier posts the changes of messages to the applications that have a notify_url. It runs where workers run.
func (a *app) notifier(registry prometheus.Registerer) (*notify.Notifier, error) {
	var senders []notify.Sender
	for _, s := range a.cfg.Senders {
		if s.NotifyURL != "" {
			senders = append(senders, notify.Sender{Name: s.Name, URL: s.NotifyURL, Secret: s.NotifySecret.Reveal()})
		}
	}
	// Within the worker's own time to stop, so that posts never are what a stopping process waits for: a post that is cut off
	// only comes again.
	stop := a.cfg.Workers.ShutdownTimeout
	return notify.New(notify.Config{
		Redis: a.redis.general, QueueRedis: a.redis.queue, Senders: senders,
		Timeout: min(notify.DefaultTimeout, stop/2), ShutdownTimeout: stop * 3 / 4, Log: a.log, Registry: registry,
	})
}

// runNotifier posts until ctx ends, and then finishes the posts under way.
func runNotifier(ctx context.Context, n *notify.Notifier) error {
	defer n.Shutdown()
	if err := n.Start(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
