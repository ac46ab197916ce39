package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// watched is an output whose lines a test waits for while a command runs.
type watched struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{}
}

func newWatched() *watched { return &watched{changed: make(chan struct{}, 1)} }

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(p)
	select {
	case w.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// find waits until pattern matches and returns its first group.
func (w *watched) find(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(2 * time.Minute)
	for {
		if found := re.FindStringSubmatch(w.String()); found != nil {
			return found[len(found)-1]
		}
		select {
		case <-w.changed:
		case <-deadline:
			require.Failf(t, "not printed in time", "%s in:\n%s", pattern, w)
		}
	}
}

// background is a command that runs until its test stops it.
type background struct {
	out, err *watched
	stop     context.CancelFunc
	code     chan int
}

func start(t *testing.T, args ...string) *background {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	b := &background{out: newWatched(), err: newWatched(), stop: cancel, code: make(chan int, 1)}
	go func() { b.code <- run(ctx, args, nil, strings.NewReader(""), b.out, b.err) }()
	t.Cleanup(func() { b.end() })
	return b
}

// end stops the command, if it has not ended, and returns its exit code.
func (b *background) end() int {
	b.stop()
	code := <-b.code
	b.code <- code
	return code
}

func TestSimulateServesAndStops(t *testing.T) {
	t.Parallel()
	rules := filepath.Join(t.TempDir(), "rules.json")
	require.NoError(t, os.WriteFile(rules, []byte(`[{"destination": "*77", "times": 1, "fault": {"kind": "429"}}]`), 0o600))
	b := start(t, "simulate", "--listen", "127.0.0.1:0", "--app", "My:App:917834811114:test-key-of-nobody", "--rules", rules, "--keep-bodies", "--seed", "7")
	base := b.out.find(t, `listens on (http://127\.0\.0\.1:\d+)`)

	require.Equal(t, http.StatusOK, post(t, base, "test-key-of-nobody", "My:App", "15550005000"))
	require.Equal(t, http.StatusUnauthorized, post(t, base, "another", "My:App", "15550005000"))
	require.Equal(t, http.StatusTooManyRequests, post(t, base, "test-key-of-nobody", "My:App", "15550005077"), "the rule")
	require.Equal(t, http.StatusBadRequest, post(t, base, "test-key-of-nobody", "My:App", "15550001002"), "a magic number")

	var stats gupshuptest.Stats
	get(t, base+"/_sim/stats", &stats)
	require.EqualValues(t, 4, stats.Requests)
	require.EqualValues(t, 1, stats.Accepted)
	require.EqualValues(t, 7, stats.Seed)

	require.Equal(t, exitOK, b.end())
	require.Contains(t, b.out.String(), "Stopped after 4 requests: 1 accepted, 0 of them duplicates.")
	require.NotContains(t, b.out.String()+b.err.String(), "test-key-of-nobody", "keys are not printed")
	require.Empty(t, b.err.String(), "no line per request, and no warning on loopback")
}

// What the simulator says to try is what works.
func TestSimulateCommandsToTryWork(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("SKIPPED: curl is not installed")
	}
	for _, magic := range []string{"true", "false"} {
		b := start(t, "simulate", "--listen", "127.0.0.1:0", "--magic="+magic)
		b.out.find(t, `(/_sim/stats)`)
		commands := regexp.MustCompile(`(?m)^  (curl .*)$`).FindAllStringSubmatch(b.out.String(), -1)
		require.Len(t, commands, 3)
		for i, c := range commands {
			out, err := exec.CommandContext(t.Context(), "sh", "-c", c[1]).CombinedOutput()
			require.NoError(t, err, c[1])
			if i == 0 {
				require.Contains(t, string(out), `"status":"submitted"`, c[1])
			}
			require.True(t, json.Valid(out), "%s: %s", c[1], out)
			require.NotContains(t, string(out), `"error"`, c[1])
		}
		require.Equal(t, exitOK, b.end())
	}
}

func TestSimulateWarnsBeyondLoopback(t *testing.T) {
	t.Parallel()
	b := start(t, "simulate", "--listen", "0.0.0.0:0")
	b.out.find(t, `listens on (http://127\.0\.0\.1:\d+)`)
	require.Contains(t, b.err.String(), "can be reached from other machines")
	require.Equal(t, exitOK, b.end())
}

func TestSimulateRefusesWrongUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"an app without a key", "--app number 1 is not name:source:key", []string{"--app", "DemoApp:917834811114"}},
		{"an app with an empty key", "--app number 2", []string{"--app", "A:1234567:k", "--app", "B:1234567: "}},
		{"no rules file", "--rules " + filepath.Join(dir, "none") + ": no such file", []string{"--rules", filepath.Join(dir, "none")}},
		{"rules with an unknown name", `unknown field "recipient"`, []string{"--rules", file("a", `[{"recipient": "1"}]`)}},
		{"two arrays of rules", "more than one", []string{"--rules", file("b", `[] []`)}},
		{"an unknown fault", `"flood" does not exist`, []string{"--rules", file("c", `[{"fault": {"kind": "flood"}}]`)}},
		{"an unknown status", "success status", []string{"--status", "fine"}},
		{"a negative latency", "must not be negative", []string{"--latency", "-1s"}},
		{"an argument", "takes no arguments", []string{"now"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			args := append([]string{"simulate", "--listen", "127.0.0.1:0"}, c.args...)
			require.Equal(t, exitUsage, run(t.Context(), args, nil, strings.NewReader(""), &out, &errs))
			require.Contains(t, errs.String(), c.want)
			require.Empty(t, out.String())
		})
	}
}

func TestSimulateNamesATakenPort(t *testing.T) {
	t.Parallel()
	b := start(t, "simulate", "--listen", "127.0.0.1:0")
	taken := strings.TrimPrefix(b.out.find(t, `listens on (http://127\.0\.0\.1:\d+)`), "http://")
	var out, errs bytes.Buffer
	require.Equal(t, exitFailed, run(t.Context(), []string{"simulate", "--listen", taken}, nil, strings.NewReader(""), &out, &errs))
	require.Contains(t, errs.String(), taken)
	require.Contains(t, errs.String(), "choose another with --listen")
	require.Equal(t, exitOK, b.end())
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 12: "12", 999: "999", 1000: "1,000", 20_000: "20,000", 1_234_567: "1,234,567"} {
		require.Equal(t, want, thousands(n))
	}
}

// post sends one text message and returns the HTTP status.
func post(t *testing.T, base, key, app, to string) int {
	t.Helper()
	form := url.Values{
		"channel": {"whatsapp"}, "src.name": {app}, "source": {"917834811114"}, "destination": {to},
		"message": {`{"type":"text","text":"hello"}`},
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/wa/api/v1/msg", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("apikey", key)
	return do(t, req, nil)
}

func get(t *testing.T, address string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, do(t, req, into))
}

func do(t *testing.T, req *http.Request, into any) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	if into != nil {
		require.NoError(t, json.Unmarshal(body, into))
	}
	return res.StatusCode
}
