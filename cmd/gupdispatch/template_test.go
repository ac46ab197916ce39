package main

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
)

const anotherTemplate = "d7bfdf07-cdc1-4fc2-9211-39d1a5f4cd7c"

func TestTemplateHoldListRelease(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "", true)
		list := func(args ...string) []map[string]any {
			return decode[[]map[string]any](t, s.ok(append([]string{"template", "list", "--json"}, args...)...).out)
		}
		require.Empty(t, list())
		require.Contains(t, s.ok("template", "list").errs, "no template is held")

		held := s.ok("template", "hold", testTemplate, "--sender", s.sender, "--reason", "a wrong price", "--by", "ravi", "--until", "2h")
		require.Equal(t, "template "+testTemplate+" of "+s.sender+" held, ends in 2h0m0s: its messages wait when their turn comes\n", held.out)
		s.holds(s.second, "template", "4005", ledger.Hold{Template: testTemplate})
		s.holds(s.second, "storm", "132000", ledger.Hold{Template: anotherTemplate})

		require.Len(t, list(), 3)
		require.Len(t, list("--sender", s.second), 2)
		mine := list("--sender", s.sender)[0]
		require.Equal(t, []string{"by", "code", "note", "probe", "reason", "seen_by", "sender", "since", "template", "until", "waiting"}, keys(mine))
		for key, want := range map[string]string{"sender": s.sender, "template": testTemplate, "reason": "by_hand", "note": "a wrong price", "by": "ravi", "code": ""} {
			require.Equal(t, want, mine[key], key)
		}
		require.WithinDuration(t, time.Now().Add(2*time.Hour), time.Time(parseStamp(t, mine["until"])), time.Minute)
		require.Equal(t, map[string]any{"critical": 0.0, "default": 0.0, "bulk": 0.0}, mine["waiting"])
		table := s.ok("template", "list").out
		require.Regexp(t, `^SENDER +TEMPLATE +WAITING +AGE +NEXT +WHY\n`, table)
		require.Regexp(t, s.sender+` +`+testTemplate+` +0 +\d+s +ends in \S+ +by ravi, "a wrong price"\n`, table)
		require.Regexp(t, s.second+` +`+anotherTemplate+` +0 +\d+s +tried again in \S+ +storm \(132000\)\n`, table)

		// A person's hold takes the place of the policy's.
		again := s.ok("template", "hold", testTemplate, "--sender", s.second, "--reason", "not before Monday", "--json")
		require.Equal(t, keys(mine), keys(decode[map[string]any](t, again.out)))
		require.Nil(t, list("--sender", s.second)[0]["until"])
		again = s.ok("template", "hold", testTemplate, "--sender", s.second, "--reason", "not before Tuesday")
		require.Contains(t, again.errs, `this takes the place of a hold of it: by `)

		released := strings.Split(s.ok("template", "release", testTemplate).out, "\n")
		require.Len(t, released, 3, "both senders")
		require.Regexp(t, `^template `+testTemplate+` of `+s.sender+` released; the hold was: by ravi, "a wrong price", for \d+s; `+
			`0 messages wait: let go bit by bit`, released[0])
		require.Contains(t, released[1], testTemplate+" of "+s.second+" released")
		require.Len(t, list(), 1)

		nothing := s.run("template", "release", testTemplate, "--sender", s.second)
		require.Equal(t, exitFailed, nothing.code)
		require.Empty(t, nothing.out)
		require.Contains(t, nothing.errs, "template "+testTemplate+" of "+s.second+" is not held: nothing was released")
		require.Equal(t, exitFailed, s.run("template", "release", anotherTemplate, "--sender", s.sender).code, "that is the other sender's")
		json := decode[[]map[string]any](t, s.ok("template", "release", anotherTemplate, "--json").out)
		require.Len(t, json, 1)
		require.Equal(t, "storm", json[0]["reason"])
		require.Empty(t, list())
	})
}
