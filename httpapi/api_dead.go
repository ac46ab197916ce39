package httpapi

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

// maxReplay is how many dead letters one request may replay.
const maxReplay = 1000

// codeInDoubt is the code of dead letters that may have arrived.
const codeInDoubt = "IN_DOUBT"

// deadPosition is where a page of dead letters begins: behind those that were shown of the moment At.
type deadPosition struct {
	At   int64    `json:"t"` // ms
	Seen []string `json:"s"` // sender/id
}

// replayRequest chooses dead letters and says what to do.
type replayRequest struct {
	Sender         string `json:"sender,omitempty" doc:"only this sender's"`
	Code           string `json:"code,omitempty" doc:"only those with this code, such as 1002 or IN_DOUBT"`
	Campaign       string `json:"campaign,omitempty" doc:"only those of the campaign with this id"`
	Since          string `json:"since,omitempty" format:"date-time" doc:"only those that died then or later"`
	Until          string `json:"until,omitempty" format:"date-time" doc:"only those that died then or earlier"`
	ID             string `json:"id,omitempty" doc:"only the dead letter with this id"`
	All            bool   `json:"all,omitempty" doc:"all there are; needed if nothing else chooses"`
	Limit          int    `json:"limit,omitempty" minimum:"1" maximum:"1000" default:"1000" doc:"at most so many, the newest"`
	DryRun         bool   `json:"dry_run,omitempty" doc:"only tell which"`
	IncludeInDoubt bool   `json:"include_in_doubt,omitempty" doc:"also those in doubt, which may then arrive twice; so does naming the id or the code"`
}

// replayAnswer tells what became of the letters that were chosen.
type replayAnswer struct {
	DryRun   bool       `json:"dry_run"`
	Replayed int        `json:"replayed" doc:"how many were sent again, or would be"`
	More     bool       `json:"more" doc:"there are more than limit: ask again"`
	Items    []replayed `json:"items" nullable:"false"`
}

// replayed is one of them.
type replayed struct {
	ID     string         `json:"id"`
	Sender string         `json:"sender"`
	Code   string         `json:"code" doc:"why it had died"`
	Status message.Status `json:"status" doc:"queued, or dead if it was left alone or this is a dry run"`
	Reason string         `json:"reason,omitempty" doc:"why it was left alone, or would be"`
}

// deadListing chooses dead letters.
type deadListing struct {
	Sender   string    `query:"sender" doc:"only this sender's"`
	Code     string    `query:"code" doc:"only those with this code, such as 1002 or IN_DOUBT"`
	Campaign string    `query:"campaign" doc:"only those of the campaign with this id"`
	Since    time.Time `query:"since" doc:"only those that died then or later"`
	Until    time.Time `query:"until" doc:"only those that died then or earlier"`
	RevealQuery
	PageQuery
}

// replaying is a replayRequest as it comes in.
type replaying struct {
	Body payload[replayRequest]
}

func (a *api) deadLetters() {
	const tag, path = "dead letters", "/v1/dead-letters"
	op := a.operation(http.MethodGet, path, "list-dead-letters", tag, "List dead letters, newest first", "Messages that came to a terminal failure.")
	register(a, op, a.listDead)

	op = a.operation(http.MethodPost, path+"/replay", "replay-dead-letters", tag, "Send dead letters again",
		"With a new budget of attempts and without their old expiry. Repeating it is safe: what was replayed is no dead letter any more.",
		append(withBody, http.StatusNotFound, http.StatusConflict)...)
	register(a, op, a.replayDead)
}

// listDead goes on behind the letters of a moment that the page before has shown: several may have died in one millisecond.
func (a *api) listDead(ctx context.Context, in *deadListing) (*reply[page[view.DeadLetter]], error) {
	senders, err := a.some(in.Sender)
	if err = joined(err, in.allowed(ctx)); err != nil {
		return nil, err
	}
	q := ledger.DeadFilter{Code: in.Code, Campaign: in.Campaign, Since: in.Since, Until: in.Until}
	var begin deadPosition
	if err := in.from(&begin); err != nil {
		return nil, err
	}
	if begin.At > 0 {
		q.Until = time.UnixMilli(begin.At)
	}
	out := page[view.DeadLetter]{Items: []view.DeadLetter{}}
	for letter, err := range a.Ledger.DeadOf(ctx, senders, q) {
		if err != nil {
			return nil, err
		}
		name := letter.Sender + "/" + letter.ID
		if letter.At.UnixMilli() == begin.At && slices.Contains(begin.Seen, name) {
			continue
		}
		if len(out.Items) == in.Limit {
			out.Next = cursor(begin)
			break
		}
		if letter.At.UnixMilli() != begin.At {
			begin = deadPosition{At: letter.At.UnixMilli()}
		}
		begin.Seen = append(begin.Seen, name)
		out.Items = append(out.Items, view.DeadLetterOf(letter, in.Reveal))
	}
	return ok(out), nil
}

