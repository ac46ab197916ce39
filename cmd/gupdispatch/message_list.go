package main

import (
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/config"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

// looked is how many records of a sender `message list` looks at unless it is told otherwise: some ten seconds' worth.
const looked = 1_000_000

// listFlags choose messages.
type listFlags struct {
	to, sender, status string
	limit, scan        int
	reveal, json       bool
}

func newMessageListCommand(e *env) *cobra.Command {
	var f listFlags
	c := &cobra.Command{
		Use: "list --to NUMBER", Short: "List the messages to a number, newest first", Args: exactly(0, ""),
		Long: "List the messages to a number, newest first. Records are not indexed by number: it looks at all of them, in pages, which takes\n" +
			"about a second for a hundred thousand, and at no more of a sender than --scan; it says so when it gave up before the end.",
		Example: `  gupdispatch message list --to "+91 98765 43210" --status dead`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			a, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer a.close()
			return a.listMessages(c, f)
		},
	}
	fs := c.Flags()
	fs.StringVar(&f.to, "to", "", "the recipient's `number`")
	senderFlag(c, &f.sender, "only this sender's")
	fs.StringVar(&f.status, "status", "", "only those in this `state`, such as queued or dead")
	fs.IntVar(&f.limit, "limit", 20, "at most so many, the newest")
	fs.IntVar(&f.scan, "scan", looked, "how many records of a sender to look at before giving up")
	fs.BoolVar(&f.reveal, "reveal", false, "show whole phone numbers")
	jsonFlag(c, &f.json)
	return c
}

func (f listFlags) check() error {
	switch {
	case f.to == "":
		return usagef("--to is missing: name the recipient's number")
	case f.limit < 1:
		return usagef("--limit %d: write a number of messages, at least 1", f.limit)
	case f.scan < 1:
		return usagef("--scan %d: write a number of records, at least 1", f.scan)
	case f.status != "" && !message.Status(f.status).Valid():
		return usagef("--status %q is unknown: use one of %v", f.status, message.Statuses)
	}
	return nil
}

func (a *app) listMessages(c *cobra.Command, f listFlags) error {
	senders, err := a.senders(f.sender)
	if err != nil {
		return err
	}
	var records []ledger.Record
	found := 0
	for _, name := range senders {
		s, _ := a.cfg.Sender(name)
		got, err := a.listOf(c, s, f)
		if err != nil {
			return err
		}
		if !got.All {
			a.env.note("gave up after %d records of %s, so newer messages may be missing: raise --scan", got.Looked, name)
		}
		records, found = append(records, got.Records...), found+got.Found
	}
	slices.SortStableFunc(records, func(x, y ledger.Record) int { return y.CreatedAt.Compare(x.CreatedAt) })
	records = records[:min(len(records), f.limit)]
	if found > len(records) {
		a.env.note("these are the newest %d of %d: raise --limit for more", len(records), found)
	}
	views := make([]view.Message, len(records))
	for i, r := range records {
		views[i] = view.MessageOf(r, f.reveal)
	}
	if f.json {
		return a.env.printJSON(views)
	}
	return a.env.messageTable(views)
}

func (a *app) listOf(c *cobra.Command, s config.Sender, f listFlags) (ledger.Listed, error) {
	to, err := message.NormaliseNumber(f.to, s.DefaultRegion)
	if err != nil {
		return ledger.Listed{}, usagef("--to %s", err)
	}
	return a.ledger.List(c.Context(), s.Name, ledger.ListFilter{To: to, Status: message.Status(f.status), Limit: f.limit, Most: f.scan})
}

func (e *env) messageTable(views []view.Message) error {
	if len(views) == 0 {
		e.note("no message to this number is known: none was accepted, or their records were retired")
		return nil
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSENDER\tTO\tPRIORITY\tSTATUS\tWHY\tMESSAGE ID\tCREATED\tUPDATED")
	for _, v := range views {
		why := whyText(v.Code, string(v.Class), v.Reason)
		if v.WaitingFor != "" {
			why = "waiting for " + v.WaitingFor
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			v.ID, v.Sender, v.To, v.Priority, v.Status, orDash(why), orDash(v.MessageID), v.CreatedAt, v.UpdatedAt)
	}
	return printed(w.Flush())
}
