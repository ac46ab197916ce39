// Package auditlog is the record of what people did through the web pages: who, what, and how it ended. It is kept in Redis, bounded, so
// that every replica writes into one log and a command can read it.
//
// It is no proof against somebody who may write to Redis. Where that matters, keep the log lines as well: each entry is also one of them.
package auditlog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
)

// Keys of the streams. Logins have one of their own: somebody who guesses passwords must not push out what was done.
const (
	keyActions = "gupdispatch:audit-log"
	keyLogins  = "gupdispatch:audit-log:logins"
)

// What each stream keeps; Redis trims in blocks, so a little more is there.
const (
	keptActions = 10_000
	keptLogins  = 2_000
)

// page is how many entries are read at a time.
const page = 500

// maxText bounds a field, in bytes.
const maxText = 2000

// ActionLogin is the action of an attempt to log in, and ActionLogout its end.
const (
	ActionLogin  = "login"
	ActionLogout = "logout"
)

// Outcome is how an action ended.
type Outcome string

// The outcomes of an action.
const (
	Done    Outcome = "done"
	Refused Outcome = "refused" // it was not allowed, or made no sense
	Failed  Outcome = "failed"  // it may or may not have been done
)

// Entry is one action of one person.
type Entry struct {
	At      time.Time // by the clock of Redis; set by Read
	User    string
	Role    string
	Client  string // the address it came from
	Action  string // such as task.run, queue.pause, sender.release, dead.replay, login
	Target  string // what it was done to: a queue and a task's id, a sender, a message
	Outcome Outcome
	Detail  string // why it was refused, or what else there is to say
}

// Filter chooses entries. Zero values choose all.
type Filter struct {
	User   string
	Action string // or what it begins with: "task" is all of task.run, task.delete and so on
	Since  time.Time
	Limit  int // the newest so many; 0: all that are kept
}

func (f Filter) matches(e Entry) bool {
	return (f.User == "" || e.User == f.User) && (f.Action == "" || e.Action == f.Action || strings.HasPrefix(e.Action, f.Action+"."))
}

// Log is the log. It is safe for concurrent use.
type Log struct{ rdb redis.UniversalClient }

// New makes a log over a client that the caller closes.
func New(rdb redis.UniversalClient) *Log { return &Log{rdb: rdb} }

// Bounded is the entry as it is kept: what is too long is cut, and what would break a line is replaced.
func (e Entry) Bounded() Entry {
	for _, text := range []*string{&e.User, &e.Role, &e.Client, &e.Action, &e.Target, (*string)(&e.Outcome), &e.Detail} {
		*text = clean(*text)
	}
	return e
}

// Write adds an entry, Bounded.
func (l *Log) Write(ctx context.Context, e Entry) error {
	e = e.Bounded()
	key, kept := keyActions, int64(keptActions)
	if e.Action == ActionLogin || e.Action == ActionLogout {
		key, kept = keyLogins, keptLogins
	}
	values := []any{"user", e.User, "action", e.Action, "outcome", string(e.Outcome)}
	for name, text := range map[string]string{"role": e.Role, "client": e.Client, "target": e.Target, "detail": e.Detail} {
		if text != "" {
			values = append(values, name, text)
		}
	}
	if err := l.rdb.XAdd(ctx, &redis.XAddArgs{Stream: key, MaxLen: kept, Approx: true, Values: values}).Err(); err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	return nil
}

// clean makes one line of a text, of a bounded length.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)
	if len(text) <= maxText {
		return text
	}
	text = text[:maxText]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text + "…"
}

// Read gives the entries that match, newest first.
func (l *Log) Read(ctx context.Context, f Filter) ([]Entry, error) {
	var all []Entry
	for _, key := range []string{keyActions, keyLogins} {
		some, err := l.read(ctx, key, f)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return b.At.Compare(a.At) })
	if f.Limit > 0 && len(all) > f.Limit {
		all = all[:f.Limit]
	}
	return all, nil
}

func (l *Log) read(ctx context.Context, key string, f Filter) (found []Entry, err error) {
	last, first := "+", "-"
	if !f.Since.IsZero() {
		first = fmt.Sprint(f.Since.UnixMilli())
	}
	for {
		entries, err := l.rdb.XRevRangeN(ctx, key, last, first, page).Result()
		if err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		for _, x := range entries {
			if e := entryOf(x); f.matches(e) {
				if found = append(found, e); len(found) == f.Limit {
					return found, nil
				}
			}
		}
		if len(entries) < page {
			return found, nil
		}
		last = "(" + entries[page-1].ID
	}
}

func entryOf(x redis.XMessage) Entry {
	text := func(field string) string {
		s, _ := x.Values[field].(string)
		return s
	}
	var ms int64
	_, _ = fmt.Sscanf(x.ID, "%d-", &ms) // Redis made it
	return Entry{
		At: time.UnixMilli(ms).UTC(), User: text("user"), Role: text("role"), Client: text("client"), Action: text("action"),
		Target: text("target"), Outcome: Outcome(text("outcome")), Detail: text("detail"),
	}
}
