package httpapi

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/view"
)

const (
	// maxCountedLetters is how many dead letters are looked at to count them by code, the newest.
	maxCountedLetters = 10_000
	// maxShownLetters is how many are listed.
	maxShownLetters = 100
)

// deadAges are the ages that the filter offers.
var deadAges = []struct {
	Name, Label string
	age         time.Duration
}{
	{"1h", "the last hour", time.Hour},
	{"24h", "the last 24 hours", 24 * time.Hour},
	{"7d", "the last 7 days", 7 * 24 * time.Hour},
}

// deadQuery chooses dead letters, as the page's address says.
type deadQuery struct {
	Sender, Code, Campaign, Since string
	ID                            string // only this one
	until                         time.Time
	Doubts                        bool // those in doubt, too
}

// deadQueryOf reads the fields of an address or a form.
func deadQueryOf(v url.Values) deadQuery {
	q := deadQuery{Sender: v.Get("sender"), Code: v.Get("code"), Campaign: v.Get("campaign"), Since: v.Get("since"), ID: v.Get("id")}
	if ms, err := strconv.ParseInt(v.Get("until"), 10, 64); err == nil && ms > 0 {
		q.until = time.UnixMilli(ms)
	}
	q.Doubts = v.Get("doubts") == "1"
	return q
}

// Any says whether it narrows anything.
func (q deadQuery) Any() bool { return q.with("", "") != "" }

// List is the page that lists the query, ListOf that of another code, and Plan the dry run of its replay. They are whole addresses: a
// template would escape a part of one.
func (q deadQuery) List() string              { return "/dead?" + q.with("", "") }
func (q deadQuery) ListOf(code string) string { return "/dead?" + q.with("code", code) }
func (q deadQuery) Plan() string              { return "/dead/replay?" + q.with("", "") }

// PlanWithDoubts is the dry run that takes those in doubt, too.
func (q deadQuery) PlanWithDoubts() string { return q.Plan() + "&doubts=1" }

func (q deadQuery) with(name, value string) string {
	v := url.Values{}
	for field, text := range map[string]string{"sender": q.Sender, "code": q.Code, "campaign": q.Campaign, "since": q.Since, "id": q.ID} {
		if field == name {
			text = value
		}
		if text != "" {
			v.Set(field, text)
		}
	}
	return v.Encode()
}

// String tells the query for the audit log.
func (q deadQuery) String() string {
	text := ""
	for _, f := range []struct{ name, value string }{{"id", q.ID}, {"sender", q.Sender}, {"code", q.Code}, {"campaign", q.Campaign}, {"since", q.Since}} {
		if f.value != "" {
			text = joinTexts(text, f.name+"="+f.value)
		}
	}
	if text == "" {
		return "all"
	}
	return text
}

// filter is what the ledger is asked.
func (q deadQuery) filter(now time.Time) (ledger.DeadFilter, error) {
	f := ledger.DeadFilter{Code: q.Code, Campaign: q.Campaign, Until: q.until}
	if q.Since == "" {
		return f, nil
	}
	for _, a := range deadAges {
		if a.Name == q.Since {
			f.Since = now.Add(-a.age)
			return f, nil
		}
	}
	return f, refused(http.StatusBadRequest, "since must be 1h, 24h or 7d.")
}

// codeCount is how many dead letters have a code.
type codeCount struct {
	Code  string
	Count int
	Class string
	Why   string // the reason of one of them
}

// deadList is what the page of dead letters shows.
type deadList struct {
	Query   deadQuery
	Senders []string
	Ages    any
	Codes   []codeCount // most frequent first
	Counted int
	More    bool // there are more than were counted
	Letters []view.DeadLetter
	Matched int
}

func (c *console) deadPage(r *http.Request, d *consoleData) error {
	d.Title = "Dead letters"
	q := deadQueryOf(r.URL.Query())
	senders, err := c.api.some(q.Sender)
	if err != nil {
		return err
	}
	f, err := q.filter(c.now())
	if err != nil {
		return err
	}
	list := deadList{Query: q, Senders: c.api.names(), Ages: deadAges}
	counts := map[string]*codeCount{}
	f.Code = "" // all are counted, and those with the code listed
	for letter, err := range c.api.Ledger.DeadOf(r.Context(), senders, f) {
		if err != nil {
			return err
		}
		if list.Counted == maxCountedLetters {
			list.More = true
			break
		}
		list.Counted++
		if counts[letter.Code] == nil {
			counts[letter.Code] = &codeCount{Code: letter.Code, Class: string(letter.Class), Why: maskNumbers(letter.Reason)}
		}
		counts[letter.Code].Count++
		if q.Code == "" || q.Code == letter.Code {
			if list.Matched++; len(list.Letters) < maxShownLetters {
				list.Letters = append(list.Letters, shownLetter(letter))
			}
		}
	}
	for _, code := range slices.Sorted(maps.Keys(counts)) {
		list.Codes = append(list.Codes, *counts[code])
	}
	slices.SortStableFunc(list.Codes, func(a, b codeCount) int { return b.Count - a.Count })
	d.Body = list
	return nil
}

