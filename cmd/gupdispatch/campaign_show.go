package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

func (a *app) campaignView(c ledger.Campaign) (view.Campaign, error) {
	return view.CampaignOf(c, a.rates()[c.Sender], a.env.now())
}

func newCampaignListCommand(e *env) *cobra.Command {
	var sender string
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List campaigns, oldest first", Args: exactly(0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			return e.forSenders(c.Context(), sender, func(a *app, senders []string) error {
				views, err := a.campaignViews(c.Context(), senders)
				if err != nil {
					return err
				}
				if asJSON {
					return e.printJSON(views)
				}
				return e.campaignTable(views)
			})
		},
	}
	senderFlag(c, &sender, "only this sender's")
	jsonFlag(c, &asJSON)
	return c
}

func (a *app) campaignViews(ctx context.Context, senders []string) ([]view.Campaign, error) {
	views := []view.Campaign{}
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

func (e *env) campaignTable(views []view.Campaign) error {
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
func tellCampaign(w io.Writer, v view.Campaign) {
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
	for _, z := range v.Zones {
		when := "opens " + z.Opens.String()
		if z.Open {
			when = "open until " + z.Closes.String()
		}
		fmt.Fprintf(w, "    %s: %s of %s to be sent, %s\n", strings.ReplaceAll(z.Zone, ",", ", "), thousands(z.Queued), view.Counted(z.Accepted, "row"), when)
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

// layout is how a time is told: with its day, unless that is today.
func layout(at, now time.Time) string {
	if at.Sub(now) < 24*time.Hour && at.Local().Day() == now.Local().Day() {
		return "15:04:05"
	}
	return "2 Jan 15:04"
}

// campaignProgress is how progress is shown: JSON, a bar for a person at a terminal, or lines.
func (a *app) campaignProgress(f watchFlags) (show func(view.Campaign) error, end func()) {
	end = func() {}
	if f.json {
		return func(v view.Campaign) error { return a.env.printLine(v) }, end
	}
	text := func(v view.Campaign) string {
		s := fmt.Sprintf("%s: %s of %s done, %s delivered, %s read, %s dead, %.1f/s", v.Status, thousands(v.Done), thousands(v.Accepted),
			thousands(v.Counts[message.Delivered]), thousands(v.Counts[message.Read]), thousands(v.Counts[message.Dead]), v.Rate)
		if !v.End.IsZero() {
			s += ", until about " + time.Time(v.End).Local().Format(layout(time.Time(v.End), a.env.now()))
		}
		return s
	}
	if !a.env.isTerminal(a.env.stderr) {
		last := ""
		return func(v view.Campaign) error {
			if t := text(v); t != last {
				last = t
				a.env.note("%s", t)
			}
			return nil
		}, end
	}
	var bar *progressbar.ProgressBar
	show = func(v view.Campaign) error {
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
				return printed(view.WriteReport(c.Context(), e.stdout, a.ledger, found, reveal))
			})
		},
	}
	senderFlag(c, &sender, "the sender, where several use one id")
	c.Flags().BoolVar(&reveal, "reveal", false, "write whole numbers")
	return c
}

func newCampaignRejectsCommand(e *env) *cobra.Command {
	var sender string
	c := &cobra.Command{
		Use: "rejects ID", Short: "Write which lines were rejected, and why, as CSV", Args: exactly(1, "the id of a campaign"),
		Long: "Write which lines of the file were rejected, and why, as CSV: line and reason, in the order of the file. They are kept as long as the rows.",
		RunE: func(c *cobra.Command, args []string) error {
			return e.oneCampaign(c.Context(), args[0], sender, func(a *app, found ledger.Campaign) error {
				return printed(view.WriteRejects(c.Context(), e.stdout, a.ledger, found))
			})
		},
	}
	senderFlag(c, &sender, "the sender, where several use one id")
	return c
}
