package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// demoResult is where every message of the demo ended, compared with what the sample says and with what the simulator saw.
type demoResult struct {
	took   time.Duration
	rows   []demoRow                // by status and story, in the order of demoCases
	dead   []ledger.Record          // every dead letter, in the order of the sample
	told   map[told][]ledger.Record // what Gupshup took, by what its callbacks told, in the order of the sample
	wrong  []string                 // what is not as the sample says, a line each
	audits map[string]ledger.DeepAudit
	stats  gupshuptest.Stats

	twice   int      // messages that Gupshup took twice after a doubt, as their policy wants it
	doubled []string // messages that it took twice without one
	lost    []string // messages that count as taken and that it never took
	untold  []string // messages that are not what its callbacks told, a line each
}

// demoRow is a line of the table of outcomes.
type demoRow struct {
	status   message.Status
	story    string
	waits    string // what the messages wait for
	sender   string // of the first
	count    int
	wrong    int
	min, max int // attempts that were sent
}

// ok is whether the demo has proved what it is there to prove.
func (r *demoResult) ok() bool {
	return len(r.wrong) == 0 && len(r.doubled) == 0 && len(r.lost) == 0 && len(r.untold) == 0 && r.balanced()
}

func (r *demoResult) balanced() bool {
	for _, a := range r.audits {
		if !a.Balanced() || a.Moving {
			return false
		}
	}
	return true
}

// collect reads every record, recounts the books and asks the simulator what it has taken.
func (s *demoStage) collect(ctx context.Context, took time.Duration) (*demoResult, error) {
	r := &demoResult{took: took, audits: map[string]ledger.DeepAudit{}, told: map[told][]ledger.Record{}, stats: s.sim.Stats()}
	records := make(map[string]ledger.Record, len(s.sample)) // by number: each is in the sample once
	stories := map[string]string{}
	for _, c := range demoCases() {
		stories[c.name] = c.story
	}
	for _, d := range s.sample {
		rec, err := s.app.ledger.Get(ctx, d.Sender, d.ID)
		if err != nil {
			return nil, fmt.Errorf("message %s: %w", d.ID, err)
		}
		records[rec.To] = rec
		r.add(d, rec, stories[d.Case])
	}
	for _, d := range demoSenders() {
		a, err := s.app.ledger.AuditDeep(ctx, d.name)
		if err != nil {
			return nil, err
		}
		r.audits[d.name] = a
	}
	r.compare(records, s.sim)
	return r, nil
}

// add puts one record into its line.
func (r *demoResult) add(d demoMessage, rec ledger.Record, story string) {
	met := d.Expect.met(rec)
	if !met {
		r.wrong = append(r.wrong, fmt.Sprintf("%s (%s) should be %s and is %s", d.ID, d.Case, d.Expect, reality(rec, d.Expect.attempts > 0)))
	}
	if rec.Status == message.Dead {
		r.dead = append(r.dead, rec)
	}
	if line := toldOf(rec); line != "" {
		r.told[line] = append(r.told[line], rec)
	}
	row := r.row(rec, story)
	n := attemptsSent(rec)
	if row.count == 0 {
		row.min, row.max = n, n
	}
	row.count++
	row.min, row.max = min(row.min, n), max(row.max, n)
	if !met {
		row.wrong++
	}
}

// reality is a record in the words of an expectation.
func reality(rec ledger.Record, attempts bool) string {
	x := expectation{status: rec.Status, detail: rec.Code}
	if rec.Status == message.Queued {
		x.detail = rec.WaitingFor
	}
	if attempts {
		x.attempts = attemptsSent(rec)
	}
	return x.String()
}

func (r *demoResult) row(rec ledger.Record, story string) *demoRow {
	for i := range r.rows {
		if r.rows[i].status == rec.Status && r.rows[i].story == story {
			return &r.rows[i]
		}
	}
	r.rows = append(r.rows, demoRow{status: rec.Status, story: story, waits: rec.WaitingFor, sender: rec.Sender})
	return &r.rows[len(r.rows)-1]
}

// compare holds the records against what the simulator has taken: everything that counts as taken must be there and be what its
// callbacks told, and only a message that was in doubt, and whose policy is to send it again, may have come to its user twice.
// What failed by callback has not come to anybody.
func (r *demoResult) compare(records map[string]ledger.Record, sim *gupshuptest.Simulator) {
	taken := map[string][]gupshuptest.Accepted{}
	for _, m := range sim.Accepted(gupshuptest.Filter{}) {
		taken[m.Destination] = append(taken[m.Destination], m)
	}
	for to, rec := range records {
		came := 0
		for _, m := range taken[to] {
			if m.Outcome != gupshuptest.OutcomeFailed {
				came++
			}
		}
		switch {
		case rec.Status.Taken() && came == 0:
			r.lost = append(r.lost, rec.ID)
		case came > 1 && doubted(rec) && rec.OnInDoubt != message.Hold:
			r.twice++
		case came > 1:
			r.doubled = append(r.doubled, rec.ID)
		}
		if line := misheard(rec, taken[to]); line != "" {
			r.untold = append(r.untold, line)
		}
	}
}

// doubted tells whether any attempt but the last was in doubt.
func doubted(rec ledger.Record) bool {
	for i, a := range rec.Attempts {
		if a.Outcome == ledger.OutcomeInDoubt && i < len(rec.Attempts)-1 {
			return true
		}
	}
	return false
}
