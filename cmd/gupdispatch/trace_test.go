package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/message"
)

// spans is a collector of OTLP over HTTP that keeps what it is given.
type spans struct {
	*httptest.Server
	mu   sync.Mutex
	raw  strings.Builder // everything, headers of the requests included
	all  []*otlp.Span
	auth map[string]bool
}

func newSpans(t *testing.T) *spans {
	t.Helper()
	s := &spans{auth: map[string]bool{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.raw.Write(body)
		s.auth[r.Header.Get("X-Team")] = true
		for _, of := range request.GetResourceSpans() {
			for _, scope := range of.GetScopeSpans() {
				s.all = append(s.all, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// of are the spans of a trace, by their names.
func (s *spans) of(traceID string) map[string][]*otlp.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string][]*otlp.Span{}
	for _, span := range s.all {
		if hex.EncodeToString(span.GetTraceId()) == traceID {
			found[span.GetName()] = append(found[span.GetName()], span)
		}
	}
	return found
}

func attributeOf(span *otlp.Span, name string) string {
	for _, a := range span.GetAttributes() {
		if a.GetKey() == "gupdispatch."+name {
			return strings.Trim(strings.SplitN(a.GetValue().String(), ":", 2)[1], `" `)
		}
	}
	return ""
}

// One trace leads from the application over API, worker and Gupshup to the receipts, through three processes, and through a second attempt
// whose task is the sweeper's, which has no header.
func TestOneTraceFromTheApplicationToTheReceipts(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		got := newSpans(t)
		s := newSite(t, rdb, gupshuptest.Config{KeepBodies: true, Rules: []gupshuptest.Rule{
			{Times: 1, Fault: gupshuptest.Fault{Kind: gupshuptest.KindCallback, Outcome: "131016"}}, // fails by callback, and is sent again
			{Fault: gupshuptest.Fault{Kind: gupshuptest.KindCallback, Outcome: "delivered"}},
		}}, withAPIKey+fmt.Sprintf("\ntracing: {endpoint: %q, sample: 1, headers_env: TEST_HEADERS}\nretry: {backoff: {base: 1ms}}", got.URL))
		s.hears()
		s.environ = append(s.environ, "TEST_API_KEY="+apiKey, "TEST_HEADERS=x-team=whatsapp")
		web, worker := s.begin("http"), s.begin("worker")
		base := web.address()
		require.NoError(t, s.sim.SetCallbacks(gupshuptest.Callbacks{URL: base + "/callbacks/gupshup/" + s.sender, Token: testToken, Speed: 1000}))

		const traceID, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/v1/messages", strings.NewReader(s.hello("a")))
		require.NoError(t, err)
		for name, value := range map[string]string{
			"Authorization": "Bearer " + apiKey, "Content-Type": "application/json", "traceparent": "00-" + traceID + "-" + parent + "-01",
		} {
			r.Header.Set(name, value)
		}
		res, err := browser(t).Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusAccepted, res.StatusCode)
		require.Eventually(t, func() bool { return s.status(s.sender, "a") == message.Delivered }, 30*time.Second, 20*time.Millisecond)
		for _, p := range []*running{web, worker} { // it hands over what it has
			end := p.stop()
			require.Equal(t, exitOK, end.code, end.errs)
			require.Contains(t, end.errs, `"trace_id":"`+traceID+`"`)
			require.NotContains(t, end.errs, "tracing.failed")
		}

		found := got.of(traceID)
		ids := map[string]string{} // of a span → its name
		for name, some := range found {
			for _, span := range some {
				ids[hex.EncodeToString(span.GetSpanId())] = name
			}
		}
		one := func(name string) *otlp.Span {
			t.Helper()
			require.Len(t, found[name], 1, "%s of %v", name, ids)
			return found[name][0]
		}
		follows := func(span *otlp.Span, name string) {
			t.Helper()
			require.Equal(t, name, ids[hex.EncodeToString(span.GetParentSpanId())], span.GetName())
		}
		require.Equal(t, parent, hex.EncodeToString(one("POST /v1/messages").GetParentSpanId()))
		follows(one("message.accept"), "POST /v1/messages")
		require.Equal(t, "a", attributeOf(one("message.accept"), "id"))
		require.Len(t, found["message.send"], 2)
		first, second := found["message.send"][0], found["message.send"][1]
		if attributeOf(first, "attempt") != "1" {
			first, second = second, first
		}
		follows(first, "message.accept")
		follows(second, "message.send")
		require.Equal(t, first.GetSpanId(), second.GetLinks()[0].GetSpanId())
		require.Len(t, found["gupshup.request"], 2)
		follows(found["gupshup.request"][0], "message.send")
		follows(one("message.decide"), "message.send")
		follows(one("receipt.failed"), "message.send")
		require.Equal(t, first.GetSpanId(), one("receipt.failed").GetParentSpanId())
		require.Equal(t, "131016", attributeOf(one("receipt.failed"), "code"))
		require.Equal(t, second.GetSpanId(), one("receipt.delivered").GetParentSpanId())
		require.Len(t, one("receipt.delivered").GetLinks(), 1, "the callback that told it")
		require.True(t, got.auth["whatsapp"])

		require.Empty(t, s.sim.Accepted(gupshuptest.Filter{})[0].Form.Get("traceparent"))
		for _, planted := range []string{testKey, apiKey, testToken, testNumber, testNumber[2:], "Hello "} {
			require.NotContains(t, got.raw.String(), planted)
		}
	})
}

// Whoever does not trace pays nothing: neither records nor tasks are larger.
func TestWithoutTracingNothingIsCarried(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, withAPIKey)
		s.environ = append(s.environ, "TEST_API_KEY="+apiKey)
		base := s.begin("serve").address()
		status, _ := call(t, "POST", base+"/v1/messages", s.hello("a"))
		require.Equal(t, http.StatusAccepted, status)
		require.Eventually(t, func() bool { return s.status(s.sender, "a") == message.Submitted }, 30*time.Second, 20*time.Millisecond)
		has, err := rdb.HExists(t.Context(), "gupdispatch:{"+s.sender+"}:m:a", "tc").Result()
		require.NoError(t, err)
		require.False(t, has)
		task, err := rdb.HGet(t.Context(), "asynq:{"+message.Queue(s.sender, message.Default)+"}:t:a:1", "msg").Result()
		require.NoError(t, err)
		require.NotContains(t, task, "traceparent")
	})
}
