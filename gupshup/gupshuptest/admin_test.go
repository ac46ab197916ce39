package gupshuptest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// admin calls an admin endpoint and wants a status.
func admin(t *testing.T, sim http.Handler, method, target, body string, status int) string {
	t.Helper()
	rec := httptest.NewRecorder()
	sim.ServeHTTP(rec, httptest.NewRequest(method, target, strings.NewReader(body)))
	require.Equal(t, status, rec.Code, rec.Body.String())
	if rec.Body.Len() > 0 && status < 404 {
		require.Equal(t, "application/json", rec.Header().Get("Content-Type"))
	}
	return rec.Body.String()
}

func TestAdminMessages(t *testing.T) {
	t.Parallel()
	sim := gupshuptest.New(gupshuptest.Config{KeepBodies: true})
	for i := range 5 {
		accept(t, sim, number(i%2))
	}
	list := func(query string) (ids []string, next uint64) {
		var page struct {
			Messages []gupshuptest.Accepted `json:"messages"`
			Next     uint64                 `json:"next"`
		}
		require.NoError(t, json.Unmarshal([]byte(admin(t, sim, "GET", "/_sim/messages"+query, "", 200)), &page))
		for _, m := range page.Messages {
			require.Contains(t, m.Form.Get("message"), "hello")
			ids = append(ids, m.MessageID)
		}
		return ids, page.Next
	}
	all, next := list("")
	require.Len(t, all, 5)
	require.Zero(t, next)

	first, next := list("?limit=2")
	require.Equal(t, all[:2], first)
	require.EqualValues(t, 2, next)
	rest, next := list("?limit=3&after=2")
	require.Equal(t, all[2:], rest)
	require.Zero(t, next, "an exactly full last page has no next")

	odd, _ := list("?destination=" + number(1))
	require.Equal(t, []string{all[1], all[3]}, odd)
	one, _ := list("?message_id=" + all[4])
	require.Equal(t, all[4:], one)
	none, _ := list("?app=Other")
	require.Empty(t, none)
	require.Contains(t, admin(t, sim, "GET", "/_sim/messages?app=Other", "", 200), `"messages":[]`)

	for _, wrong := range []string{"limit=0", "limit=x", "limit=10001", "after=-1"} {
		require.Contains(t, admin(t, sim, "GET", "/_sim/messages?"+wrong, "", 400), `"error"`)
	}
}

func TestAdminRules(t *testing.T) {
	t.Parallel()
	sim := gupshuptest.New(gupshuptest.Config{})
	// The rules of the package comment.
	admin(t, sim, "PUT", "/_sim/rules", `[
	  {"destination": "919876543210", "times": 1, "fault": {"kind": "504_after"}},
	  {"destination": "9198*", "probability": 0.1, "fault": {"kind": "429", "retry_after": "2s"}},
	  {"match": "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b", "after": 100, "fault": {"kind": "code", "code": 4005}},
	  {"destination": "*77", "fault": {"kind": "http", "status": 503, "body": "html", "delay": "250ms"}}
	]`, 200)
	admin(t, sim, "POST", "/_sim/rules", `{"destination":"*9","fault":{"kind":"http","status":418}}`, 200)
	require.Equal(t, []int{504, 418}, statuses(t, sim, testNumber, "4915110009"))

	require.JSONEq(t, `{"rules":[
	  {"destination":"919876543210","times":1,"fault":{"kind":"504_after"},"matched":1,"fired":1},
	  {"destination":"9198*","probability":0.1,"fault":{"kind":"429","retry_after":"2s"},"matched":0,"fired":0},
	  {"match":"c6aecef6-bcb0-4fb1-8100-28c094e3bc6b","after":100,"fault":{"kind":"code","code":4005},"matched":0,"fired":0},
	  {"destination":"*77","fault":{"kind":"http","status":503,"body":"html","delay":"250ms"},"matched":0,"fired":0},
	  {"destination":"*9","fault":{"kind":"http","status":418},"matched":1,"fired":1}
	]}`, admin(t, sim, "GET", "/_sim/rules", "", 200))

	for _, wrong := range []struct{ method, body, says string }{
		{"PUT", `{}`, "body"},
		{"PUT", `[{"fault":{"kind":"explode"}}]`, "explode"},
		{"POST", `{"fault":{"kind":"429"},"time":1}`, "time"},
		{"POST", `{"fault":{"kind":"429","retry":1}}`, "retry"},
		{"POST", `{"fault":{"kind":"429"}} {}`, "only one"},
		{"POST", ``, "body"},
	} {
		require.Contains(t, admin(t, sim, wrong.method, "/_sim/rules", wrong.body, 400), wrong.says)
	}
	require.Len(t, sim.Rules(), 5)

	require.JSONEq(t, `{"rules":[]}`, admin(t, sim, "DELETE", "/_sim/rules", "", 200))
}

func TestAdminStatsDuplicatesAndReset(t *testing.T) {
	t.Parallel()
	var clk clock
	sim := gupshuptest.New(gupshuptest.Config{
		Seed: 5, Now: clk.now,
		Rules: []gupshuptest.Rule{{Times: 1, Fault: gupshuptest.Fault{Kind: gupshuptest.Kind429}}},
	})
	require.Equal(t, []int{429, 200, 200, 400}, statuses(t, sim, testNumber, testNumber, testNumber, "1"))
	require.JSONEq(t, `{
	  "requests":4, "in_flight":0, "accepted":2, "refused":{"fault:429":1,"destination":1}, "faults":{"429":1},
	  "statuses":{"200":2,"400":1,"429":1}, "no_reply":0, "duplicates":1, "untracked":0, "kept":2, "seed":5,
	  "callbacks":{"outcomes":{}, "codes":{}, "pending":0, "delivered":0, "refused":0, "given_up":0, "dropped":0, "statuses":{}},
	  "apps":{"DemoApp":{"busiest_second":2,"seconds":[{"at":"2023-11-14T22:13:20Z","accepted":2}]}}
	}`, admin(t, sim, "GET", "/_sim/stats", "", 200))

	duplicates := admin(t, sim, "GET", "/_sim/duplicates", "", 200)
	require.Contains(t, duplicates, `{"duplicates":[{"app":"DemoApp","destination":"`+testNumber+`","count":2,"message_ids":["`)

	admin(t, sim, "POST", "/_sim/reset", "", 204)
	require.Zero(t, sim.Stats().Requests, "admin requests do not count")
	require.JSONEq(t, `{"duplicates":[]}`, admin(t, sim, "GET", "/_sim/duplicates", "", 200))
	require.Equal(t, []int{429}, statuses(t, sim, testNumber), "the first rules are back")
}

func TestAdminMagic(t *testing.T) {
	t.Parallel()
	got := admin(t, gupshuptest.New(gupshuptest.Config{MagicNumbers: true}), "GET", "/_sim/magic", "", 200)
	require.Contains(t, got, `"enabled":true`)
	require.Contains(t, got, `{"suffix":"1002","fault":{"kind":"code","code":1002},"about":"400 with code 1002: Number Not Exist On WhatsApp"}`)
}

func TestAdminUnknown(t *testing.T) {
	t.Parallel()
	sim := gupshuptest.New(gupshuptest.Config{})
	admin(t, sim, "GET", "/_sim/nothing", "", 404)
	admin(t, sim, "GET", "/_sim/reset", "", 405)
	require.Zero(t, sim.Stats().Requests)
}
