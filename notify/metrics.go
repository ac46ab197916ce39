package notify

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// What became of a post or, the last one, of an entry that is no event.
const (
	resultDelivered = "delivered"
	resultRetried   = "retried"
	resultArchived  = "archived"
	resultMalformed = "malformed"
)

// metrics are what a Notifier counts. The names are part of the contract: docs/metrics.md.
type metrics struct{ notifications, alerts *prometheus.CounterVec }

// newMetrics registers the counters, each result at 0, so that a first failure is a step that alerts can see.
func newMetrics(reg prometheus.Registerer, senders []Sender, alerts Alerts) (*metrics, error) {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"sender", "result"})
	}
	m := &metrics{
		notifications: counter("gupdispatch_notifications_total", "Posts of events to applications by result."),
		alerts:        counter("gupdispatch_alerts_total", "Posts of alerts to operators by result."),
	}
	for _, result := range []string{resultDelivered, resultRetried, resultArchived, resultMalformed} {
		for _, s := range senders {
			m.notifications.WithLabelValues(s.Name, result)
		}
		for _, sender := range alerts.Senders {
			m.alerts.WithLabelValues(sender, result)
		}
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.notifications), reg.Register(m.alerts))
}
