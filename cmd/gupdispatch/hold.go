package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// holdView is a hold of a sender as the commands print it; reason, code, since and until are part of the contract.
type holdView struct {
	Reason     string             `json:"reason"` // a class of failures, outage, storm or by_hand
	Code       string             `json:"code"`   // Gupshup's, if there was one
	Note       string             `json:"note"`   // what the person wrote who holds it
	By         string             `json:"by"`     // that person; "" is the policy
	Since      stamp              `json:"since"`
	Until      stamp              `json:"until"`      // by the policy: when it is tried next; by a person: when it ends, null when somebody releases it
	Priorities []message.Priority `json:"priorities"` // what it is about; all three for the whole sender
	Probe      string             `json:"probe"`      // the message it is being tried with
}

func holdViewOf(h ledger.HeldScope) holdView {
	v := holdView{
		Reason: h.Reason, Code: h.Code, Note: h.Note, By: h.By, Since: stamp(h.Since), Until: stamp(h.Until), Probe: h.Probe,
		Priorities: []message.Priority{},
	}
	for _, p := range message.Priorities {
		if h.Covers(p) {
			v.Priorities = append(v.Priorities, p)
		}
	}
	return v
}

// whole says that all of the sender is held.
func (v holdView) whole() bool { return len(v.Priorities) == len(message.Priorities) }

// what tells what is held: all, or "default and bulk".
func (v holdView) what() string {
	if v.whole() {
		return "all"
	}
	return joinPriorities(v.Priorities)
}

func joinPriorities(priorities []message.Priority) string {
	words := make([]string, len(priorities))
	for i, p := range priorities {
		words[i] = string(p)
	}
	return strings.Join(words, " and ")
}

// story tells a hold for people: why, since when, and what comes next.
func (v holdView) story(now time.Time) string { return v.past(now) + "; " + v.next(now) }

// past tells why something is, or was, held, and for how long.
func (v holdView) past(now time.Time) string {
	return fmt.Sprintf("%s, for %s", v.why(), age(now, v.Since))
}

// why is such as "account (1003)", or who holds it and what they wrote.
func (v holdView) why() string {
	switch {
	case v.By != "":
		return fmt.Sprintf("by %s, %q", v.By, v.Note)
	case v.Code != "":
		return v.Reason + " (" + v.Code + ")"
	}
	return v.Reason
}

// next tells how a hold ends.
func (v holdView) next(now time.Time) string {
	left := func() string { return roundUp(time.Time(v.Until).Sub(now)).String() }
	switch {
	case v.By != "" && v.Until.IsZero():
		return "until it is released"
	case v.By != "":
		return "ends in " + left()
	case v.Probe != "":
		return "being tried with " + v.Probe
	case time.Time(v.Until).After(now):
		return "tried again in " + left()
	}
	return "tried with the next message that comes"
}

// roundUp makes whole seconds of what is still to come.
func roundUp(d time.Duration) time.Duration {
	return max(0, d+time.Second-1).Truncate(time.Second)
}

// waitingView counts the messages that wait for their turn or behind a hold.
type waitingView struct {
	Critical int64 `json:"critical"`
	Default  int64 `json:"default"`
	Bulk     int64 `json:"bulk"`
}

func waitingViewOf(of func(message.Priority) int64) waitingView {
	return waitingView{Critical: of(message.Critical), Default: of(message.Default), Bulk: of(message.Bulk)}
}

func (w waitingView) total() int64 { return w.Critical + w.Default + w.Bulk }

// waitingFor counts what waits for holds of a sender: their priorities, but not what templates keep back.
func waitingFor(all ledger.Holds, holds ...holdView) waitingView {
	return waitingViewOf(func(p message.Priority) int64 {
		if !slices.ContainsFunc(holds, func(v holdView) bool { return slices.Contains(v.Priorities, p) }) {
			return 0
		}
		n := all.Waiting(p)
		for _, h := range all.Scopes {
			if h.Template != "" && h.On() {
				n -= h.Waiting[p]
			}
		}
		return n
	})
}

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
	for _, h := range all.Scopes {
		switch {
		case !h.On():
		case h.Template != "":
			templates = append(templates, h)
		default:
			own = append(own, h)
		}
	}
	return all, own, templates, err
}

// holdViews shows holds, and never is null in JSON.
func holdViews(held []ledger.HeldScope) []holdView {
	views := make([]holdView, len(held))
	for i, h := range held {
		views[i] = holdViewOf(h)
	}
	return views
}
