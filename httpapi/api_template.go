package httpapi

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/gupdispatch/gupdispatch/view"
)

// templateHoldRequest is what holding a template takes.
type templateHoldRequest struct {
	Sender string `json:"sender,omitempty" doc:"the sender that must not send it; may be left out if there is only one"`
	Reason string `json:"reason" maxLength:"200" doc:"why, for whoever looks at it next"`
	Until  string `json:"until,omitempty" format:"date-time" doc:"when it ends by itself; until it is released, if left out"`
	By     string `json:"by,omitempty" maxLength:"200" doc:"who holds it; the name of the API key, if left out"`
}

// releasedTemplates is the answer to releasing a template.
type releasedTemplates struct {
	Released []view.Template `json:"released" nullable:"false" doc:"the holds that were ended"`
}

// uuid is how Gupshup's ids of templates look. Names of templates, and Meta's numbers, are no ids here.
var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// TemplateRef is a template in the path.
type TemplateRef struct {
	ID string `path:"id" doc:"the template's id at Gupshup, a UUID"`
}

// check makes the id what messages have.
func (t *TemplateRef) check() error {
	t.ID = strings.ToLower(t.ID)
	if !uuid.MatchString(t.ID) {
		return wrong("id", "is not the id of a template: write its UUID at Gupshup, such as c6aecef6-bcb0-4fb1-8100-28c094e3bc6b")
	}
	return nil
}

func (a *api) templates() {
	const tag, path = "templates", "/v1/templates"
	type listing struct {
		Sender string `query:"sender" doc:"only this sender's"`
	}
	op := a.operation(http.MethodGet, path, "list-held-templates", tag, "List the templates that are held", "By senders, then by their ids.")
	register(a, op, func(ctx context.Context, in *listing) (*reply[page[view.Template]], error) {
		senders, err := a.some(in.Sender)
		if err != nil {
			return nil, err
		}
		out := page[view.Template]{Items: []view.Template{}}
		for _, s := range senders {
			held, err := a.heldTemplates(ctx, s)
			if err != nil {
				return nil, err
			}
			out.Items = append(out.Items, held...)
		}
		return ok(out), nil
	})

	type holding struct {
		TemplateRef
		Body payload[templateHoldRequest]
	}
	op = a.operation(http.MethodPost, path+"/{id}/hold", "hold-template", tag, "Keep a sender from sending a template",
		"Its messages are accepted meanwhile, wait, spend nothing and go on expiring. It takes the place of any other hold of this template.", withBody...)
	register(a, op, func(ctx context.Context, in *holding) (*reply[view.Template], error) {
		body := in.Body.value
		q, err := a.holdOf(ctx, payload[holdRequest]{value: holdRequest{Reason: body.Reason, Until: body.Until, By: body.By}, err: in.Body.err})
		s, unknown := a.one(body.Sender)
		if in.Body.err != nil {
			unknown = nil // nothing of the body could be read
		}
		if err := joined(in.check(), err, unknown); err != nil {
			return nil, err
		}
		q.Sender, q.Template = s.Name, in.ID
		if _, err := a.Ledger.SetHold(ctx, q); err != nil {
			return nil, err
		}
		held, err := a.heldTemplates(ctx, s.Name)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(held, func(v view.Template) bool { return v.Template == in.ID })
		if i < 0 {
			return nil, newProblem(http.StatusConflict, "it was released meanwhile by somebody else")
		}
		return ok(held[i]), nil
	})

	type releasing struct {
		TemplateRef
		Sender string `query:"sender" doc:"only for this sender; for all, if left out"`
	}
	op = a.operation(http.MethodPost, path+"/{id}/release", "release-template", tag, "Let a template be sent again",
		"Whoever or whatever holds it, by all senders or by one. What waits is let go bit by bit. Releasing what is not held is no error.")
	register(a, op, func(ctx context.Context, in *releasing) (*reply[releasedTemplates], error) {
		senders, err := a.some(in.Sender)
		if err = joined(in.check(), err); err != nil {
			return nil, err
		}
		out := releasedTemplates{Released: []view.Template{}}
		for _, s := range senders {
			held, err := a.heldTemplates(ctx, s)
			if err != nil {
				return nil, err
			}
			if _, err := a.Ledger.Release(ctx, s, in.ID, visitOf(ctx).key.name()); err != nil {
				return nil, err
			}
			out.Released = append(out.Released, slices.DeleteFunc(held, func(v view.Template) bool { return v.Template != in.ID })...)
		}
		return ok(out), nil
	})
}

// heldTemplates shows what is held now of a sender's templates.
func (a *api) heldTemplates(ctx context.Context, sender string) ([]view.Template, error) {
	all, err := a.Ledger.Holds(ctx, sender)
	if err != nil {
		return nil, err
	}
	_, templates := view.SplitHolds(all)
	views := make([]view.Template, len(templates))
	for i, h := range templates {
		views[i] = view.TemplateOf(sender, h)
	}
	return views, nil
}
