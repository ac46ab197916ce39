package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/campaign"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// campaignView is a campaign as the commands print it.
type campaignView struct {
	ID        string                   `json:"id"`
	Sender    string                   `json:"sender"`
	Status    message.CampaignStatus   `json:"status"`
	Reason    string                   `json:"reason"` // why it is paused or was cancelled
	Template  string                   `json:"template"`
	Priority  message.Priority         `json:"priority"`
	Accepted  int64                    `json:"accepted"` // rows
	Rejected  int64                    `json:"rejected"`
	Counts    map[message.Status]int64 `json:"counts"`
	Done      int64                    `json:"done"` // taken by Gupshup, or at another end
	Rate      float64                  `json:"rate"` // of those, per second, in the last seconds
	End       stamp                    `json:"expected_end"`
	RateLimit float64                  `json:"rate_limit,omitempty"`
	Window    string                   `json:"window,omitempty"`
	Timezone  string                   `json:"timezone,omitempty"`
	StartAt   stamp                    `json:"start_at,omitzero"`
	ExpiresAt stamp                    `json:"expires_at,omitzero"`
	CreatedAt stamp                    `json:"created_at"`
	UpdatedAt stamp                    `json:"updated_at"`
	EndedAt   stamp                    `json:"ended_at,omitzero"`
}

func (a *app) campaignView(c ledger.Campaign) (campaignView, error) {
	d, err := campaign.DecodeDefinition(c.Definition)
	if err != nil {
		return campaignView{}, err
	}
	p, err := campaign.ProgressOf(c, d, a.rates()[c.Sender], a.env.now())
	if err != nil {
		return campaignView{}, err
	}
	v := campaignView{
		ID: c.ID, Sender: c.Sender, Status: c.Status, Reason: c.Reason, Template: d.Template, Priority: d.Priority, Accepted: c.Rows,
		Rejected: c.Rejected, Counts: map[message.Status]int64{}, Done: p.Done, Rate: float64(int(p.Rate*10)) / 10, End: stamp(p.End),
		RateLimit: d.Rate, Window: d.Window, Timezone: d.Zone, StartAt: stamp(d.StartAt), ExpiresAt: stamp(d.Expires),
		CreatedAt: stamp(c.CreatedAt), UpdatedAt: stamp(c.UpdatedAt), EndedAt: stamp(c.EndedAt),
	}
	for _, s := range message.Statuses {
		v.Counts[s] = c.Counts[s]
	}
	return v, nil
}

func newCampaignListCommand(e *env) *cobra.Command {
	var sender string
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List campaigns, oldest first", Args: exactly(0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer a.close()
			views, err := a.campaignViews(c.Context(), sender)
			if err != nil {
				return err
			}
			if asJSON {
				return e.printJSON(views)
			}
			return e.campaignTable(views)
		},
	}
	senderFlag(c, &sender, "only this sender's")
	jsonFlag(c, &asJSON)
	return c
}

func (a *app) campaignViews(ctx context.Context, sender string) ([]campaignView, error) {
	senders, err := a.senders(sender)
	if err != nil {
		return nil, err
	}
	views := []campaignView{}
	for _, s := range senders {
		all, err := a.ledger.Campaigns(ctx, s)
		if err != nil {
			return nil, err
		}
		for _, c := range all {
			v, err := a.campaignView(c)
			if err != nil {
				return nil, err
			}
			views = append(views, v)
		}
	}
	return views, nil
}

func (e *env) campaignTable(views []campaignView) error {
	if len(views) == 0 {
		e.note("there are no campaigns")
		return nil
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSENDER\tSTATUS\tROWS\tDONE\tDEAD\tRATE\tEXPECTED END\tREASON")
	for _, v := range views {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%.1f\t%s\t%s\n",
			v.ID, v.Sender, v.Status, v.Accepted, v.Done, v.Counts[message.Dead], v.Rate, v.End, orDash(v.Reason))
	}
	return printed(w.Flush())
}

func newCampaignShowCommand(e *env) *cobra.Command {
	var sender string
	var asJSON bool
	c := &cobra.Command{
		Use: "show ID", Short: "Tell how far a campaign has come", Args: exactly(1, "the id of a campaign"),
		RunE: func(c *cobra.Command, args []string) error {
			return e.oneCampaign(c.Context(), args[0], sender, func(a *app, found ledger.Campaign) error {
				v, err := a.campaignView(found)
				if err != nil {
					return err
				}
				if asJSON {
					return e.printJSON(v)
				}
				tellCampaign(e.stdout, v)
				return nil
			})
		},
	}
	senderFlag(c, &sender, "the sender, where several use one id")
	jsonFlag(c, &asJSON)
	return c
}

// tellCampaign prints a campaign for people.
func tellCampaign(w io.Writer, v campaignView) {
	fmt.Fprintf(w, "campaign %s of %s is %s", v.ID, v.Sender, v.Status)
	if v.Reason != "" {
		fmt.Fprintf(w, ": %s", v.Reason)
	}
	fmt.Fprintf(w, "\n  template  %s\n  rows      %s taken, %s rejected\n  done      %s\n", v.Template, thousands(v.Accepted), thousands(v.Rejected), thousands(v.Done))
	for _, s := range message.Statuses {
		if n := v.Counts[s]; n != 0 {
			fmt.Fprintf(w, "    %-10s %s\n", s, thousands(n))
		}
	}
	if v.Window != "" {
		fmt.Fprintf(w, "  window    %s %s\n", v.Window, v.Timezone)
	}
	for _, t := range []struct {
		name string
		at   stamp
	}{{"created", v.CreatedAt}, {"starts", v.StartAt}, {"expires", v.ExpiresAt}, {"ended", v.EndedAt}} {
		if !t.at.IsZero() {
			fmt.Fprintf(w, "  %-9s %s\n", t.name, t.at)
		}
	}
	if !v.End.IsZero() {
		fmt.Fprintf(w, "  rate      %.1f/s, expected end %s\n", v.Rate, v.End)
	}
}

