package receipt

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testToken  = "token-0123456789"
	testNumber = "919876543210"
	path       = "/callbacks/gupshup/shop"
)

// fake is a Recorder that writes down what it is told. err is its answer to everything.
type fake struct {
	told
	mu     sync.Mutex
	err    error
	during func(ctx context.Context) // Receive
}

// told is what a Recorder was told.
type told struct {
	calls        int // of Receive
	receipts     []ledger.Receipt
	sessions     []string
	suppressions []ledger.Suppression
	resumed      []string
}

func (f *fake) Receive(ctx context.Context, _ string, receipts []ledger.Receipt) ([]ledger.Received, []error) {
	if f.during != nil {
		f.during(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	out, errs := make([]ledger.Received, len(receipts)), make([]error, len(receipts))
	for i, r := range receipts {
		out[i], errs[i] = ledger.Received{Outcome: ledger.ReceiptApplied, ID: "id-of-" + r.MessageID, Attempt: 2, Status: message.Sent}, f.err
	}
	f.receipts = append(f.receipts, receipts...)
	return out, errs
}

func (f *fake) OpenSession(_ context.Context, _, number string, _ time.Time) error {
	f.sessions = append(f.sessions, number)
	return f.err
}

func (f *fake) Suppress(_ context.Context, _ string, list []ledger.Suppression) error {
	f.suppressions = append(f.suppressions, list...)
	return f.err
}

func (f *fake) UnsuppressBulk(_ context.Context, _, number string) error {
	f.resumed = append(f.resumed, number)
	return f.err
}

// house is a handler with what a test may look at. Its senders are "shop", "mute" without a token, and "near", whose callbacks
// come from 192.0.2.0/24.
type house struct {
	*testing.T
	handler  *Handler
	fake     *fake
	log      *observer.ObservedLogs
	registry *prometheus.Registry
}

func newHouse(t *testing.T, change func(*Config)) *house {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	h := &house{T: t, fake: &fake{}, log: logs, registry: prometheus.NewRegistry()}
	cfg := Config{
		Senders: []Sender{
			{Name: "shop", Token: testToken},
			{Name: "mute"},
			{Name: "near", Token: testToken, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
		},
		Recorder: h.fake, Codes: map[string]gupshup.Class{"1002": gupshup.ClassTransient},
		Client: func(r *http.Request) netip.Addr {
			at, _ := netip.ParseAddrPort(r.RemoteAddr)
			return at.Addr()
		},
		Log: zap.New(core), Registry: h.registry,
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	h.handler, err = New(cfg)
	require.NoError(t, err)
	return h
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func from(address string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = address }
}

// do sends a request with the right token in its header; edits may change it.
func (h *house) do(method, target, body string, edits ...func(*http.Request)) *httptest.ResponseRecorder {
	h.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("X-Callback-Token", testToken)
	for _, edit := range edits {
		edit(r)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	return w
}

// post is do with the usual target.
func (h *house) post(body string, edits ...func(*http.Request)) *httptest.ResponseRecorder {
	h.Helper()
	return h.do(http.MethodPost, path, body, edits...)
}

// count reads a counter by its labels' values, in the order of their names.
func (h *house) count(name string, labels ...string) float64 {
	h.Helper()
	families, err := h.registry.Gather()
	require.NoError(h, err)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if strings.Join(values, "|") == strings.Join(labels, "|") {
				if m.GetHistogram() != nil {
					return float64(m.GetHistogram().GetSampleCount())
				}
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// logged is the whole log as text.
func (h *house) logged() string {
	var b strings.Builder
	enc := zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "event"})
	for _, e := range h.log.All() {
		line, err := enc.EncodeEntry(e.Entry, e.Context)
		require.NoError(h, err)
		_, _ = io.WriteString(&b, line.String())
		line.Free()
	}
	return b.String()
}