// replayDead answers for each letter, also when Redis fails on the way.
func (a *api) replayDead(ctx context.Context, in *replaying) (*reply[replayAnswer], error) {
	if in.Body.err != nil {
		return nil, in.Body.err
	}
	q := in.Body.value
	letters, more, err := a.chosen(ctx, &q)
	if err != nil {
		return nil, err
	}
	out := replayAnswer{DryRun: q.DryRun, More: more, Items: []replayed{}}
	if q.DryRun {
		return a.wouldReplay(ctx, letters, out)
	}
	for _, rec := range letters {
		if ctx.Err() != nil { // the time was up before the rest
			out.More = true
			break
		}
		item := replayed{ID: rec.ID, Sender: rec.Sender, Code: rec.Code, Status: message.Dead}
		item.Reason, err = a.replay(ctx, rec)
		switch {
		case err != nil && out.Replayed == 0:
			return nil, err
		case err != nil: // some are replayed, which the answer has to tell
			item.Reason = a.problemOf(ctx, err).Detail
			out.Items, out.More = append(out.Items, item), true
			return ok(out), nil
		case item.Reason == "":
			out.Replayed++
			item.Status = message.Queued
		}
		out.Items = append(out.Items, item)
	}
	return ok(out), nil
}

// wouldReplay answers a dry run.
func (a *api) wouldReplay(ctx context.Context, letters []ledger.Record, out replayAnswer) (*reply[replayAnswer], error) {
	reasons, err := a.leftAlone(ctx, letters)
	if err != nil {
		return nil, err
	}
	for i, rec := range letters {
		out.Items = append(out.Items, replayed{ID: rec.ID, Sender: rec.Sender, Code: rec.Code, Status: message.Dead, Reason: reasons[i]})
		if reasons[i] == "" {
			out.Replayed++
		}
	}
	return ok(out), nil
}

// leftAlone says of each letter why a replay would not send it, empty if it would. It changes nothing.
func (a *api) leftAlone(ctx context.Context, letters []ledger.Record) ([]string, error) {
	refs := make([]ledger.LetterRef, len(letters))
	for i, rec := range letters {
		refs[i] = ledger.LetterRef{Sender: rec.Sender, ID: rec.ID}
	}
	why, err := a.Ledger.CheckReplay(ctx, refs)
	if err != nil {
		return nil, err
	}
	reasons := make([]string, len(letters))
	for i, err := range why {
		reasons[i] = ledger.LeftAlone(err)
	}
	return reasons, nil
}

// chosen are the letters that a request is about, and whether there are more. They are gathered before anything is done to them: replaying
// moves the pages of the list.
func (a *api) chosen(ctx context.Context, q *replayRequest) (letters []ledger.Record, more bool, err error) {
	if q.Limit == 0 {
		q.Limit = maxReplay
	}
	since, err1 := moment("since", q.Since)
	until, err2 := moment("until", q.Until)
	senders, err := a.some(q.Sender)
	switch err = joined(err, err1, err2); {
	case err != nil:
		return nil, false, err
	case q.Limit < 1 || q.Limit > maxReplay:
		return nil, false, wrong("limit", "must be from 1 to %d", maxReplay)
	case q.ID != "":
		rec, err := a.find(ctx, MessageRef{ID: q.ID, Sender: q.Sender})
		if err == nil && rec.Status != message.Dead {
			p := newProblem(http.StatusConflict, "the message is no dead letter")
			p.MessageStatus = rec.Status
			err = p
		}
		return []ledger.Record{rec}, false, err
	case !q.All && q.Sender == "" && q.Code == "" && q.Campaign == "" && since.IsZero() && until.IsZero():
		return nil, false, wrong("all", "is missing: choose by id, sender, code, campaign, since or until, or say all")
	}
	for letter, err := range a.Ledger.DeadOf(ctx, senders, ledger.DeadFilter{Code: q.Code, Campaign: q.Campaign, Since: since, Until: until}) {
		switch {
		case err != nil:
			return nil, false, err
		case letter.Code == codeInDoubt && !q.takesDoubts():
			continue // not even named: a client that asks again while there are more would never come to an end
		case len(letters) == q.Limit:
			return letters, true, nil
		}
		letters = append(letters, letter.Record)
	}
	return letters, false, nil
}

// takesDoubts says whether letters that may have arrived are meant, too.
func (q replayRequest) takesDoubts() bool { return q.IncludeInDoubt || q.Code == codeInDoubt }

// replay sends one letter again, or says why it was left alone.
func (a *api) replay(ctx context.Context, rec ledger.Record) (leftAlone string, err error) {
	err = a.Replay(ctx, rec)
	if why := ledger.LeftAlone(err); why != "" {
		return why, nil
	}
	return "", err
}
