package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/notify"
	"github.com/gupdispatch/gupdispatch/worker"
)

// notifier posts the changes of messages to the applications that have a notify_url, and alerts to alerts.url. It runs where workers run.
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
		Alerts:  notify.Alerts{URL: a.cfg.Alerts.URL, Secret: a.cfg.Alerts.Secret.Reveal(), Senders: a.names()},
		Timeout: min(notify.DefaultTimeout, stop/2), ShutdownTimeout: stop * 3 / 4, Log: a.log, Registry: registry,
	})
}

// alert makes what a worker tells of holds into tasks of the notifiers; nil if nobody is to be told.
func (a *app) alert() worker.AlertFunc {
	if a.cfg.Alerts.URL == "" {
		return nil
	}
	alerter := notify.NewAlerter(a.redis.general)
	return func(ctx context.Context, sender string, h ledger.HeldScope) error {
		return alerter.Enqueue(ctx, alertOf(sender, h))
	}
}

// alertOf is what operators are told of a hold.
func alertOf(sender string, h ledger.HeldScope) notify.Alert {
	a := notify.Alert{
		Event: notify.HoldBegan, Sender: sender, Held: h.Name(), Template: h.Template, Priorities: h.Priorities,
		Reason: h.Reason, Code: h.Code, Note: h.Note, By: h.By, SeenBy: h.SeenBy, EndedBy: h.EndedBy, Since: h.Since, Until: h.Until, At: h.Since,
	}
	if !h.On() {
		a.Event, a.Until, a.At = notify.HoldEnded, time.Time{}, h.Ended
	}
	return a
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
