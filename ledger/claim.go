package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/message"
)

// Verdict is the ledger's answer to a handler that brings a message.
type Verdict string

// Verdicts of a claim.
const (
	Send         Verdict = "send"       // the intent is written: send it now, once
	Decide       Verdict = "decide"     // its last attempt is in doubt or failed by callback: the policy has to decide, then Resolve
	Busy         Verdict = "busy"       // another run is sending it, or deciding about it
	Wait         Verdict = "wait"       // its time has not come; the due set will bring it again
	Held         Verdict = "held"       // it is parked: behind a hold, for its recipient, or for the day's budget
	Ready        Verdict = "ready"      // to a claim that only looks: nothing is to be decided, so claim it when its slot has come
	Stale        Verdict = "stale"      // a newer task stands for it
	ExpiredNow   Verdict = "expired"    // its time was over: this claim ended it
	Suppressed   Verdict = "suppressed" // the number is on the suppression list: this claim ended it
	AlreadyDone  Verdict = "settled"    // nothing is left to do
	AlreadyDead  Verdict = "dead"       // it is a dead letter
	NotInRecords Verdict = "gone"       // no such record: retired or purged
)

// ClaimRequest asks to send one message.
type ClaimRequest struct {
	Sender, ID string
	Generation int
	Token      string        // random, one per handler run
	Lease      time.Duration // after it, whoever claims next takes the outcome for unknown
	Replay     bool          // an operator pressed Run on the dead letter
	Express    bool          // the task came by the express queue: as the probe of a hold, or for a decision
	Look       bool          // only ask whether something is to be decided; nothing is claimed otherwise
	Sessions   bool          // a session message needs a user who wrote within 24 hours; see Claim.NoSession
}

// Claim is the answer, and what the handler needs to know of the message.
type Claim struct {
	Verdict   Verdict
	Now       time.Time // Redis's clock
	Status    message.Status
	Attempt   int           // number of this attempt, or of the last one
	Spent     int           // attempts spent, this one included
	First     time.Time     // first intent
	Parked    time.Duration // of the time since then, spent behind holds
	ExpiresAt time.Time
	Priority  message.Priority
	To        string
	Template  string
	OnInDoubt message.OnInDoubt
	Code      string // of the last attempt
	Class     gupshup.Class
	Reason    string
	MessageID string
	Content   gupshup.Content // with Send
	Until     time.Time       // with Held: when it is tried again; zero if a person has to release it
	CreatedAt time.Time
	NoSession bool      // with Send: the session it needs is not open, and it has no fallback; commit it as refused
	Intent    time.Time // when this attempt, or the last one, was claimed
	Trace     string    // of its last attempt, or its acceptance; empty if that is not traced
}

// Age is how long we have been trying, not counting the time behind holds.
func (c Claim) Age() time.Duration {
	if c.First.IsZero() {
		return 0
	}
	return c.Now.Sub(c.First) - c.Parked
}

// Claim asks whether the message may be sent now. With Send the intent is on record before it returns.
// A record whose content cannot be read comes back as Send with a *ContentError: it must be committed as dead.
// With ErrNotReplicated the answer is the master's, and must not be acted on, except to commit that nothing was sent.
func (l *Ledger) Claim(ctx context.Context, q ClaimRequest) (Claim, error) {
	limits := l.cfg.Limits[q.Sender]
	r, err := l.run(ctx, claimScript, q.Sender, q.ID, q.Generation, q.Token, q.Lease.Milliseconds(), flag(q.Replay), flag(q.Sessions),
		l.cfg.DoubtWindow.Milliseconds(), int64(l.indexKept().Seconds()), flag(q.Express), flag(q.Look),
		limits.PairEvery.Milliseconds(), max(1, limits.PairBurst), limits.DailyRecipients)
	if err != nil && !errors.Is(err, ErrNotReplicated) {
		return Claim{}, err
	}
	unsure := err
	c := Claim{
		Verdict: Verdict(r.text(0)), Now: fromMillis(r.number(1)), Status: message.Status(r.text(2)),
		Attempt: int(r.number(3)), Spent: int(r.number(4)), First: fromMillis(r.number(5)),
		Parked:    time.Duration(r.number(6)) * time.Millisecond,
		ExpiresAt: fromMillis(r.number(7)), Priority: message.Priority(r.text(8)), To: r.text(9), Template: r.text(10),
		OnInDoubt: message.OnInDoubt(r.text(11)), Code: r.text(12), Class: gupshup.Class(r.text(13)), Reason: r.text(14),
		MessageID: r.text(15), Until: fromMillis(r.number(17)), CreatedAt: fromMillis(r.number(18)), Intent: fromMillis(r.number(19)),
		NoSession: r.text(20) == "1", Trace: r.text(21),
	}
	if c.Verdict == Send {
		if c.Content, err = unpackContent(r.text(16), c.Template); err != nil {
			return c, &ContentError{Err: err}
		}
	}
	return c, unsure
}

// flag is how scripts are told yes or no.
func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// ContentError says that the content in a record cannot be read any more.
type ContentError struct{ Err error }

func (e *ContentError) Error() string { return "the record's content cannot be read: " + e.Err.Error() }
func (e *ContentError) Unwrap() error { return e.Err }
