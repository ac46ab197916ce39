package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/flow"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

var holdKeys = []string{"by", "code", "note", "priorities", "probe", "reason", "seen_by", "since", "until"}

// listed is `sender list --json`, by name.
func (s *site) listed() map[string]map[string]any {
	s.t.Helper()
	all := map[string]map[string]any{}
	for _, v := range decode[[]map[string]any](s.t, s.ok("sender", "list", "--json").out) {
		all[v["name"].(string)] = v
	}
	return all
}

// holds is what the policy does: it tries the hold again by itself.
func (s *site) holds(sender, reason, code string, h ledger.Hold) {
	s.t.Helper()
	h.For, h.AtMost = time.Minute, time.Hour
	_, err := s.ledger.SetHold(s.t.Context(), ledger.HoldRequest{Sender: sender, Reason: reason, Code: code, Hold: h})
	require.NoError(s.t, err)
}

func TestSenderListIsTheArrayOfTheContract(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "", true)
		calm := s.listed()[s.sender]
		require.Equal(t, []string{
			"daily_recipients", "effective_rate", "hold", "holds", "later", "name", "paused", "rate", "slowed_recipients", "stopped_until", "templates_held", "used", "waiting",
		}, keys(calm))
		require.Equal(t, map[string]any{
			"name": s.sender, "rate": 1000.0, "effective_rate": 1000.0, "used": 0.0, "stopped_until": nil, "hold": nil, "holds": []any{},
			"later": 0.0, "templates_held": 0.0, "waiting": map[string]any{"critical": 0.0, "default": 0.0, "bulk": 0.0}, "daily_recipients": nil, "paused": []any{},
			"slowed_recipients": 0.0,
		}, calm)
		require.Regexp(t, `^SENDER +RATE +NOW +USED +CRITICAL +DEFAULT +BULK +LATER +HELD\n`+
			s.sender+` +1000 +1000 +0 +0 +0 +0 +0 +-\n`+s.second, s.ok("sender", "list").out)

		s.ok("send", "--sender", s.sender, "--to", testNumber, "--text", "Hello", "--priority", "critical")
		s.ok("send", "--sender", s.sender, "--to", testNumber, "--text", "Hello", "--priority", "bulk")
		s.ok("send", "--sender", s.sender, "--to", testNumber, "--text", "Hello", "--priority", "bulk")
		s.holds(s.sender, "spam", "131048", ledger.Hold{Priorities: []message.Priority{message.Default, message.Bulk}})
		s.holds(s.sender, "account", "1003", ledger.Hold{})
		s.holds(s.sender, "template", "4005", ledger.Hold{Template: testTemplate})
		require.NoError(t, flow.NewGate(rdb, flow.GateConfig{Sender: s.sender, Rate: 1000}).Slow(t.Context(), time.Time{}, time.Minute))
		require.NoError(t, asynq.NewInspectorFromRedisClient(rdb).PauseQueue(message.Queue(s.sender, message.Bulk)))
		s.configure("rate: 1000", "rate: 1000, daily_recipients: 250")
		day := redis.Z{Score: float64(time.Now().UnixMilli()), Member: testNumber}
		require.NoError(t, rdb.ZAdd(t.Context(), "gupdispatch:{"+s.sender+"}:daily", day).Err())
		slowed := redis.Z{Score: float64(time.Now().Add(time.Minute).UnixMilli()), Member: testNumber}
		require.NoError(t, rdb.ZAdd(t.Context(), "gupdispatch:{"+s.sender+"}:slowed", slowed).Err())

		got := s.listed()[s.sender]
		require.Zero(t, got["effective_rate"], "stopped")
		require.WithinDuration(t, time.Now().Add(time.Minute), time.Time(parseStamp(t, got["stopped_until"])), 10*time.Second)
		require.Equal(t, map[string]any{"critical": 1.0, "default": 0.0, "bulk": 2.0}, got["waiting"])
		require.Equal(t, map[string]any{"budget": 250.0, "used": 1.0}, got["daily_recipients"])
		require.Equal(t, 1.0, got["slowed_recipients"])
		require.Equal(t, []any{message.Queue(s.sender, message.Bulk)}, got["paused"])
		require.Equal(t, 1.0, got["templates_held"])
		hold, both := got["hold"].(map[string]any), got["holds"].([]any)
		require.Equal(t, holdKeys, keys(hold))
		require.Equal(t, "account", hold["reason"], "the widest")
		require.Equal(t, "1003", hold["code"])
		require.WithinDuration(t, time.Now(), time.Time(parseStamp(t, hold["since"])), 10*time.Second)
		require.WithinDuration(t, time.Now().Add(time.Minute), time.Time(parseStamp(t, hold["until"])), 10*time.Second)
		require.Len(t, both, 2)
		require.Equal(t, hold, both[0])
		require.Equal(t, []any{"default", "bulk"}, both[1].(map[string]any)["priorities"])
		require.Equal(t, calm["rate"], s.listed()[s.second]["effective_rate"], "the other is not concerned")
		require.Nil(t, s.listed()[s.second]["hold"])

		table := s.ok("sender", "list").out
		for _, want := range []string{
			s.sender + ` +1000 +0 +0 +1 +0 +2 +0 +all, default and bulk, 1 template\n`,
			s.sender + `: all held: account \(1003\), for \d+s; tried again in \S+\n`,
			s.sender + `: default and bulk held: spam \(131048\), for \d+s; tried again in \S+\n`,
			s.sender + ": 1 template held: see `gupdispatch template list`\n",
			s.sender + `: Gupshup wants nothing for another \S+; .*\n`,
			s.sender + `: 1 of 250 recipients within 24 hours\n`,
			s.sender + `: a person paused the queue ` + s.sender + `\.bulk: resume it in the web UI\n`,
		} {
			require.Regexp(t, want, table)
		}
	})
}

