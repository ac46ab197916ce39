package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gupdispatch/gupdispatch/message"
)

// Hold asks to keep a sender, some of its priorities, or a template from being sent, so that the messages behind it need not fail as
// well. It is tried again with one message, after For, and each time that fails after twice as long, up to AtMost.
type Hold struct {
	Template   string             // the template's id; empty holds the sender
	Priorities []message.Priority // empty: all
	For        time.Duration
	AtMost     time.Duration
}

const (
	templateScope = "template:"
	campaignScope = "campaign:"
)

// scope is how the ledger names what is held.
func (h Hold) scope() string {
	switch {
	case h.Template != "":
		return templateScope + h.Template
	case len(h.Priorities) > 0:
		return "some" // beside a hold of the whole sender, neither hides the other
	}
	return "sender"
}

func joined(priorities []message.Priority) string {
	var b strings.Builder
	for _, p := range priorities {
		b.WriteString(string(p) + " ")
	}
	return b.String()
}

// Reasons of holds that no class of failures gives.
const (
	ReasonByHand = "by_hand" // a person holds it
	ReasonOutage = "outage"  // half of what was tried lately failed
	ReasonStorm  = "storm"   // many failed in a row with one code
)

// What ends a hold, beside a person.
const (
	EndedByProbe = "probe" // the message that it was tried with went through
	EndedByTime  = "time"  // a person's was over; or for a day nothing was there to try the policy's with
)

// HeldScope is something that is held, or was until lately.
type HeldScope struct {
	Template   string             // the template's id; empty: the sender
	Campaign   string             // the campaign's id, which a person paused; empty: the sender or a template
	Priorities []message.Priority // empty: all
	Reason     string             // the class of failures, or one of the reasons above
	Code       string             // Gupshup's code, if there was one
	Note       string             // what the person wrote who holds it
	By         string             // that person; empty: the policy
	SeenBy     string             // the process whose message failed; empty: none did, or it has no name
	Since      time.Time
	Until      time.Time // when it is tried next, or ends; zero: when somebody releases it
	Ended      time.Time // zero: it is on. Otherwise what waits behind it is being let go
	EndedBy    string    // EndedByProbe, EndedByTime, or the person who released it
	Probe      string    // the message it is being tried with
	Waiting    map[message.Priority]int64
}

// On says whether it keeps messages from being sent.
func (h HeldScope) On() bool { return h.Ended.IsZero() }

// Name tells what is held: sender, "default, bulk", or template and its id.
func (h HeldScope) Name() string {
	switch {
	case h.Campaign != "":
		return "campaign " + h.Campaign
	case h.Template != "":
		return "template " + h.Template
	case len(h.Priorities) > 0:
		return strings.Join(strings.Fields(joined(h.Priorities)), ", ")
	}
	return "sender"
}

// Covers says whether it is about messages of that priority.
func (h HeldScope) Covers(p message.Priority) bool {
	return len(h.Priorities) == 0 || slices.Contains(h.Priorities, p)
}

// holdJSON is an entry of the hash; the scripts write it. Its numbers may have a fraction in how they are written.
type holdJSON struct {
	Reason, Code, Note, By, Priorities, Probe string
	Since, Until, Ended                       float64
	SeenBy                                    string `json:"seen_by"`
	EndedBy                                   string `json:"ended_by"`
}

func parseHold(scope, text string) (HeldScope, error) {
	var v holdJSON
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return HeldScope{}, fmt.Errorf("ledger holds: the entry %s cannot be read: %w", scope, err)
	}
	h := HeldScope{
		Reason: v.Reason, Code: v.Code, Note: v.Note, By: v.By, SeenBy: v.SeenBy, EndedBy: v.EndedBy, Probe: v.Probe,
		Since: fromMillis(int64(v.Since)), Until: fromMillis(int64(v.Until)), Ended: fromMillis(int64(v.Ended)),
	}
	if id, ok := strings.CutPrefix(scope, templateScope); ok {
		h.Template = id
	}
	if id, ok := strings.CutPrefix(scope, campaignScope); ok {
		h.Campaign = id
	}
	for _, p := range strings.Fields(v.Priorities) {
		h.Priorities = append(h.Priorities, message.Priority(p))
	}
	return h, nil
}

// HoldNews is a hold as it was when it began, or when it ended: see On.
type HoldNews struct {
	HeldScope
	entry string
}

func parseNews(entry string) (HoldNews, error) {
	var v struct{ Scope, Hold string }
	if err := json.Unmarshal([]byte(entry), &v); err != nil {
		return HoldNews{}, fmt.Errorf("ledger news: an entry cannot be read: %w", err)
	}
	h, err := parseHold(v.Scope, v.Hold)
	return HoldNews{HeldScope: h, entry: entry}, err
}

