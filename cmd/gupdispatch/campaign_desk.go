package main

import (
	"context"
	"strings"
	"time"

	"github.com/gupdispatch/gupdispatch/httpapi"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

// campaignDesk is what the web pages see of campaigns, and can do to them: the same as the commands.
type campaignDesk struct{ app *app }

// List implements httpapi.CampaignDesk.
func (d campaignDesk) List(ctx context.Context, sender string) ([]httpapi.ShownCampaign, error) {
	views, err := d.app.campaignViews(ctx, sender)
	if err != nil {
		return nil, err
	}
	shown := make([]httpapi.ShownCampaign, len(views))
	for i, v := range views {
		shown[i] = campaignForPages(v)
	}
	return shown, nil
}

// Show implements httpapi.CampaignDesk.
func (d campaignDesk) Show(ctx context.Context, sender, id string) (httpapi.ShownCampaign, error) {
	if d.app.someSender(sender) != nil {
		return httpapi.ShownCampaign{}, ledger.ErrNoCampaign
	}
	c, err := d.app.ledger.GetCampaign(ctx, sender, id)
	if err != nil {
		return httpapi.ShownCampaign{}, err
	}
	v, err := d.app.campaignView(c)
	return campaignForPages(v), err
}

// Steer implements httpapi.CampaignDesk.
func (d campaignDesk) Steer(ctx context.Context, sender, id string, event message.CampaignEvent, why, by string) (message.CampaignStatus, error) {
	return d.app.ledger.SteerCampaign(ctx, sender, id, event, why, by)
}

func campaignForPages(v view.Campaign) httpapi.ShownCampaign {
	return httpapi.ShownCampaign{
		ID: v.ID, Sender: v.Sender, Template: v.Template, Status: v.Status, Reason: v.Reason, Priority: v.Priority,
		Rows: v.Accepted, Rejected: v.Rejected, Done: v.Done, Counts: v.Counts, Rate: v.Rate, RateLimit: v.RateLimit,
		Window: strings.TrimSpace(v.Window + " " + v.Timezone), Start: time.Time(v.StartAt), Expires: time.Time(v.ExpiresAt),
		Ended: time.Time(v.EndedAt), Created: time.Time(v.CreatedAt), End: time.Time(v.End),
	}
}
