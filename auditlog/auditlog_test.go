package auditlog_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/auditlog"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
)

// own is a log that nobody else writes to: its keys are the same for all, so only on an embedded Redis it is empty.
func own(t *testing.T) (*auditlog.Log, *redis.Client) {
	rdb := redistest.Embedded(t)
	return auditlog.New(rdb), rdb
}

func TestWhatWasWrittenIsRead(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		log, user := auditlog.New(rdb), redistest.Sender()
		began := time.Now().Add(-time.Minute)
		write := func(action, target string) {
			require.NoError(t, log.Write(t.Context(), auditlog.Entry{
				User: user, Role: "admin", Client: "192.0.2.1", Action: action, Target: target, Outcome: auditlog.Done, Detail: "a\nb\x00c",
			}))
		}
		write("task.run", "demo.bulk m-1:1")
		write(auditlog.ActionLogin, "")
		write("tasks.run", "demo.bulk")
		read := func(f auditlog.Filter) (actions []string) {
			f.User = user
			all, err := log.Read(t.Context(), f)
			require.NoError(t, err)
			for _, e := range all {
				actions = append(actions, e.Action)
			}
			return actions
		}
		require.ElementsMatch(t, []string{"tasks.run", "login", "task.run"}, read(auditlog.Filter{}))
		require.Equal(t, []string{"task.run"}, read(auditlog.Filter{Action: "task"}))
		require.Equal(t, []string{"login"}, read(auditlog.Filter{Action: "login"}))
		require.Len(t, read(auditlog.Filter{Limit: 2}), 2)
		require.Len(t, read(auditlog.Filter{Since: began}), 3)
		require.Empty(t, read(auditlog.Filter{Since: time.Now().Add(time.Hour)}))

		all, err := log.Read(t.Context(), auditlog.Filter{User: user, Action: "task"})
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), all[0].At, time.Minute)
		all[0].At = time.Time{}
		require.Equal(t, auditlog.Entry{
			User: user, Role: "admin", Client: "192.0.2.1", Action: "task.run", Target: "demo.bulk m-1:1", Outcome: auditlog.Done, Detail: "a b c",
		}, all[0])
	})
}

func TestTheLogIsBounded(t *testing.T) {
	t.Parallel()
	log, rdb := own(t)
	ctx := context.Background()
	require.NoError(t, log.Write(ctx, auditlog.Entry{User: "ops", Action: "queue.pause", Detail: strings.Repeat("ж", 5000)}))
	for i := range 2500 {
		require.NoError(t, log.Write(ctx, auditlog.Entry{User: "guess", Action: auditlog.ActionLogin, Target: fmt.Sprint(i), Outcome: auditlog.Refused}))
	}
	require.LessOrEqual(t, rdb.XLen(ctx, "gupdispatch:audit-log:logins").Val(), int64(2100))
	all, err := log.Read(ctx, auditlog.Filter{})
	require.NoError(t, err)
	require.Greater(t, len(all), 1900, "more than one page")
	require.Equal(t, "queue.pause", all[len(all)-1].Action, "guesses do not push out what was done")
	require.Less(t, len(all[len(all)-1].Detail), 2010)
	seen := map[string]bool{}
	for _, e := range all {
		require.False(t, seen[e.Target], "pages overlap at %s", e.Target)
		seen[e.Target] = true
	}
}
