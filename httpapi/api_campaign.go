package httpapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/gupdispatch/gupdispatch/campaign"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

const pathCampaigns = "/v1/campaigns"

// CampaignRef names a campaign.
type CampaignRef struct {
	ID     string `path:"id" pattern:"^[A-Za-z0-9._-]{1,48}$" doc:"the campaign's id"`
	Sender string `query:"sender" doc:"the sender, where several use one id"`
}

// steerRequest is what pausing and cancelling take.
type steerRequest struct {
	Reason string `json:"reason,omitempty" maxLength:"200" doc:"why, shown with the campaign"`
}

// campaignPosition is where a page of campaigns begins: behind this one.
type campaignPosition struct {
	At     int64  `json:"t"` // when it was created, ms
	Sender string `json:"n"`
	ID     string `json:"i"`
}

// campaignListing chooses campaigns.
type campaignListing struct {
	Sender string `query:"sender" doc:"only this sender's"`
	Status string `query:"status" enum:"scheduled,ingesting,running,paused,completed,cancelled" doc:"only those that are in this state"`
	PageQuery
}

// campaignSteering pauses or cancels a campaign.
type campaignSteering struct {
	CampaignRef
	Body *payload[steerRequest]
}

// campaigns are the operations on campaigns; api_intake.go takes them in.
func (a *api) campaigns() {
	const tag, path = "campaigns", pathCampaigns
	a.intake(tag)

	op := a.operation(http.MethodGet, path, "list-campaigns", tag, "List campaigns, newest first", "With their progress. They are kept as long as dead letters.")
	register(a, op, a.listCampaigns)

	op = a.operation(http.MethodGet, path+"/{id}", "show-campaign", tag, "Tell how far a campaign has come",
		"Its rows by the status of their messages, the rate of the last half minute, and when it is expected to end.", http.StatusNotFound, http.StatusConflict)
	register(a, op, func(ctx context.Context, in *CampaignRef) (*reply[view.Campaign], error) {
		return a.shown(ctx, *in)
	})

	for _, s := range []struct {
		event         message.CampaignEvent
		summary, text string
	}{
		{message.CampaignPause, "Stop a campaign", "Nothing of it is claimed any more once this is answered; requests on the wire are finished. Doing so again is no error."},
		{message.CampaignCancel, "End a campaign for good", "Rows that were not sent count as cancelled; nothing of it is claimed any more once this is answered. " +
			"Doing so again is no error."},
	} {
		op = a.operation(http.MethodPost, path+"/{id}/"+string(s.event), string(s.event)+"-campaign", tag, s.summary, s.text,
			append(withBody, http.StatusNotFound, http.StatusConflict)...)
		register(a, op, func(ctx context.Context, in *campaignSteering) (*reply[view.Campaign], error) {
			reason, err := in.reason()
			if err != nil {
				return nil, err
			}
			return a.steer(ctx, in.CampaignRef, s.event, reason)
		})
	}
	op = a.operation(http.MethodPost, path+"/{id}/resume", "resume-campaign", tag, "Let a paused campaign go on",
		"Where it was. Doing so again is no error. While its template is held it cannot: it goes on by itself when that hold ends.",
		http.StatusNotFound, http.StatusConflict)
	register(a, op, func(ctx context.Context, in *CampaignRef) (*reply[view.Campaign], error) {
		return a.steer(ctx, *in, message.CampaignResume, "")
	})

	type reporting struct {
		CampaignRef
		RevealQuery
	}
	op = a.operation(http.MethodGet, path+"/{id}/report", "report-campaign", tag, "Tell what became of each row, as CSV",
		"line, id (of its message), to, status, code, message_id, reason, attempts, updated_at: one line for each row that was taken, in the order "+
			"of the file. Each is true for its own moment. A row whose record is kept no longer is retired. An answer that breaks off is not complete.",
		http.StatusNotFound, http.StatusConflict)
	stream(a, op, func(ctx context.Context, in *reporting) (document, error) {
		if err := in.allowed(ctx); err != nil {
			return document{}, err
		}
		c, err := a.findCampaign(ctx, in.CampaignRef)
		return document{c.ID + ".report.csv", func(ctx context.Context, w writer) error {
			return view.WriteReport(ctx, w, a.Ledger, c, in.Reveal)
		}}, err
	})
	op = a.operation(http.MethodGet, path+"/{id}/rejects", "list-campaign-rejects", tag, "Tell which lines were rejected, as CSV",
		"line, reason: one line for each line of the file that was not taken, in the order of the file. Kept as long as the rows.",
		http.StatusNotFound, http.StatusConflict)
	stream(a, op, func(ctx context.Context, in *CampaignRef) (document, error) {
		c, err := a.findCampaign(ctx, *in)
		return document{c.ID + ".rejects.csv", func(ctx context.Context, w writer) error {
			return view.WriteRejects(ctx, w, a.Ledger, c)
		}}, err
	})
}

// listCampaigns reads all campaigns for each page: a sender has few, compared with messages.
func (a *api) listCampaigns(ctx context.Context, in *campaignListing) (*reply[page[view.Campaign]], error) {
	senders, err := a.some(in.Sender)
	if err != nil {
		return nil, err
	}
	var begin campaignPosition
	if err := in.from(&begin); err != nil {
		return nil, err
	}
	all, err := a.campaignsOf(ctx, senders)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(c ledger.Campaign) bool {
		return in.Status != "" && in.Status != string(c.Status) || begin.ID != "" && begin.compare(positionOf(c)) >= 0
	})
	out := page[view.Campaign]{Items: []view.Campaign{}}
	for i, c := range all {
		if i == in.Limit {
			out.Next = cursor(positionOf(all[i-1]))
			break
		}
		v, err := a.campaignView(c)
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, v)
	}
	return ok(out), nil
}

