package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/message"
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

// suppressionJSON is the value in the hash, by number, or number/bulk; the scripts read it, too.
type suppressionJSON struct {
	Scope  string `json:"scope"`
	Code   string `json:"code"`
	Source string `json:"source"`
	Since  int64  `json:"since"`
	Until  int64  `json:"until"` // ms; 0: for ever
}

// Suppress puts numbers on a sender's list, in one round trip. A number may be there twice, for everything and for bulk; of two entries
// with one scope the longer one stays.
func (l *Ledger) Suppress(ctx context.Context, sender string, list []Suppression) error {
	_, errs := l.runEach(ctx, suppressScript, sender, len(list), func(i int) []any {
		s := list[i]
		return []any{message.NumberKey(s.Number), string(s.Scope), oneLine(s.Code), s.Source, millis(s.Until)}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// bulkOnly is how the hash tells an entry for bulk from one for everything.
const bulkOnly = "/bulk"

// Unsuppress takes numbers off a sender's list, whatever was suppressed, and says how many entries were there.
func (l *Ledger) Unsuppress(ctx context.Context, sender string, numbers ...string) (int, error) {
	fields := make([]string, 0, 2*len(numbers))
	for _, n := range numbers {
		n = message.NumberKey(n)
		fields = append(fields, n, n+bulkOnly)
	}
	n, err := l.rdb.HDel(ctx, prefix(sender)+"suppress", fields...).Result()
	if err != nil {
		return 0, fmt.Errorf("ledger unsuppress: %w", err)
	}
	return int(n), nil
}

// UnsuppressBulk lets a number get bulk again, because its user resumed marketing messages. What a person put on the list stays, and
// so does what suppresses everything.
func (l *Ledger) UnsuppressBulk(ctx context.Context, sender, number string) error {
	_, err := l.run(ctx, resumeScript, sender, message.NumberKey(number)+bulkOnly)
	return err
}

// Suppressions hands the sender's list to visit, in no order, until visit returns false. What has run out is left out.
func (l *Ledger) Suppressions(ctx context.Context, sender string, visit func(Suppression) bool) error {
	for cursor := uint64(0); ; {
		some, next, err := l.SuppressionPage(ctx, sender, cursor, 1000)
		if err != nil {
			return err
		}
		for _, s := range some {
			if !visit(s) {
				return nil
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// SuppressionPage gives about count entries of the sender's list, in no order, and the cursor of the next page; 0 begins, and ends. A short
// list comes whole, and an entry may come twice. What has run out is left out.
func (l *Ledger) SuppressionPage(ctx context.Context, sender string, cursor uint64, count int) ([]Suppression, uint64, error) {
	flat, next, err := l.rdb.HScan(ctx, prefix(sender)+"suppress", cursor, "", int64(count)).Result()
	if err != nil {
		return nil, 0, fmt.Errorf("ledger suppressions: %w", err)
	}
	now := l.now()
	var page []Suppression
	for i := 0; i+1 < len(flat); i += 2 {
		var v suppressionJSON
		if err := json.Unmarshal([]byte(flat[i+1]), &v); err != nil {
			return nil, 0, fmt.Errorf("ledger suppressions: an entry cannot be read: %w", err)
		}
		s := Suppression{
			Number: strings.TrimSuffix(flat[i], bulkOnly), Scope: gupshup.Scope(v.Scope), Code: v.Code, Source: v.Source,
			Since: fromMillis(v.Since), Until: fromMillis(v.Until),
		}
		if s.Until.IsZero() || s.Until.After(now) {
			page = append(page, s)
		}
	}
	return page, next, nil
}
