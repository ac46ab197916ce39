package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
	"github.com/gupdispatch/gupdispatch/worker"
)

func TestDeadListIsTheArrayOfTheContract(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		require.JSONEq(t, "[]", s.ok("dead", "list", "--json").out)
		require.Contains(t, s.ok("dead", "list").errs, "no dead letters match")
		s.dies(s.sender, "a", "1002")
		list := decode[[]map[string]any](t, s.ok("dead", "list", "--json").out)
		require.Len(t, list, 1)
		require.Equal(t, []string{"at", "attempts", "class", "code", "id", "message_id", "priority", "reason", "sender", "to"}, keys(list[0]))
		require.Equal(t, "9198******10", list[0]["to"])
		require.Equal(t, 1.0, list[0]["attempts"])
		require.Equal(t, testNumber, decode[[]map[string]any](t, s.ok("dead", "list", "--json", "--reveal").out)[0]["to"])

		table := strings.Split(s.ok("dead", "list").out, "\n")
		require.Regexp(t, `^ID +SENDER +TO +PRIORITY +CODE +REASON +MESSAGE ID +ATTEMPTS +AT$`, table[0])
		require.Regexp(t, `^a +`+s.sender+` +9198\*{6}10 +default +1002 +Number Does Not Exist On WhatsApp +- +1 +20`, table[1])
	})
}

// ids lists what a `dead list --json` shows.
func (s *site) ids(args ...string) []string {
	s.t.Helper()
	all := []string{}
	for _, d := range decode[[]map[string]any](s.t, s.ok(append([]string{"dead", "list", "--json"}, args...)...).out) {
		all = append(all, d["id"].(string))
	}
	return all
}

func TestDeadListMergesAndFilters(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "", true)
	for i, sender := range []string{s.sender, s.second, s.second, s.sender, s.second} {
		s.dies(sender, fmt.Sprintf("m%d", i), fmt.Sprint(1002+i%2))
		s.died(sender, fmt.Sprintf("m%d", i), time.Duration(5-i)*time.Hour)
	}
	for _, tt := range []struct {
		args string
		want string
	}{
		{"", "m4 m3 m2 m1 m0"},
		{"--limit 2", "m4 m3"},
		{"--limit 0", "m4 m3 m2 m1 m0"},
		{"--sender " + s.sender, "m3 m0"},
		{"--code 1003", "m3 m1"},
		{"--code 1003 --limit 1", "m3"},
		{"--code 9999", ""},
		{"--since 150m", "m4 m3"},
		{"--until 150m", "m2 m1 m0"},
		{"--since 270m --until 150m", "m2 m1"},
		{"--until " + time.Now().Add(-270*time.Minute).UTC().Format(time.RFC3339), "m0"},
	} {
		require.Equal(t, tt.want, strings.Join(s.ids(strings.Fields(tt.args)...), " "), tt.args)
	}
	require.Contains(t, s.ok("dead", "list", "--limit", "2").errs, "there are more than 2: raise --limit")
	require.Empty(t, s.ok("dead", "list", "--limit", "5").errs)
}

func TestPeopleGetAPageAndProgramsGetAll(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	for i := range listed + 1 {
		s.dies(s.sender, fmt.Sprint("m", i), "1002")
	}
	require.Len(t, s.ids(), listed+1)
	got := s.ok("dead", "list")
	require.Equal(t, 1+listed, strings.Count(got.out, "\n"))
	require.Contains(t, got.errs, "there are more than 100: raise --limit, or --limit 0 for all")
	require.Equal(t, 1+listed+1, strings.Count(s.ok("dead", "list", "--limit", "0").out, "\n"))
}

// died puts a dead letter's death into the past.
func (s *site) died(sender, id string, ago time.Duration) {
	s.t.Helper()
	at := float64(time.Now().Add(-ago).UnixMilli())
	require.NoError(s.t, s.rdb.ZAdd(s.t.Context(), "gupdispatch:{"+sender+"}:dead", redis.Z{Score: at, Member: id}).Err())
}

func TestReplayAsksAndKeepsItsHandsOffDoubts(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		s.dies(s.sender, "a", "1003")
		s.dies(s.sender, "b", "1003")
		s.dies(s.sender, "doubt", worker.CodeInDoubt)

		got := s.run("dead", "replay", "--all")
		require.Equal(t, exitUsage, got.code)
		require.Contains(t, got.errs, "it would replay 2 dead letters: add --yes to do so")
		require.Contains(t, got.errs, "1 dead letter in doubt left alone")

		dry := s.ok("dead", "replay", "--all", "--dry-run", "--json")
		require.Len(t, decodeLines[handled](t, dry.out), 2)
		require.Contains(t, dry.errs, "would replay 2 dead letters")
		require.Equal(t, exitFailed, s.asTerminal("n\n", "dead", "replay", "--all").code)
		require.Len(t, s.ids(), 3, "nothing was done")

		asked := s.asTerminal("y\n", "dead", "replay", "--code", "1003", "--limit", "1")
		require.Equal(t, exitOK, asked.code, asked.errs)
		require.Contains(t, asked.errs, "replay 1 dead letter? [y/N]")
		require.Contains(t, asked.out, "1 dead letter replayed")
		require.Equal(t, message.Queued, s.status(s.sender, "b"))

		byID := s.run("dead", "replay", "a", "a", "b", "nobody", "--json")
		require.Equal(t, exitFailed, byID.code)
		require.Equal(t, []handled{{ID: "a", Sender: s.sender, Code: "1003", Status: "queued"}}, decodeLines[handled](t, byID.out))
		require.Contains(t, byID.errs, "message b is queued, not a dead letter")
		require.Contains(t, byID.errs, `no message "nobody"`)

		doubt := s.ok("dead", "replay", "--all", "--include-in-doubt", "--yes")
		require.Contains(t, doubt.errs, "they may arrive twice")
		require.Equal(t, message.Queued, s.status(s.sender, "doubt"))
		require.Empty(t, s.ids())
		s.ok("audit", "--deep")

		inspector := asynq.NewInspectorFromRedisClient(rdb)
		for _, id := range []string{"a", "b", "doubt"} {
			info, err := inspector.GetTaskInfo(message.Queue(s.sender, message.Default), message.TaskID(id, 2))
			require.NoError(t, err, "the next generation is enqueued")
			require.Equal(t, asynq.TaskStatePending, info.State)
		}
	})
}

