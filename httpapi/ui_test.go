package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/worker"
)

const runPath = "/ui/api/queues/" + queue + "/archived_tasks/m-1:1:run"

func TestADeedThatPanicsIsNotNotedAsDone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) { o.KeepPaused = func(context.Context, string) (bool, error) { panic("keep") } })
	in := h.as("ops")
	require.Panics(t, func() { h.do(http.MethodPost, "/ui/api/queues/"+queue+":pause", nil, in) })
	noted := h.log.FilterMessage("ui.action").FilterField(zap.String("action", "queue.pause")).All()
	require.Len(t, noted, 1)
	require.Equal(t, "failed", noted[0].ContextMap()["outcome"])
}

func TestAdminRunsArchivedTask(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.archiveDead()

	res := h.do(http.MethodPost, runPath, strings.NewReader(`{"secret":"text"}`), h.as("ops"))

	require.Equal(t, http.StatusNoContent, res.StatusCode, res.text)
	info, err := h.inspector().GetTaskInfo(queue, "m-1:1")
	require.NoError(t, err)
	require.Equal(t, asynq.TaskStatePending, info.State)

	lines := h.log.FilterMessage("ui.action").All()
	require.Len(t, lines, 2)
	require.Equal(t, "login", lines[0].ContextMap()["action"])
	require.Equal(t, map[string]any{
		"user": "ops", "role": "admin", "client": "192.0.2.1", "action": "task.run", "target": "demo.critical m-1:1",
		"outcome": "done", "status": int64(http.StatusNoContent), "detail": "",
	}, lines[1].ContextMap())
	require.NoError(t, h.client.Ping(context.Background()).Err(), "the shared client must stay open")
}

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	const info = "/ui/api/redis_info"
	tests := []struct {
		name     string
		user     string
		readOnly bool
		method   string
		path     string
		want     int
	}{
		{"viewer sees the page", "desk", false, "GET", "/ui/", 200},
		{"viewer sees the page without its slash", "desk", false, "GET", "/ui", 200},
		{"viewer sees a queue", "desk", false, "GET", "/ui/api/queues/" + queue, 200},
		{"viewer runs a task", "desk", false, "POST", runPath, 403},
		{"viewer deletes a task", "desk", false, "DELETE", "/ui/api/queues/" + queue + "/archived_tasks/m-1:1", 403},
		{"viewer pauses a queue", "desk", false, "POST", "/ui/api/queues/" + queue + ":pause", 403},
		{"viewer asks for options", "desk", false, "OPTIONS", runPath, 403},
		{"viewer asks Redis", "desk", false, "GET", info, 403},
		{"viewer asks Redis with HEAD", "desk", false, "HEAD", info, 403},
		{"viewer asks Redis by an escape", "desk", false, "GET", "/ui/api/%72edis_info", 403},
		{"admin asks Redis", "ops", false, "GET", info, 200},
		{"admin pauses a queue", "ops", false, "POST", "/ui/api/queues/" + queue + ":pause", 204},
		{"admin acts, but nobody may", "ops", true, "POST", runPath, 403},
		{"admin asks Redis, and may", "ops", true, "GET", info, 200},
		{"unknown API path", "ops", false, "GET", "/ui/api/nothing", 404},
		{"unknown API path, posted", "ops", false, "POST", "/ui/api/nothing", 404},
		{"unknown asset", "ops", false, "GET", "/ui/static/js/gone.js", 404},
		{"page, posted", "ops", false, "POST", "/ui/queues", 405},
		{"a page of the script's own", "ops", false, "GET", "/ui/queues/" + queue, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, func(o *Options) { o.UIReadOnly = tt.readOnly })
			h.archive("m-1:1", `{}`)

			res := h.do(tt.method, tt.path, nil, h.as(tt.user))

			require.Equal(t, tt.want, res.StatusCode, res.text)
			state, err := h.inspector().GetTaskInfo(queue, "m-1:1")
			require.NoError(t, err)
			require.Equal(t, asynq.TaskStateArchived, state.State)
			if tt.want >= 400 {
				require.Equal(t, refusalType(tt.path), res.Header.Get("Content-Type"))
			}
		})
	}
}

// refusalType is what a refusal is written in: asynqmon's script shows the body of an error as it is.
func refusalType(path string) string {
	if strings.HasPrefix(path, "/ui/api/") {
		return "text/plain; charset=utf-8"
	}
	return "application/problem+json"
}

