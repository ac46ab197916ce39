package worker_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// onClaim is called with the number of each claim before it is made.
type onClaim struct {
	n    atomic.Int32
	call func(n int32)
}

func (o *onClaim) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (o *onClaim) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if len(cmd.Args()) > 1 && cmd.Name() == "evalsha" {
			if sha, _ := cmd.Args()[1].(string); ledger.ScriptNames()[sha] == "claim" {
				o.call(o.n.Add(1))
			}
		}
		return next(ctx, cmd)
	}
}

func (o *onClaim) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// requeue is what asynq does with a task that it believes to be lost while a handler still has it.
var requeue = redis.NewScript(`
if redis.call("LREM", KEYS[1], 0, ARGV[1]) == 0 then return redis.error_reply("NOT FOUND") end
redis.call("ZREM", KEYS[2], ARGV[1])
redis.call("RPUSH", KEYS[3], ARGV[1])
redis.call("HSET", KEYS[4], "state", "pending")
return "OK"`)

func (s *site) requeue(id string, p message.Priority) {
	s.t.Helper()
	key, task := "asynq:{"+message.Queue(s.sender, p)+"}:", message.TaskID(id, 1)
	require.NoError(s.t, requeue.Run(s.t.Context(), s.rdb, []string{key + "active", key + "lease", key + "pending", key + "t:" + task}, task).Err())
}

// Two runs of one task at once: the second must not take what the first has just archived for a person's Run.
func TestASecondRunDoesNotReplayWhatTheFirstArchived(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{
			{Fault: gupshuptest.Fault{Kind: gupshuptest.KindCode, Code: 1002, Delay: 500 * time.Millisecond}},
		}})
		arrived, archived, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		own := redis.NewClient(&redis.Options{Addr: rdb.Options().Addr, ContextTimeoutEnabled: true})
		t.Cleanup(func() { _ = own.Close() })
		own.AddHook(&onClaim{call: func(n int32) {
			if n == 2 {
				close(arrived)
				<-archived
			}
			if n == 3 { // with the token of a replay, or on behalf of the archived task
				close(done)
			}
		}})
		s.cfg.Ledger = ledger.New(own, ledger.Config{})
		stop := s.run()
		s.send(s.text("a", "919876543210", message.Critical))
		s.becomes("a", message.Sending)
		s.requeue("a", message.Critical)
		<-arrived
		text := s.archivedText("a", 1, message.Critical)
		close(archived)
		stop() // waits for the second run
		select {
		case <-done:
			t.Error("the dead letter was claimed once more")
		default:
		}
		require.Len(t, s.becomes("a", message.Dead).Attempts, 1)
		require.Equal(t, text, s.archivedText("a", 1, message.Critical))
		s.balanced()
	})
}

// Two runs of one task at once: the second, which finds the message busy, must not end the task that the first will archive.
func TestASecondRunLeavesTheTaskToTheFirst(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{
			{Fault: gupshuptest.Fault{Kind: gupshuptest.KindCode, Code: 1002, Delay: time.Second}},
		}})
		s.run()
		s.send(s.text("a", "919876543210", message.Bulk)) // without retention: its finished tasks are deleted
		s.becomes("a", message.Sending)
		s.requeue("a", message.Bulk)
		s.becomes("a", message.Dead)
		require.Eventually(t, func() bool { // asynq looks for retries of bulk every 5 s
			info, err := s.inspect.GetTaskInfo(message.Queue(s.sender, message.Bulk), message.TaskID("a", 1))
			return err == nil && info.State == asynq.TaskStateArchived
		}, 20*time.Second, 20*time.Millisecond, "the dead letter should be archived")
		require.Len(t, s.becomes("a", message.Dead).Attempts, 1)
		s.balanced()
	})
}