// What a replay would leave alone, a dry run, the question before it and a message's story leave alone, too.
func TestWhatAReplayWouldLeaveAloneIsSaidBefore(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		s.dies(s.sender, "a", "1002")
		require.Contains(t, s.ok("message", "show", "a").out, "`gupdispatch dead replay a --sender "+s.sender+"` sends it again")
		require.Contains(t, s.ok("dead", "replay", "--all", "--dry-run").errs, "would replay 1 dead letter")
		s.ok("suppress", "add", testNumber, "--sender", s.sender)

		dry := s.ok("dead", "replay", "--code", "1002", "--dry-run")
		require.Contains(t, dry.errs, "would replay 0 dead letters")
		require.Contains(t, dry.errs, "a of "+s.sender+" would be left alone: its number is suppressed")
		require.Empty(t, dry.out)
		got := s.ok("dead", "replay", "--all")
		require.Contains(t, got.out, "0 dead letters replayed", "nothing is asked if there is nothing to do")
		for _, args := range [][]string{{"a"}, {"a", "--dry-run"}} {
			got = s.run(append([]string{"dead", "replay"}, args...)...)
			require.Equal(t, exitFailed, got.code, args)
			require.Contains(t, got.errs, "its number is suppressed")
		}
		for _, show := range []string{"message", "dead"} {
			got = s.ok(show, "show", "a")
			require.NotContains(t, got.out, "sends it again")
			require.Contains(t, got.out, "`gupdispatch dead replay` would leave it alone: its number is suppressed")
		}
		require.Contains(t, s.ok("dead", "purge", "--all", "--dry-run").errs, "would purge 1 dead letter")
		s.ok("audit", "--deep")
	})
}

func TestReplayOfALetterInDoubtByItsIDWarns(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	s.dies(s.sender, "doubt", worker.CodeInDoubt)
	got := s.ok("dead", "replay", "doubt")
	require.Contains(t, got.errs, "1 dead letter in doubt: replayed they may arrive twice")
	require.Equal(t, message.Queued, s.status(s.sender, "doubt"))
}

func TestExportedLettersCanBeSentAgain(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		s.dies(s.sender, "a", "1003")
		s.dies(s.sender, "b", "1002")

		masked := decodeLines[map[string]any](t, s.ok("dead", "export").out)
		require.Len(t, masked, 2)
		require.Equal(t, []string{"at", "attempts", "class", "code", "id", "message_id", "priority", "reason", "sender", "to"}, keys(masked[0]))

		lines := decodeLines[struct{ Message json.RawMessage }](t, s.ok("dead", "export", "--reveal", "--code", "1003").out)
		require.Len(t, lines, 1)
		still := s.runWith(string(lines[0].Message), "send", "--file", "-")
		require.JSONEq(t, `{"id":"a","status":"dead"}`, still.out, "what was not purged is not sent twice: "+still.errs)
		s.ok("dead", "purge", "a")
		again := s.runWith(string(lines[0].Message), "send", "--file", "-")
		require.JSONEq(t, `{"id":"a","status":"queued"}`, again.out, again.errs)
		s.ok("audit", "--deep")
	})
}

func TestExportAsCSV(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	s.dies(s.sender, "a", "1003")
	rows, err := csv.NewReader(strings.NewReader(s.ok("dead", "export", "--format", "csv").out)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, strings.Split("id,sender,to,priority,code,class,reason,message_id,attempts,at", ","), rows[0])
	require.Equal(t, []string{"a", s.sender, "9198******10", "default", "1003"}, rows[1][:5])

	rows, err = csv.NewReader(strings.NewReader(s.ok("dead", "export", "--format", "csv", "--reveal").out)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, "message", rows[0][10])
	require.Equal(t, testNumber, decode[message.Message](t, rows[1][10]).To)

	for text, want := range map[string]string{"=1+1": "'=1+1", "+x": "'+x", "-x": "'-x", "@x": "'@x", "x=1": "x=1", "": ""} {
		require.Equal(t, want, view.Harmless(text))
	}
}

func TestPurge(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		for _, id := range []string{"a", "b", "c"} {
			s.dies(s.sender, id, "1002")
		}
		require.Equal(t, exitUsage, s.run("dead", "purge", "--sender", s.sender).code)
		require.Contains(t, s.ok("dead", "purge", "a").out, "1 dead letter purged")
		require.Contains(t, s.ok("dead", "purge", "--all", "--yes").out, "2 dead letters purged")
		books := decode[auditView](t, s.ok("audit", "--deep", "--json").out)
		require.EqualValues(t, 3, books.Retired)
		require.Equal(t, exitFailed, s.run("message", "show", "a").code)
	})
}