// watchFlags say how to watch.
type watchFlags struct {
	every time.Duration
	json  bool
}

func newCampaignWatchCommand(e *env) *cobra.Command {
	var sender string
	var f watchFlags
	c := &cobra.Command{
		Use: "watch ID", Short: "Show a campaign's progress until it ends", Args: exactly(1, "the id of a campaign"),
		Long: "Show a campaign's progress until it is completed or cancelled: a bar at a terminal, otherwise a line when something has changed.",
		RunE: func(c *cobra.Command, args []string) error {
			return e.oneCampaign(c.Context(), args[0], sender, func(a *app, found ledger.Campaign) error {
				return a.watchCampaign(c.Context(), found.Sender, found.ID, f)
			})
		},
	}
	senderFlag(c, &sender, "the sender, where several use one id")
	c.Flags().DurationVar(&f.every, "every", time.Second, "how often to look")
	c.Flags().BoolVar(&f.json, "json", false, "print a line of JSON at each look, for programs")
	return c
}

// watchCampaign shows progress until the campaign ends.
func (a *app) watchCampaign(ctx context.Context, sender, id string, f watchFlags) error {
	show, end := a.campaignProgress(f)
	defer end()
	ticker := time.NewTicker(max(f.every, 50*time.Millisecond))
	defer ticker.Stop()
	for {
		c, err := a.ledger.GetCampaign(ctx, sender, id)
		if err != nil {
			return err
		}
		v, err := a.campaignView(c)
		if err != nil {
			return err
		}
		if err := show(v); err != nil {
			return err
		}
		if c.Status.Ended() {
			end()
			if !f.json {
				tellCampaign(a.env.stdout, v)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// campaignProgress is how progress is shown: JSON, a bar for a person at a terminal, or lines.
func (a *app) campaignProgress(f watchFlags) (show func(campaignView) error, end func()) {
	end = func() {}
	if f.json {
		return func(v campaignView) error { return a.env.printLine(v) }, end
	}
	text := func(v campaignView) string {
		s := fmt.Sprintf("%s: %s of %s done, %s delivered, %s read, %s dead, %.1f/s", v.Status, thousands(v.Done), thousands(v.Accepted),
			thousands(v.Counts[message.Delivered]), thousands(v.Counts[message.Read]), thousands(v.Counts[message.Dead]), v.Rate)
		if !v.End.IsZero() {
			s += ", until about " + time.Time(v.End).Local().Format("15:04:05")
		}
		return s
	}
	if !a.env.isTerminal(a.env.stderr) {
		last := ""
		return func(v campaignView) error {
			if t := text(v); t != last {
				last = t
				a.env.note("%s", t)
			}
			return nil
		}, end
	}
	var bar *progressbar.ProgressBar
	show = func(v campaignView) error {
		if bar == nil || bar.GetMax64() != v.Accepted {
			bar = progressbar.NewOptions64(v.Accepted, progressbar.OptionSetWriter(a.env.stderr), progressbar.OptionSetWidth(12),
				progressbar.OptionSetPredictTime(false), progressbar.OptionShowDescriptionAtLineEnd(),
				progressbar.OptionSetTheme(progressbar.Theme{Saucer: "█", SaucerPadding: "░"}))
		}
		bar.Describe(text(v))
		return bar.Set64(min(v.Done, max(0, v.Accepted-1))) // it would vanish when it is full
	}
	return show, func() {
		if bar != nil {
			_ = bar.Clear()
		}
	}
}

func newCampaignReportCommand(e *env) *cobra.Command {
	var sender string
	var reveal bool
	c := &cobra.Command{
		Use: "report ID", Short: "Write what became of each row, as CSV", Args: exactly(1, "the id of a campaign"),
		Long: "Write what became of each row that was taken, in the order of the file: line, message id, number, status, code, Gupshup's messageId,\n" +
			"reason, attempts, time of the last change. A row whose record is kept no longer is `retired`. Numbers are masked without --reveal.",
		RunE: func(c *cobra.Command, args []string) error {
			return e.oneCampaign(c.Context(), args[0], sender, func(a *app, found ledger.Campaign) error {
				return e.reportCampaign(c.Context(), a, found, reveal)
			})
		},
	}
	senderFlag(c, &sender, "the sender, where several use one id")
	c.Flags().BoolVar(&reveal, "reveal", false, "write whole numbers")
	return c
}

func (e *env) reportCampaign(ctx context.Context, a *app, found ledger.Campaign, reveal bool) error {
	w := csv.NewWriter(e.stdout)
	if err := w.Write([]string{"line", "id", "to", "status", "code", "message_id", "reason", "attempts", "updated_at"}); err != nil {
		return printed(err)
	}
	err := campaign.Report(ctx, a.ledger, found.Sender, found.ID, func(l campaign.ReportLine) error {
		if !reveal {
			l.To = message.MaskNumber(l.To)
		}
		return printed(w.Write([]string{
			strconv.FormatInt(l.Line, 10), l.ID, l.To, l.Status, l.Code, l.MessageID, harmless(l.Reason),
			strconv.Itoa(l.Attempts), stamp(l.UpdatedAt).String(),
		}))
	})
	w.Flush()
	if err == nil {
		err = printed(w.Error())
	}
	return err
}
