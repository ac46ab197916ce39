package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/notify"
)

const testToken = "token-of-callbacks-0123456789"

// hears gives the site's sender a callback token.
func (s *site) hears() {
	name := "GUPDISPATCH_SENDERS_" + strings.ToUpper(s.sender)
	s.environ = append(s.environ, name+"_CALLBACK_TOKEN_ENV=TEST_TOKEN", "TEST_TOKEN="+testToken)
}

// callback posts to a process, as Gupshup does, and returns status and body.
func callback(t *testing.T, base, sender, token, body string) (int, string) {
	t.Helper()
	client := browser(t)
	res, err := client.Post(base+"/callbacks/gupshup/"+sender+"?token="+token, "application/json; charset=utf-8", strings.NewReader(body))
	require.NoError(t, err)
	got, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode, string(got)
}

// event is a callback about a message.
func event(messageID, kind string) string {
	now := time.Now()
	return fmt.Sprintf(`{"app":"DemoApp","timestamp":%d,"version":2,"type":"message-event","payload":{"id":"wamid.%s","gsId":"%s","type":"%s",`+
		`"destination":"%s","payload":{"ts":%d}}}`, now.UnixMilli(), messageID, messageID, kind, testNumber, now.Unix())
}

func TestServeTakesCallbacks(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "http: {listen: \"127.0.0.1:0\"}")
		s.hears()
		r := s.begin("serve")
		base := r.address()
		got := decode[sent](t, s.ok("send", "--to", testNumber, "--text", "Hello", "--id", "a", "--wait", "--timeout", "30s").out)

		status, body := callback(t, base, s.sender, "wrong", event(got.MessageID, "delivered"))
		require.Equal(t, http.StatusUnauthorized, status, body)
		require.Equal(t, message.Submitted, s.status(s.sender, "a"))
		status, body = callback(t, base, s.sender, testToken, event(got.MessageID, "delivered"))
		require.Equal(t, http.StatusOK, status, body)
		require.Empty(t, body)
		require.Equal(t, message.Delivered, s.status(s.sender, "a"), "recorded before the answer")

		_, metrics := fetch(t, browser(t), base+"/metrics")
		require.Contains(t, metrics, `gupdispatch_receipts_total{event="delivered",sender="`+s.sender+`"} 1`)
		require.Contains(t, metrics, `gupdispatch_callbacks_total{result="unauthorized",sender="`+s.sender+`"} 1`)
		end := r.stop()
		require.Equal(t, exitOK, end.code, end.errs)
		require.Contains(t, end.errs, `"event":"receipt.recorded"`)
		require.NotContains(t, end.errs, testToken)
	})
}

func TestHTTPWithoutAWorker(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{},
		"http: {listen: \"127.0.0.1:0\", ui_users: [{name: ops, password_env: TEST_PASSWORD}]}")
	s.hears()
	s.environ = s.environ[1:] // it needs no key of Gupshup's
	r := s.begin("http")
	base, client := r.address(), browser(t)
	s.ok("send", "--to", testNumber, "--text", "Hello", "--id", "a")
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/ui/"} {
		status, _ := fetch(t, client, base+path)
		require.Equal(t, http.StatusOK, status, path)
	}
	status, _ := callback(t, base, s.sender, testToken, event("m-1", "sent"))
	require.Equal(t, http.StatusOK, status, "kept, in case its message is still to come")
	hearing, err := s.ledger.Hearing(t.Context(), s.sender)
	require.NoError(t, err)
	require.Equal(t, 1, hearing.Parked)
	require.Equal(t, message.Queued, s.status(s.sender, "a"), "nobody sends it")
	end := r.stop()
	require.Equal(t, exitOK, end.code, end.errs)
	require.NotContains(t, end.errs, "worker.started")
	require.EqualValues(t, 0, s.sim.Stats().Requests)
}

func TestHTTPSaysWhatItLacks(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "http: {listen: \"127.0.0.1:0\"}")
	s.hears()
	s.environ = s.environ[:len(s.environ)-1]
	got := s.run("http")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.errs, `callback_token_env: the environment variable "TEST_TOKEN" is not set`)

	s.environ = append(s.environ, "TEST_TOKEN=x", "GUPDISPATCH_REDIS_URL=embedded")
	got = s.run("http")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.errs, "no worker can see")
}

