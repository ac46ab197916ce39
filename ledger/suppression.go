package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

// Suppression keeps a sender from sending to a number.
type Suppression struct {
	Number string
	Scope  gupshup.Scope // everything, or only what is sent in bulk
	Code   string        // Gupshup's code that led to it, or what a person or an event gave
	Source string        // "code", "user-event", "preference-event", "hand"
	Since  time.Time
	Until  time.Time // zero: for ever
}

// suppressionJSON is the value in the hash, by number; the scripts read it, too.
type suppressionJSON struct {
	Scope  string `json:"scope"`
	Code   string `json:"code"`
	Source string `json:"source"`
	Since  int64  `json:"since"`
	Until  int64  `json:"until"` // ms; 0: for ever
}

// Suppress puts numbers on a sender's list, in one round trip. What suppresses more stays: a rule for everything is not narrowed to
// bulk, and one for ever not limited, by a later one.
func (l *Ledger) Suppress(ctx context.Context, sender string, list []Suppression) error {
	_, errs := l.runEach(ctx, suppressScript, sender, len(list), func(i int) []any {
		s := list[i]
		return []any{s.Number, string(s.Scope), oneLine(s.Code), s.Source, millis(s.Until)}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Unsuppress takes numbers off a sender's list and says how many were on it.
func (l *Ledger) Unsuppress(ctx context.Context, sender string, numbers ...string) (int, error) {
	n, err := l.rdb.HDel(ctx, prefix(sender)+"suppress", numbers...).Result()
	if err != nil {
		return 0, fmt.Errorf("ledger unsuppress: %w", err)
	}
	return int(n), nil
}

// UnsuppressBulk takes a number off the list if only bulk was suppressed: a user resumed marketing messages.
func (l *Ledger) UnsuppressBulk(ctx context.Context, sender, number string) error {
	_, err := l.run(ctx, unsuppressScript, sender, number)
	return err
}

// Suppressions hands the sender's list to visit, in no order, until visit returns false. What has run out is left out.
func (l *Ledger) Suppressions(ctx context.Context, sender string, visit func(Suppression) bool) error {
	now := l.now()
	it := l.rdb.HScan(ctx, prefix(sender)+"suppress", 0, "", 1000).Iterator()
	for it.Next(ctx) {
		number := it.Val()
		if !it.Next(ctx) {
			break
		}
		var v suppressionJSON
		if err := json.Unmarshal([]byte(it.Val()), &v); err != nil {
			return fmt.Errorf("ledger suppressions: an entry cannot be read: %w", err)
		}
		s := Suppression{
			Number: number, Scope: gupshup.Scope(v.Scope), Code: v.Code, Source: v.Source,
			Since: fromMillis(v.Since), Until: fromMillis(v.Until),
		}
		if !s.Until.IsZero() && !s.Until.After(now) {
			continue
		}
		if !visit(s) {
			return nil
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("ledger suppressions: %w", err)
	}
	return nil
}
