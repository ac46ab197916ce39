package httpapi

import (
	"context"
	"net/http"
	"slices"

	"github.com/gupdispatch/gupdispatch/flow"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

// holdRequest is what holding a sender takes.
type holdRequest struct {
	Reason     string   `json:"reason" maxLength:"200" doc:"why, for whoever looks at it next"`
	Priorities []string `json:"priorities,omitempty" nullable:"false" doc:"critical, default or bulk; all, if left out"`
	Until      string   `json:"until,omitempty" format:"date-time" doc:"when it ends by itself; until it is released, if left out"`
	By         string   `json:"by,omitempty" maxLength:"200" doc:"who holds it; the name of the API key, if left out"`
}

// SenderRef is a sender in the path.
type SenderRef struct {
	Name string `path:"name" doc:"the sender's name"`
}

func (a *api) senders() {
	const tag, path = "senders", "/v1/senders"
	op := a.operation(http.MethodGet, path, "list-senders", tag, "List the senders", "Their pace, what is held, and what waits.")
	register(a, op, func(ctx context.Context, _ *struct{}) (*reply[page[view.Sender]], error) {
		out := page[view.Sender]{Items: make([]view.Sender, len(a.Senders))}
		for i, s := range a.Senders {
			v, err := a.Sender(ctx, s.Name)
			if err != nil {
				return nil, err
			}
			out.Items[i] = v
		}
		return ok(out), nil
	})

	type holding struct {
		SenderRef
		Body payload[holdRequest]
	}
	op = a.operation(http.MethodPost, path+"/{name}/hold", "hold-sender", tag, "Keep a sender from sending",
		"All of it, or some of its priorities. Messages are accepted meanwhile, wait, spend nothing and go on expiring; requests that are on their "+
			"way are not stopped. It takes the place of a person's hold of the same kind; priorities that were held before stay held with it.",
		append(withBody, http.StatusNotFound)...)
	register(a, op, func(ctx context.Context, in *holding) (*reply[view.Held], error) {
		q, err := a.holdOf(ctx, in.Body)
		if err != nil {
			return nil, err
		}
		if err := a.known(in.Name); err != nil {
			return nil, err
		}
		q.Sender = in.Name
		if _, err := a.Ledger.SetHold(ctx, q); err != nil {
			return nil, err
		}
		all, err := a.Ledger.Holds(ctx, q.Sender)
		if err != nil {
			return nil, err
		}
		own, _ := view.SplitHolds(all)
		i := slices.IndexFunc(own, func(h ledger.HeldScope) bool {
			return h.By != "" && (len(h.Priorities) > 0) == (len(q.Priorities) > 0) // the policy's stand beside it
		})
		if i < 0 {
			return nil, newProblem(http.StatusConflict, "it was released meanwhile by somebody else")
		}
		held := view.HoldOf(own[i])
		return ok(view.Held{Sender: q.Sender, Hold: held, Waiting: view.WaitingFor(all, held)}), nil
	})

	op = a.operation(http.MethodPost, path+"/{name}/release", "release-sender", tag, "Let a sender send again",
		"Whoever or whatever holds it, or some of its priorities. What waits is let go bit by bit; should the trouble still be there, it is held "+
			"again. A sender that Gupshup slowed down or stopped (429) gets its rate back. Releasing what is not held is no error. Templates have "+
			"holds of their own.", http.StatusNotFound)
	register(a, op, func(ctx context.Context, in *SenderRef) (*reply[view.Released], error) {
		if err := a.known(in.Name); err != nil {
			return nil, err
		}
		out, err := a.release(ctx, in.Name, visitOf(ctx).key.name())
		if err != nil {
			return nil, err
		}
		return ok(out), nil
	})
}

// release ends the holds of a sender, and gives it its rate back.
func (a *api) release(ctx context.Context, sender, by string) (view.Released, error) {
	all, err := a.Ledger.Holds(ctx, sender)
	if err != nil {
		return view.Released{}, err
	}
	if _, err := a.Ledger.Release(ctx, sender, "", by); err != nil {
		return view.Released{}, err
	}
	restored, err := flow.Restore(ctx, a.redis, sender)
	if err != nil {
		return view.Released{}, err
	}
	own, _ := view.SplitHolds(all)
	out := view.Released{Sender: sender, Released: view.HoldsOf(own), Restored: restored}
	out.Waiting = view.WaitingFor(all, out.Released...)
	return out, nil
}

// known refuses senders that are not configured.
func (a *api) known(name string) error {
	if slices.Contains(a.names(), name) {
		return nil
	}
	return newProblem(http.StatusNotFound, "no sender of this name is configured")
}

// holdOf reads a hold by hand, without what it holds.
func (a *api) holdOf(ctx context.Context, body payload[holdRequest]) (ledger.HoldRequest, error) {
	if body.err != nil {
		return ledger.HoldRequest{}, body.err
	}
	in := body.value
	q := ledger.HoldRequest{Reason: ledger.ReasonByHand}
	var errs [4]error
	q.Note, errs[0] = words("reason", in.Reason, true)
	q.By, errs[1] = words("by", in.By, false)
	q.Until, errs[2] = futureMoment("until", in.Until, a.now())
	q.Priorities, errs[3] = somePriorities(in.Priorities)
	if q.By == "" {
		q.By = visitOf(ctx).key.name()
	}
	return q, joined(errs[:]...)
}

// somePriorities reads priorities, in the usual order. All of them are the whole sender, as none is.
func somePriorities(texts []string) (some []message.Priority, err error) {
	if texts != nil && len(texts) == 0 { // an empty list that a program made must not hold everything
		return nil, wrong("priorities", "is empty: name critical, default or bulk, or leave it out for all")
	}
	for _, text := range texts {
		if !slices.Contains(message.Priorities, message.Priority(text)) {
			return nil, wrong("priorities", "has an unknown one: use critical, default or bulk")
		}
	}
	for _, p := range message.Priorities {
		if slices.Contains(texts, string(p)) {
			some = append(some, p)
		}
	}
	if len(some) == len(message.Priorities) {
		return nil, nil
	}
	return some, nil
}