// X-Forwarded-For counts only when it comes from a proxy that the configuration names.
func TestCallbacksOnlyFromWhereTheyMayCome(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "http: {listen: \"127.0.0.1:0\", trusted_proxies: [127.0.0.1]}")
	s.hears()
	s.environ = append(s.environ, "GUPDISPATCH_SENDERS_"+strings.ToUpper(s.sender)+"_CALLBACK_ALLOW=192.0.2.0/24")
	base := s.begin("http").address()
	for forwarded, want := range map[string]int{"": 403, "198.51.100.1": 403, "192.0.2.9": 200, "192.0.2.9, 198.51.100.1": 403} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/callbacks/gupshup/"+s.sender, strings.NewReader(event("m-1", "sent")))
		require.NoError(t, err)
		req.Header.Set("X-Callback-Token", testToken)
		req.Header.Set("X-Forwarded-For", forwarded)
		res, err := browser(t).Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, want, res.StatusCode, forwarded)
	}
}

// The application hears of every change, from the process that sends or takes the callback, through the stream and a signed post.
func TestApplicationsAreNotified(t *testing.T) {
	t.Parallel()
	const secret = "secret-of-notifications-0123456789"
	heard := make(chan string, 16)
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := notify.Verify(secret, r.Header.Get(notify.SignatureHeader), body, notify.DefaultTolerance, time.Now()); err != nil {
			heard <- err.Error()
			return
		}
		var e notify.Event
		_ = json.Unmarshal(body, &e)
		heard <- string(e.Status)
	}))
	t.Cleanup(shop.Close)
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "http: {listen: \"127.0.0.1:0\"}")
	s.hears()
	name := "GUPDISPATCH_SENDERS_" + strings.ToUpper(s.sender)
	s.environ = append(s.environ, name+"_NOTIFY_URL="+shop.URL, name+"_NOTIFY_SECRET_ENV=TEST_SECRET", "TEST_SECRET="+secret)
	r := s.begin("serve")
	base := r.address()
	got := decode[sent](t, s.ok("send", "--to", testNumber, "--text", "Hello", "--id", "a", "--wait", "--timeout", "30s").out)
	status, body := callback(t, base, s.sender, testToken, event(got.MessageID, "delivered"))
	require.Equal(t, http.StatusOK, status, body)

	seen := map[string]bool{}
	for !seen["submitted"] || !seen["delivered"] { // in no order
		select {
		case what := <-heard:
			seen[what] = true
		case <-time.After(20 * time.Second):
			require.Fail(t, "not told", "%v; %s", seen, r.errs)
		}
	}
	end := r.stop()
	require.Equal(t, exitOK, end.code, end.errs)
	require.NotContains(t, end.errs, secret)
}

// The operators hear of holds: signed, once each, also of what was held while no worker ran.
func TestOperatorsAreAlerted(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		const secret = "secret-of-alerts-0123456789"
		heard := make(chan notify.Alert, 16)
		ops := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			var a notify.Alert
			if err := json.Unmarshal(body, &a); err != nil {
				a.Note = err.Error()
			}
			if err := notify.Verify(secret, r.Header.Get(notify.SignatureHeader), body, notify.DefaultTolerance, time.Now()); err != nil {
				a.Note = err.Error()
			}
			heard <- a
		}))
		t.Cleanup(ops.Close)
		s := newSite(t, rdb, gupshuptest.Config{}, "alerts: {url: \""+ops.URL+"/hook\", secret_env: TEST_SECRET}")
		s.environ = append(s.environ, "TEST_SECRET="+secret)
		next := func() (a notify.Alert) {
			t.Helper()
			select {
			case a = <-heard:
			case <-time.After(20 * time.Second):
				require.Fail(t, "not told")
			}
			require.Equal(t, s.sender, a.Sender)
			return a
		}
		_, err := s.ledger.SetHold(t.Context(), ledger.HoldRequest{
			Sender: s.sender, Reason: ledger.ReasonByHand, By: "ops", Note: "stock", Hold: ledger.Hold{Priorities: []message.Priority{message.Bulk}},
		})
		require.NoError(t, err)
		r := s.begin("worker")
		got := next()
		require.Equal(t, []string{notify.HoldBegan, "bulk", "by_hand", "ops", "stock"}, []string{got.Event, got.Held, got.Reason, got.By, got.Note})
		require.Equal(t, got.Since, got.At)
		require.True(t, got.Until.IsZero())
		end := r.stop()
		require.Equal(t, exitOK, end.code, end.errs)
		require.NotContains(t, end.errs, secret)

		_, err = s.ledger.Release(t.Context(), s.sender, "", "ops")
		require.NoError(t, err)
		s.begin("worker")
		got = next()
		require.Equal(t, []string{notify.HoldEnded, "bulk"}, []string{got.Event, got.Held})
		require.Equal(t, []message.Priority{message.Bulk}, got.Priorities)
		require.True(t, got.At.After(got.Since) || got.At.Equal(got.Since))
		require.Empty(t, heard)
	})
}

