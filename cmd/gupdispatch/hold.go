package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/view"
)

// countedMessages counts in words.
func countedMessages(n int64) string {
	if n == 1 {
		return "1 message waits"
	}
	return fmt.Sprintf("%d messages wait", n)
}

// bitByBit is what becomes of what waited when a hold is over.
const bitByBit = "let go bit by bit, at no more than twice the sender's rate"

// holdFlags are those of the commands by which a person holds something.
type holdFlags struct {
	reason, until, by string
	json              bool
}

func (f *holdFlags) add(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVar(&f.reason, "reason", "", "why: whoever looks at it next reads this")
	fs.StringVar(&f.until, "until", "", "until this `time` (RFC 3339, or how long from now: 30m, 2d; default: until it is released)")
	fs.StringVar(&f.by, "by", "", "who holds it (default: the name of your user)")
	jsonFlag(c, &f.json)
}

// request is the hold without what it holds.
func (f holdFlags) request(e *env) (q ledger.HoldRequest, err error) {
	q = ledger.HoldRequest{Reason: ledger.ReasonByHand, Note: strings.TrimSpace(f.reason), By: strings.TrimSpace(f.by)}
	if q.Note == "" {
		return q, usagef("--reason is missing: say why, for whoever looks at it next")
	}
	for flag, text := range map[string]string{"reason": q.Note, "by": q.By} {
		if n := utf8.RuneCountInString(text); n > maxReason {
			return q, usagef("--%s has %d characters; at most %d", flag, n, maxReason)
		}
	}
	now := e.now()
	if q.Until, err = futureTime("until", f.until, now); err != nil {
		return q, err
	}
	if !q.Until.IsZero() && !q.Until.After(now) {
		return q, usagef("--until %q has passed already: write a time to come, such as 30m, or leave it out to hold until it is released", f.until)
	}
	if q.By == "" {
		q.By = e.userName()
	}
	return q, nil
}

// currentUser is who runs this process, as the machine knows them.
func currentUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("user %d", os.Getuid()) // a container's user needs no name
}

// someSender demands the name of a configured sender as an argument.
func (a *app) someSender(name string) error {
	if _, ok := a.cfg.Sender(name); !ok {
		return usagef("sender %q is not configured: use one of %s", name, strings.Join(a.names(), ", "))
	}
	return nil
}

// heldOf reads what is held of a sender now: its own holds, the widest first, and its templates'.
func (a *app) heldOf(ctx context.Context, sender string) (all ledger.Holds, own, templates []ledger.HeldScope, err error) {
	all, err = a.ledger.Holds(ctx, sender)
	own, templates = view.SplitHolds(all)
	return all, own, templates, err
}
