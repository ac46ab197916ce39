package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

// maxShownCampaigns is how many campaigns the page lists, the newest.
const maxShownCampaigns = 200

// CampaignDesk is what our pages need of campaigns.
type CampaignDesk interface {
	// List tells of all campaigns of a sender, in any order.
	List(ctx context.Context, sender string) ([]ShownCampaign, error)
	// Show tells of one; ledger.ErrNoCampaign if there is none.
	Show(ctx context.Context, sender, id string) (ShownCampaign, error)
	// Steer pauses, resumes or cancels one. Its errors are those of Ledger.SteerCampaign.
	Steer(ctx context.Context, sender, id string, event message.CampaignEvent, why, by string) (message.CampaignStatus, error)
}

// ShownCampaign is a campaign as the pages show it.
type ShownCampaign struct {
	ID, Sender, Template  string
	Status                message.CampaignStatus
	Reason                string // why it is paused or was cancelled
	Priority              message.Priority
	Rows, Rejected, Done  int64
	Counts                map[message.Status]int64
	Rate, RateLimit       float64 // rows done per second now; and at most, 0 for the sender's rate
	Window                string  // when messages may go, empty for always
	Start, Expires, Ended time.Time
	Created               time.Time
	End                   time.Time // expected; zero: unknown, or over
}

// Percent is how far it has come.
func (s ShownCampaign) Percent() int {
	if s.Rows == 0 {
		return 0
	}
	return int(s.Done * 100 / s.Rows)
}

// May says whether an event can happen to it now.
func (s ShownCampaign) May(event string) bool {
	_, ok := s.Status.After(message.CampaignEvent(event))
	return ok
}

// Bars are its rows by what became of them, as wide as their share of 100.
func (s ShownCampaign) Bars() (bars []Bar) {
	left := 0.0
	for _, group := range barGroups {
		var n int64
		for _, status := range group.statuses {
			n += s.Counts[status]
		}
		if n > 0 && s.Rows > 0 {
			width := float64(n) * 100 / float64(s.Rows)
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
	var all []ShownCampaign
	for _, s := range c.api.names() {
		some, err := c.campaigns.List(r.Context(), s)
		if err != nil {
			return err
		}
		all = append(all, some...)
	}
	slices.SortStableFunc(all, func(a, b ShownCampaign) int { return b.Created.Compare(a.Created) })
	d.Body = all[:min(len(all), maxShownCampaigns)]
	return nil
}

func (c *console) campaignPage(r *http.Request, d *consoleData) error {
	d.Live = true
	shown, err := c.campaigns.Show(r.Context(), r.PathValue("sender"), r.PathValue("id"))
	if err != nil {
		return refusedCampaign(err)
	}
	d.Title, d.Body = "Campaign "+shown.ID, shown
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
	status, err := c.campaigns.Steer(ctx, r.PathValue("sender"), r.PathValue("id"), event, why, a.name)
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

// stamp is a time for the page's functions.
func stamp(t time.Time) view.Stamp { return view.Stamp(t) }
