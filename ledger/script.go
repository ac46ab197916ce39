package ledger

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by their SHA-1; nothing is secret here
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/message"
)

//go:embed lua/*.lua
var lua embed.FS

// script is one Lua file with the shared part and the state table in front of it.
type script struct {
	name, source, sha string
	// lasting says that somebody acts on what it wrote: answers a caller, or sends a request. With Config.Confirm a replica has it before.
	lasting bool
}

var (
	acceptScript  = lasting("accept", "suppression")
	claimScript   = lasting("claim", "suppression", "hold", "limit", "receipt", "window")
	commitScript  = lasting("commit", "suppression", "hold", "limit", "receipt")
	resolveScript = lasting("resolve", "suppression", "hold", "limit")
	sweepScript   = load("sweep", "suppression", "hold", "window")
	replayScript  = lasting("replay", "suppression")
	lookScript    = load("replay", "suppression") // the same, asked only to look: nobody has to wait for a replica
	purgeScript   = lasting("purge")
	cancelScript  = lasting("cancel")
	runScript     = lasting("run", "suppression")
	inspectScript = load("inspect")
	findScript    = load("find")

	receiveScript  = lasting("receive", "suppression", "hold", "receipt")
	parkedScript   = load("parked")
	hearingScript  = load("hearing")
	suppressScript = lasting("suppress", "suppression")
	resumeScript   = lasting("resume")

	holdSetScript = lasting("hold_set", "suppression", "hold")
	holdEndScript = lasting("hold_end", "suppression", "hold")
	holdsScript   = load("holds", "suppression", "hold")

	campaignCreateScript   = lasting("campaign_create", "campaign")
	campaignRowsScript     = lasting("campaign_rows", "campaign")
	campaignReadyScript    = lasting("campaign_ready", "campaign")
	campaignSteerScript    = lasting("campaign_steer", "campaign", "suppression", "hold")
	campaignLeaveScript    = load("campaign_leave", "campaign")
	campaignExpandScript   = load("campaign_expand", "campaign", "suppression")
	campaignLookScript     = load("campaign_look", "campaign", "suppression", "hold")
	campaignClearScript    = load("campaign_clear", "campaign")
	campaignShowScript     = load("campaign_show", "campaign")
	campaignMessagesScript = load("campaign_messages", "campaign")
)

// scripts lists all of them.
var scripts = []script{
	acceptScript, claimScript, commitScript, resolveScript, sweepScript, replayScript, purgeScript, cancelScript, runScript, inspectScript,
	findScript, receiveScript, parkedScript, hearingScript, suppressScript, resumeScript, holdSetScript, holdEndScript, holdsScript,
	campaignCreateScript, campaignRowsScript, campaignReadyScript, campaignSteerScript, campaignExpandScript, campaignLookScript,
	campaignClearScript, campaignShowScript, campaignMessagesScript, campaignLeaveScript,
}

// lazily are the parts that the usual claim and commit do not need, and the functions that make them when they are first called: to
// make a part's functions costs Redis as much as several commands.
var lazily = map[string]string{"receipt": "on", "hold": "held", "limit": "limits", "window": "windows"}

// load reads a script; parts are the files of shared functions that it needs besides the common one.
func load(name string, parts ...string) script {
	read := func(file string) string {
		b, err := lua.ReadFile("lua/" + file + ".lua")
		if err != nil {
			panic(err) // the file is part of the binary
		}
		return string(b)
	}
	source := stateTable() + read("common")
	if slices.Contains(parts, "campaign") {
		source = campaignTable() + source
	}
	for _, p := range append(parts, name) {
		if name := lazily[p]; name != "" {
			source += fmt.Sprintf("local make_%[1]s = function()\n%[2]send\nlocal made_%[1]s\n"+
				"local function %[1]s() made_%[1]s = made_%[1]s or make_%[1]s() return made_%[1]s end\n", name, read(p))
		} else {
			source += read(p)
		}
	}
	sum := sha1.Sum([]byte(source)) //nolint:gosec // as above
	return script{name: name, source: source, sha: hex.EncodeToString(sum[:])}
}

// ScriptNames tells the name of each script by the SHA-1 under which Redis knows it: what a client is asking, for whoever watches
// its commands.
func ScriptNames() map[string]string {
	names := map[string]string{}
	for _, s := range scripts {
		names[s.sha] = s.name
	}
	return names
}

