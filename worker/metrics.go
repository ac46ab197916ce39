package worker

import (
	"regexp"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// metrics are what a worker counts. Names are part of the contract: docs/metrics.md.
type metrics struct {
	messages      *prometheus.CounterVec
	sendDuration  prometheus.Histogram
	enqueueToSend *prometheus.HistogramVec
	failures      *prometheus.CounterVec
	deadLetters   *prometheus.CounterVec
	paceWait      prometheus.Histogram
	codes         codeLabels
}

var latencies = []float64{.005, .01, .025, .05, .1, .15, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200}

// newMetrics makes and registers them. What alerts look at begins at 0 for each sender, so that a first failure is a step that they can see.
func newMetrics(reg prometheus.Registerer, senders ...string) *metrics {
	m := &metrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gupdispatch_messages_total", Help: "Attempts by the state in which they left the message.",
		}, []string{"sender", "priority", "status"}),
		sendDuration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gupdispatch_send_duration_seconds", Help: "One HTTP attempt at Gupshup.", Buckets: latencies[:12],
		}),
		enqueueToSend: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gupdispatch_enqueue_to_send_seconds", Help: "From acceptance to the first request at Gupshup.", Buckets: latencies,
		}, []string{"priority"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gupdispatch_failures_total", Help: "Attempts that failed, by reply or later by callback, by the class of the failure.",
		}, []string{"sender", "class"}),
		deadLetters: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gupdispatch_dead_letters_total", Help: "Messages that ended as dead letters.",
		}, []string{"sender", "code"}),
		paceWait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gupdispatch_pace_wait_seconds", Help: "How long handlers waited for their slot.", Buckets: latencies[:14],
		}),
	}
	for _, sender := range senders {
		for _, class := range gupshup.Classes() {
			m.failures.WithLabelValues(sender, string(class))
		}
		for _, p := range message.Priorities {
			m.messages.WithLabelValues(sender, string(p), string(message.Submitted))
		}
		m.deadLetters.WithLabelValues(sender, CodeInDoubt)
	}
	if reg != nil {
		reg.MustRegister(m.messages, m.sendDuration, m.enqueueToSend, m.failures, m.deadLetters, m.paceWait)
	}
	return m
}

// codeForm is what codes look like that are worth a time series: Gupshup's and WhatsApp's numbers and our own names. A callback could
// carry anything.
var codeForm = regexp.MustCompile(`^(\d{1,6}|http_\w{1,16}|[a-z_]{1,24}|IN_DOUBT|NO_SESSION)$`)

// strangeCodes is how many codes that are in no table one process gives time series of their own.
const strangeCodes = 100

// codeLabels keeps the label code bounded: what is in no table shows up, so that it is noticed, but not without end.
type codeLabels struct {
	mu      sync.Mutex
	strange map[string]bool
}

func (l *codeLabels) of(code string) string {
	if _, known := gupshup.LookupCode(code); known {
		return code
	}
	if !codeForm.MatchString(code) {
		return "other"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.strange[code] && len(l.strange) >= strangeCodes {
		return "other"
	}
	if l.strange == nil {
		l.strange = map[string]bool{}
	}
	l.strange[code] = true
	return code
}

// died counts a dead letter.
func (m *metrics) died(sender, code string) {
	m.deadLetters.WithLabelValues(sender, m.codes.of(code)).Inc()
}

// failed counts a failure.
func (m *metrics) failed(sender string, class gupshup.Class) {
	m.failures.WithLabelValues(sender, string(class)).Inc()
}

// attempted counts one attempt.
func (m *metrics) attempted(sender string, c ledger.Claim, status message.Status, failed *gupshup.Error, took time.Duration) {
	m.messages.WithLabelValues(sender, string(c.Priority), string(status)).Inc()
	if failed != nil {
		m.failed(sender, failed.Class)
	}
	if took > 0 { // otherwise no request was made
		m.sendDuration.Observe(took.Seconds())
	}
	if c.Attempt == 1 {
		m.enqueueToSend.WithLabelValues(string(c.Priority)).Observe(c.Now.Sub(c.CreatedAt).Seconds())
	}
}