func TestSenderHoldAndRelease(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		s.ok("send", "--to", testNumber, "--text", "Hello", "--priority", "bulk")
		held := s.ok("sender", "hold", s.sender, "--reason", "a wrong link", "--priority", "bulk", "--until", "30m", "--by", "ravi")
		require.Equal(t, "bulk of "+s.sender+" held, ends in 30m0s; 1 message waits\n`gupdispatch sender release "+s.sender+"` lets go\n", held.out)
		require.Empty(t, held.errs)
		hold := s.listed()[s.sender]["hold"].(map[string]any)
		require.Equal(t, []any{"bulk"}, hold["priorities"])
		for key, want := range map[string]string{"reason": "by_hand", "note": "a wrong link", "by": "ravi", "code": "", "probe": ""} {
			require.Equal(t, want, hold[key], key)
		}
		require.Regexp(t, s.sender+`: bulk held: by ravi, "a wrong link", for \d+s; ends in (30m0s|29m\d+s)\n`, s.ok("sender", "list").out)

		// Holding more does not let go of bulk, and says what it takes the place of.
		wider := s.ok("sender", "hold", s.sender, "--reason", "see above", "--priority", "default,default", "--json")
		v := decode[map[string]any](t, wider.out)
		require.Equal(t, []string{"hold", "sender", "waiting"}, keys(v))
		require.Equal(t, map[string]any{"critical": 0.0, "default": 0.0, "bulk": 1.0}, v["waiting"])
		hold = s.listed()[s.sender]["hold"].(map[string]any)
		require.Equal(t, hold, v["hold"])
		require.Equal(t, []any{"default", "bulk"}, hold["priorities"])
		require.NotEmpty(t, hold["by"], "the user's name")
		require.Nil(t, hold["until"], "until it is released")

		// All priorities are the whole sender; that is another hold, beside it.
		whole := s.ok("sender", "hold", s.sender, "--reason", "moving", "--priority", "bulk", "--priority", "critical", "--priority", "default")
		require.Contains(t, whole.out, "all of "+s.sender+" held, until it is released; 1 message waits\n")
		require.Empty(t, whole.errs)
		require.Len(t, s.listed()[s.sender]["holds"], 2)
		again := s.ok("sender", "hold", s.sender, "--reason", "moving again", "--until", time.Now().Add(2*time.Hour).UTC().Format(time.RFC3339))
		require.Contains(t, again.errs, `this takes the place of a hold of all of `+s.sender+`: by `)
		require.Regexp(t, `ends in (2h0m0s|1h59m\d+s); 1 message waits`, again.out)

		released := s.ok("sender", "release", s.sender)
		require.Regexp(t, `^all of `+s.sender+` released; the hold was: by .*, "moving again", for \d+s\n`+
			`default and bulk of `+s.sender+` released; the hold was: by .*, "see above", for \d+s\n`+
			`1 message waits: let go bit by bit, at no more than twice the sender's rate\n$`, released.out)
		require.Nil(t, s.listed()[s.sender]["hold"])

		// What the policy holds is released as well, and said.
		s.holds(s.sender, "account", "1003", ledger.Hold{})
		json := decode[map[string]any](t, s.ok("sender", "release", s.sender, "--json").out)
		require.Equal(t, []string{"pace_restored", "released", "sender", "waiting"}, keys(json))
		require.Equal(t, "account", json["released"].([]any)[0].(map[string]any)["reason"])
		require.Equal(t, map[string]any{"critical": 0.0, "default": 0.0, "bulk": 1.0}, json["waiting"])

		s.holds(s.sender, "template", "4005", ledger.Hold{Template: testTemplate})
		require.NoError(t, asynq.NewInspectorFromRedisClient(rdb).PauseQueue(message.Queue(s.sender, message.Bulk)))
		nothing := s.run("sender", "release", s.sender)
		require.Equal(t, exitFailed, nothing.code)
		require.Empty(t, nothing.out)
		require.Contains(t, nothing.errs, s.sender+" is not held: nothing was released")
		require.Contains(t, nothing.errs, "1 template of "+s.sender+" held, which this does not release")
		require.Contains(t, nothing.errs, "a person paused the queue "+s.sender+".bulk: it stays paused")
		s.ok("audit", "--deep")
	})
}