// lasting is load for a script whose changes somebody acts on.
func lasting(name string, parts ...string) script {
	s := load(name, parts...)
	s.lasting = true
	return s
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

// campaignTable writes the life of a campaign as Lua, for the scripts about them.
func campaignTable() string {
	steps := " "
	for _, from := range message.CampaignStatuses {
		for _, e := range message.CampaignEvents {
			if to, ok := from.After(e); ok {
				steps += string(from) + ">" + string(e) + ">" + string(to) + " "
			}
		}
	}
	return fmt.Sprintf("local CAMPAIGN=%q\n", steps)
}

// run calls a script for one sender: one round trip. A script that Redis has forgotten (a restart, SCRIPT FLUSH) is sent whole. With
// ErrNotReplicated the reply is that of the master.
func (l *Ledger) run(ctx context.Context, s script, sender string, args ...any) (reply, error) {
	if l.confirms(s) {
		replies, errs := l.runEach(ctx, s, sender, 1, func(int) []any { return args })
		return replies[0], errs[0]
	}
	keys, args := []string{prefix(sender)}, append([]any{l.setting(sender)}, args...)
	res, err := l.rdb.EvalSha(ctx, s.sha, keys, args...).Result()
	if err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
		res, err = l.rdb.Eval(ctx, s.source, keys, args...).Result()
	}
	return asReply(s, res, err)
}

// runEach calls a script n times for one sender, in one round trip. args gives the arguments of call i, or nil to leave it out.
// Replies and errors come in the order of the calls. With ErrNotReplicated a reply is that of the master.
func (l *Ledger) runEach(ctx context.Context, s script, sender string, n int, args func(i int) []any) ([]reply, []error) {
	out, errs := make([]reply, n), make([]error, n)
	rdb, err := redis.Cmdable(l.rdb), error(nil)
	if l.confirms(s) { // WAIT has to go where the changes went
		rdb, err = l.home(ctx, sender)
	}
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return out, errs
	}
	keys, setting := []string{prefix(sender)}, l.setting(sender)
	all := make([][]any, n)
	for i := range n {
		if a := args(i); a != nil {
			all[i] = append([]any{setting}, a...)
		}
	}
	try := func(call func(redis.Pipeliner, []any) *redis.Cmd, want func(error) bool) {
		cmds := make([]*redis.Cmd, n)
		p := rdb.Pipeline()
		for i := range n {
			if all[i] != nil && want(errs[i]) {
				cmds[i] = call(p, all[i])
			}
		}
		var confirmed *confirmation
		if l.confirms(s) {
			confirmed = l.confirm(ctx, p, sender)
		}
		_, _ = p.Exec(ctx) // each command carries its own error
		var unsure error
		if confirmed != nil {
			unsure = confirmed.err(ctx, rdb, l.cfg.Confirm)
		}
		for i, cmd := range cmds {
			if cmd != nil {
				res, err := cmd.Result()
				if out[i], errs[i] = asReply(s, res, err); errs[i] == nil && unsure != nil {
					errs[i] = fmt.Errorf("ledger %s: %w", s.name, unsure)
				}
			}
		}
	}
	try(func(p redis.Pipeliner, a []any) *redis.Cmd { return p.EvalSha(ctx, s.sha, keys, a...) },
		func(error) bool { return true })
	if slices.ContainsFunc(errs, forgotten) {
		try(func(p redis.Pipeliner, a []any) *redis.Cmd { return p.Eval(ctx, s.source, keys, a...) }, forgotten)
	}
	if l.confirms(s) {
		l.moved(ctx, errors.Join(errs...))
	}
	return out, errs
}

// confirms says whether a replica has to have what a script changes before anybody acts on it.
func (l *Ledger) confirms(s script) bool { return s.lasting && l.cfg.Confirm > 0 }

// forgotten says whether Redis does not know a script (any more): it has to be sent whole.
func forgotten(err error) bool { return err != nil && strings.Contains(err.Error(), "NOSCRIPT") }

// ErrRefused says that Redis would refuse the same call again: it is a mistake in the program or in Redis's permissions.
var ErrRefused = errors.New("refused by Redis")

// ErrNoMemory says that Redis is full and wrote nothing. The same call is worth repeating once there is room again.
var ErrNoMemory = errors.New("no memory left in Redis")

// refusals are how errors begin that come again however often the call is repeated, as does any ERR within a script.
var refusals = []string{"WRONGTYPE", "NOPERM"}

// passing are errors within a script that are over some time. Before Redis 7 they stand behind "ERR Error running script".
var passing = []string{"-READONLY", "-NOREPLICAS", "-MISCONF", "-LOADING", "-MASTERDOWN"}

// meaning says whether an error of Redis's own is for good, or comes of a full memory; nil if it may be over soon.
func meaning(err error) error {
	var own redis.Error
	if !errors.As(err, &own) {
		return nil
	}
	text := own.Error()
	begins := func(with string) bool { return strings.HasPrefix(text, with) }
	contains := func(part string) bool { return strings.Contains(text, part) }
	switch {
	case begins("OOM"), begins("ERR") && contains("-OOM"):
		return ErrNoMemory
	case slices.ContainsFunc(refusals, begins), begins("ERR") && contains("user_script") && !slices.ContainsFunc(passing, contains):
		return ErrRefused
	}
	return nil
}

func asReply(s script, res any, err error) (reply, error) {
	switch {
	case err == nil, errors.Is(err, redis.Nil):
	default:
		if what := meaning(err); what != nil {
			return nil, fmt.Errorf("ledger %s: %w: %w", s.name, what, err)
		}
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
