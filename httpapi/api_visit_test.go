package httpapi

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/internal/tracing"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	for what, value := range map[string]string{
		"none": "", "wrong": "Bearer wrong", "another scheme": "Basic " + shopKey, "empty": "Bearer ", "bare": shopKey, "longer": "Bearer " + shopKey + "x",
	} {
		for _, target := range []string{"/v1/senders", "/v1/nothing"} {
			got, _ := c.ask("GET", target, "", header("Authorization", value))
			require.Equal(t, http.StatusUnauthorized, got.StatusCode, what)
			require.Contains(t, got.Header.Get("WWW-Authenticate"), "Bearer", what)
		}
	}
	got, _ := c.ask("GET", "/v1/senders", "", header("Authorization", "bearer  "+shopKey))
	require.Equal(t, http.StatusOK, got.StatusCode)

	line := c.log.FilterMessage("http.request").All()[c.log.FilterMessage("http.request").Len()-1].ContextMap()
	require.Equal(t, "shop", line["key"])
	require.EqualValues(t, 200, line["status"])
	require.Equal(t, got.Header.Get("X-Request-Id"), line["request_id"])

	none := newCounter(t, redistest.Embedded(t), func(o *Options) { o.API.Keys = nil })
	got, v := none.ask("GET", "/v1/senders", "")
	require.Equal(t, http.StatusUnauthorized, got.StatusCode)
	require.Contains(t, v["detail"], "http.api_keys")
}

func TestKeysAreChecked(t *testing.T) {
	t.Parallel()
	_, err := newKeyring([]APIKey{{Name: "", Key: shopKey}, {Name: "a"}, {Name: "b", Key: shopKey}, {Name: "b", Key: shopKey}})
	for _, want := range []string{"http.api_keys[0]", "http.api_keys[a]: the key is empty", "given twice"} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, []APIKey{{Name: "a", Key: shopKey}}, APIKey{Name: "a", Key: shopKey}), shopKey)
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	got, _ := c.ask("GET", "/v1/senders", "", header("X-Request-Id", "order-42"))
	require.Equal(t, "order-42", got.Header.Get("X-Request-Id"))
	got, _ = c.ask("GET", "/v1/senders", "", header("X-Request-Id", "a\tb c"))
	require.Len(t, got.Header.Get("X-Request-Id"), 26, "nothing strange goes into the log")
}

func TestRate(t *testing.T) {
	t.Parallel()
	now := &clock{now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	d := newCounter(t, redistest.Embedded(t), func(o *Options) { o.API.Rate, o.Now = 5, now.Now })
	for range 5 {
		got, _ := d.ask("GET", "/v1/senders", "")
		require.Equal(t, http.StatusOK, got.StatusCode)
	}
	got, v := d.ask("GET", "/v1/senders", "")
	require.Equal(t, http.StatusTooManyRequests, got.StatusCode)
	require.Equal(t, "1", got.Header.Get("Retry-After"))
	require.Contains(t, v["detail"], "http.api_rate")
	got, _ = d.ask("GET", "/v1/senders", "", header("Authorization", "Bearer "+deskKey))
	require.Equal(t, http.StatusOK, got.StatusCode, "each key has its own")
	now.advance(200 * time.Millisecond)
	got, _ = d.ask("GET", "/v1/senders", "")
	require.Equal(t, http.StatusOK, got.StatusCode)
}

func TestAllow(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), func(o *Options) {
		o.API.Allow = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}
	})
	for addr, status := range map[string]int{"192.0.2.7:1": 200, "198.51.100.1:1": 403, "[::ffff:192.0.2.7]:1": 200, "@": 403} {
		got, _ := c.ask("GET", "/v1/senders", "", from(addr))
		require.Equal(t, status, got.StatusCode, addr)
	}
	got, _ := c.ask("GET", "/v1/senders", "", from("10.0.0.1:1"), header("X-Forwarded-For", "192.0.2.9"))
	require.Equal(t, http.StatusOK, got.StatusCode)
	require.Equal(t, http.StatusOK, c.do("GET", "/healthz", nil, from("198.51.100.1:1")).StatusCode, "only the API")
}

