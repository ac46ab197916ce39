package main

import (
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