// campaignsOf reads the campaigns of these senders, newest first.
func (a *api) campaignsOf(ctx context.Context, senders []string) ([]ledger.Campaign, error) {
	var all []ledger.Campaign
	for _, s := range senders {
		some, err := a.Ledger.Campaigns(ctx, s)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortFunc(all, func(x, y ledger.Campaign) int { return positionOf(x).compare(positionOf(y)) })
	return all, nil
}

func positionOf(c ledger.Campaign) campaignPosition {
	return campaignPosition{At: c.CreatedAt.UnixMilli(), Sender: c.Sender, ID: c.ID}
}

// compare orders campaigns: newest first.
func (p campaignPosition) compare(q campaignPosition) int {
	return cmp.Or(cmp.Compare(q.At, p.At), cmp.Compare(p.Sender, q.Sender), cmp.Compare(p.ID, q.ID))
}

// reason is why; a request without a body says nothing.
func (s *campaignSteering) reason() (string, error) {
	switch {
	case s.Body == nil:
		return "", nil
	case s.Body.err != nil:
		return "", s.Body.err
	}
	return words("reason", s.Body.value.Reason, false)
}

// steer pauses, resumes or cancels, and shows what came of it.
func (a *api) steer(ctx context.Context, ref CampaignRef, event message.CampaignEvent, reason string) (*reply[view.Campaign], error) {
	c, err := a.findCampaign(ctx, ref)
	if err != nil {
		return nil, err
	}
	by := steererName("key", visitOf(ctx).key.name())
	if _, err := a.Ledger.SteerCampaign(ctx, c.Sender, c.ID, event, reason, by); err != nil {
		return nil, err
	}
	return a.shown(ctx, CampaignRef{ID: c.ID, Sender: c.Sender})
}

// steererName is who pauses or cancels, as the ledger notes it: a key or a user who is called like ByTemplate is told apart, as what that
// paused goes on by itself.
func steererName(kind, name string) string {
	if name == ledger.ByTemplate {
		return kind + " " + name
	}
	return name
}

func (a *api) shown(ctx context.Context, ref CampaignRef) (*reply[view.Campaign], error) {
	c, err := a.findCampaign(ctx, ref)
	if err != nil {
		return nil, err
	}
	v, err := a.campaignView(c)
	if err != nil {
		return nil, err
	}
	return ok(v), nil
}

func (a *api) campaignView(c ledger.Campaign) (view.Campaign, error) {
	i := slices.IndexFunc(a.Senders, func(s campaign.Sender) bool { return s.Name == c.Sender })
	return view.CampaignOf(c, a.Senders[i].Rate, a.now())
}

// findCampaign reads the campaign with this id, of one sender or of all.
func (a *api) findCampaign(ctx context.Context, ref CampaignRef) (ledger.Campaign, error) {
	senders, err := a.some(ref.Sender)
	if err != nil {
		return ledger.Campaign{}, err
	}
	found, owners, err := a.Ledger.CampaignAmong(ctx, senders, ref.ID)
	if err != nil {
		return ledger.Campaign{}, err
	}
	switch len(found) {
	case 0:
		return ledger.Campaign{}, ledger.ErrNoCampaign
	case 1:
		return found[0], nil
	}
	p := newProblem(http.StatusConflict, "several senders have a campaign with this id: choose one with the parameter sender")
	p.Senders = owners
	return ledger.Campaign{}, p
}

// campaignProblem tells of errors that only campaigns have, nil of others.
func campaignProblem(err error) *problem {
	var conflict *campaign.ConflictError
	var strict *campaign.StrictError
	var file *campaign.FileError
	var intake *ledger.IntakeError
	var moved *ledger.MovedError
	var steer *ledger.SteerError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return newProblem(http.StatusRequestEntityTooLarge, "a dry run takes a file of at most 16 MiB: check it in parts")
	case errors.As(err, &strict):
		p := wrong("recipients", "line %d: %s", strict.Line, strict.Reason)
		p.Detail = "a row is wrong, and nothing of the campaign is sent, as strict asks for: correct the file, and give it another campaign id unless this was a dry run"
		return p
	case errors.As(err, &file):
		return wrong("recipients", "%s", file)
	case errors.As(err, &conflict):
		p := newProblem(http.StatusConflict, "this id belongs to a campaign with other settings: use another id")
		switch {
		case conflict.Line > 0:
			p.Detail = conflict.Error()
		case conflict.File:
			p.Detail = "this id belongs to a campaign that was read from another file: nothing was added; give these rows another id"
		}
		p.CampaignStatus = conflict.Status
		return p
	case errors.As(err, &intake) && intake.Status == "":
		return newProblem(http.StatusServiceUnavailable, "another request, or another process, reads this campaign's rows").retry(redisRetry)
	case errors.As(err, &intake):
		p := newProblem(http.StatusConflict, intake.Error())
		p.CampaignStatus = intake.Status
		return p
	case errors.As(err, &moved):
		return newProblem(http.StatusServiceUnavailable, moved.Error()).retry(redisRetry)
	case errors.As(err, &steer):
		p := newProblem(http.StatusConflict, steer.Error())
		p.CampaignStatus = steer.Status
		return p
	case errors.Is(err, ledger.ErrNoCampaign):
		return newProblem(http.StatusNotFound, "there is no such campaign: it was never created, or ended long ago")
	case errors.Is(err, campaign.ErrForgotten):
		return newProblem(http.StatusNotFound, campaign.ErrForgotten.Error())
	}
	return nil
}
