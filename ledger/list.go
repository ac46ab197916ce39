package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/message"
)

// ListFilter chooses records by their number.
type ListFilter struct {
	To     string         // the number, in any of its forms
	Status message.Status // empty: any
	Limit  int            // the newest so many; at least 1
	Most   int            // how many records are looked at before it gives up; at least 1
}

// Listed is what a List found.
type Listed struct {
	Records []Record // newest first
	Found   int      // how many there were, those beyond Limit included
	Looked  int      // records that were looked at
	All     bool     // all of the sender's records were; otherwise newer ones may be missing
}

// List finds a sender's messages to a number. No index leads from numbers to messages, which would cost memory for every message and is
// needed by a person now and then: so it looks at all records, in pages, some hundred thousand a second, and at no more than Most.
func (l *Ledger) List(ctx context.Context, sender string, q ListFilter) (Listed, error) {
	var out Listed
	records, number := prefix(sender)+"m:", message.NumberKey(q.To)
	seen := map[string]bool{} // SCAN may give a key twice; only those that match are remembered
	rdb, err := l.home(ctx, sender)
	if err != nil {
		return out, err
	}
	for cursor := uint64(0); ; {
		keys, next, err := rdb.Scan(ctx, cursor, records+"*", 1000).Result()
		if err != nil {
			return out, fmt.Errorf("ledger list: %w", err)
		}
		ids, err := l.sentTo(ctx, records, keys, number, q.Status)
		if err != nil {
			return out, err
		}
		ids = slices.DeleteFunc(ids, func(id string) bool { return seen[id] })
		for _, id := range ids {
			seen[id] = true
		}
		if out.Records, err = l.newest(ctx, sender, out.Records, ids, q); err != nil {
			return out, err
		}
		out.Looked, out.Found = out.Looked+len(keys), len(seen)
		if cursor = next; cursor == 0 || out.Looked >= q.Most {
			out.All = cursor == 0
			return out, nil
		}
	}
}

// sentTo gives the ids of the records that are to a number and in a state.
func (l *Ledger) sentTo(ctx context.Context, records string, keys []string, number string, status message.Status) ([]string, error) {
	cmds := make([]*redis.SliceCmd, len(keys))
	_, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, k := range keys {
			cmds[i] = p.HMGet(ctx, k, "to", "st")
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ledger list: %w", err)
	}
	var ids []string
	for i, cmd := range cmds {
		to, _ := cmd.Val()[0].(string)
		st, _ := cmd.Val()[1].(string)
		if message.NumberKey(to) == number && (status == "" || status == message.Status(st)) {
			ids = append(ids, strings.TrimPrefix(keys[i], records))
		}
	}
	return ids, nil
}

// newest reads records and puts them among those that were found before, of which the oldest go.
func (l *Ledger) newest(ctx context.Context, sender string, found []Record, ids []string, q ListFilter) ([]Record, error) {
	for _, id := range ids {
		rec, err := l.Get(ctx, sender, id)
		switch {
		case errors.Is(err, ErrNotFound): // retired meanwhile
			continue
		case err != nil:
			return found, err
		}
		found = append(found, rec)
	}
	slices.SortStableFunc(found, func(a, b Record) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return found[:min(len(found), q.Limit)], nil
}
