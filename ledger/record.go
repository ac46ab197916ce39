package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/message"
)

// ErrNotFound says that no record has this id.
var ErrNotFound = errors.New("no such message")

// Record is the whole story of a message.
type Record struct {
	ID         string
	Sender     string
	To         string
	Priority   message.Priority
	Status     message.Status
	Generation int
	WaitingFor string // what a queued message is parked for
	MessageID  string // Gupshup's, of the attempt that stands
	Code       string
	Class      gupshup.Class
	Reason     string
	Attempts   []Attempt     // oldest first; the oldest of very many are dropped
	Receipts   []ReceiptLine // what callbacks told, in order of time
	Spent      int
	OnInDoubt  message.OnInDoubt
	Metadata   map[string]string
	Campaign   string // that it is of
	Content    gupshup.Content
	Fallback   gupshup.Content // the template to send instead, outside a session
	FellBack   bool            // the latest attempt was with Fallback
	SendAt     time.Time
	ExpiresAt  time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
	DueAt      time.Time // Get only: when it is looked at next, for its time, its retry, the end of its wait or of its doubt; zero if it stands in line
}

// Attempt is one claim and what it came to.
type Attempt struct {
	N         int
	At        time.Time
	Outcome   Outcome // empty while it is under way
	MessageID string
	Code      string
}

// Get reads a message's record. ErrNotFound if there is none. Of a message that waits for its turn it tells if something is held that
// keeps it back.
func (l *Ledger) Get(ctx context.Context, sender, id string) (Record, error) {
	var fields, holds *redis.MapStringStringCmd
	var due *redis.FloatCmd
	_, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		fields, holds = p.HGetAll(ctx, prefix(sender)+"m:"+id), p.HGetAll(ctx, prefix(sender)+"hold")
		due = p.ZScore(ctx, prefix(sender)+"due", id)
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) { // it stands in no due set
		return Record{}, fmt.Errorf("ledger get: %w", err)
	}
	if len(fields.Val()) == 0 {
		return Record{}, ErrNotFound
	}
	rec := parseRecord(sender, id, fields.Val())
	if at := due.Val(); at > 0 {
		rec.DueAt = fromMillis(int64(at))
	}
	if nb := parseInt(fields.Val()["nb"]); nb > 0 && rec.Status == message.Queued { // its task comes then, the due entry stands behind it
		rec.DueAt = fromMillis(nb)
	}
	if rec.Status == message.Queued && rec.WaitingFor == "" {
		rec.WaitingFor = keptBackBy(rec, holds.Val())
	}
	return rec, nil
}

// keptBackBy is the reason of a hold that keeps a queued message back, empty if there is none.
func keptBackBy(rec Record, holds map[string]string) string {
	template := rec.Content.TemplateID()
	if rec.FellBack {
		template = rec.Fallback.TemplateID()
	}
	for scope, text := range holds {
		h, err := parseHold(scope, text)
		if err == nil && h.On() && (h.Template == "" || h.Template == template) && (h.Campaign == "" || h.Campaign == rec.Campaign) && h.Covers(rec.Priority) && h.Probe != rec.ID {
			return h.Reason
		}
	}
	return ""
}

// Find reads the record of the message with this id, be it ours or Gupshup's. ErrNotFound if there is none.
func (l *Ledger) Find(ctx context.Context, sender, id string) (Record, error) {
	if message.ValidID(id) {
		if rec, err := l.Get(ctx, sender, id); !errors.Is(err, ErrNotFound) {
			return rec, err
		}
	}
	bucket, field := indexOf(id)
	r, err := l.run(ctx, findScript, sender, bucket, field, l.indexDays())
	if err != nil {
		return Record{}, err
	}
	if r.text(0) == "" {
		return Record{}, ErrNotFound
	}
	return l.Get(ctx, sender, r.text(0))
}