// Told says that somebody was told of it for certain, so that no Sweep brings it again.
func (l *Ledger) Told(ctx context.Context, sender string, n HoldNews) error {
	if err := l.rdb.LRem(ctx, prefix(sender)+"news", 1, n.entry).Err(); err != nil {
		return fmt.Errorf("ledger told: %w", err)
	}
	return nil
}

// Holds is what is held of a sender, and what waits to be sent.
type Holds struct {
	Scopes []HeldScope                // the sender first, then templates by their ids
	Paused []HeldScope                // campaigns that were paused, or are letting go what waited meanwhile
	Queued map[message.Priority]int64 // in asynq's queues, on their way to a handler
	All    int64                      // queued messages of any kind
	Today  int64                      // recipients that count against Limits.DailyRecipients now; without that limit none is counted
	Slowed int64                      // recipients who are written to slowly for a while, since WhatsApp said that they got too much (131056)
}

// Waiting counts the messages of a priority that wait for their turn or behind a hold. Those that wait for a time (send_at, a retry,
// their recipient, the day's budget) are not among them.
func (h Holds) Waiting(p message.Priority) int64 {
	n := h.Queued[p]
	for _, s := range append(h.Scopes[:len(h.Scopes):len(h.Scopes)], h.Paused...) {
		n += s.Waiting[p]
	}
	return n
}

// Holds tells what is held of a sender.
func (l *Ledger) Holds(ctx context.Context, sender string) (Holds, error) {
	r, err := l.run(ctx, holdsScript, sender)
	if err != nil {
		return Holds{}, err
	}
	out := Holds{Queued: map[message.Priority]int64{}}
	for i, p := range message.Priorities {
		out.Queued[p] = r.number(i)
	}
	for _, row := range r.list(3) {
		h, err := parseHold(row.text(0), row.text(1))
		if err != nil {
			return Holds{}, err
		}
		h.Waiting = map[message.Priority]int64{}
		for i, p := range message.Priorities {
			h.Waiting[p] = row.number(2 + i)
		}
		if h.Campaign != "" {
			out.Paused = append(out.Paused, h)
		} else {
			out.Scopes = append(out.Scopes, h)
		}
	}
	sortScopes(out.Scopes)
	out.Today, out.All, out.Slowed = r.number(4), r.number(5), r.number(6)
	return out, nil
}

// sortScopes puts the whole sender first, then some of its priorities, then templates by their ids.
func sortScopes(scopes []HeldScope) {
	slices.SortFunc(scopes, func(a, b HeldScope) int {
		if c := strings.Compare(a.Template, b.Template); c != 0 {
			return c
		}
		return len(a.Priorities) - len(b.Priorities)
	})
}

// What a person holds of the sender, and of some of its priorities.
const (
	handScope     = "hand"
	handSomeScope = "hand some"
)

func (q HoldRequest) scope() string {
	switch {
	case q.By == "" || q.Template != "":
		return q.Hold.scope()
	case len(q.Priorities) > 0:
		return handSomeScope
	}
	return handScope
}

// HoldRequest holds something that no failed message asked for.
type HoldRequest struct {
	Sender string
	Hold
	Reason string
	Code   string
	Note   string    // why, in a person's words
	By     string    // who; empty: a worker, and For and AtMost say when it is tried
	Until  time.Time // by hand: when it ends by itself; zero: when it is released
}

// SetHold holds a sender, some of its priorities, or a template. A person's hold takes the place of any other of the same sender or
// template; priorities that were held besides stay held with it, and no shorter than a person said before. A worker's changes nothing
// where something is held already, and says so.
func (l *Ledger) SetHold(ctx context.Context, q HoldRequest) (isNew bool, err error) {
	r, err := l.run(ctx, holdSetScript, q.Sender, q.scope(), q.Reason, oneLine(q.Code), oneLine(q.Note), joined(q.Priorities), oneLine(q.By),
		millis(q.Until), q.For.Milliseconds(), q.AtMost.Milliseconds(), l.cfg.Process)
	return r.text(0) == "held", err
}

// Release ends a hold: of a template, or, with "", all of the sender's own. What waits behind it is let go bit by bit. by is who
// releases it. It says whether anything was held.
func (l *Ledger) Release(ctx context.Context, sender, template, by string) (bool, error) {
	if by == EndedByProbe || by == EndedByTime { // a person who is called like that
		by = "user " + by
	}
	scopes := []string{Hold{Template: template}.scope()}
	if template == "" {
		scopes = append(scopes, "some", handScope, handSomeScope)
	}
	held := false
	for _, scope := range scopes {
		r, err := l.run(ctx, holdEndScript, sender, scope, oneLine(by))
		if err != nil {
			return held, err
		}
		held = held || r.number(0) == 1
	}
	return held, nil
}
