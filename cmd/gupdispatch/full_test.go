package main

import (
	"net/http"
	"regexp"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
)

// At 95 % nothing is sent: whoever looks why must be told, and whoever changes something not be shown a Redis error.
func TestAFullRedisIsTold(t *testing.T) {
	t.Parallel()
	rdb := redistest.Own(t)
	s := newSite(t, rdb, gupshuptest.Config{}, "http: {listen: \"127.0.0.1:0\"}")
	base, client := s.begin("http").address(), browser(t)
	fillUp(t, rdb, 97)
	list := s.ok("sender", "list")
	require.Regexp(t, `Redis's memory is \d+ % full: nothing is accepted and nothing sent until there is room`, list.errs)
	require.Contains(t, list.out, s.sender)
	code, ready := fetch(t, client, base+"/readyz")
	require.Equal(t, http.StatusOK, code, "it still records callbacks")
	require.Contains(t, ready, "nothing sent until there is room")

	require.NoError(t, rdb.ConfigSet(t.Context(), "maxmemory", "1").Err())
	held := s.run("sender", "hold", s.sender, "--reason", "incident")
	require.Equal(t, exitFailed, held.code)
	require.Contains(t, held.errs, "Redis has no memory left, so this was not done: give Redis more maxmemory")
	require.NotContains(t, held.errs, "OOM")

	require.NoError(t, rdb.ConfigSet(t.Context(), "maxmemory", "0").Err())
	require.NotContains(t, s.ok("sender", "list").errs, "full")
}

// fillUp sets maxmemory so that about so many percent of it are used.
func fillUp(t *testing.T, rdb *redis.Client, percent int) {
	t.Helper()
	info, err := rdb.Info(t.Context(), "memory").Result()
	require.NoError(t, err)
	used, err := strconv.Atoi(regexp.MustCompile(`used_memory:(\d+)`).FindStringSubmatch(info)[1])
	require.NoError(t, err)
	require.NoError(t, rdb.ConfigSet(t.Context(), "maxmemory", strconv.Itoa(used*100/percent)).Err())
}
