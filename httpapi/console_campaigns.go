package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

// maxShownCampaigns is how many campaigns the page lists, the newest.
const maxShownCampaigns = 200

// shownCampaign is a campaign as the pages show it.
type shownCampaign struct{ view.Campaign }

// Percent is how far it has come.
func (s shownCampaign) Percent() int {
	if s.Accepted == 0 {
		return 0
	}
	return int(s.Done * 100 / s.Accepted)
}

// May says whether an event can happen to it now.
func (s shownCampaign) May(event string) bool {
	_, ok := s.Status.After(message.CampaignEvent(event))
	return ok
}

// Bars are its rows by what became of them, as wide as their share of 100.
func (s shownCampaign) Bars() (bars []Bar) {
	left := 0.0
	for _, group := range barGroups {
		var n int64
		for _, status := range group.statuses {
			n += s.Counts[status]
		}
		if n > 0 && s.Accepted > 0 {
			width := float64(n) * 100 / float64(s.Accepted)
			bars = append(bars, Bar{Name: group.name, Label: group.label, Count: n, X: left, Width: width})
			left += width
		}
	}
	return bars
}

// Bar is one part of a campaign's progress.
type Bar struct {
	Name, Label string
	Count       int64
	X, Width    float64 // of 100
}

// barGroups put the states of a message together as people ask for them. Every state is in one.
var barGroups = []struct {
	name, label string
	statuses    []message.Status
}{
	{"read", "read", []message.Status{message.Read}},
	{"delivered", "delivered", []message.Status{message.Delivered}},
	{"taken", "with WhatsApp", []message.Status{message.Submitted, message.Enqueued, message.Sent}},
	{"doubt", "being looked into", []message.Status{message.InDoubt, message.Failed}},
	{"dead", "dead letters", []message.Status{message.Dead}},
	{"never", "not sent", []message.Status{message.Expired, message.Suppressed, message.Cancelled}},
	{"waiting", "waiting", []message.Status{message.Queued, message.Sending}},
}

func (c *console) campaignsPage(r *http.Request, d *consoleData) error {
	d.Title, d.Live = "Campaigns", true
	all, err := c.api.campaignsOf(r.Context(), c.api.names())
	if err != nil {
		return err
	}
	var shown []shownCampaign
	for _, one := range all[:min(len(all), maxShownCampaigns)] {
		v, err := c.api.campaignView(one)
		if err != nil {
			return err
		}
		shown = append(shown, shownCampaign{v})
	}
	d.Body = shown
	return nil
}

func (c *console) campaignPage(r *http.Request, d *consoleData) error {
	d.Live = true
	if err := c.api.known(r.PathValue("sender")); err != nil {
		return err
	}
	one, err := c.api.Ledger.GetCampaign(r.Context(), r.PathValue("sender"), r.PathValue("id"))
	if err != nil {
		return refusedCampaign(err)
	}
	v, err := c.api.campaignView(one)
	if err != nil {
		return err
	}
	d.Title, d.Body = "Campaign "+v.ID, shownCampaign{v}
	return nil
}

func steersCampaign(r *http.Request) act {
	return act{name: "campaign." + r.PathValue("event"), target: r.PathValue("sender") + " " + r.PathValue("id")}
}

func (c *console) steerCampaign(ctx context.Context, r *http.Request, a account, done *act) error {
	event := message.CampaignEvent(r.PathValue("event"))
	if !slices.Contains([]message.CampaignEvent{message.CampaignPause, message.CampaignResume, message.CampaignCancel}, event) {
		return refused(http.StatusNotFound, "A campaign can be paused, resumed or cancelled.")
	}
	if err := c.api.known(r.PathValue("sender")); err != nil {
		return err
	}
	why, err := words("reason", r.PostForm.Get("reason"), false)
	if err != nil {
		return err
	}
	status, err := c.api.Ledger.SteerCampaign(ctx, r.PathValue("sender"), r.PathValue("id"), event, why, steererName("user", a.name))
	if err != nil {
		return refusedCampaign(err)
	}
	done.said = fmt.Sprintf("The campaign %s is %s.", r.PathValue("id"), status)
	done.detail = why
	return nil
}

func refusedCampaign(err error) error {
	var steer *ledger.SteerError
	switch {
	case errors.Is(err, ledger.ErrNoCampaign):
		return refused(http.StatusNotFound, "There is no such campaign.")
	case errors.As(err, &steer):
		return refused(http.StatusConflict, "Not done: "+steer.Error()+".")
	}
	return err
}
