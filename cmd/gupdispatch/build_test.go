package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/config"
	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/worker"
)

func TestEachSenderHasItsOwnClient(t *testing.T) {
	t.Parallel()
	type seen struct{ path, key string }
	got := make(chan seen, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- seen{r.URL.Path, r.Header.Get("apikey")}
		_, _ = io.WriteString(w, `{"status":"error","code":1002,"message":"Number Does Not Exist On WhatsApp"}`)
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte("first-key\n"), 0o600))

	cfg := config.Default()
	cfg.Codes = map[string]string{"1002": "transient"}
	s := config.NewSender("shop")
	s.BaseURL, s.SessionPath, s.TemplatePath, s.APIKeyFile = server.URL, "/own/msg", "/own/template", file
	transport := gupshup.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	client, err := (&app{cfg: &cfg}).gupshup(s, transport)
	require.NoError(t, err)

	request := gupshup.Request{Source: "917834811114", AppName: "DemoApp", Destination: testNumber, Content: gupshup.Content{Message: gupshup.Text{Text: "Hello"}}}
	_, err = client.Send(t.Context(), request)
	var refused *gupshup.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, gupshup.ClassTransient, refused.Class, "codes of the configuration")
	require.Equal(t, seen{"/own/msg", "first-key"}, <-got)

	require.NoError(t, os.WriteFile(file, []byte("second-key-is-longer\n"), 0o600))
	request.Content = gupshup.Content{Template: &gupshup.Template{ID: testTemplate}}
	_, err = client.Send(t.Context(), request)
	require.Error(t, err)
	require.Equal(t, seen{"/own/template", "second-key-is-longer"}, <-got)
}

func TestConfigurationBecomesPolicy(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	s := config.NewSender("shop")
	s.OnInDoubt.Bulk = "resend"
	require.Equal(t, map[message.Priority]message.OnInDoubt{
		message.Critical: message.Resend, message.Default: message.Resend, message.Bulk: message.Resend,
	}, (&app{cfg: &cfg}).onInDoubt(s))
	require.Equal(t, message.Hold, (&app{cfg: &cfg}).onInDoubt(config.NewSender("other"))[message.Bulk])
	require.Equal(t, map[message.Priority]worker.Budget{
		message.Critical: {Attempts: 5, MaxAge: 10 * time.Minute}, message.Default: {Attempts: 8, MaxAge: 24 * time.Hour},
		message.Bulk: {Attempts: 8, MaxAge: 72 * time.Hour},
	}, budgets(cfg.Retry))
}

func TestConfiguredLimitsReachTheLedger(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		s.configure("rate: 1000", "rate: 1000, pair_every: 1h, pair_burst: 2, daily_recipients: 1")
		w := s.begin("worker")
		send := func(id, to string) string {
			s.ok("send", "--id", id, "--to", to, "--template", testTemplate)
			var got map[string]any
			require.Eventually(t, func() bool {
				got = decode[map[string]any](t, s.ok("message", "show", id, "--json").out)
				return got["status"] != "queued" && got["status"] != "sending" || got["waiting_for"] != ""
			}, 20*time.Second, 5*time.Millisecond)
			return strings.TrimSpace(got["status"].(string) + " " + got["waiting_for"].(string))
		}
		require.Equal(t, "submitted", send("a", testNumber))
		require.Equal(t, "submitted", send("b", testNumber))
		require.Equal(t, "queued pair", send("c", testNumber), "the third at once to one number")
		require.Equal(t, "queued daily_recipients", send("d", otherNumber), "the second recipient of the day")
		require.Equal(t, exitOK, w.stop().code)
		require.Contains(t, s.ok("message", "show", "c").out, "queued, waiting for pair")
		s.ok("audit", "--deep")
	})
}

func TestLogFormats(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{"json": `"event":"hello"`, "console": "WARN\thello"} {
		var b strings.Builder
		log := newLog(config.Log{Level: "warn", Format: format}, &b)
		log.Info("quiet")
		log.Warn("hello")
		require.Contains(t, b.String(), want)
		require.NotContains(t, b.String(), "quiet")
		require.Equal(t, 1, strings.Count(b.String(), "\n"))
	}
}