// The whole way: nothing goes out while it is held, and all of it once it is released.
func TestHoldSendRelease(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		s.begin("worker")
		s.ok("sender", "hold", s.sender, "--reason", "wait for the lawyers", "--priority", "bulk")
		s.ok("template", "hold", testTemplate, "--reason", "a wrong price")
		const n = 5
		for i := range n {
			s.ok("send", "--to", fmt.Sprintf("91987654321%d", i), "--text", "Hello", "--id", fmt.Sprint("b", i), "--priority", "bulk")
		}
		s.ok("send", "--to", otherNumber, "--template", testTemplate, "--id", "t")
		s.ok("send", "--to", otherNumber, "--text", "Hello", "--wait", "--timeout", "30s") // others go, and came last
		waits := func(id string) bool {                                                    // behind the hold, or in a queue that it has paused before it was taken
			got := decode[map[string]any](t, s.ok("message", "show", id, "--json").out)
			return got["status"] == "queued" && (got["waiting_for"] == "by_hand" || id != "t")
		}
		require.Eventually(t, func() bool { return waits("t") }, 20*time.Second, 5*time.Millisecond)
		for i := range n {
			require.True(t, waits(fmt.Sprint("b", i)))
		}
		require.Len(t, s.sim.Accepted(gupshuptest.Filter{}), 1)
		require.Equal(t, map[string]any{"critical": 0.0, "default": 1.0, "bulk": float64(n)}, s.listed()[s.sender]["waiting"])
		require.Contains(t, s.ok("message", "show", "t").out, "it is queued, waiting for by_hand")

		got := s.ok("sender", "release", s.sender)
		require.Contains(t, got.out, fmt.Sprint(n, " messages wait: "), "bulk only")
		taken := func(want int) func() bool {
			return func() bool { return len(s.sim.Accepted(gupshuptest.Filter{})) == want }
		}
		require.Eventually(t, taken(1+n), 20*time.Second, 5*time.Millisecond)
		require.Equal(t, message.Queued, s.status(s.sender, "t"), "its template is held still")
		s.ok("template", "release", testTemplate)
		require.Eventually(t, taken(2+n), 20*time.Second, 5*time.Millisecond)
		s.ok("audit", "--deep")
	})
}

