package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

func TestNewNamesEveryProblem(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-secret"
	_, err := New(Options{
		SessionKey: []byte("short"),
		Ready:      []Check{{Name: "flow"}},
		UIUsers: []UIUser{
			{Name: "", Password: secret, Role: RoleAdmin},
			{Name: "a", Password: "", Role: RoleAdmin},
			{Name: "b", Password: secret, Role: "root"},
			{Name: "c", Password: secret, Role: RoleAdmin},
			{Name: "c", Password: secret, Role: RoleAdmin},
			{Name: "d", Password: "$2b$10$" + secret, Role: RoleAdmin},
		},
	})
	for _, want := range []string{
		"Redis is missing", "Registry is missing", "Listen is empty", "SessionKey has 5 bytes", "Ready[0]",
		"http.ui_users[0]", "password is empty", `role "root" is unknown`, "given twice", "bcrypt",
	} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), secret)
}

func TestUserNeverPrintsItsPassword(t *testing.T) {
	t.Parallel()
	u := UIUser{Name: "ops", Password: "hunter2", Role: RoleAdmin}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		require.NotContains(t, fmt.Sprintf(format, []UIUser{u}), "hunter2")
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	type body struct {
		Status string
		Failed []failure
	}
	get := func(h *house) (int, body) {
		res := h.do("GET", "/readyz", nil)
		var got body
		require.NoError(h, json.Unmarshal([]byte(res.text), &got))
		return res.StatusCode, got
	}
	t.Run("all well", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, func(o *Options) {
			o.Ready = []Check{{"flow", func(context.Context) error { return nil }}}
		})
		status, got := get(h)
		require.Equal(t, 200, status)
		require.Equal(t, body{Status: "ready"}, got)
	})
	t.Run("redis down and up again", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, nil)
		h.redis.Close()
		for range 3 {
			status, got := get(h)
			require.Equal(t, 503, status)
			require.Len(t, got.Failed, 1)
			require.Equal(t, "redis", got.Failed[0].Check)
			require.NotEmpty(t, got.Failed[0].Reason)
		}
		require.Equal(t, 200, h.do("GET", "/healthz", nil).StatusCode, "alive all the same")
		require.Equal(t, 1, h.log.FilterMessage("ready.lost").Len(), "logged when it changes")
		require.NoError(t, h.redis.Restart())
		status, _ := get(h)
		require.Equal(t, 200, status)
		require.Equal(t, 1, h.log.FilterMessage("ready.regained").Len())
	})
	t.Run("redis says no", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, nil)
		h.redis.SetError("LOADING Redis is loading the dataset in memory")
		status, got := get(h)
		require.Equal(t, 503, status)
		require.Contains(t, got.Failed[0].Reason, "LOADING")
	})
	t.Run("a component says no", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, func(o *Options) {
			o.Ready = []Check{{"sweeper", func(context.Context) error { return errors.New("no lease yet") }}}
		})
		status, got := get(h)
		require.Equal(t, 503, status)
		require.Equal(t, []failure{{Check: "sweeper", Reason: "no lease yet"}}, got.Failed)
	})
}

// go-redis may ignore a context for seconds; the asker is answered all the same.
func TestReadyDoesNotWaitForever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release, runs := make(chan struct{}), new(atomic.Int64)
		stuck := Check{"stuck", func(context.Context) error { runs.Add(1); <-release; return nil }}
		h := &readiness{checks: []Check{stuck}, log: zap.NewNop(), failed: make(map[string]bool)}

		for range 2 {
			start := time.Now()
			require.Equal(t, []failure{{Check: "stuck", Reason: "no answer within 800ms", late: true}}, h.run(t.Context(), h.checks))
			require.Equal(t, readyLimit, time.Since(start))
		}
		require.EqualValues(t, 1, runs.Load(), "a stuck check is joined, not piled up")

		close(release)
		synctest.Wait()
		require.Empty(t, h.run(t.Context(), h.checks))
	})
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) {
		total := prometheus.NewCounter(prometheus.CounterOpts{Name: "gupdispatch_test_total", Help: "A test."})
		o.Registry.MustRegister(total, broken{prometheus.NewDesc("gupdispatch_broken", "Fails.", nil, nil)})
		total.Add(3)
	})
	res := h.do("GET", "/metrics", nil)
	require.Equal(t, 200, res.StatusCode)
	require.Contains(t, res.text, "gupdispatch_test_total 3")
	require.NotZero(t, h.log.Len(), "the collector that failed is reported")
	require.Equal(t, 405, h.do("POST", "/metrics", nil).StatusCode)
}

// broken is a collector whose source cannot be read.
type broken struct{ desc *prometheus.Desc }

func (b broken) Describe(ch chan<- *prometheus.Desc) { ch <- b.desc }
func (b broken) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(b.desc, errors.New("Redis is away"))
}

func TestServe(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	h := newHouse(t, func(o *Options) {
		o.Ready = []Check{{"slow", func(context.Context) error { close(entered); <-release; return nil }}}
	})
	ctx, stop := context.WithCancel(t.Context())
	addr, err := h.server.Listen(ctx)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- h.server.Serve(ctx) }()

	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: transport}
	get := func(path string) (int, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr.String()+path, nil)
		require.NoError(t, err)
		res, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		return res.StatusCode, res.Body.Close()
	}
	status, err := get("/healthz")
	require.NoError(t, err)
	require.Equal(t, 200, status)

	underWay := make(chan int, 1)
	go func() { status, _ := get("/readyz"); underWay <- status }()
	<-entered
	stop()
	close(release)
	require.Equal(t, 200, <-underWay, "a request under way is answered")
	require.NoError(t, <-ended)
	_, err = get("/healthz")
	require.Error(t, err, "the port is closed")
	require.Equal(t, 503, h.do("GET", "/readyz", nil).StatusCode, "shutting down")
}

func TestServeTellsOfATakenPort(t *testing.T) {
	t.Parallel()
	first := newHouse(t, nil)
	addr, err := first.server.Listen(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = first.server.listener.Close() })
	second := newHouse(t, func(o *Options) { o.Listen = addr.String() })
	require.ErrorContains(t, second.server.Serve(t.Context()), "http.listen")
}

func TestCallbacksAreSomebodyElses(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) {
		o.Callbacks = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Method+" "+r.URL.Path) })
	})
	require.Equal(t, "POST /callbacks/gupshup/shop", h.do(http.MethodPost, "/callbacks/gupshup/shop", nil).text)
	require.Equal(t, http.StatusNotFound, newHouse(t, nil).do(http.MethodPost, "/callbacks/gupshup/shop", nil).StatusCode, "none, unless given")
}
