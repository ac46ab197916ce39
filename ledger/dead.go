package ledger

import (
	"context"
	"iter"
	"time"
)

// DeadLetter is the record of a message that is dead, and when it died.
type DeadLetter struct {
	Record
	At time.Time
}

// DeadOf gives the dead letters of several senders together, newest first, as Dead does for one. It holds one page for each sender.
func (l *Ledger) DeadOf(ctx context.Context, senders []string, q DeadFilter) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		heads := make([]*head, 0, len(senders))
		for _, s := range senders {
			next, stop := iter.Pull2(l.deadOf(ctx, s, q))
			defer stop()
			heads = append(heads, (&head{pull: next}).advance())
		}
		for n := 0; q.Limit == 0 || n < q.Limit; n++ {
			newest := (*head)(nil)
			for _, h := range heads {
				if h.err != nil {
					yield(DeadLetter{}, h.err)
					return
				}
				if h.ok && (newest == nil || h.letter.At.After(newest.letter.At)) {
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
	pull   func() (DeadLetter, error, bool)
	letter DeadLetter
	err    error
	ok     bool
}

func (h *head) advance() *head {
	h.letter, h.err, h.ok = h.pull()
	return h
}

func (l *Ledger) deadOf(ctx context.Context, sender string, q DeadFilter) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		stopped := false
		err := l.Dead(ctx, sender, q, func(r Record, at time.Time) bool {
			stopped = !yield(DeadLetter{Record: r, At: at}, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(DeadLetter{}, err)
		}
	}
}
