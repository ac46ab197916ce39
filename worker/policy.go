package worker

import (
	"fmt"
	"math"
	"time"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// action is what becomes of a message after an attempt that did not succeed.
type action string

const (
	retry   action = "retry"   // again after a while, as an asynq retry
	park    action = "park"    // again when what it waits for is over; nothing spent
	archive action = "archive" // a dead letter
	doubt   action = "doubt"   // nobody knows: wait for a callback, or send again, as on_in_doubt says
)

// rule is one row of the policy: what is done about a class of failures.
type rule struct {
	action action
	spends bool          // the attempt counts
	tries  int           // at most so many attempts, if fewer than the priority's budget; for park, after so many it is over
	wait   time.Duration // park: how long at least; doubled with each attempt
	atMost time.Duration // park: how long at most
	holds  scope         // what else is kept from being sent meanwhile
	guard  ledger.Guard  // what is held when many fail in this way in a row: then it is not the messages' fault
	well   bool          // it concerns the message alone: its sender could send
	outage bool          // Gupshup, or the way to it, is down: half of 20 attempts hold the sender, see outage.go
	urgent action        // what a critical message gets instead
	why    string
}

// scope is what a rule holds.
type scope string

const (
	nothing    scope = ""
	sender     scope = "the sender"
	notUrgent  scope = "default and bulk of the sender"
	oneOfForms scope = "the template"
)

// policy turns a class of failures into an action; README.md shows it, and a test compares them. It is the one place where that is decided, for replies and callbacks alike.
var policy = map[gupshup.Class]rule{
	gupshup.ClassRecipient:     {action: archive, spends: true, well: true, why: "this number will not become reachable by trying again"},
	gupshup.ClassConsent:       {action: archive, spends: true, well: true, why: "no open session or no consent: only the user can change that"},
	gupshup.ClassContent:       {action: archive, spends: true, guard: ledger.GuardTemplate, well: true, why: "the same content would be refused again"},
	gupshup.ClassMedia:         {action: retry, spends: true, tries: 3, well: true, why: "WhatsApp could not fetch the file; its host may have had a bad moment"},
	gupshup.ClassTemplate:      {action: park, tries: 50, wait: time.Minute, atMost: time.Hour, holds: oneOfForms, well: true, why: "the template is paused or does not match: its other messages would fail, too"},
	gupshup.ClassTemplateGone:  {action: archive, spends: true, wait: 10 * time.Minute, atMost: time.Hour, holds: oneOfForms, well: true, why: "the template does not exist any more"},
	gupshup.ClassAccount:       {action: park, wait: time.Minute, atMost: 15 * time.Minute, holds: sender, why: "balance, key or account: every message would fail until somebody mends it"},
	gupshup.ClassSpam:          {action: park, wait: 10 * time.Minute, atMost: 4 * time.Hour, holds: notUrgent, urgent: retry, why: "WhatsApp thinks this sender spams: stop all that can wait"},
	gupshup.ClassThrottled:     {action: retry, why: "too fast: slow down; nobody's attempt is spent"},
	gupshup.ClassPairThrottled: {action: park, tries: 50, wait: 6 * time.Second, atMost: 5 * time.Minute, well: true, why: "too many to this one recipient"},
	gupshup.ClassMaintenance:   {action: park, wait: time.Minute, atMost: time.Minute, holds: sender, why: "the number is being upgraded, which takes a minute"},
	gupshup.ClassTransient:     {action: retry, spends: true, outage: true, why: "Gupshup or WhatsApp had a fault and said so"},
	gupshup.ClassNotSent:       {action: retry, outage: true, why: "it certainly did not reach Gupshup"},
	gupshup.ClassWaitDay:       {action: park, tries: 7, wait: 24 * time.Hour, atMost: 24 * time.Hour, urgent: archive, well: true, why: "the recipient had enough marketing today; trying sooner prolongs it"},
	gupshup.ClassInDoubt:       {action: doubt, spends: true, outage: true, why: "Gupshup may have taken it, and has no idempotency key"},
	gupshup.ClassUnknown:       {action: archive, spends: true, guard: ledger.GuardSender, why: "nobody knows what it means: look at it, then add it to codes"},
}

// guards are the codes whose storm holds something else than their class says: set up wrongly, a sender fails with them whatever it sends.
var guards = map[string]ledger.Guard{"1001": ledger.GuardSender, "1004": ledger.GuardSender}

// unasked are the codes of failures that Gupshup never saw: they say nothing about it, nor about the sender.
var unasked = map[string]bool{codeSlotLost: true, codeStalled: true, codeNotReplicated: true, CodeNoSession: true, gupshup.CodeInvalidRequest: true}

// money are the codes of an account that cannot pay. Some messages cost more than others, so one may fail where others go through, and
// still only has to wait.
var money = map[string]bool{"1003": true, "402": true, "131042": true}

// Budget ends the attempts of a message by number or by age, whichever comes first.
type Budget struct {
	Attempts int
	MaxAge   time.Duration // from the first attempt, standing still behind holds
}

// limits is what the configuration says about retrying.
type limits struct {
	budget        map[message.Priority]Budget
	base, cap     time.Duration // of the backoff
	retryAfterCap time.Duration
	doubtWindow   time.Duration
}

// failure is everything the policy looks at.
type failure struct {
	class      gupshup.Class
	code       string
	retryAfter time.Duration
	priority   message.Priority
	onInDoubt  message.OnInDoubt
	attempt    int           // claims so far, this one included
	spent      int           // of them, those that count, this one included
	age        time.Duration // since the first attempt
	waited     bool          // in doubt, and the window for a callback is over
	expired    bool
	template   string
	jitter     float64 // in [0,1), drawn by the caller
}

// verdict is what to do, with the reason.
type verdict struct {
	action     action
	delay      time.Duration
	spends     bool
	waitingFor string
	code       string         // of the dead letter
	follows    ledger.Follows // what it means for others
	why        string
}

// decideLate is decide for a message whose attempt was over long ago: failed by callback, or in doubt. Such a message is not sent
// again past its time, as a queued one would not be.
func decideLate(f failure, l limits) verdict {
	v := decide(f, l)
	if f.expired && (v.action == retry || v.action == park) {
		v.action, v.spends, v.why = archive, true, "failed, and its time is over"
	}
	return v
}

// decide is the policy: values in, a verdict out.
func decide(f failure, l limits) verdict {
	r, known := policy[f.class]
	if !known {
		r = policy[gupshup.ClassUnknown]
	}
	v := verdict{action: r.action, spends: r.spends, code: f.code, why: r.why, follows: r.follows(f)}
	if r.urgent != "" && f.priority == message.Critical {
		v.action, v.spends = r.urgent, true
	}
	switch v.action {
	case archive:
		if known, ok := gupshup.LookupCode(f.code); ok {
			v.follows.Suppress = known.Suppress
		}
	case retry:
		return v.retried(f, r, l)
	case park:
		if r.tries > 0 && f.attempt >= r.tries { // what it waits for may be its own fault
			v.action, v.spends, v.why = archive, true, fmt.Sprintf("given up after %d attempts", f.attempt)
			return v
		}
		v.waitingFor = string(f.class)
		v.delay = atLeast(doubled(r.wait, f.attempt-1, r.atMost), min(f.retryAfter, l.retryAfterCap))
	case doubt:
		return v.doubted(f, l)
	}
	return v
}

// retried keeps a retry within its budget of attempts and age.
func (v verdict) retried(f failure, r rule, l limits) verdict {
	b := l.budget[f.priority]
	most := b.Attempts
	if r.tries > 0 {
		most = min(most, r.tries)
	}
	switch {
	case v.spends && f.spent >= most:
		v.action, v.why = archive, fmt.Sprintf("given up after %d attempts", f.spent)
		return v
	case f.age >= b.MaxAge:
		v.action, v.why = archive, fmt.Sprintf("given up after %s", f.age.Round(time.Second))
		return v
	}
	v.delay = time.Duration(f.jitter * float64(doubled(l.base, f.attempt-1, l.cap))) // full jitter
	v.delay = min(v.delay, b.MaxAge-f.age)                                           // the last try comes in time
	v.delay = atLeast(v.delay, min(f.retryAfter, l.retryAfterCap))
	return v
}

// doubted asks on_in_doubt. A blind resend may double a message, so it is made only where its sender said so; critical ones do
// not wait for the callback first, because a one-time password that comes two minutes late is as good as lost.
func (v verdict) doubted(f failure, l limits) verdict {
	b := l.budget[f.priority]
	again := f.onInDoubt == message.Resend && f.spent < b.Attempts && f.age < b.MaxAge && !f.expired
	switch {
	case again && (f.waited || f.priority == message.Critical):
		v.action, v.why = retry, "in doubt: sent again, it may arrive twice"
	case f.waited:
		v.action, v.code, v.why = archive, CodeInDoubt, "nobody knows whether Gupshup took it: a person decides"
	default:
		v.delay = l.doubtWindow
	}
	return v
}

// CodeInDoubt is the code of dead letters that may have been delivered.
const CodeInDoubt = "IN_DOUBT"

// follows is what a failure by this rule means for others. What to suppress is decided with its action.
func (r rule) follows(f failure) ledger.Follows {
	guard := r.guard
	if g, ok := guards[f.code]; ok {
		guard = g
	}
	return ledger.Follows{Hold: r.hold(f.template), Guard: guard, Well: r.well, Patient: money[f.code], Unasked: unasked[f.code]}
}

// hold is what this rule keeps from being sent.
func (r rule) hold(template string) *ledger.Hold {
	h := &ledger.Hold{For: r.wait, AtMost: r.atMost}
	switch r.holds {
	case sender:
	case notUrgent:
		h.Priorities = []message.Priority{message.Default, message.Bulk}
	case oneOfForms:
		if template == "" {
			return nil // a session message has none: there is nothing else to hold
		}
		h.Template = template
	default:
		return nil
	}
	return h
}

// doubled is base·2ⁿ, at most most.
func doubled(base time.Duration, n int, most time.Duration) time.Duration {
	d := float64(base) * math.Pow(2, float64(min(max(n, 0), 40)))
	return time.Duration(math.Min(d, float64(most)))
}

func atLeast(d, floor time.Duration) time.Duration { return max(d, floor) }
