package ledger

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by their SHA-1; nothing is secret here
	"embed"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/message"
)

//go:embed lua/*.lua
var lua embed.FS

// script is one Lua file with the shared part and the state table in front of it.
type script struct{ name, source, sha string }

var (
	acceptScript  = load("accept")
	claimScript   = load("claim")
	commitScript  = load("commit")
	resolveScript = load("resolve")
	sweepScript   = load("sweep")
	replayScript  = load("replay")
	purgeScript   = load("purge")
	inspectScript = load("inspect")
	findScript    = load("find")
)

func load(name string) script {
	read := func(file string) string {
		b, err := lua.ReadFile("lua/" + file + ".lua")
		if err != nil {
			panic(err) // the file is part of the binary
		}
		return string(b)
	}
	source := stateTable() + read("common") + read(name)
	sum := sha1.Sum([]byte(source)) //nolint:gosec // as above
	return script{name: name, source: source, sha: hex.EncodeToString(sum[:])}
}

// ScriptNames tells the name of each script by the SHA-1 under which Redis knows it: what a client is asking, for whoever watches
// its commands.
func ScriptNames() map[string]string {
	names := map[string]string{}
	for _, s := range []script{
		acceptScript, claimScript, commitScript, resolveScript, sweepScript, replayScript, purgeScript, inspectScript, findScript,
	} {
		names[s.sha] = s.name
	}
	return names
}

// stateTable writes message's states as Lua, so that the scripts follow the one specification there is.
func stateTable() string {
	legal, settled := " ", " "
	for _, from := range message.Statuses {
		for _, to := range message.Statuses {
			if from.CanBecome(to) {
				legal += string(from) + ">" + string(to) + " "
			}
		}
		if from.Settled() {
			settled += string(from) + " "
		}
	}
	return fmt.Sprintf("local LEGAL=%q\nlocal SETTLED=%q\n", legal, settled)
}

// run calls a script for one sender: one round trip. A script that Redis has forgotten (a restart, SCRIPT FLUSH) is sent whole.
func (l *Ledger) run(ctx context.Context, s script, sender string, args ...any) (reply, error) {
	keys, args := []string{prefix(sender)}, append([]any{l.offset()}, args...)
	res, err := l.rdb.EvalSha(ctx, s.sha, keys, args...).Result()
	if err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
		res, err = l.rdb.Eval(ctx, s.source, keys, args...).Result()
	}
	return asReply(s, res, err)
}

// ErrRefused says that Redis would refuse the same call again: it is a mistake in the program or in Redis's permissions.
var ErrRefused = errors.New("refused by Redis")

func asReply(s script, res any, err error) (reply, error) {
	switch {
	case err == nil, errors.Is(err, redis.Nil):
	case redis.HasErrorPrefix(err, "ERR"), redis.HasErrorPrefix(err, "WRONGTYPE"), redis.HasErrorPrefix(err, "NOPERM"):
		return nil, fmt.Errorf("ledger %s: %w: %w", s.name, ErrRefused, err)
	default:
		return nil, fmt.Errorf("ledger %s: %w", s.name, err)
	}
	list, ok := res.([]any)
	if !ok {
		return reply{res}, nil
	}
	return list, nil
}

// reply is what a script returned: strings, numbers and lists of them.
type reply []any

func (r reply) text(i int) string {
	if i >= len(r) {
		return ""
	}
	switch v := r[i].(type) {
	case string:
		return v
	case int64:
		return fmt.Sprint(v)
	}
	return ""
}

func (r reply) number(i int) int64 {
	if i >= len(r) {
		return 0
	}
	switch v := r[i].(type) {
	case int64:
		return v
	case string:
		return parseInt(v)
	}
	return 0
}

func (r reply) list(i int) []reply {
	if i >= len(r) {
		return nil
	}
	items, _ := r[i].([]any)
	out := make([]reply, 0, len(items))
	for _, it := range items {
		if l, ok := it.([]any); ok {
			out = append(out, l)
		} else {
			out = append(out, reply{it})
		}
	}
	return out
}
