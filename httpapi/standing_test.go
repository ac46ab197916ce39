package httpapi

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/internal/redistest"
)

// A Redis that throws messages away is given none; what is there can still be looked at and taken back.
func TestNothingIsTakenInWhileAReadyCheckFails(t *testing.T) {
	t.Parallel()
	now, asked := &clock{now: time.Now()}, 0
	var failing error
	c := newCounter(t, redistest.Embedded(t), func(o *Options) {
		o.Now = now.Now
		o.Ready = []Check{{Name: "redis_settings", Run: func(context.Context) error { asked++; return failing }}}
	})
	send := func(id string) answer {
		got, _ := c.ask("POST", "/v1/messages", c.hello(id))
		return got
	}
	require.Equal(t, http.StatusAccepted, send("a").StatusCode)
	require.Equal(t, http.StatusAccepted, send("b").StatusCode)
	require.Equal(t, 1, asked, "not for each message")

	failing = errors.New("maxmemory-policy allkeys-lru throws messages away")
	now.advance(standingAge)
	got := send("c")
	require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
	require.Contains(t, got.text, "nothing new is taken in: maxmemory-policy allkeys-lru throws messages away")
	require.Equal(t, "5", got.Header.Get("Retry-After"))
	got, _ = c.ask("POST", "/v1/messages/batch", `{"messages":[`+c.hello("c")+`]}`)
	require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
	got, _ = c.ask("POST", pathCampaigns, "x", header("Content-Type", "multipart/form-data; boundary=b"))
	require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
	got, _ = c.ask("GET", "/v1/messages/c", "")
	require.Equal(t, http.StatusNotFound, got.StatusCode)
	got, _ = c.ask("DELETE", "/v1/messages/a", "")
	require.Equal(t, http.StatusOK, got.StatusCode)

	failing = nil
	now.advance(standingAge)
	require.Equal(t, http.StatusAccepted, send("c").StatusCode)
	require.Equal(t, 3, asked)
}
