package ledger

import (
	"context"
	"fmt"
	"strings"

	"github.com/gupdispatch/gupdispatch/message"
)

// Audit is the sum of a sender's books: everything accepted is somewhere.
type Audit struct {
	Accepted   int64
	Retired    int64 // settled and deleted after their retention, or purged
	Duplicates int64 // messages that Gupshup took twice, each out of a doubt
	Rows       int64 // of Counts, those queued that are rows of campaigns and no messages yet
	Counts     map[message.Status]int64
}

// Balanced says that accepted = the sum over all states + retired.
func (a Audit) Balanced() bool {
	sum := a.Retired
	for _, n := range a.Counts {
		if n < 0 {
			return false
		}
		sum += n
	}
	return sum == a.Accepted
}

// Unsettled is the number of messages that still have something to come.
func (a Audit) Unsettled() (n int64) {
	for s, c := range a.Counts {
		if !s.Settled() {
			n += c
		}
	}
	return n
}

// Audit reads the counters, which every script keeps in step with what it does.
func (l *Ledger) Audit(ctx context.Context, sender string) (Audit, error) {
	f, err := l.rdb.HGetAll(ctx, prefix(sender)+"count").Result()
	if err != nil {
		return Audit{}, fmt.Errorf("ledger audit: %w", err)
	}
	a := Audit{
		Accepted: parseInt(f["accepted"]), Retired: parseInt(f["retired"]), Duplicates: parseInt(f["duplicates"]), Rows: parseInt(f["rows"]),
		Counts: make(map[message.Status]int64, len(message.Statuses)),
	}
	for _, s := range message.Statuses {
		a.Counts[s] = parseInt(f[string(s)])
	}
	return a, nil
}

// DeepAudit is a recount of the records themselves.
type DeepAudit struct {
	Audit    // the counters, as they stood after the count
	Counted  map[message.Status]int64
	InChunks int64    // rows of campaigns that are no messages yet
	Moving   bool     // messages moved while they were counted: differences in numbers prove nothing, ask again
	Problems []string // what does not fit, at most maxProblems of them
}

const maxProblems = 50

// Balanced says that the counters add up, agree with the records, and every unsettled message has exactly one place.
func (d DeepAudit) Balanced() bool { return d.Audit.Balanced() && len(d.Problems) == 0 }

func (d *DeepAudit) problem(format string, args ...any) {
	if len(d.Problems) < maxProblems {
		d.Problems = append(d.Problems, fmt.Sprintf(format, args...))
	}
}

// AuditDeep counts the records instead of trusting the counters, and checks that each unsettled message has exactly one place:
// a waiting set, the due set, or behind a hold; a row of a campaign that is no message yet has its chunk. Each message is looked at atomically, all of them together are not; so when messages move
// meanwhile it counts again, up to three times, and says so if they still did.
func (l *Ledger) AuditDeep(ctx context.Context, sender string) (DeepAudit, error) {
	var d DeepAudit
	for range 3 {
		before, err := l.Audit(ctx, sender)
		if err != nil {
			return d, err
		}
		if d, err = l.recount(ctx, sender); err != nil {
			return d, err
		}
		if d.Audit, err = l.Audit(ctx, sender); err != nil {
			return d, err
		}
		d.Moving = before.differs(d.Audit)
		if d.InChunks != d.Rows && !d.Moving {
			d.problem("%d rows of campaigns wait in chunks, the counter says %d", d.InChunks, d.Rows)
		}
		for _, s := range message.Statuses {
			if d.Counts[s] != d.Counted[s] && !d.Moving {
				d.problem("%d records are %s, the counter says %d", d.Counted[s], s, d.Counts[s])
			}
		}
		if !d.Moving {
			break
		}
	}
	return d, nil
}

func (a Audit) differs(b Audit) bool {
	if a.Accepted != b.Accepted || a.Retired != b.Retired || a.Rows != b.Rows {
		return true
	}
	for _, s := range message.Statuses {
		if a.Counts[s] != b.Counts[s] {
			return true
		}
	}
	return false
}

func (l *Ledger) recount(ctx context.Context, sender string) (DeepAudit, error) {
	d := DeepAudit{Counted: map[message.Status]int64{}}
	seen := map[string]bool{} // SCAN may give a key twice, and most ids stand in a set as well
	check := func(ids []string) error { return l.inspect(ctx, sender, ids, seen, &d) }
	if err := l.scanRecords(ctx, sender, check); err != nil {
		return d, err
	}
	scopes, err := l.rdb.HKeys(ctx, prefix(sender)+"hold").Result()
	if err != nil {
		return d, fmt.Errorf("ledger scan: %w", err)
	}
	sets := []string{"waiting:critical", "waiting:default", "waiting:bulk", "due", "dead"}
	for _, scope := range scopes {
		sets = append(sets, "held:"+scope)
	}
	for _, set := range sets {
		if err := l.scanSet(ctx, prefix(sender)+set, check); err != nil {
			return d, err
		}
	}
	return d, l.countRows(ctx, sender, &d)
}

