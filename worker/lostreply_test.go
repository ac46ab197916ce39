package worker_test

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by their SHA-1
	"encoding/hex"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/worker"
)

// loseReplies makes the first reply to each of the ledger's scripts get lost after Redis has executed it.
type loseReplies struct {
	mu   sync.Mutex
	left map[string]bool // by the script's SHA-1
}

func losing(scripts ...string) *loseReplies {
	l := &loseReplies{left: map[string]bool{}}
	for sha, name := range ledger.ScriptNames() {
		for _, s := range scripts {
			if s == name {
				l.left[sha] = true
			}
		}
	}
	return l
}

func (l *loseReplies) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (l *loseReplies) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := next(ctx, cmd); err != nil || len(cmd.Args()) < 2 {
			return err
		}
		sha, _ := cmd.Args()[1].(string)
		if cmd.Name() == "eval" { // the first time, the script is sent whole
			sum := sha1.Sum([]byte(sha)) //nolint:gosec // Redis names scripts by their SHA-1
			sha = hex.EncodeToString(sum[:])
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.left[sha] {
			delete(l.left, sha)
			cmd.SetErr(io.EOF)
			return io.EOF
		}
		return nil
	}
}

func (l *loseReplies) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A change whose reply was lost is written again, and the ledger says that it is a repeat. It is still this run's own decision:
// asynq must be told of it as if nothing had happened, or a dead letter would look like a finished task in the web UI.
func TestALostReplyChangesNothing(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		for _, tc := range []struct {
			name    string
			script  string
			fault   gupshuptest.Fault
			times   int
			onDoubt message.OnInDoubt
			status  message.Status
			code    string
		}{
			{"commit of a refusal", "commit", gupshuptest.Fault{Kind: gupshuptest.KindCode, Code: 1002}, 0, "", message.Dead, "1002"},
			{"commit of a retry", "commit", gupshuptest.Fault{Kind: gupshuptest.KindHTTP, Status: 503}, 1, "", message.Submitted, ""},
			{"commit of a doubt that is sent again", "commit", gupshuptest.Fault{Kind: gupshuptest.KindResetAfter}, 1, message.Resend, message.Submitted, ""},
			{"decision to give up", "resolve", gupshuptest.Fault{Kind: gupshuptest.KindResetAfter}, 0, message.Hold, message.Dead, worker.CodeInDoubt},
		} {
			t.Run(tc.name, func(t *testing.T) {
				t.Parallel()
				s := newSite(t, rdb, gupshuptest.Config{Rules: []gupshuptest.Rule{{Times: tc.times, Fault: tc.fault}}})
				own := redis.NewClient(&redis.Options{Addr: rdb.Options().Addr, ContextTimeoutEnabled: true})
				t.Cleanup(func() { _ = own.Close() })
				own.AddHook(losing(tc.script))
				s.cfg.Ledger = ledger.New(own, ledger.Config{})
				s.run()
				m := s.text("a", "919876543210", message.Critical)
				m.OnInDoubt = tc.onDoubt
				s.send(m)
				rec := s.becomes("a", tc.status)
				if tc.script == "commit" {
					require.Equal(t, 1, rec.Generation, "the same task brings the retry, not the sweeper after its grace")
				}
				if tc.status == message.Dead {
					require.Equal(t, tc.code, rec.Code)
					require.Contains(t, s.archivedText("a", rec.Generation, message.Critical), "dead letter: "+tc.code)
				}
				s.balanced()
			})
		}
	})
}
