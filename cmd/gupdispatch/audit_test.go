package main

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/message"
)

func TestAuditAddsUpAndNoticesWhatIsMissing(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "", true)
		s.dies(s.sender, "a", "1002")
		s.dies(s.second, "b", "1002")
		s.ok("send", "--sender", s.second, "--to", testNumber, "--text", "Hello")

		got := decode[map[string]any](t, s.ok("audit", "--json", "--deep").out)
		require.Equal(t, []string{"accepted", "balanced", "counts", "duplicates", "problems", "retired", "senders"}, keys(got))
		require.Equal(t, 3.0, got["accepted"])
		require.Equal(t, true, got["balanced"])
		counts := got["counts"].(map[string]any)
		require.Len(t, counts, len(message.Statuses), "every state, also those nobody is in")
		require.Equal(t, 2.0, counts["dead"])
		require.Equal(t, 1.0, counts["queued"])

		one := decode[auditView](t, s.ok("audit", "--json", "--sender", s.sender).out)
		require.EqualValues(t, 1, one.Accepted)
		require.Len(t, one.Senders, 1)
		require.Contains(t, s.ok("audit").out, "3 accepted, 0 retired: the audit balances\n")

		require.NoError(t, rdb.Del(t.Context(), "gupdispatch:{"+s.sender+"}:m:a").Err())
		require.Equal(t, exitOK, s.run("audit").code, "the counters know nothing of it")
		deep := s.run("audit", "--deep")
		require.Equal(t, exitFailed, deep.code)
		require.Contains(t, deep.errs, s.sender+": 0 records are dead, the counter says 1")
		require.Contains(t, deep.errs, "message a stands in a set but has no record")

		require.NoError(t, rdb.HIncrBy(t.Context(), "gupdispatch:{"+s.sender+"}:count", "accepted", 1).Err())
		lost := s.run("audit", "--json")
		require.Equal(t, exitFailed, lost.code)
		require.Contains(t, lost.errs, s.sender+": 2 were accepted, but the states and the retired add up to 1")
		require.False(t, decode[auditView](t, lost.out).Balanced)
	})
}
