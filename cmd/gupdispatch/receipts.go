package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/view"
)

func newReceiptsCommand(e *env) *cobra.Command {
	return group("receipts", "Look at receipts, which Gupshup's callbacks bring", newReceiptsParkedCommand(e))
}

// mostParked bounds --limit: the listing is read in one piece.
const mostParked = 10_000

// hearingView is how a sender's callbacks are coming in, as `receipts parked` prints it.
type hearingView struct {
	Sender   string       `json:"sender"`
	Parked   int          `json:"parked"`       // messageIds that nobody knows so far
	Oldest   stamp        `json:"oldest"`       // when the one of them that waits longest came
	Dropped  int64        `json:"dropped"`      // messageIds that were given up
	Last     stamp        `json:"last_receipt"` // when the latest receipt came; null if none ever did
	Receipts []parkedView `json:"receipts"`
}

type parkedView struct {
	Event     string        `json:"event"`
	MessageID string        `json:"message_id"`
	To        string        `json:"to"`
	Code      string        `json:"code"`
	Class     gupshup.Class `json:"class"`
	Reason    string        `json:"reason"`
	At        stamp         `json:"at"`
	ArrivedAt stamp         `json:"arrived_at"`
}

func newReceiptsParkedCommand(e *env) *cobra.Command {
	var sender string
	var limit int
	var reveal, asJSON bool
	c := &cobra.Command{
		Use: "parked", Short: "List receipts whose messageId nobody knows", Args: exactly(0, ""),
		Long: "List receipts whose messageId nobody knows, those that have waited longest first. A receipt may come before our own record\n" +
			"of the reply; it is kept for an hour and merged when that comes. What stays belongs to messages that something else sends\n" +
			"from the same app.",
		RunE: func(c *cobra.Command, _ []string) error {
			if limit < 1 || limit > mostParked {
				return usagef("--limit %d is not possible: write a number from 1 to %d", limit, mostParked)
			}
			return e.forSenders(c.Context(), sender, func(a *app, senders []string) error {
				views := make([]hearingView, len(senders))
				for i, name := range senders {
					v, err := a.hearing(c.Context(), name, limit, reveal)
					if err != nil {
						return err
					}
					views[i] = v
				}
				if asJSON {
					return e.printJSON(views)
				}
				return e.tellParked(views)
			})
		},
	}
	senderFlag(c, &sender, "only this sender's")
	c.Flags().IntVar(&limit, "limit", 100, "at most so many receipts of each sender, those that have waited longest")
	c.Flags().BoolVar(&reveal, "reveal", false, "show whole phone numbers")
	jsonFlag(c, &asJSON)
	return c
}

func (a *app) hearing(ctx context.Context, sender string, limit int, reveal bool) (hearingView, error) {
	h, err := a.ledger.Hearing(ctx, sender)
	if err != nil {
		return hearingView{}, err
	}
	parked, err := a.ledger.Parked(ctx, sender, limit)
	if err != nil {
		return hearingView{}, err
	}
	return hearingViewOf(sender, h, parked, reveal), nil
}

func hearingViewOf(sender string, h ledger.Hearing, parked []ledger.ParkedReceipt, reveal bool) hearingView {
	v := hearingView{
		Sender: sender, Parked: h.Parked, Oldest: stamp(h.Oldest), Dropped: h.Dropped, Last: stamp(h.Last),
		Receipts: make([]parkedView, len(parked)),
	}
	for i, p := range parked {
		v.Receipts[i] = parkedView{
			Event: p.Event, MessageID: p.MessageID, To: view.Number(p.To, reveal), Code: p.Code, Class: p.Class, Reason: p.Reason,
			At: stamp(p.At), ArrivedAt: stamp(p.ArrivedAt),
		}
	}
	return v
}

// tellParked prints for people: the receipts of all senders, and below them a line for each sender.
func (e *env) tellParked(views []hearingView) error {
	now := e.now()
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	begun := false
	for _, v := range views {
		for _, p := range v.Receipts {
			if !begun {
				begun = true
				fmt.Fprintln(w, "SENDER\tEVENT\tMESSAGE ID\tTO\tAGE\tCODE")
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n",
				v.Sender, orDash(p.Event), orDash(p.MessageID), orDash(p.To), age(now, p.ArrivedAt), orDash(p.Code))
		}
	}
	if err := printed(w.Flush()); err != nil {
		return err
	}
	for _, v := range views {
		if err := e.say("%s", summaryOf(v, now)); err != nil {
			return err
		}
	}
	return nil
}

func summaryOf(v hearingView, now time.Time) string {
	ids := fmt.Sprintf("%d messageIds are parked", v.Parked)
	if v.Parked == 1 {
		ids = "1 messageId is parked"
	}
	if v.Parked > 0 {
		ids += ", the oldest for " + age(now, v.Oldest)
	}
	last := "no receipt has ever come: is the callback URL set at Gupshup?"
	if !v.Last.IsZero() {
		last = "the latest receipt came " + age(now, v.Last) + " ago"
	}
	return fmt.Sprintf("%s: %s; %d given up so far; %s", v.Sender, ids, v.Dropped, last)
}

// age is how long ago something was, to the second. Redis's clock may be ahead of ours.
func age(now time.Time, at stamp) string {
	return max(0, now.Sub(time.Time(at))).Truncate(time.Second).String()
}