// parseRecord reads a record's fields: st status, pr priority, to, ct content (see packContent), tp template id, fp fingerprint,
// gen generation (absent: 1), at attempts, sp spent, fi first intent (absent: in), in intent, pk parked ms, dl claim deadline,
// tok token, nb not before (a retry), oc outcome (absent beside a mid: submitted), ac its code, mid messageId, co code, cl class,
// re reason, wn the earlier attempt that stands and wm its messageId, wf waiting for, ws since, od on in doubt, md metadata,
// fb fallback template, ft its id, uf whether it is used, nk the number as keys have it, sa send at, ex expires at, ca created,
// ua updated, sl settled, log earlier attempts, rc receipts, wi the attempt whose WhatsApp id is in the index,
// hs the hold that it waits behind, hf when it last failed as if its sender were in trouble, dq a decision is called for,
// cm its campaign.
func parseRecord(sender, id string, f map[string]string) Record {
	rec := Record{
		ID: id, Sender: sender, To: f["to"], Priority: message.Priority(f["pr"]), Status: message.Status(f["st"]),
		Generation: cmp.Or(int(parseInt(f["gen"])), 1), WaitingFor: f["wf"], MessageID: cmp.Or(f["wm"], f["mid"]), Code: f["co"],
		Class: gupshup.Class(f["cl"]), Reason: f["re"], Spent: int(parseInt(f["sp"])),
		OnInDoubt: message.OnInDoubt(f["od"]), SendAt: fromMillis(parseInt(f["sa"])), ExpiresAt: fromMillis(parseInt(f["ex"])),
		CreatedAt: fromMillis(parseInt(f["ca"])), UpdatedAt: fromMillis(parseInt(f["ua"])),
		Receipts: parseReceipts(f["rc"], parseInt(f["ca"])), FellBack: f["uf"] != "", Campaign: f["cm"],
	}
	// What cannot be read is left out: the rest of the story is worth telling.
	_ = json.Unmarshal([]byte(f["md"]), &rec.Metadata)
	rec.Content, _ = unpackContent(f["ct"], f["tp"])
	rec.Fallback, _ = unpackContent(f["fb"], f["ft"])
	if n := int(parseInt(f["at"])); n > 0 {
		outcome := Outcome(f["oc"])
		if _, named := f["mid"]; named && outcome == "" {
			outcome = OutcomeSubmitted
		}
		rec.Attempts = []Attempt{{
			N: n, At: fromMillis(parseInt(f["in"])), Outcome: outcome, MessageID: f["mid"], Code: f["ac"],
		}}
	}
	for line := range strings.Lines(f["log"]) {
		cols := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(cols) == 5 {
			rec.learn(Attempt{
				N: int(parseInt(cols[0])), At: fromMillis(parseInt(cols[1])), Outcome: Outcome(cols[2]), MessageID: cols[3], Code: cols[4],
			})
		}
	}
	slices.SortFunc(rec.Attempts, func(a, b Attempt) int { return a.N - b.N })
	return rec
}

// learn takes in a line about an attempt. A second line about the same one is its late success, and keeps its time.
func (r *Record) learn(a Attempt) {
	i := slices.IndexFunc(r.Attempts, func(known Attempt) bool { return known.N == a.N })
	if i < 0 {
		r.Attempts = append(r.Attempts, a)
		return
	}
	a.At = r.Attempts[i].At
	r.Attempts[i] = a
}

// DeadFilter narrows a listing of dead letters. Zero values mean no limit.
type DeadFilter struct {
	Code         string
	Campaign     string
	Since, Until time.Time
	Limit        int
}

