package main

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
)

func TestMessageShowIsTheObjectOfTheContract(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		s.dies(s.sender, "a", "1002")
		got := decode[map[string]any](t, s.ok("message", "show", "a", "--json").out)
		require.Equal(t, []string{
			"attempts", "class", "code", "created_at", "id", "message_id", "priority", "reason", "receipts", "sender", "status", "to",
			"updated_at", "waiting_for",
		}, keys(got))
		require.Equal(t, "9198******10", got["to"])
		require.Equal(t, "1002", got["code"])
		require.Equal(t, "recipient", got["class"])
		require.Equal(t, "dead", got["status"])
		require.Equal(t, []any{}, got["receipts"])
		attempts := got["attempts"].([]any)
		require.Len(t, attempts, 1)
		require.Equal(t, []string{"at", "code", "message_id", "n", "outcome"}, keys(attempts[0].(map[string]any)))
		require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`, got["created_at"])

		revealed := decode[map[string]any](t, s.ok("message", "show", "a", "--json", "--reveal").out)
		require.Equal(t, testNumber, revealed["to"])
	})
}

func TestMessageShowTellsTheStory(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	s.ok("send", "--to", testNumber, "--text", "Hello", "--id", "q", "--priority", "critical", "--metadata", "order=4711")
	story := s.ok("message", "show", "q").out
	require.Contains(t, story, "message q of sender "+s.sender+" to 9198******10, priority critical\n")
	require.Contains(t, story, "it expires, if it has not been sent until then")
	require.Equal(t, map[string]any{"order": "4711"}, decode[map[string]any](t, s.ok("message", "show", "q", "--json").out)["metadata"])

	s.ok("send", "--to", testNumber, "--text", "Hello", "--id", "later", "--send-at", "2h")
	at := decode[map[string]any](t, s.ok("message", "show", "later", "--json").out)["next_at"].(string)
	require.NotEmpty(t, at)
	require.Contains(t, s.ok("message", "show", "later").out, at+"  it is tried, unless it is kept back still\n")

	s.dies(s.sender, "d", "IN_DOUBT")
	story = s.ok("dead", "show", "d").out
	require.Contains(t, story, "attempt 1 in_doubt, code IN_DOUBT")
	require.Contains(t, story, "it is dead: IN_DOUBT (in_doubt) the connection broke")
	require.Contains(t, story, "sends it again, although it may have arrived")

	got := s.run("dead", "show", "q")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.errs, "message q is queued, not a dead letter")
	got = s.run("message", "show", "nobody")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.errs, `no message "nobody" of `+s.sender+`: it was never accepted, or its record was retired (ledger.retention is 7d)`)
}

func TestOneIDOfSeveralSenders(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "", true)
	s.dies(s.sender, "a", "1002")
	s.dies(s.second, "a", "1003")
	for _, args := range [][]string{{"message", "show", "a"}, {"dead", "show", "a"}} {
		got := s.run(args...)
		require.Equal(t, exitFailed, got.code)
		require.Contains(t, got.errs, "the senders "+s.sender+", "+s.second+` each have a message "a": choose one with --sender`)
	}
	view := decode[map[string]any](t, s.ok("message", "show", "a", "--sender", s.second, "--json").out)
	require.Equal(t, "1003", view["code"])
}