func TestBodies(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	large := `{"sender":"` + strings.Repeat("x", maxMessageBody) + `"}`
	got, _ := c.ask("POST", "/v1/messages", large)
	require.Equal(t, http.StatusRequestEntityTooLarge, got.StatusCode)
	require.Contains(t, got.text, "the body is too large: at most 256 KiB")
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", ";"} {
		got, _ = c.ask("POST", "/v1/messages", c.hello("a"), header("Content-Type", kind))
		require.Equal(t, http.StatusUnsupportedMediaType, got.StatusCode, kind)
	}
	got, _ = c.ask("POST", "/v1/messages", c.hello("a"), header("Content-Type", "application/json; charset=utf-8"))
	require.Equal(t, http.StatusAccepted, got.StatusCode)
}

func TestUnknownPathsAndMethods(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	got, _ := c.ask("GET", "/v1/nothing", "")
	require.Equal(t, http.StatusNotFound, got.StatusCode)
	got, _ = c.ask("PATCH", "/v1/messages/a", "")
	require.Equal(t, http.StatusMethodNotAllowed, got.StatusCode)
	require.Contains(t, got.Header.Get("Allow"), "DELETE")
	got, _ = c.ask("OPTIONS", "/v1/messages", "", header("Origin", "https://example.com"))
	require.Equal(t, http.StatusMethodNotAllowed, got.StatusCode)
	require.Empty(t, got.Header.Get("Access-Control-Allow-Origin"), "browsers of other sites stay out")
}

func TestDocs(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	got := c.do("GET", "/docs", nil)
	require.Equal(t, http.StatusOK, got.StatusCode, "without a key")
	for _, want := range []string{"POST /v1/messages/batch", "GET /v1/dead-letters", "include_in_doubt", "list of "} {
		require.Contains(t, got.text, want)
	}
	for _, part := range []string{"src=", "<script", "http://", "https://"} {
		require.NotContains(t, got.text, part, "nothing from elsewhere")
	}
	require.Equal(t, http.StatusOK, c.do("GET", "/docs/style.css", nil).StatusCode)
}

func TestAPIIsComplete(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Listen: ":0", Redis: redistest.Embedded(t), Registry: newCounter(t, redistest.Embedded(t), nil).server.opts.Registry, API: &API{}, TLSCert: "x"})
	require.ErrorContains(t, err, "TLSKey")
}

// Who has no key must not decide what is traced, nor fill the collector.
func TestOnlyRequestsThatAreLetInAreTraced(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(spans), sdk.WithSampler(sdk.ParentBased(sdk.NeverSample())))
	c := newCounter(t, redistest.Embedded(t), func(o *Options) {
		o.Tracer, o.API.Allow = provider, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})
	parent := header("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	for _, edit := range []func(*http.Request){header("Authorization", "Bearer wrong"), from("198.51.100.1:1")} {
		got, _ := c.ask("GET", "/v1/senders", "", parent, edit)
		require.GreaterOrEqual(t, got.StatusCode, 400)
	}
	require.Equal(t, http.StatusOK, c.do("GET", "/docs", nil, parent).StatusCode)
	require.Empty(t, spans.GetSpans())
	for _, line := range c.log.FilterMessage("http.request").All() {
		require.NotContains(t, line.ContextMap(), "trace_id")
	}
	c.ask("GET", "/v1/senders", "", parent)
	all := spans.GetSpans()
	require.Len(t, all, 1)
	require.Equal(t, "GET /v1/senders", all[0].Name)
	require.Equal(t, "b7ad6b7169203331", all[0].Parent.SpanID().String())
	require.Contains(t, all[0].Attributes, tracing.Int("http_status", http.StatusOK))
	require.Contains(t, all[0].Attributes, tracing.String("key", "shop"))
	line := c.log.FilterMessage("http.request").All()
	require.Equal(t, "0af7651916cd43dd8448eb211c80319c", line[len(line)-1].ContextMap()["trace_id"])
}
