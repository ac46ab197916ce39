package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// A simulator with callbacks tells what became of a message, and repeats no secret.
func TestSimulateTellsByCallback(t *testing.T) {
	t.Parallel()
	const token = "token-of-nobody"
	received := make(chan string, 16)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("X-Callback-Token") != token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		received <- r.URL.Path + " " + string(body)
	}))
	defer receiver.Close()
	out, errs := newWatched(), newWatched()
	b := &background{out: out, err: errs, code: make(chan int, 1)}
	stoppable, stop := context.WithCancel(t.Context())
	b.stop = stop
	go func() {
		b.code <- run(stoppable, []string{
			"simulate", "--listen", "127.0.0.1:0", "--callback-url", receiver.URL + "/callbacks/{app}?token=" + token,
			"--callback-token-env", "TEST_CALLBACK_TOKEN", "--callback-speed", "1000", "--callback-read", "100%",
		}, []string{"TEST_CALLBACK_TOKEN=" + token}, strings.NewReader(""), out, errs)
	}()
	t.Cleanup(func() { b.end() })
	base := out.find(t, `listens on (http://127\.0\.0\.1:\d+)`)

	require.Equal(t, http.StatusOK, post(t, base, "any", "DemoApp", "15550005000"))
	require.Equal(t, http.StatusOK, post(t, base, "any", "DemoApp", "1555071002"), "a magic number that fails later")
	var got []string
	for range 5 {
		select {
		case body := <-received:
			require.True(t, strings.HasPrefix(body, "/callbacks/DemoApp "), body)
			got = append(got, body)
		case <-time.After(time.Minute):
			require.Fail(t, "too few callbacks", got)
		}
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{`"enqueued"`, `"sent"`, `"delivered"`, `"read"`, `"code":1002`} {
		require.Contains(t, all, want)
	}
	drain, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/_sim/drain", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, do(t, drain, nil))
	require.Equal(t, exitOK, b.end())
	require.Contains(t, out.String(), "told to "+receiver.URL+"/callbacks/{app}.")
	require.Contains(t, out.String(), "Of the callbacks 5 were taken, 0 given up, and 0 were still to come.")
	require.NotContains(t, out.String()+errs.String(), token)
}

func TestCallbackFlags(t *testing.T) {
	t.Parallel()
	var told callbackFlags
	bare := &cobra.Command{Use: "simulate"}
	told.addTo(bare)
	require.InDelta(t, 0.6, told.cfg.Read, 1e-9)
	require.Equal(t, "60", bare.Flags().Lookup("callback-read").DefValue)
	require.NoError(t, bare.ParseFlags([]string{
		"--callback-url", "http://127.0.0.1:1/x", "--callback-failures", "1002:0.5, 131000:1", "--callback-failures", "4001:2%",
		"--callback-duplicates", "10", "--callback-reorder", "20", "--callback-missing-gsid", "1.5", "--callback-string-codes", "50",
		"--callback-billing", "100", "--callback-undelivered", "3", "--callback-read", "0", "--callback-read-only", "4",
		"--callback-v3", "--callback-fail-once", "--callback-speed", "20", "--callback-concurrency", "4", "--callback-attempts", "5",
	}))
	cfg, err := told.config(bare, nil, 0)
	require.NoError(t, err)
	require.NoError(t, cfg.Validate())
	require.Equal(t, gupshuptest.Callbacks{
		URL: "http://127.0.0.1:1/x", Speed: 20, FailOnce: true, V3: true, Concurrency: 4, Attempts: 5,
		Failures:   []gupshuptest.Failure{{Code: "1002", Probability: 0.005}, {Code: "131000", Probability: 0.01}, {Code: "4001", Probability: 0.02}},
		Duplicates: 0.1, Reorder: 0.2, MissingGsID: 0.015, StringCodes: 0.5, Billing: 1, Undelivered: 0.03, ReadOnly: 0.04,
	}, cfg)
}

func TestSimulateRefusesWrongCallbackFlags(t *testing.T) {
	t.Parallel()
	const to = "http://127.0.0.1:1/x"
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"no URL", "--callback-read belongs to --callback-url", []string{"--callback-read", "10"}},
		{"not a URL", "use an http or https URL", []string{"--callback-url", "localhost"}},
		{"a share above all", "use a number from 0 to 100", []string{"--callback-url", to, "--callback-read", "101"}},
		{"no share", "use a number from 0 to 100", []string{"--callback-url", to, "--callback-duplicates", "NaN"}},
		{"a failure without a share", `"1002" is not code:percent`, []string{"--callback-url", to, "--callback-failures", "1002"}},
		{"a failure without a code", "is not a number", []string{"--callback-url", to, "--callback-failures", "abc:1"}},
		{"too many failures", "more than 1", []string{"--callback-url", to, "--callback-failures", "1002:60,1003:60"}},
		{"a variable that is not set", "NOT_THERE is empty or not set", []string{"--callback-url", to, "--callback-token-env", "NOT_THERE"}},
		{"sandbox-start of nobody", "needs an --app", []string{"--callback-url", to, "--callback-sandbox-start"}},
		{"a negative speed", "speed must be", []string{"--callback-url", to, "--callback-speed", "-1"}},
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
