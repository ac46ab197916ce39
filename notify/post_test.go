package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestJudgeEveryStatus(t *testing.T) {
	t.Parallel()
	again := map[int]bool{408: true, 425: true, 429: true}
	for status := 100; status <= 999; status++ {
		f := judge("notify_url", "app.test", status, "", time.Time{})
		if status >= 200 && status < 300 {
			require.Nil(t, f, status)
			continue
		}
		require.NotNil(t, f, status)
		require.Contains(t, f.text, "app.test answered "+strconv.Itoa(status))
		require.Equal(t, status >= 400 && status < 500 && !again[status], f.final, status)
		require.Zero(t, f.after, status)
	}
	require.Contains(t, judge("notify_url", "app.test", http.StatusGone, "", time.Time{}).text, "wants no events")
	require.Contains(t, judge("notify_url", "app.test", http.StatusFound, "", time.Time{}).text, "redirects")
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		value string
		want  time.Duration
	}{
		{"", 0},
		{"7", 7 * time.Second},
		{" 7 ", 7 * time.Second},
		{"-7", 0},
		{"soon", 0},
		{"99999999999999999999", 0},
		{"2147483647", 2147483647 * time.Second},
		{"Fri, 02 Jan 2026 03:05:05 GMT", time.Minute},
		{"Fri, 02 Jan 2026 03:00:00 GMT", 0},
	}
	for _, test := range tests {
		require.Equal(t, test.want, parseRetryAfter(test.value, now), test.value)
		require.Equal(t, test.want, judge("notify_url", "h", http.StatusServiceUnavailable, test.value, now).after, test.value)
		require.Equal(t, test.want, judge("notify_url", "h", http.StatusTooManyRequests, test.value, now).after, test.value)
	}
}

func TestRetryDelay(t *testing.T) {
	t.Parallel()
	delay := retryDelay(time.Second)
	within := func(low, high time.Duration, retried int, err error) {
		t.Helper()
		for range 50 {
			got := delay(retried, err, nil)
			require.GreaterOrEqual(t, got, low)
			require.LessOrEqual(t, got, high)
		}
	}
	broken := &failure{text: "x"}
	within(500*time.Millisecond, time.Second, 0, broken)
	within(2*time.Second, 4*time.Second, 2, broken)
	within(150*time.Second, 5*time.Minute, 9, broken)
	within(150*time.Second, 5*time.Minute, MaxRetry, broken)
	within(time.Minute, time.Minute, 0, &failure{after: time.Minute})
	within(2*time.Second, 4*time.Second, 2, &failure{after: time.Second}) // the receiver may not make it faster
	within(10*time.Minute, 10*time.Minute, 0, &failure{after: time.Hour})
	within(10*time.Minute, 10*time.Minute, 0, fmt.Errorf("wrapped: %w", &failure{after: time.Hour}))
	within(500*time.Millisecond, time.Second, 0, asynq.ErrLeaseExpired)
}

func TestBackoffIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		retried, luck := rapid.IntRange(0, 10_000).Draw(t, "retried"), rapid.Float64Range(0, 0.999999).Draw(t, "luck")
		d := backoff(time.Second, retried, luck)
		require.GreaterOrEqual(t, d, 500*time.Millisecond)
		require.LessOrEqual(t, d, backoffCap)
		require.GreaterOrEqual(t, backoff(time.Second, retried+1, luck), d)
	})
}

// What is documented of the schedule is what the constants give.
func TestScheduleAsDocumented(t *testing.T) {
	t.Parallel()
	sum := func(luck float64) (all time.Duration) {
		for n := range MaxRetry {
			all += backoff(time.Second, n, luck)
		}
		return all
	}
	require.InDelta(t, 48, sum(0.5).Minutes(), 1)
	require.InDelta(t, 32, sum(1).Minutes(), 1)
	require.InDelta(t, 64, sum(0).Minutes(), 1)
}

func TestTroubleTellsNoSecrets(t *testing.T) {
	t.Parallel()
	wrap := func(err error) error {
		return &url.Error{Op: "Post", URL: "https://user:pw@h.test/hook?key=tok", Err: err}
	}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"refused", wrap(&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}), "cannot connect: connection refused"},
		{"no such host", wrap(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "h.test"}}), "cannot be looked up"},
		{"slow", wrap(context.DeadlineExceeded), "no answer within 10s"},
		{"ended", wrap(context.Canceled), "stopped before"},
		{"no HTTP", wrap(errors.New(`malformed HTTP response "the body 919999900001"`)), "the answer was not HTTP"},
		{"reset", wrap(&net.OpError{Op: "read", Err: errors.New("connection reset")}), "the connection broke"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			text := trouble(test.err, 10*time.Second)
			require.Contains(t, text, test.want)
			for _, secret := range []string{"user", "pw", "key", "tok", "hook", "9199"} {
				require.NotContains(t, text, secret)
			}
		})
	}
}

// On a real wire: what is posted, and that redirects, slow answers and endless bodies do no harm.
func TestPost(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_700_000_000, 0)
	body := []byte(`{"event_id":"1-0"}`)
	var elsewhere atomic.Bool
	tests := []struct {
		name    string
		timeout time.Duration
		answer  http.HandlerFunc
		want    string // "" is success
	}{
		{"as it must be", time.Minute, func(w http.ResponseWriter, r *http.Request) {
			got := make([]byte, 100)
			n, _ := r.Body.Read(got)
			err := Verify("s3cret", r.Header.Get(SignatureHeader), got[:n], time.Second, at)
			if err != nil || r.Method != http.MethodPost || r.UserAgent() != "gupdispatch" || r.Header.Get("Content-Type") != "application/json" || r.URL.RawQuery != "key=tok" {
				w.WriteHeader(http.StatusTeapot)
			}
		}, ""},
		{"redirect", time.Minute, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				elsewhere.Store(true)
				return
			}
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, "redirects are not followed"},
		{"slow", 50 * time.Millisecond, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // else the end of the connection is not noticed
			<-r.Context().Done()
		}, "no answer within 50ms"},
		{"a long body", time.Minute, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(strings.Repeat("the body of the answer ", 1<<16)))
		}, "answered 500 Internal Server Error"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.answer)
			t.Cleanup(server.Close)
			client := withoutRedirects(nil, 1)
			t.Cleanup(client.CloseIdleConnections)
			p := newPoster("notify_url", strings.Replace(server.URL, "//", "//user:pw@", 1)+"/hook?key=tok", "s3cret", client, test.timeout)
			p.now = func() time.Time { return at }
			failed := p.post(context.Background(), body)
			if test.want == "" {
				require.Nil(t, failed)
				return
			}
			require.NotNil(t, failed)
			require.Contains(t, failed.Error(), test.want)
			require.False(t, failed.final)
			for _, secret := range []string{"user", "pw", "tok", "hook", "body", "s3cret"} {
				require.NotContains(t, failed.Error(), secret)
			}
			require.False(t, elsewhere.Load(), "an event was sent to where a redirect pointed")
		})
	}
}
