package main

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/message"
)

func TestMessageList(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "", true)
		s.dies(s.sender, "a", "1002")
		s.ok("send", "--sender", s.second, "--to", testNumber, "--text", "Hello", "--id", "b")
		s.ok("send", "--sender", s.second, "--to", "+919000000000", "--text", "Hello", "--id", "c")
		ids := func(args ...string) (ids []string) {
			for _, v := range decode[[]map[string]any](t, s.ok(append([]string{"message", "list", "--json", "--to", "+91 98765 43210"}, args...)...).out) {
				ids = append(ids, v["id"].(string))
			}
			return ids
		}
		require.Equal(t, []string{"b", "a"}, ids(), "of all senders, the newest first")
		require.Equal(t, []string{"a"}, ids("--status", "dead"))
		require.Equal(t, []string{"b"}, ids("--sender", s.second))
		require.Equal(t, []string{"b"}, ids("--limit", "1"))

		got := s.ok("message", "list", "--to", "+91 98765 43210", "--limit", "1")
		require.Contains(t, got.errs, "the newest 1 of 2")
		require.Contains(t, got.out, "9198******10")
		got = s.ok("message", "list", "--to", "+919111111111")
		require.Contains(t, got.errs, "no message to this number is known")
	})
}

func TestMessageCancel(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		s.ok("send", "--to", testNumber, "--text", "Hello", "--id", "a")
		require.Equal(t, "message a of sender "+s.sender+" cancelled\n", s.ok("message", "cancel", "a").out)
		require.Equal(t, message.Cancelled, s.status(s.sender, "a"))
		again := decode[map[string]string](t, s.ok("message", "cancel", "a", "--json").out)
		require.Equal(t, map[string]string{"id": "a", "sender": s.sender, "status": "cancelled"}, again)
		s.dies(s.sender, "d", "1002")
		got := s.run("message", "cancel", "d")
		require.Equal(t, exitFailed, got.code)
		require.Contains(t, got.errs, "not cancelled: the message is dead, and only what is queued can be cancelled")
		require.Equal(t, exitFailed, s.run("message", "cancel", "nobody").code)
	})
}
