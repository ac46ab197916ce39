package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

// maxNumbers is how many numbers one request may name.
const maxNumbers = 1000

// suppressRequest puts numbers on a sender's list.
type suppressRequest struct {
	Sender  string   `json:"sender,omitempty" doc:"the sender that must not write; may be left out if there is only one"`
	Numbers []string `json:"numbers" nullable:"false" minItems:"1" maxItems:"1000"`
	Scope   string   `json:"scope,omitempty" enum:"all,bulk" default:"all" doc:"everything, or only what is sent with priority bulk"`
	Until   string   `json:"until,omitempty" format:"date-time" doc:"until then; until removed, if left out"`
	Reason  string   `json:"reason,omitempty" maxLength:"200" doc:"shown with the number and with each message that it suppresses"`
}

// suppressed tells what was done.
type suppressed struct {
	Sender     string `json:"sender"`
	Suppressed int    `json:"suppressed"`
}

// unsuppressRequest takes numbers off a sender's list.
type unsuppressRequest struct {
	Sender  string   `json:"sender,omitempty" doc:"the sender that may write again; may be left out if there is only one"`
	Numbers []string `json:"numbers" nullable:"false" minItems:"1" maxItems:"1000"`
}

// unsuppressed tells what was done.
type unsuppressed struct {
	Sender  string `json:"sender"`
	Removed int    `json:"removed" doc:"entries; a number may have two, for all and for bulk"`
}

// listPosition is where a page of several senders' lists begins.
type listPosition struct {
	Sender string `json:"n"`
	Cursor uint64 `json:"c"`
}

// suppressionListing chooses numbers of the lists.
type suppressionListing struct {
	Sender string `query:"sender" doc:"only this sender's"`
	RevealQuery
	PageQuery
}

// suppressing is a suppressRequest as it comes in.
type suppressing struct {
	Body payload[suppressRequest]
}

func (a *api) suppressions() {
	const tag, path = "suppressions", "/v1/suppressions"
	op := a.operation(http.MethodGet, path, "list-suppressions", tag, "List the numbers that must not be written to",
		"In no order. A page has about limit items, or none although more follow; a short list comes whole, and an item may come twice while the "+
			"list changes.")
	register(a, op, a.listSuppressions)

	op = a.operation(http.MethodPost, path, "suppress", tag, "Keep a sender from writing to numbers",
		"Messages to them that wait already end as suppressed when their turn comes. What suppresses more stays: a rule for all messages is not narrowed "+
			"by a later one for bulk only, and a lasting one is not shortened.", withBody...)
	register(a, op, a.suppress)

	type removing struct {
		Body payload[unsuppressRequest]
	}
	op = a.operation(http.MethodPost, path+"/remove", "unsuppress", tag, "Let a sender write to numbers again",
		"Whoever or whatever suppressed them. What was suppressed meanwhile is not sent. A POST, so that no number stands in a URL.", withBody...)
	register(a, op, func(ctx context.Context, in *removing) (*reply[unsuppressed], error) {
		if in.Body.err != nil {
			return nil, in.Body.err
		}
		q := in.Body.value
		s, err1 := a.one(q.Sender)
		numbers, err2 := numbersOf(q.Numbers, s.Region)
		if err := joined(err1, err2); err != nil {
			return nil, err
		}
		n, err := a.Ledger.Unsuppress(ctx, s.Name, numbers...)
		if err != nil {
			return nil, err
		}
		return ok(unsuppressed{Sender: s.Name, Removed: n}), nil
	})
}

// listSuppressions goes through one sender's list after the other.
func (a *api) listSuppressions(ctx context.Context, in *suppressionListing) (*reply[page[view.Suppression]], error) {
	senders, err := a.some(in.Sender)
	var at listPosition
	if err = joined(err, in.allowed(ctx), in.from(&at)); err != nil {
		return nil, err
	}
	if at.Sender == "" {
		at.Sender = senders[0]
	}
	i := slices.Index(senders, at.Sender)
	if i < 0 {
		return nil, wrong("cursor", "is of another sender: begin again")
	}
	some, next, err := a.Ledger.SuppressionPage(ctx, at.Sender, at.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	out := page[view.Suppression]{Items: make([]view.Suppression, len(some))}
	for k, s := range some {
		out.Items[k] = view.SuppressionOf(at.Sender, s, in.Reveal)
	}
	switch {
	case next != 0:
		out.Next = cursor(listPosition{Sender: at.Sender, Cursor: next})
	case i+1 < len(senders):
		out.Next = cursor(listPosition{Sender: senders[i+1]})
	}
	return ok(out), nil
}

// suppress puts all of the numbers on the list, or none.
func (a *api) suppress(ctx context.Context, in *suppressing) (*reply[suppressed], error) {
	if in.Body.err != nil {
		return nil, in.Body.err
	}
	q := in.Body.value
	s, err1 := a.one(q.Sender)
	numbers, err2 := numbersOf(q.Numbers, s.Region)
	until, err3 := futureMoment("until", q.Until, a.now())
	reason, err4 := words("reason", q.Reason, false)
	var err5 error
	if !slices.Contains([]string{"", "all", "bulk"}, q.Scope) {
		err5 = wrong("scope", "must be all or bulk, or left out for all")
	}
	if err := joined(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	list := make([]ledger.Suppression, len(numbers))
	for i, n := range numbers {
		list[i] = ledger.Suppression{Number: n, Scope: "all", Code: reason, Source: "hand", Until: until}
		if q.Scope == "bulk" {
			list[i].Scope = "bulk"
		}
	}
	if err := a.Ledger.Suppress(ctx, s.Name, list); err != nil {
		return nil, err
	}
	return ok(suppressed{Sender: s.Name, Suppressed: len(numbers)}), nil
}

// numbersOf reads numbers as people write them, each one once. If one is wrong nothing shall be done.
func numbersOf(texts []string, region string) ([]string, error) {
	if n := len(texts); n == 0 || n > maxNumbers {
		return nil, wrong("numbers", "has %d numbers: name 1 to %d", n, maxNumbers)
	}
	var numbers []string
	var problems message.FieldErrors
	for i, text := range texts {
		number, err := message.NormaliseNumber(text, region)
		switch {
		case err != nil:
			problems = append(problems, message.FieldError{Field: fmt.Sprintf("numbers[%d]", i), Problem: err.Error()})
		case !slices.Contains(numbers, number):
			numbers = append(numbers, number)
		}
	}
	if len(problems) > 0 {
		return nil, invalid(problems...)
	}
	return numbers, nil
}
