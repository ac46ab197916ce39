package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/message"
)

// Outcome is what one attempt came to, as far as we know.
type Outcome string

// Outcomes of an attempt.
const (
	OutcomeSubmitted Outcome = "submitted" // Gupshup took it
	OutcomeRefused   Outcome = "refused"   // Gupshup said no
	OutcomeNotSent   Outcome = "not_sent"  // it certainly did not reach Gupshup
	OutcomeInDoubt   Outcome = "in_doubt"  // it may have
)

// Commit records one attempt.
type Commit struct {
	Sender, ID string
	Attempt    int
	Outcome    Outcome
	Next       message.Status // Submitted, Queued, Dead or InDoubt
	Delay      time.Duration  // until the retry, the end of the wait or of the doubt
	WaitingFor string         // Queued only: what it is parked for; empty for a retry
	Spends     bool           // whether the attempt counts
	Slack      time.Duration  // how long after the retry's time its asynq task counts as lost
	Code       string
	Class      gupshup.Class
	Reason     string
	MessageID  string
	Template   string // the id of the template that was sent; empty for a session message
	Trace      string // of this attempt, for what is heard of it later; empty if it is not traced
	Follows
}

// Follows is what a failure asks for beyond its message.
type Follows struct {
	Hold     *Hold
	Suppress gupshup.Suppression // of the recipient's number; its zero value leaves it alone
	Guard    Guard               // what is held when many in a row fail in this way
	Well     bool                // the failure concerns this message alone: its sender could send
	Unasked  bool                // Gupshup never saw the request: the failure shows nothing
	Patient  bool                // a message that fails alone so that its sender would be held waits by itself; otherwise it is dead
}

// Guard is what a storm of equal failures holds, which are then not the messages' fault.
type Guard string

// What a storm holds.
const (
	GuardNothing  Guard = ""
	GuardTemplate Guard = "template"
	GuardSender   Guard = "sender"
)

// Committed tells what a commit or a decision did.
type Committed struct {
	Status  message.Status // where the message stands now
	Applied bool           // false: the ledger knew better. Repeating a change that stands is answered like the change itself
	Turned  bool           // applied, with another end than asked: a dead letter waits behind a hold, or what was to wait is dead
	Gone    bool           // there is no record any more
}

// Commit writes down what an attempt came to. It may come at any time, also after the claim has run out: what Gupshup said is
// never thrown away, and a success moves the message wherever it stands.
func (l *Ledger) Commit(ctx context.Context, c Commit) (Committed, error) {
	bucket, field := indexOf(c.MessageID)
	args := append([]any{
		c.ID, c.Attempt, string(c.Outcome), string(c.Next), c.Delay.Milliseconds(), c.WaitingFor, flag(c.Spends), oneLine(c.Code),
		string(c.Class), oneLine(c.Reason), oneLine(c.MessageID), bucket, field, int64(l.indexKept().Seconds()), c.Slack.Milliseconds(),
	}, c.args(c.Template, l.cfg.Process)...)
	args = append(append(args, l.cfg.DoubtWindow.Milliseconds()), l.pair(c.Sender)...)
	args = append(args, c.Trace)
	r, err := l.run(ctx, commitScript, c.Sender, args...)
	if err != nil {
		return Committed{}, err
	}
	return committed(r), nil
}

// args are the arguments of follow in lua/hold.lua.
func (f Follows) args(template, process string) []any {
	scope, priorities, holdFor, atMost := "", "", time.Duration(0), time.Duration(0)
	if h := f.Hold; h != nil {
		scope, holdFor, atMost = h.scope(), h.For, h.AtMost
		priorities = joined(h.Priorities)
	}
	guard := string(f.Guard)
	if f.Guard == GuardTemplate {
		if guard = ""; template != "" { // a session message has none: there is nothing to hold
			guard = templateScope + template
		}
	}
	return []any{
		scope, priorities, holdFor.Milliseconds(), atMost.Milliseconds(), string(f.Suppress.Scope), f.Suppress.For.Milliseconds(), guard, flag(f.Well), flag(f.Patient),
		flag(!f.Unasked), process,
	}
}

// pair are the arguments that tell a script how fast one number may be written to.
func (l *Ledger) pair(sender string) []any {
	limits := l.cfg.Limits[sender]
	return []any{limits.PairEvery.Milliseconds(), max(1, limits.PairBurst)}
}

func committed(r reply) Committed {
	return Committed{
		Status: message.Status(r.text(0)), Applied: r.text(1) == "applied" || r.text(1) == "turned",
		Turned: r.text(1) == "turned", Gone: r.text(1) == "gone",
	}
}

// Resolution is the policy's decision about a message in doubt, or failed by callback.
type Resolution struct {
	Sender, ID string
	Attempt    int
	Token      string         // of the claim that answered Decide
	Next       message.Status // Queued, Dead, or InDoubt to wait longer
	Delay      time.Duration
	WaitingFor string
	Code       string
	Class      gupshup.Class
	Reason     string
	Spends     bool          // whether the attempt counts
	Slack      time.Duration // as in Commit
	Template   string        // the id of the template that was sent; empty for a session message
	Follows
}

// Resolve records a decision. It changes nothing when a receipt or another run was quicker.
func (l *Ledger) Resolve(ctx context.Context, d Resolution) (Committed, error) {
	r, err := l.run(ctx, resolveScript, d.Sender, append([]any{
		d.ID, d.Attempt, d.Token, string(d.Next), d.Delay.Milliseconds(), oneLine(d.Code), string(d.Class), oneLine(d.Reason),
		d.WaitingFor, flag(d.Spends), d.Slack.Milliseconds(),
	}, append(d.args(d.Template, l.cfg.Process), l.pair(d.Sender)...)...)...)
	if err != nil {
		return Committed{}, err
	}
	return committed(r), nil
}

// oneLine keeps a text from breaking the record's lines.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s)
}

// indexBuckets spreads a day's messageIds over small hashes, which Redis packs: at a million messages a day about 250 each.
const indexBuckets = 4096

// indexOf tells in which bucket of a day a messageId is found and under which field. Gupshup's ids are UUIDs so far, which
// need 16 bytes; a short id of another form is kept as it is, a long one, such as WhatsApp's, by the first 16 bytes of its SHA-256.
func indexOf(messageID string) (bucket, field string) {
	if messageID == "" {
		return "", ""
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(messageID))
	bucket = fmt.Sprintf("%x", h.Sum32()%indexBuckets)
	plain := strings.ReplaceAll(messageID, "-", "")
	if len(messageID) == 36 && len(plain) == 32 && strings.ToLower(plain) == plain {
		if raw, err := hex.DecodeString(plain); err == nil {
			return bucket, string(raw)
		}
	}
	if len(messageID) > 32 {
		sum := sha256.Sum256([]byte(messageID))
		return bucket, string(sum[:16])
	}
	return bucket, messageID
}
