package receipt

import "github.com/prometheus/client_golang/prometheus"

// result is what a callback came to.
type result string

// The results of callbacks, a label of gupdispatch_callbacks_total.
const (
	resultOK           result = "ok"
	resultMalformed    result = "malformed"    // no JSON object, or a body that broke off
	resultUnauthorized result = "unauthorized" // wrong token, unknown sender, or a sender without a token
	resultForbidden    result = "forbidden"    // an address that is not in callback_allow
	resultTooLarge     result = "too_large"
	resultUnavailable  result = "unavailable" // not recorded, or too many at once: Gupshup tries again
)

// metrics are what the receiver counts. Names are part of the contract: docs/metrics.md.
type metrics struct {
	receipts  *prometheus.CounterVec
	callbacks *prometheus.CounterVec
	seconds   prometheus.Histogram
}

// results lists them.
var results = []result{resultOK, resultMalformed, resultUnauthorized, resultForbidden, resultTooLarge, resultUnavailable}

// newMetrics makes and registers them, each result of a sender at 0, so that a first refusal is a step that alerts can see.
func newMetrics(reg prometheus.Registerer, senders []Sender) *metrics {
	m := &metrics{
		receipts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gupdispatch_receipts_total", Help: "Events that callbacks told and that were recorded, repeated ones included.",
		}, []string{"sender", "event"}),
		callbacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gupdispatch_callbacks_total", Help: "Callbacks by what they came to; sender is empty where it is unknown.",
		}, []string{"sender", "result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gupdispatch_callback_seconds", Help: "From a callback's arrival to its answer, of those with the right token.",
			Buckets: []float64{.001, .0025, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
	for _, s := range senders {
		for _, r := range results {
			m.callbacks.WithLabelValues(s.Name, string(r))
		}
	}
	if reg != nil {
		reg.MustRegister(m.receipts, m.callbacks, m.seconds)
	}
	return m
}
