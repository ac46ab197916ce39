package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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

// example runs one example of the documentation against an API at base, in a directory, and returns what it prints.
func (s *site) example(t *testing.T, language, source, base, dir string) string {
	t.Helper()
	command := map[string][]string{"sh": {"sh", "-eu"}, "python": {"python3", "-"}, "node": {"node", "--input-type=module", "-"}}[language]
	for _, program := range append(command[:1:1], map[string][]string{"sh": {"curl"}}[language]...) {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: there is no %s here", program)
		}
	}
	source = strings.NewReplacer("http://127.0.0.1:8080", base, "shop", s.sender).Replace(source)
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Stdin, cmd.Dir, cmd.Env = strings.NewReader(source), dir, append(os.Environ(), "API_KEY="+apiKey, "SHOP_API_KEY="+apiKey, "no_proxy=*")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Run(), out.String())
	return out.String()
}

func examplesOf(t *testing.T, file string) [][]string {
	t.Helper()
	doc, err := os.ReadFile("../../" + file)
	require.NoError(t, err)
	return example.FindAllStringSubmatch(string(doc), -1)
}

// The examples of the documentation run, each where its language is there.
func TestTheExamplesRun(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, withAPIKey)
	s.environ = append(s.environ, "TEST_API_KEY="+apiKey)
	base := s.begin("http").address()
	found := examplesOf(t, "docs/api.md")
	require.Len(t, found, 3)
	for i, e := range found {
		t.Run(e[1], func(t *testing.T) {
			out, id := s.example(t, e[1], e[2], base, t.TempDir()), fmt.Sprint("order-", 43+i)
			require.Contains(t, out, id)
			require.Contains(t, out, "queued")
			require.Equal(t, message.Queued, s.status(s.sender, id))
		})
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "people.csv"), []byte("to,name\n919876543211,Asha\n919876543212,Ravi\n12,Nobody\n"), 0o600))
	found = examplesOf(t, "docs/campaigns.md")
	require.Len(t, found, 3)
	for i, e := range found {
		t.Run("campaign "+e[1], func(t *testing.T) {
			out := s.example(t, e[1], e[2], base, dir)
			require.Contains(t, out, []string{"spring", "summer", "autumn"}[i])
			c, err := s.ledger.GetCampaign(t.Context(), s.sender, []string{"spring", "summer", "autumn"}[i])
			require.NoError(t, err)
			require.EqualValues(t, 2, c.Rows)
			require.Equal(t, []message.CampaignStatus{message.CampaignPaused, message.CampaignRunning, message.CampaignScheduled}[i], c.Status)
			if e[1] == "sh" {
				report, err := os.ReadFile(filepath.Join(dir, "spring.csv"))
				require.NoError(t, err)
				require.Contains(t, string(report), "2,spring.2,9198******11,queued")
			}
		})
	}
	found = examplesOf(t, "README.md")
	require.Len(t, found, 3)
	for i, id := range []string{"order-42", "order-46", "order-47"} {
		t.Run("README "+found[i][1], func(t *testing.T) {
			out := s.example(t, found[i][1], found[i][2], base, dir)
			require.Contains(t, out, `{"id":"`+id+`","status":"queued"}`)
			require.Equal(t, message.Queued, s.status(s.sender, id))
			if i == 0 {
				require.Contains(t, out, `"accepted":2,"rejected":1`)
			}
		})
	}
}

// A whole campaign through the API, with a worker: pause and cancel take effect at once, and the report is complete.
func TestCampaignThroughTheAPI(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{MagicNumbers: true}, withAPIKey)
		s.environ = append(s.environ, "TEST_API_KEY="+apiKey)
		r := s.begin("serve")
		base := r.address() + "/v1/campaigns"
		create := func(id, file string, rate int) {
			var body bytes.Buffer
			w := multipart.NewWriter(&body)
			settings := fmt.Sprintf(`{"id":%q,"rate":%d,"template":{"id":%q,"params":["{name}"]}}`, id, rate, testTemplate)
			require.NoError(t, w.WriteField("campaign", settings))
			require.NoError(t, w.WriteField("recipients", file))
			require.NoError(t, w.Close())
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base, &body)
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+apiKey)
			req.Header.Set("Content-Type", w.FormDataContentType())
			res, err := browser(t).Do(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, http.StatusAccepted, res.StatusCode)
		}
		sent := func() uint64 { return s.sim.Stats().Requests }
		stands := func(event string) uint64 { // no request begins later than a second after the answer
			require.Eventually(t, func() bool { return sent() > 20 }, 20*time.Second, time.Millisecond)
			status, v := call(t, "POST", base+"/c/"+event, "")
			require.Equal(t, http.StatusOK, status, v)
			time.Sleep(time.Second)
			n := sent()
			time.Sleep(300 * time.Millisecond)
			require.Equal(t, n, sent(), event)
			return n
		}
		create("c", recipients(900), 100)
		stands("pause")
		_, v := call(t, "GET", base+"/c", "")
		require.Equal(t, "paused", v["status"])
		before := stands("cancel")
		require.Equal(t, exitOK, s.run("audit", "--deep").code)
		_, v = call(t, "GET", base+"/c", "")
		require.EqualValues(t, 900-before, v["counts"].(map[string]any)["cancelled"], v)
		require.EqualValues(t, 0, v["counts"].(map[string]any)["queued"], v)

		create("d", recipients(300)+"919811111002,Nobody\n", 1000)
		call(t, "POST", base+"/d/pause", `{"reason":"a test"}`)
		call(t, "POST", base+"/d/resume", "")
		require.Eventually(t, func() bool {
			_, v := call(t, "GET", base+"/d", "")
			return v["status"] == "completed"
		}, 60*time.Second, 50*time.Millisecond)
		require.Equal(t, before+301, sent(), "each once")
		report, err := csv.NewReader(strings.NewReader(s.ok("campaign", "report", "d").out)).ReadAll()
		require.NoError(t, err)
		require.Len(t, report, 302)
		for _, row := range report[1:301] {
			require.Equal(t, "submitted", row[3])
			require.NotEmpty(t, row[5])
		}
		require.Equal(t, []string{"dead", "1002"}, report[301][3:5])
		_, list := call(t, "GET", base+"?limit=1", "")
		require.Equal(t, decode[[]any](t, s.ok("campaign", "list", "--json").out)[1].(map[string]any)["counts"], list["items"].([]any)[0].(map[string]any)["counts"], "one object")

		s.dies(s.sender, "letter", "1008") // of no campaign
		_, v = call(t, "GET", r.address()+"/v1/dead-letters?campaign=d", "")
		require.Equal(t, "d.302", v["items"].([]any)[0].(map[string]any)["id"])
		require.Len(t, v["items"], 1)
		_, v = call(t, "GET", r.address()+"/v1/dead-letters?campaign=c", "")
		require.Empty(t, v["items"])
		status, v := call(t, "POST", r.address()+"/v1/dead-letters/replay", `{"campaign":"c"}`)
		require.Equal(t, http.StatusOK, status)
		require.EqualValues(t, 0, v["replayed"])
		require.Equal(t, exitOK, r.stop().code)
	})
}

// asynqTask tells the type of a task of the default queue.
func asynqTask(rdb *redis.Client, sender, id string) (string, error) {
	info, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo(message.Queue(sender, message.Default), id)
	if err != nil {
		return "", err
	}
	return info.Type, nil
}