// shownLetter is a letter without anything that may be a number: Gupshup's reasons may name one.
func shownLetter(l ledger.DeadLetter) view.DeadLetter {
	v := view.DeadLetterOf(l, false)
	v.Reason = maskNumbers(v.Reason)
	return v
}

// replayPlan is what a replay would do.
type replayPlan struct {
	Query   deadQuery
	Until   int64 // ms: letters that die later are not meant
	Letters []view.DeadLetter
	Count   int
	Doubts  int  // left alone, because they may have arrived
	More    bool // than one replay takes
	Most    int
	Alone   map[string]string // by id: why one of Letters would be left alone
	Left    int               // how many of them would be
	Why     string            // the last of them
}

// chosenDead are the letters of a query, at most maxReplay, and how many of them were left out as in doubt.
func (c *console) chosenDead(ctx context.Context, q deadQuery) (letters []ledger.DeadLetter, doubts int, more bool, err error) {
	if q.ID != "" {
		rec, err := c.api.find(ctx, MessageRef{ID: q.ID, Sender: q.Sender})
		if err != nil {
			return nil, 0, false, err
		}
		letters = append(letters, ledger.DeadLetter{Record: rec, At: rec.UpdatedAt})
		return letters, 0, false, nil
	}
	senders, err := c.api.some(q.Sender)
	if err != nil {
		return nil, 0, false, err
	}
	f, err := q.filter(c.now())
	if err != nil {
		return nil, 0, false, err
	}
	for letter, err := range c.api.Ledger.DeadOf(ctx, senders, f) {
		switch {
		case err != nil:
			return nil, 0, false, err
		case letter.Code == codeInDoubt && !q.Doubts:
			doubts++
		case len(letters) == maxReplay:
			return letters, doubts, true, nil
		default:
			letters = append(letters, letter)
		}
	}
	return letters, doubts, false, nil
}

// Sent is how many would be sent again, at most: Unseen says that not all were looked at.
func (p replayPlan) Sent() int    { return p.Count - p.Left }
func (p replayPlan) Unseen() bool { return p.Count > len(p.Letters) }

// replayPage is the dry run, which has the button.
func (c *console) replayPage(r *http.Request, d *consoleData) error {
	d.Title = "Send dead letters again?"
	q := deadQueryOf(r.URL.Query())
	plan := replayPlan{Query: q, Until: c.now().UnixMilli(), Most: maxReplay, Alone: map[string]string{}}
	if q.until.IsZero() {
		q.until = c.now()
	}
	letters, doubts, more, err := c.chosenDead(r.Context(), q)
	if err != nil {
		return err
	}
	plan.Count, plan.Doubts, plan.More = len(letters), doubts, more
	shown := letters[:min(len(letters), maxShownLetters)]
	records := make([]ledger.Record, len(shown))
	for i, l := range shown {
		records[i] = l.Record
	}
	reasons, err := c.api.leftAlone(r.Context(), records)
	if err != nil {
		return err
	}
	for i, l := range shown {
		if why := reasons[i]; why != "" {
			plan.Left++
			plan.Alone[l.ID], plan.Why = why, why
		}
		plan.Letters = append(plan.Letters, shownLetter(l))
	}
	d.Body = plan
	return nil
}

func replaysDead(r *http.Request) act {
	return act{name: "dead.replay", target: deadQueryOf(r.PostForm).String()}
}

func (c *console) replayDead(ctx context.Context, r *http.Request, _ account, done *act) error {
	q := deadQueryOf(r.PostForm)
	letters, doubts, more, err := c.chosenDead(ctx, q)
	if err != nil {
		return err
	}
	replayed, alone, why, late := 0, 0, "", false
	for _, letter := range letters {
		if late = ctx.Err() != nil; late {
			break
		}
		left, err := c.api.replay(ctx, letter.Record)
		if late = err != nil && ctx.Err() != nil; late {
			break
		}
		switch {
		case err != nil && replayed == 0:
			return err
		case err != nil:
			left = "Redis did not answer"
		}
		if left == "" {
			replayed++
			continue
		}
		alone, why = alone+1, left
		if err != nil {
			more = true // those behind it were not tried
			break
		}
	}
	done.said = counted(int64(replayed), "dead letter") + " sent again."
	if alone > 0 {
		done.said = joinTexts(done.said, fmt.Sprintf("%s left alone: %s.", view.Thousands(alone), why))
	}
	if doubts > 0 {
		done.said = joinTexts(done.said, view.Thousands(doubts)+" in doubt left alone.")
	}
	switch {
	case late:
		done.said = joinTexts(done.said, "The time was up before the rest: repeat it.")
	case more:
		done.said = joinTexts(done.said, "There are more: repeat it.")
	}
	done.detail = done.said
	done.next = deadQuery{Sender: q.Sender, Campaign: q.Campaign, Since: q.Since}.List()
	if q.ID != "" {
		done.next = messageAddress(letters[0].Sender, letters[0].ID)
	}
	return nil
}