// Dead lists a sender's dead letters, newest first, and hands each to visit until visit says stop by returning false.
// Memory stays bounded however many there are. Do not replay or purge from within visit: that moves the pages.
func (l *Ledger) Dead(ctx context.Context, sender string, q DeadFilter, visit func(Record, time.Time) bool) error {
	const page = 500
	low, high := "-inf", "+inf"
	if !q.Since.IsZero() {
		low = fmt.Sprint(q.Since.UnixMilli())
	}
	if !q.Until.IsZero() {
		high = fmt.Sprint(q.Until.UnixMilli())
	}
	if high == "+inf" {
		high = fmt.Sprint(l.now().UnixMilli()) // letters that come meanwhile would move the pages
	}
	seen, skip := 0, int64(0) // skip: letters of the very moment high that were visited already
	for {
		ids, err := l.rdb.ZRangeArgsWithScores(ctx, redis.ZRangeArgs{
			Key: prefix(sender) + "dead", Start: high, Stop: low, ByScore: true, Rev: true, Offset: skip, Count: page,
		}).Result()
		if err != nil {
			return fmt.Errorf("ledger dead: %w", err)
		}
		cmds := make([]*redis.MapStringStringCmd, len(ids))
		_, err = l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, z := range ids {
				cmds[i] = p.HGetAll(ctx, prefix(sender)+"m:"+z.Member.(string))
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("ledger dead: %w", err)
		}
		for i, z := range ids {
			rec := parseRecord(sender, z.Member.(string), cmds[i].Val())
			if rec.Status != message.Dead || (q.Code != "" && rec.Code != q.Code) || (q.Campaign != "" && rec.Campaign != q.Campaign) {
				continue // no dead letter any more, or not one that was asked for
			}
			if seen++; !visit(rec, fromMillis(int64(z.Score))) || seen == q.Limit {
				return nil
			}
		}
		if len(ids) < page {
			return nil
		}
		last := fmt.Sprint(int64(ids[page-1].Score))
		if last != high {
			high, skip = last, 0
		}
		for i := page - 1; i >= 0 && ids[i].Score == ids[page-1].Score; i-- {
			skip++
		}
	}
}

// NotDeadError says that a message which should be replayed or purged is no dead letter.
type NotDeadError struct{ Status message.Status }

func (e *NotDeadError) Error() string {
	return fmt.Sprintf("the message is %s, not a dead letter", e.Status)
}

// SuppressedError says that a dead letter cannot be replayed, because its number is on the suppression list.
type SuppressedError struct{ Code string } // of the list's entry

func (e *SuppressedError) Error() string {
	return fmt.Sprintf("its number is suppressed (%s): take it off the list first, with gupdispatch suppress remove", e.Code)
}

// CampaignCancelledError says that a dead letter cannot be replayed, because its campaign was cancelled.
type CampaignCancelledError struct{ Campaign string }

func (e *CampaignCancelledError) Error() string {
	return fmt.Sprintf("its campaign %s was cancelled, and nothing of it is sent any more: hand the message over anew, with another id", e.Campaign)
}

// Replay makes a dead letter a queued message again and returns the task it needs. The caller enqueues it. generation is the
// one that the caller saw in the dead letter's record. ErrNotFound or *NotDeadError if it is none, *SuppressedError or
// *CampaignCancelledError if it would not be sent.
func (l *Ledger) Replay(ctx context.Context, sender, id string, generation int) (Requeued, error) {
	r, err := l.run(ctx, replayScript, sender, id, generation)
	if err != nil {
		return Requeued{}, err
	}
	if err := deadOnly(r); err != nil {
		return Requeued{}, err
	}
	r[0] = id
	return requeued(r), nil
}

// Purge deletes a dead letter for good. ErrNotFound or *NotDeadError if it is none.
func (l *Ledger) Purge(ctx context.Context, sender, id string) error {
	r, err := l.run(ctx, purgeScript, sender, id)
	if err != nil {
		return err
	}
	return deadOnly(r)
}

func deadOnly(r reply) error {
	switch r.text(0) {
	case "gone":
		return ErrNotFound
	case "not_dead":
		return &NotDeadError{Status: message.Status(r.text(1))}
	case "suppressed":
		return &SuppressedError{Code: r.text(1)}
	case "cancelled":
		return &CampaignCancelledError{Campaign: r.text(1)}
	}
	return nil
}
