//go:build unix

package crash

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by their SHA-1
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/worker"
)

// byKeys recognises scripts by their keys, in order; a pattern matches where a key contains it. asynq's are not exported.
var byKeys = []struct {
	step string
	keys []string
}{
	{"pace", []string{"}:pace"}},
	{"asynq enqueue", []string{"}:t:", "}:pending"}},
	{"asynq dequeue", []string{"}:pending", "}:paused", "}:active", "}:lease"}},
	{"asynq done", []string{"}:active", "}:lease", "}:t:", "}:processed:", "}:processed"}},
	{"asynq complete", []string{"}:active", "}:lease", "}:completed", "}:t:", "}:processed:", "}:processed"}},
	{"asynq retry", []string{"}:t:", "}:active", "}:lease", "}:retry", "}:processed:", "}:failed:", "}:processed", "}:failed"}},
	{"asynq archive", []string{"}:t:", "}:active", "}:lease", "}:archived", "}:processed:", "}:failed:", "}:processed", "}:failed", "}:t:"}},
}

// stepHook tells a hazard of the scripts that a Redis client runs.
type stepHook struct {
	hazard *hazard
	ledger map[string]string // SHA-1 → name
}

// watch makes a client tell the hazard what it does.
func watch(rdb *redis.Client, h *hazard) *redis.Client {
	rdb.AddHook(stepHook{hazard: h, ledger: ledger.ScriptNames()})
	return rdb
}

// step names what a command does, or returns "" if it is none of the steps.
func (k stepHook) step(cmd redis.Cmder) string {
	args := cmd.Args()
	if len(args) < 4 {
		return ""
	}
	script := fmt.Sprint(args[1])
	switch cmd.Name() {
	case "evalsha":
	case "eval":
		sum := sha1.Sum([]byte(script)) //nolint:gosec // as above
		script = hex.EncodeToString(sum[:])
	default:
		return ""
	}
	if name, ours := k.ledger[script]; ours {
		return name
	}
	n, ok := args[2].(int)
	if !ok || len(args) < 3+n {
		return ""
	}
	for _, known := range byKeys {
		if len(known.keys) == n && matches(args[3:3+n], known.keys) {
			return known.step
		}
	}
	return ""
}

func matches(keys []any, patterns []string) bool {
	for i, pattern := range patterns {
		if !strings.Contains(fmt.Sprint(keys[i]), pattern) {
			return false
		}
	}
	return true
}

// did says that the command was executed and that its execution is worth a kill: a dequeue that brought a task, a sweep that
// found something.
func did(step string, cmd redis.Cmder) bool {
	if err := cmd.Err(); err != nil {
		return errors.Is(err, redis.Nil) && step != "asynq dequeue"
	}
	if c, ok := cmd.(*redis.Cmd); ok && step == "sweep" {
		found, _ := c.Val().([]any)
		if len(found) < 2 {
			return false
		}
		requeued, _ := found[1].([]any)
		return len(requeued) > 0
	}
	return true
}

func (k stepHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (k stepHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		step := k.step(cmd)
		if step == "" {
			return next(ctx, cmd)
		}
		k.hazard.at(step, before)
		err := next(ctx, cmd)
		if did(step, cmd) {
			k.hazard.at(step, after)
			if k.hazard.loses(step) {
				cmd.SetErr(io.EOF)
				return io.EOF
			}
		}
		return err
	}
}

func (k stepHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		names := make([]string, len(cmds))
		for i, cmd := range cmds {
			if names[i] = k.step(cmd); names[i] != "" {
				k.hazard.at(names[i], before)
			}
		}
		err := next(ctx, cmds)
		for i, cmd := range cmds {
			if names[i] != "" && did(names[i], cmd) {
				k.hazard.at(names[i], after)
				if k.hazard.loses(names[i]) {
					cmd.SetErr(io.EOF)
				}
			}
		}
		return err
	}
}

// watchedSender is a Gupshup client whose attempts are a step.
type watchedSender struct {
	worker.Sender
	hazard *hazard
}

func (s watchedSender) Send(ctx context.Context, r gupshup.Request) (gupshup.Receipt, error) {
	s.hazard.at(httpStep, before)
	receipt, err := s.Sender.Send(ctx, r)
	if err == nil {
		s.hazard.report("told", r.Destination, receipt.MessageID)
	}
	s.hazard.at(httpStep, after)
	return receipt, err
}
