package main

import (
	"context"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/ledger"
)

func newDeadCommand(e *env) *cobra.Command {
	return group("dead", "Look at dead letters, send them again, or delete them",
		newDeadListCommand(e), newDeadShowCommand(e), newDeadReplayCommand(e), newDeadExportCommand(e), newDeadPurgeCommand(e))
}

// deadFlags choose dead letters.
type deadFlags struct {
	sender, code, campaign, since, until string
	limit                                int
}

// deadFilterFlags are those that choose by what letters are like.
var deadFilterFlags = []string{"code", "campaign", "since", "until", "limit"}

func (f *deadFlags) add(c *cobra.Command) {
	senderFlag(c, &f.sender, "only this sender's")
	fs := c.Flags()
	fs.StringVar(&f.code, "code", "", "only those with this `code`, such as 1002 or IN_DOUBT")
	fs.StringVar(&f.campaign, "campaign", "", "only those of the campaign with this `id`")
	fs.StringVar(&f.since, "since", "", "only those that died at this `time` or later (RFC 3339, or how long ago: 24h, 7d)")
	fs.StringVar(&f.until, "until", "", "only those that died at this `time` or earlier")
	fs.IntVar(&f.limit, "limit", 0, "at most so many, the newest; 0 for all")
}

func (f *deadFlags) filter(now time.Time) (q ledger.DeadFilter, err error) {
	q = ledger.DeadFilter{Code: f.code, Campaign: f.campaign, Limit: f.limit}
	if q.Since, err = pastTime("since", f.since, now); err != nil {
		return q, err
	}
	if q.Until, err = pastTime("until", f.until, now); err != nil {
		return q, err
	}
	switch {
	case f.limit < 0:
		return q, usagef("--limit %d is negative: write a number, or 0 for all", f.limit)
	case !q.Until.IsZero() && q.Since.After(q.Until):
		return q, usagef("--since is later than --until: no dead letter can match")
	}
	return q, nil
}

// deadLetter is a dead letter and when it died.
type deadLetter struct {
	record ledger.Record
	at     time.Time
}

// deadLetters gives what the flags choose, of all senders together, newest first. It holds one page for each sender.
func (a *app) deadLetters(ctx context.Context, senders []string, q ledger.DeadFilter) iter.Seq2[deadLetter, error] {
	return func(yield func(deadLetter, error) bool) {
		heads := make([]*head, 0, len(senders))
		for _, s := range senders {
			next, stop := iter.Pull2(a.deadOf(ctx, s, q))
			defer stop()
			heads = append(heads, (&head{pull: next}).advance())
		}
		for n := 0; q.Limit == 0 || n < q.Limit; n++ {
			newest := (*head)(nil)
			for _, h := range heads {
				if h.err != nil {
					yield(deadLetter{}, h.err)
					return
				}
				if h.ok && (newest == nil || h.letter.at.After(newest.letter.at)) {
					newest = h
				}
			}
			if newest == nil || !yield(newest.letter, nil) {
				return
			}
			newest.advance()
		}
	}
}

// head is the first letter of a sender that was not given yet.
type head struct {
	pull   func() (deadLetter, error, bool)
	letter deadLetter
	err    error
	ok     bool
}

func (h *head) advance() *head {
	h.letter, h.err, h.ok = h.pull()
	return h
}

func (a *app) deadOf(ctx context.Context, sender string, q ledger.DeadFilter) iter.Seq2[deadLetter, error] {
	return func(yield func(deadLetter, error) bool) {
		stopped := false
		err := a.ledger.Dead(ctx, sender, q, func(r ledger.Record, at time.Time) bool {
			stopped = !yield(deadLetter{record: r, at: at}, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(deadLetter{}, err)
		}
	}
}
