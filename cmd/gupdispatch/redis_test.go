package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
)

// A Redis that throws messages away is refused at the start, and by /readyz when it becomes one later.
func TestARedisThatEvictsIsRefused(t *testing.T) {
	t.Parallel()
	rdb := redistest.Own(t)
	s := newSite(t, rdb, gupshuptest.Config{}, `workers: {listen: "127.0.0.1:0"}`)
	evict := func(policy string) { require.NoError(t, rdb.ConfigSet(t.Context(), "maxmemory-policy", policy).Err()) }
	evict("allkeys-lru")
	for _, command := range []string{"worker", "serve", "http"} {
		got := s.run(command)
		require.Equal(t, exitFailed, got.code, command)
		require.Contains(t, got.errs, "maxmemory-policy allkeys-lru throws messages away")
		require.Contains(t, got.errs, "redis.allow_unsafe")
	}

	evict("noeviction")
	r := s.begin("worker")
	url := r.address()
	require.Equal(t, http.StatusOK, status(t, url+"/readyz", ""))
	s.ok("send", "--to", testNumber, "--text", "Hello", "--id", "before")
	evict("volatile-ttl")
	refused := s.run("send", "--to", testNumber, "--text", "Hello", "--id", "after")
	require.Equal(t, exitFailed, refused.code)
	require.Contains(t, refused.errs, "not sent: this Redis must not be used as it is: maxmemory-policy volatile-ttl throws messages away")
	people := filepath.Join(t.TempDir(), "people.csv")
	require.NoError(t, os.WriteFile(people, []byte("to\n"+testNumber+"\n"), 0o600))
	taken := s.run("campaign", "create", "--id", "c", "--sender", s.sender, "--template", testTemplate, "--csv", people)
	require.Equal(t, exitFailed, taken.code)
	require.Contains(t, taken.errs, "nothing was taken in: this Redis must not be used as it is")
	require.Equal(t, exitFailed, s.run("message", "show", "after").code)
	require.Equal(t, http.StatusServiceUnavailable, status(t, url+"/readyz", "volatile-ttl throws messages away"))
	unready := s.run("health", "--url", url+"/readyz")
	require.Equal(t, exitFailed, unready.code)
	require.Contains(t, unready.errs, "volatile-ttl")
	s.ok("health", "--url", url+"/healthz")
	require.Equal(t, http.StatusOK, status(t, url+"/healthz", ""), "a restart would mend nothing")
	r.stop()

	s.configure("redis: {", "redis: {allow_unsafe: true, ")
	r = s.begin("worker")
	require.Equal(t, http.StatusOK, status(t, r.address()+"/readyz", ""))
	s.ok("send", "--to", testNumber, "--text", "Hello", "--id", "unsafe")
	r.stop()
}

func status(t *testing.T, url, words string) int {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second}
	res, err := client.Get(url) //nolint:noctx // the client has a timeout
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), words)
	return res.StatusCode
}

func TestReplicasAreJudgedForStrictOnly(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ replicas, needed, grade string }{
		{"", "", gradeUnknown}, {"0", "1", gradeWarning}, {"2", "0", gradeWarning}, {"2", "", gradeOK}, {"1", "1", gradeOK},
	} {
		f := redisFacts{strict: true, replicas: tc.replicas, needed: tc.needed}
		all := f.judge()
		require.Equal(t, tc.grade, all[len(all)-1].grade, "%+v", tc)
		f.strict = false
		require.Len(t, f.judge(), len(all)-1)
	}
}
