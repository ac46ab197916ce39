package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/campaign"
	"github.com/gupdispatch/gupdispatch/config"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

func newCampaignCommand(e *env) *cobra.Command {
	return group("campaign", "Send a template to many people, from a file, at a time and a rate, and see what became of it",
		newCampaignCreateCommand(e), newCampaignListCommand(e), newCampaignShowCommand(e), newCampaignWatchCommand(e),
		newCampaignSteerCommand(e, message.CampaignPause, "Stop a campaign; what waits already is not sent either",
			"Stop a campaign. Nothing of it is claimed any more once the command has ended; requests on the wire are finished."),
		newCampaignSteerCommand(e, message.CampaignResume, "Let a paused campaign go on", "Let a paused campaign go on where it was."),
		newCampaignSteerCommand(e, message.CampaignCancel, "End a campaign for good; what was not sent never is",
			"End a campaign for good. Rows that were not sent yet count as cancelled; nothing of it is claimed any more once the command has ended."),
		newCampaignReportCommand(e), newCampaignRejectsCommand(e))
}

// expander makes messages of the rows of campaigns. It runs where workers run.
func (a *app) expander() *campaign.Expander {
	return campaign.NewExpander(campaign.ExpanderConfig{
		Redis: a.redis.general, Ledger: a.ledger, Senders: a.names(), Window: a.cfg.Campaign.Window, Log: a.log,
	})
}

// campaignSender is what a campaign has to know of a sender.
func campaignSender(s config.Sender) campaign.Sender {
	return campaign.Sender{Name: s.Name, Region: s.DefaultRegion, Timezone: s.Timezone, Rate: s.Rate, DailyRecipients: s.DailyRecipients}
}

// findCampaign reads the campaign with this id, of one sender or of all. Several senders may use one id: then the error names them.
func (a *app) findCampaign(ctx context.Context, id, sender string) (ledger.Campaign, error) {
	senders, err := a.senders(sender)
	if err != nil {
		return ledger.Campaign{}, err
	}
	found, owners, err := a.ledger.CampaignAmong(ctx, senders, id)
	if err != nil {
		return ledger.Campaign{}, err
	}
	switch len(found) {
	case 0:
		return ledger.Campaign{}, fmt.Errorf("no campaign %q of %s: `gupdispatch campaign list` shows those that there are", id, strings.Join(senders, ", "))
	case 1:
		return found[0], nil
	}
	return ledger.Campaign{}, fmt.Errorf("the senders %s each have a campaign %q: choose one with --sender", strings.Join(owners, ", "), id)
}

// oneCampaign is how a command about one campaign begins.
func (e *env) oneCampaign(ctx context.Context, id, sender string, do func(*app, ledger.Campaign) error) error {
	a, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	c, err := a.findCampaign(ctx, id, sender)
	if err != nil {
		return err
	}
	return do(a, c)
}

func newCampaignSteerCommand(e *env, event message.CampaignEvent, short, long string) *cobra.Command {
	var sender, reason string
	var asJSON bool
	c := &cobra.Command{
		Use: string(event) + " ID", Short: short, Long: long, Args: exactly(1, "the id of a campaign"),
		RunE: func(c *cobra.Command, args []string) error {
			return e.oneCampaign(c.Context(), args[0], sender, func(a *app, found ledger.Campaign) error {
				st, err := a.ledger.SteerCampaign(c.Context(), found.Sender, found.ID, event, reason, byHand)
				if err != nil {
					return fmt.Errorf("campaign %s: %w", found.ID, err)
				}
				if asJSON {
					return e.printJSON(steered{ID: found.ID, Status: st})
				}
				return e.say("campaign %s is %s", found.ID, st)
			})
		},
	}
	senderFlag(c, &sender, "the sender, where several use one id")
	if event != message.CampaignResume {
		c.Flags().StringVar(&reason, "reason", "", "why, shown with the campaign")
	}
	jsonFlag(c, &asJSON)
	return c
}

// steered is what pause, resume and cancel print with --json.
type steered struct {
	ID     string                 `json:"id"`
	Status message.CampaignStatus `json:"status"`
}