// countRows counts the rows of campaigns that are still to become messages, in their chunks, and those that were cancelled before they did.
func (l *Ledger) countRows(ctx context.Context, sender string, d *DeepAudit) error {
	campaigns, err := l.Campaigns(ctx, sender)
	if err != nil {
		return err
	}
	for _, c := range campaigns {
		if c.Status == message.CampaignCompleted || c.Forgotten {
			continue
		}
		state := message.Queued
		if c.Status == message.CampaignCancelled {
			state = message.Cancelled
		}
		next := c.Tracks[0].Next
		if c.Tracks[0].Zone != "" {
			next = Position{Row: c.Expanded} // of each zone something else is still to come: of all chunks, so many rows are messages
			rows, expanded := int64(0), int64(0)
			for _, t := range c.Tracks {
				rows, expanded = rows+t.Rows, expanded+t.Expanded
			}
			if rows != c.Rows || expanded != c.Expanded {
				d.problem("campaign %s: its zones have %d rows, %d of them messages, and it has %d and %d", c.ID, rows, expanded, c.Rows, c.Expanded)
			}
		}
		for chunk, offset := next.Chunk, next.Row; chunk < c.Chunks; chunk, offset = chunk+1, 0 {
			rows, err := l.CampaignRows(ctx, sender, c.ID, chunk)
			if err != nil {
				d.problem("campaign %s: chunk %d: %s", c.ID, chunk, err)
				continue
			}
			d.Counted[state] += int64(len(rows)) - offset
			if state == message.Queued {
				d.InChunks += int64(len(rows)) - offset
			}
		}
	}
	return nil
}

// inspect looks at messages that were not seen yet, in one round trip.
func (l *Ledger) inspect(ctx context.Context, sender string, ids []string, seen map[string]bool, d *DeepAudit) error {
	args := make([]any, 0, len(ids))
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			args = append(args, id)
		}
	}
	if len(args) == 0 {
		return nil
	}
	r, err := l.run(ctx, inspectScript, sender, args...)
	if err != nil {
		return err
	}
	for i := range r {
		d.judge(reply(r[i].([]any)))
	}
	return nil
}

// judge takes one line of the inspect script: id, status, priority, number of places, in dead.
func (d *DeepAudit) judge(r reply) {
	id, status := r.text(0), message.Status(r.text(1))
	places, dead := r.number(3), r.number(4)
	switch {
	case status == "":
		if places+dead > 0 {
			d.problem("message %s stands in a set but has no record", id)
		}
		return // retired between the listing and the look
	case !status.Valid():
		d.problem("message %s has the unknown state %q", id, status)
	case status.Settled() && places != 0:
		d.problem("message %s is %s, but still waits in %d places", id, status, places)
	case !status.Settled() && places != 1:
		d.problem("message %s is %s and has %d places instead of one", id, status, places)
	case (status == message.Dead) != (dead == 1):
		d.problem("message %s is %s, but the list of dead letters says otherwise", id, status)
	}
	d.Counted[status]++
}

// scanRecords hands out the ids of all records, in pages.
func (l *Ledger) scanRecords(ctx context.Context, sender string, visit func(ids []string) error) error {
	records := prefix(sender) + "m:"
	rdb, err := l.home(ctx, sender)
	if err != nil {
		return err
	}
	for cursor := uint64(0); ; {
		keys, next, err := rdb.Scan(ctx, cursor, records+"*", 1000).Result()
		if err != nil {
			return fmt.Errorf("ledger scan: %w", err)
		}
		for i := range keys {
			keys[i] = strings.TrimPrefix(keys[i], records)
		}
		if err := visit(keys); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// scanSet hands out the members of a sorted set, in pages.
func (l *Ledger) scanSet(ctx context.Context, set string, visit func(ids []string) error) error {
	for cursor := uint64(0); ; {
		members, next, err := l.rdb.ZScan(ctx, set, cursor, "", 500).Result()
		if err != nil {
			return fmt.Errorf("ledger scan: %w", err)
		}
		ids := make([]string, 0, len(members)/2)
		for i := 0; i < len(members); i += 2 { // each is followed by its score
			ids = append(ids, members[i])
		}
		if err := visit(ids); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
