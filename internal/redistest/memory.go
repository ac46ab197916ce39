package redistest

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// Memory answers a client's INFO memory in Redis's place: an embedded Redis knows no maxmemory, and a shared one's belongs to all.
type Memory struct {
	answer atomic.Pointer[string]
	asked  atomic.Int64
}

// Pretend puts a Memory in front of a client. Until it is told more, it passes everything on.
func Pretend(rdb *redis.Client) *Memory {
	m := &Memory{}
	rdb.AddHook(m)
	return m
}

// Set makes so many bytes used, of at most so many; 0 is no limit.
func (m *Memory) Set(used, most int64) {
	m.Say(fmt.Sprintf("# Memory\r\nused_memory:%d\r\nused_memory_human:x\r\nmaxmemory:%d\r\nmem_not_counted_for_evict:0\r\n", used, most))
}

// Say gives the whole answer. An empty one is no answer.
func (m *Memory) Say(answer string) { m.answer.Store(&answer) }

// Asked is how often INFO memory was asked.
func (m *Memory) Asked() int64 { return m.asked.Load() }

// DialHook implements redis.Hook.
func (m *Memory) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (m *Memory) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook implements redis.Hook.
func (m *Memory) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !slices.Equal(cmd.Args(), []any{"info", "memory"}) {
			return next(ctx, cmd)
		}
		m.asked.Add(1)
		answer := m.answer.Load()
		switch info, isText := cmd.(*redis.StringCmd); {
		case answer == nil:
			return next(ctx, cmd)
		case *answer == "" || !isText:
			cmd.SetErr(context.DeadlineExceeded)
		default:
			info.SetVal(*answer)
		}
		return cmd.Err()
	}
}