// A Pause during a hold means that the queue stays paused when the hold is over.
func TestPauseOfAQueueThatAHoldPaused(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		name := redistest.Sender()
		queue := message.Queue(name, message.Bulk)
		target, key := "/ui/api/queues/"+queue, "asynq:{"+queue+"}:paused"
		options := func(o *Options) {
			o.Redis = rdb
			o.KeepPaused = func(ctx context.Context, queue string) (bool, error) { return worker.KeepPaused(ctx, rdb, queue) }
		}
		h := newHouse(t, options)
		ours := func() string {
			value, err := rdb.Get(t.Context(), key).Result()
			require.NoError(t, err)
			return value
		}
		require.NoError(t, rdb.Set(t.Context(), key, worker.PausedByHold, 0).Err())
		require.Equal(t, http.StatusForbidden, h.do("POST", target+":pause", nil, h.as("desk")).StatusCode)
		readOnly := newHouse(t, func(o *Options) { options(o); o.UIReadOnly = true })
		require.Equal(t, http.StatusForbidden, readOnly.do("POST", target+":pause", nil, readOnly.as("ops")).StatusCode)
		require.Equal(t, http.StatusForbidden, h.do("POST", target+":pause", nil, h.as("ops"), header("Sec-Fetch-Site", "cross-site")).StatusCode)
		require.Equal(t, worker.PausedByHold, ours())

		res := h.do("POST", target+":pause", nil, h.as("ops"))
		require.Equal(t, http.StatusNoContent, res.StatusCode, res.text)
		require.Empty(t, res.text)
		theirs := ours()
		require.Len(t, h.log.FilterField(zap.String("action", "queue.pause")).FilterField(zap.String("outcome", "done")).All(), 1)

		// What asynq writes is of the same form, and is not touched.
		require.Equal(t, http.StatusNoContent, h.do("POST", target+":resume", nil, h.as("ops")).StatusCode)
		require.Equal(t, http.StatusNoContent, h.do("POST", target+":pause", nil, h.as("ops")).StatusCode)
		require.Regexp(t, `^\d{10}$`, ours())
		require.Regexp(t, `^\d{10}$`, theirs)
		require.NoError(t, rdb.Set(t.Context(), key, "1700000000", 0).Err())
		require.Equal(t, http.StatusInternalServerError, h.do("POST", target+":pause", nil, h.as("ops")).StatusCode, "asynq says so")
		require.Equal(t, "1700000000", ours())
	})
}

func TestPauseWhenRedisDoesNotAnswer(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) {
		o.KeepPaused = func(context.Context, string) (bool, error) { return false, errors.New("away") }
	})
	res := h.do("POST", "/ui/api/queues/"+queue+":pause", nil, h.as("ops"))
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.Equal(t, "text/plain; charset=utf-8", res.Header.Get("Content-Type"))
}

func TestViewersPageHidesButtons(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	require.Contains(t, h.do("GET", "/ui/", nil, h.as("desk")).text, `FLAG_READ_ONLY="true"`)
	page := h.do("GET", "/ui/", nil, h.as("ops")).text
	require.Contains(t, page, `FLAG_READ_ONLY="false"`)
	require.Contains(t, page, `action="/ui/logout"`)
	require.Contains(t, page, "ops · admin")
	require.True(t, strings.HasSuffix(strings.TrimSpace(page), "</script></body></html>"), "the bar ends the page")
	require.NotContains(t, page, "https://", "nothing is fetched from elsewhere")
	require.NotContains(t, page, "manifest")
}

func TestWithoutLogin(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method, target, accept string
		status                       int
		location                     string
	}{
		{"home", "GET", "/ui/", "text/html", 303, "/ui/login"},
		{"home without slash", "GET", "/ui", "", 303, "/ui/login"},
		{"deep page", "GET", "/ui/queues/demo.bulk?status=archived", "text/html", 303, "/ui/login?next=%2Fui%2Fqueues%2Fdemo.bulk%3Fstatus%3Darchived"},
		{"asset", "GET", "/ui/static/js/main.5adda2da.chunk.js", "*/*", 303, "/ui/login?next=%2Fui%2Fstatic%2Fjs%2Fmain.5adda2da.chunk.js"},
		{"script", "GET", "/ui/api/queues", "*/*", 401, ""},
		{"program", "GET", "/ui/queues", "application/json", 401, ""},
		{"action", "POST", runPath, "", 401, ""},
		{"posted page", "POST", "/ui/", "text/html", 401, ""},
	}
	h := newHouse(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res := h.do(tt.method, tt.target, nil, header("Accept", tt.accept))
			require.Equal(t, tt.status, res.StatusCode)
			require.Equal(t, tt.location, res.Header.Get("Location"))
			require.NotContains(t, res.text, "FLAG_ROOT_PATH")
			if tt.status == 401 {
				require.Equal(t, refusalType(tt.target), res.Header.Get("Content-Type"))
			}
		})
	}
}

func TestCrossSiteIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.archiveDead()
	in := h.as("ops")
	for _, edit := range []func(*http.Request){
		header("Sec-Fetch-Site", "cross-site"),
		header("Sec-Fetch-Site", "same-site"),
		header("Origin", "https://evil.example"),
	} {
		require.Equal(t, http.StatusForbidden, h.do("POST", runPath, nil, in, edit).StatusCode)
		require.Equal(t, http.StatusForbidden, h.do("POST", "/ui/logout", nil, in, edit).StatusCode)
		require.Equal(t, http.StatusForbidden, h.logIn("ops", adminPassword, "", edit).StatusCode)
	}
	require.Equal(t, http.StatusNoContent, h.do("POST", runPath, nil, in, header("Sec-Fetch-Site", "same-origin")).StatusCode)
}

func TestPayloadsAreMasked(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.archive("m-1:1", `{"to":"919876543210","template":"c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"}`)
	h.redis.HSet("asynq:{"+queue+"}:t:m-1:1", "result", "sent to 918765432109")
	in := h.as("desk")
	require.Contains(t, h.do("GET", "/ui/api/queues/"+queue+"/tasks/m-1:1", nil, in).text, "sent to 9187******09")
	for _, path := range []string{"/archived_tasks", "/tasks/m-1:1"} {
		res := h.do("GET", "/ui/api/queues/"+queue+path, nil, in)
		require.Equal(t, http.StatusOK, res.StatusCode, res.text)
		require.Equal(t, "application/json", res.Header.Get("Content-Type"))
		require.Contains(t, res.text, "9198******10")
		require.Contains(t, res.text, "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b")
		require.NotContains(t, res.text, "919876543210")
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	in := h.as("ops")
	const logo = "/ui/static/media/logo-color.c2b0c1f3.svg"
	tests := []struct{ path, policy, contentType, cache string }{
		{"/healthz", policyNone, "application/json", "no-store"},
		{"/ui/login", policyPages, "text/html; charset=utf-8", "no-store"},
		{"/ui/login.css", policyNone, "text/css; charset=utf-8", "no-store"},
		{"/ui/notice.js", policyNone, "text/javascript; charset=utf-8", "no-store"},
		{"/ui/", policyUI, "text/html; charset=utf-8", "no-store"},
		{"/ui/api/queues", policyUI, "application/json", "no-store"},
		{"/ui/static/js/main.5adda2da.chunk.js", policyUI, "text/javascript; charset=utf-8", "private, max-age=86400"},
		{logo, policyUI, "image/svg+xml", "private, max-age=86400"},
		{"/nowhere", policyNone, "text/plain; charset=utf-8", "no-store"},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			res := h.do("GET", tt.path, nil, in)
			require.Equal(t, []string{tt.contentType}, res.Header.Values("Content-Type"))
			require.Equal(t, tt.policy, res.Header.Get("Content-Security-Policy"))
			require.Equal(t, tt.cache, res.Header.Get("Cache-Control"))
			require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
			require.Equal(t, "DENY", res.Header.Get("X-Frame-Options"))
			require.Equal(t, "same-origin", res.Header.Get("Referrer-Policy"))
		})
	}
	require.Contains(t, policyUI, "frame-ancestors 'none'")
}

func TestNoUsers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) { o.UIUsers = nil })
	for _, path := range []string{"/ui", "/ui/", "/ui/login", "/ui/api/queues"} {
		res := h.do("GET", path, nil)
		require.Equal(t, http.StatusForbidden, res.StatusCode, path)
		require.Contains(t, res.text, "ui_users")
	}
	require.Equal(t, http.StatusForbidden, h.logIn("", "", "").StatusCode)
	require.Equal(t, http.StatusOK, h.do("GET", "/ui/login.css", nil).StatusCode)
	require.Equal(t, http.StatusOK, h.do("GET", "/healthz", nil).StatusCode)
}
