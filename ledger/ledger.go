// Package ledger is the truth about every message: its record in Redis, where it has to be looked for, and the counts that
// must add up. Each change is one Lua script, one round trip, and safe to apply twice. asynq's view of a message is only a
// hint that somebody should look here.
//
// Keys of a sender, all in one slot (P is "gupdispatch:{sender}:"):
//
//	P m:<id>                 hash, the record (fields: see record.go)
//	P waiting:<priority>     zset by time of enqueueing: an asynq task is on its way to a handler
//	P due                    zset by time: the sweeper has to look at the message then
//	P expiry                 zset by time: alarms of messages that must not be sent after it
//	P dead                   zset by time: dead letters
//	P settled                list of <ms>:<id>, oldest first: what retention will retire
//	P x:<day>:<bucket>       hash messageId → id
//	P count                  hash: accepted, retired, duplicates and one number for each state
//	P mark                   zset priority by enqueue time of the latest message claimed
//	P hold                   hash: sender, some (priorities), template:<id> → what is held, why and until when
//	P sweeper                hash: owner, till
package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/message"
)

// Config says how long records are kept and how the ledger tells the time.
type Config struct {
	Retention     time.Duration                      // of settled records; default 7 days
	DeadRetention time.Duration                      // of dead letters; default 90 days
	Expiry        map[message.Priority]time.Duration // how long a message without expires_at may wait; default critical 10 minutes
	Offset        func() time.Duration               // added to Redis's clock; nil in production, tests move time with it
}

// Ledger keeps the records of any number of senders in one Redis.
// It is safe for concurrent use. An error from it means "unknown", never "not applied": repeat the call, each may be applied twice.
type Ledger struct {
	rdb redis.UniversalClient
	cfg Config
}

// New makes a ledger over a client that the caller closes.
func New(rdb redis.UniversalClient, cfg Config) *Ledger {
	if cfg.Retention == 0 {
		cfg.Retention = 7 * 24 * time.Hour
	}
	if cfg.DeadRetention == 0 {
		cfg.DeadRetention = 90 * 24 * time.Hour
	}
	if cfg.Expiry == nil {
		cfg.Expiry = map[message.Priority]time.Duration{message.Critical: message.Critical.Lifetime()}
	}
	return &Ledger{rdb: rdb, cfg: cfg}
}

func prefix(sender string) string { return "gupdispatch:{" + sender + "}:" }

func (l *Ledger) offset() int64 {
	if l.cfg.Offset == nil {
		return 0
	}
	return l.cfg.Offset().Milliseconds()
}

// Outcome of handing over a message.
const (
	AcceptedNew      = "accepted" // it is in
	AcceptedExisting = "exists"   // it was in already, with the same content
	AcceptConflict   = "conflict" // its id belongs to another message
)

// Acceptance tells what became of a message that was handed over.
type Acceptance struct {
	Outcome string
	Status  message.Status
	Enqueue bool // its first task, of generation 1, is to be enqueued now; doing so twice is harmless
}

// Accept takes in messages that Normalise has passed, in one round trip for all of them. Results and errors come in the order
// of the messages; an error in one does not touch the others. All messages must have the same sender.
func (l *Ledger) Accept(ctx context.Context, ms []message.Message) ([]Acceptance, []error) {
	out, errs := make([]Acceptance, len(ms)), make([]error, len(ms))
	if len(ms) == 0 {
		return out, errs
	}
	args := make([][]any, len(ms))
	for i, m := range ms {
		args[i], errs[i] = l.acceptArgs(m)
	}
	keys := []string{prefix(ms[0].Sender)}
	try := func(call func(p redis.Pipeliner, args []any) *redis.Cmd, want func(error) bool) {
		cmds := make([]*redis.Cmd, len(ms))
		p := l.rdb.Pipeline()
		for i := range ms {
			if args[i] != nil && want(errs[i]) {
				cmds[i] = call(p, args[i])
			}
		}
		_, _ = p.Exec(ctx) // each command carries its own error
		for i, cmd := range cmds {
			if cmd == nil {
				continue
			}
			res, err := cmd.Result()
			var r reply
			if r, errs[i] = asReply(acceptScript, res, err); errs[i] == nil {
				out[i] = Acceptance{Outcome: r.text(0), Status: message.Status(r.text(1)), Enqueue: r.text(2) == "1"}
			}
		}
	}
	try(func(p redis.Pipeliner, a []any) *redis.Cmd { return p.EvalSha(ctx, acceptScript.sha, keys, a...) },
		func(err error) bool { return err == nil })
	try(func(p redis.Pipeliner, a []any) *redis.Cmd { return p.Eval(ctx, acceptScript.source, keys, a...) },
		func(err error) bool { return err != nil && strings.Contains(err.Error(), "NOSCRIPT") })
	return out, errs
}

func (l *Ledger) acceptArgs(m message.Message) ([]any, error) {
	content, err := json.Marshal(m.Content)
	if err != nil {
		return nil, fmt.Errorf("message %s: content cannot be written: %w", m.ID, err)
	}
	fingerprint, err := m.Fingerprint()
	if err != nil {
		return nil, fmt.Errorf("message %s: %w", m.ID, err)
	}
	var metadata []byte
	if len(m.Metadata) > 0 {
		if metadata, err = json.Marshal(m.Metadata); err != nil {
			return nil, fmt.Errorf("message %s: metadata cannot be written: %w", m.ID, err)
		}
	}
	return []any{
		l.offset(), m.ID, fingerprint, string(m.Priority), m.To, content, m.Content.TemplateID(),
		millis(m.SendAt), millis(m.ExpiresAt), string(m.OnInDoubt), metadata, l.cfg.Expiry[m.Priority].Milliseconds(),
	}, nil
}

// now is our own clock, for what needs no agreement with Redis's.
func (l *Ledger) now() time.Time { return time.Now().Add(time.Duration(l.offset()) * time.Millisecond) }

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func parseInt(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		f, _ := strconv.ParseFloat(s, 64)
		return int64(f)
	}
	return n
}