func TestHoldWrongUsage(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "", true)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"sender"}, "a command is missing"},
		{[]string{"template"}, "a command is missing"},
		{[]string{"sender", "list", "x"}, "takes no arguments"},
		{[]string{"sender", "hold", "--reason", "x"}, "needs the name of a sender"},
		{[]string{"sender", "release"}, "needs the name of a sender"},
		{[]string{"sender", "hold", "other", "--reason", "x"}, `sender "other" is not configured: use one of ` + s.sender},
		{[]string{"sender", "release", "other"}, `sender "other" is not configured: use one of ` + s.sender},
		{[]string{"sender", "hold", s.sender}, "--reason is missing: say why"},
		{[]string{"sender", "hold", s.sender, "--reason", " "}, "--reason is missing: say why"},
		{[]string{"sender", "hold", s.sender, "--reason", strings.Repeat("x", 201)}, "--reason has 201 characters; at most 200"},
		{[]string{"sender", "hold", s.sender, "--reason", "x", "--by", strings.Repeat("x", 201)}, "--by has 201 characters; at most 200"},
		{[]string{"sender", "hold", s.sender, "--reason", "x", "--priority", "urgent"}, `--priority "urgent" is unknown: use critical, default or bulk`},
		{[]string{"sender", "hold", s.sender, "--reason", "x", "--priority", ""}, "--priority is empty: use critical, default or bulk"},
		{[]string{"sender", "hold", s.sender, "--reason", "x", "--priority", "bulk,probe"}, `--priority "probe" is unknown`},
		{[]string{"sender", "hold", s.sender, "--reason", "x", "--until", "soon"}, `--until "soon" is no time`},
		{[]string{"sender", "hold", s.sender, "--reason", "x", "--until", "2001-01-01T00:00:00Z"}, `--until "2001-01-01T00:00:00Z" has passed already: write a time to come`},
		{[]string{"sender", "hold", s.sender, "--reason", "x", "--until", "0s"}, `--until "0s" has passed already`},
		{[]string{"template", "list", "--sender", "other"}, `--sender "other" is not configured`},
		{[]string{"template", "hold", "--reason", "x"}, "needs the id of a template"},
		{[]string{"template", "release"}, "needs the id of a template"},
		{[]string{"template", "hold", "order_update", "--reason", "x", "--sender", s.sender}, `"order_update" is not the id of a template: write its UUID`},
		{[]string{"template", "release", "order_update"}, `"order_update" is not the id of a template: write its UUID`},
		{[]string{"template", "hold", testTemplate, "--reason", "x"}, "--sender is missing: name one of " + s.sender},
		{[]string{"template", "hold", testTemplate, "--reason", "x", "--sender", "other"}, `--sender "other" is not configured`},
		{[]string{"template", "hold", testTemplate, "--sender", s.sender}, "--reason is missing"},
		{[]string{"template", "hold", testTemplate, "--sender", s.sender, "--reason", "x", "--until", "2001-01-01T00:00:00Z"}, "has passed already"},
		{[]string{"template", "release", testTemplate, "--sender", "other"}, `--sender "other" is not configured`},
	} {
		got := s.run(tt.args...)
		require.Equal(t, exitUsage, got.code, "%v: %s", tt.args, got.errs)
		require.Contains(t, got.errs, tt.want)
		require.Empty(t, got.out)
	}
	require.Nil(t, s.listed()[s.sender]["hold"], "nothing was done")
	require.JSONEq(t, "[]", s.ok("template", "list", "--json").out)
}

func TestHoldsWithoutRedis(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	// Not a port that was just closed: another test might be given it.
	s.environ = append(s.environ, "GUPDISPATCH_REDIS_URL=redis://127.0.0.1:1/0", "GUPDISPATCH_REDIS_DIAL_TIMEOUT=200ms")
	for _, args := range [][]string{
		{"sender", "list"},
		{"sender", "hold", s.sender, "--reason", "x"},
		{"sender", "release", s.sender},
		{"template", "list"},
		{"template", "hold", testTemplate, "--reason", "x"},
		{"template", "release", testTemplate},
	} {
		require.Equal(t, exitFailed, s.run(args...).code, args)
	}
}
