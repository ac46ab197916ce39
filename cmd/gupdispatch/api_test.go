package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/message"
)

const (
	apiKey     = "api-key-0123456789abcdef"
	withAPIKey = "http: {listen: \"127.0.0.1:0\", api_rate: 0, api_keys: [{name: shop, key_env: TEST_API_KEY}]}"
)

// call asks the API of a process and returns status and body.
func call(t *testing.T, method, url, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+apiKey)
	r.Header.Set("Content-Type", "application/json")
	res, err := browser(t).Do(r)
	require.NoError(t, err)
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	var v map[string]any
	require.NoError(t, json.Unmarshal(raw, &v), "%s", raw)
	return res.StatusCode, v
}

func (s *site) hello(id string) string {
	return fmt.Sprintf(`{"id":%q,"sender":%q,"to":%q,"message":{"type":"text","text":"Hello %s"}}`, id, s.sender, testNumber, id)
}

func TestTheAPIWithoutAWorker(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, withAPIKey)
		s.environ = append(s.environ, "TEST_API_KEY="+apiKey)
		r := s.begin("http")
		base := r.address()
		status, _ := call(t, "POST", base+"/v1/messages", s.hello("a"))
		require.Equal(t, http.StatusAccepted, status)
		_, v := call(t, "GET", base+"/v1/messages/a", "")
		require.Equal(t, decode[map[string]any](t, s.ok("message", "show", "a", "--json").out), v, "one object")

		s.dies(s.sender, "d", "1008")
		_, v = call(t, "GET", base+"/v1/dead-letters", "")
		require.Equal(t, decode[[]any](t, s.ok("dead", "list", "--json").out), v["items"])
		_, v = call(t, "POST", base+"/v1/dead-letters/replay", `{"id":"d"}`)
		require.EqualValues(t, 1, v["replayed"], v)
		require.Equal(t, message.Queued, s.status(s.sender, "d"))
		info, err := asynqTask(rdb, s.sender, "d:2")
		require.NoError(t, err)
		require.Equal(t, message.TaskType, info, "workers have it at once")

		_, v = call(t, "POST", base+"/v1/senders/"+s.sender+"/hold", `{"reason":"test"}`)
		require.Equal(t, "shop", v["hold"].(map[string]any)["by"], v)
		_, v = call(t, "GET", base+"/v1/senders", "")
		require.Equal(t, decode[[]any](t, s.ok("sender", "list", "--json").out), v["items"])

		end := r.stop()
		require.Equal(t, exitOK, end.code, end.errs)
		require.Contains(t, end.errs, `"key":"shop"`)
		require.NotContains(t, end.errs, apiKey)
	})
}

// A message that was said to be cancelled is never sent, whatever the workers do meanwhile; all others are.
func TestCancelledMessagesAreNeverSent(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, withAPIKey)
		s.environ = append(s.environ, "TEST_API_KEY="+apiKey, "GUPDISPATCH_SENDERS_"+strings.ToUpper(s.sender)+"_PAIR_EVERY=0")
		r := s.begin("serve")
		base := r.address()
		const n = 60
		cancelled := map[string]bool{}
		for i := range n {
			id := fmt.Sprint("m", i)
			status, v := call(t, "POST", base+"/v1/messages", s.hello(id))
			require.Equal(t, http.StatusAccepted, status, v)
			for _, old := range []int{i, i - 3}[:i%3] { // at once, and a little later: sometimes too late
				if id = fmt.Sprint("m", old); old >= 0 {
					status, v = call(t, "DELETE", base+"/v1/messages/"+id, "")
					require.Contains(t, []int{http.StatusOK, http.StatusConflict}, status, v)
					cancelled[id] = status == http.StatusOK
				}
			}
		}
		require.Eventually(t, func() bool {
			a, err := s.ledger.Audit(t.Context(), s.sender)
			return err == nil && a.Unsettled() == 0
		}, 30*time.Second, 20*time.Millisecond)
		require.Equal(t, exitOK, r.stop().code)
		sent := 0
		for i := range n {
			id := fmt.Sprint("m", i)
			want := message.Submitted
			if cancelled[id] {
				want = message.Cancelled
			} else {
				sent++
			}
			require.Equal(t, want, s.status(s.sender, id), id)
		}
		require.EqualValues(t, sent, s.sim.Stats().Requests, "so many requests, and no more")
		t.Logf("%d of %d cancelled in time", n-sent, n)
	})
}

var example = regexp.MustCompile("(?s)<!-- run: (\\w+) -->\n```\\w+\n(.*?)```")

// The examples of docs/api.md run, each where its language is there.
func TestTheExamplesRun(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, withAPIKey)
	s.environ = append(s.environ, "TEST_API_KEY="+apiKey)
	base := s.begin("http").address()
	doc, err := os.ReadFile("../../docs/api.md")
	require.NoError(t, err)
	found := example.FindAllStringSubmatch(string(doc), -1)
	require.Len(t, found, 3)
	for i, e := range found {
		t.Run(e[1], func(t *testing.T) {
			command := map[string][]string{"sh": {"sh", "-eu"}, "python": {"python3", "-"}, "node": {"node", "--input-type=module", "-"}}[e[1]]
			for _, program := range append(command[:1:1], map[string][]string{"sh": {"curl"}}[e[1]]...) {
				if _, err := exec.LookPath(program); err != nil {
					t.Skipf("SKIPPED: there is no %s here", program)
				}
			}
			source := strings.NewReplacer("http://127.0.0.1:8080", base, "shop", s.sender).Replace(e[2])
			cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
			cmd.Stdin, cmd.Env = strings.NewReader(source), append(os.Environ(), "API_KEY="+apiKey, "no_proxy=*")
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			require.NoError(t, cmd.Run(), out.String())
			id := fmt.Sprint("order-", 42+i)
			require.Contains(t, out.String(), id)
			require.Contains(t, out.String(), "queued")
			require.Equal(t, message.Queued, s.status(s.sender, id))
		})
	}
}

// asynqTask tells the type of a task of the default queue.
func asynqTask(rdb *redis.Client, sender, id string) (string, error) {
	info, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo(message.Queue(sender, message.Default), id)
	if err != nil {
		return "", err
	}
	return info.Type, nil
}
