package notify

import "github.com/prometheus/client_golang/prometheus"

// What became of a post or, the last one, of an entry that is no event.
const (
	resultDelivered = "delivered"
	resultRetried   = "retried"
	resultArchived  = "archived"
	resultMalformed = "malformed"
)

// metrics are what a Notifier counts. The name is part of the contract: docs/metrics.md.
type metrics struct{ notifications *prometheus.CounterVec }

// newMetrics registers the counters, each result at 0, so that a first failure is a step that alerts can see.
func newMetrics(reg prometheus.Registerer, senders []Sender) (*metrics, error) {
	m := &metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gupdispatch_notifications_total", Help: "Posts of events to applications by result.",
	}, []string{"sender", "result"})}
	for _, s := range senders {
		for _, result := range []string{resultDelivered, resultRetried, resultArchived, resultMalformed} {
			m.notifications.WithLabelValues(s.Name, result)
		}
	}
	if reg == nil {
		return m, nil
	}
	return m, reg.Register(m.notifications)
}

func (m *metrics) count(sender, result string) { m.notifications.WithLabelValues(sender, result).Inc() }