func TestWorkersNeedTheSecretOfAlerts(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "alerts: {url: \"https://ops.example\", secret_env: TEST_SECRET}")
	got := s.run("worker")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.errs, `alerts.secret_env: the environment variable "TEST_SECRET" is not set`)
}

func TestWorkersNeedTheSecretOfNotifications(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	name := "GUPDISPATCH_SENDERS_" + strings.ToUpper(s.sender)
	s.environ = append(s.environ, name+"_NOTIFY_URL=https://shop.example", name+"_NOTIFY_SECRET_ENV=TEST_SECRET")
	got := s.run("worker")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.errs, `notify_secret_env: the environment variable "TEST_SECRET" is not set`)
}

// With check_session a text goes only to people who wrote to us, and their writing comes by callback.
func TestSessionsAreCheckedWhereConfigured(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "http: {listen: \"127.0.0.1:0\"}")
	s.hears()
	s.environ = append(s.environ, "GUPDISPATCH_SENDERS_"+strings.ToUpper(s.sender)+"_CHECK_SESSION=true")
	base := s.begin("serve").address()
	got := s.run("send", "--to", testNumber, "--text", "Hello", "--wait", "--timeout", "30s")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.out, `"NO_SESSION"`)

	status, body := callback(t, base, s.sender, testToken, fmt.Sprintf(`{"app":"DemoApp","timestamp":%d,"version":2,"type":"message","payload":{"id":"wamid.9",`+
		`"source":"%s","type":"text","payload":{"text":"Hi"},"sender":{"phone":"%s","name":"A"}}}`, time.Now().UnixMilli(), testNumber, testNumber))
	require.Equal(t, http.StatusOK, status, body)
	s.ok("send", "--to", testNumber, "--text", "Hello", "--wait", "--timeout", "30s")
	require.EqualValues(t, 1, s.sim.Stats().Requests)
}

// The simulator's callbacks, as Gupshup would send them, settle what it accepted; the class of a code is the configuration's.
func TestTheSimulatorsCallbacks(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{MagicNumbers: true}, "http: {listen: \"127.0.0.1:0\"}\ncodes: {\"1008\": recipient}")
	s.hears()
	r := s.begin("serve")
	base := r.address()
	require.NoError(t, s.sim.SetCallbacks(gupshuptest.Callbacks{
		URL: base + "/callbacks/gupshup/" + s.sender, Token: testToken, Speed: 1000, Read: 1, Duplicates: 0.5, Reorder: 0.5,
	}))
	const refused = "919999971008" // fails by callback with 1008
	s.ok("send", "--to", testNumber, "--text", "Hello", "--id", "a")
	s.ok("send", "--to", refused, "--text", "Hello", "--id", "b")
	require.Eventually(t, func() bool {
		return s.status(s.sender, "a") == message.Read && s.status(s.sender, "b") == message.Dead
	}, 30*time.Second, 10*time.Millisecond, "%s", r.errs)
	rec, err := s.ledger.Get(t.Context(), s.sender, "b")
	require.NoError(t, err)
	require.Equal(t, []string{"1008", "recipient"}, []string{rec.Code, string(rec.Class)})
	s.ok("audit", "--deep")
}
