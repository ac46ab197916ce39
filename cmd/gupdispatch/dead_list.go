package main

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

// listed is how many dead letters `dead list` shows to people unless it is asked for more. Programs get all.
const listed = 100

func newDeadListCommand(e *env) *cobra.Command {
	var f deadFlags
	var reveal, asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List dead letters, newest first", Args: exactly(0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if !asJSON && !c.Flags().Changed("limit") {
				f.limit = listed
			}
			letters, a, err := e.chooseDead(c.Context(), f, 1) // one more than shown tells whether there are more
			if err != nil {
				return err
			}
			defer a.close()
			list := e.deadTable
			if asJSON {
				list = e.deadArray
			}
			return list(letters, f.limit, reveal)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&reveal, "reveal", false, "show whole phone numbers")
	jsonFlag(c, &asJSON)
	return c
}

// chooseDead opens the app and finds what the flags choose, and so many more than their limit.
func (e *env) chooseDead(ctx context.Context, f deadFlags, more int) (iter.Seq2[ledger.DeadLetter, error], *app, error) {
	q, err := f.filter(e.now())
	if err != nil {
		return nil, nil, err
	}
	if q.Limit > 0 {
		q.Limit += more
	}
	a, err := e.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	senders, err := a.senders(f.sender)
	if err != nil {
		a.close()
		return nil, nil, err
	}
	return a.ledger.DeadOf(ctx, senders, q), a, nil
}

// each visits at most limit letters, all if it is 0, and says if there are more.
func (e *env) each(letters iter.Seq2[ledger.DeadLetter, error], limit int, visit func(ledger.DeadLetter) error) error {
	n := 0
	for d, err := range letters {
		if err != nil {
			return err
		}
		if n++; limit > 0 && n > limit {
			e.note("there are more than %d: raise --limit, or --limit 0 for all", limit)
			return nil
		}
		if err := visit(d); err != nil {
			return err
		}
	}
	return nil
}

func (e *env) deadArray(letters iter.Seq2[ledger.DeadLetter, error], limit int, reveal bool) error {
	array := jsonArray{w: e.stdout}
	if err := e.each(letters, limit, func(d ledger.DeadLetter) error { return array.add(view.DeadLetterOf(d, reveal)) }); err != nil {
		return err
	}
	return array.end()
}

func (e *env) deadTable(letters iter.Seq2[ledger.DeadLetter, error], limit int, reveal bool) error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	n := 0
	err := e.each(letters, limit, func(d ledger.DeadLetter) error {
		if n++; n == 1 {
			fmt.Fprintln(w, "ID\tSENDER\tTO\tPRIORITY\tCODE\tREASON\tMESSAGE ID\tATTEMPTS\tAT")
		}
		v := view.DeadLetterOf(d, reveal)
		_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n",
			v.ID, v.Sender, v.To, v.Priority, v.Code, orDash(v.Reason), orDash(v.MessageID), v.Attempts, v.At)
		return printed(err)
	})
	if n == 0 && err == nil {
		e.note("no dead letters match")
	}
	if flushErr := printed(w.Flush()); err == nil {
		err = flushErr
	}
	return err
}

func orDash(s string) string {
	if strings.TrimSpace(s) == "" {
		return "-"
	}
	return s
}

func newDeadShowCommand(e *env) *cobra.Command {
	var sender string
	var reveal, asJSON bool
	c := &cobra.Command{
		Use: "show ID", Short: "Tell the story of a dead letter", Args: exactly(1, "the id of a dead letter"),
		RunE: func(c *cobra.Command, args []string) error {
			return e.oneMessage(c.Context(), args[0], sender, func(a *app, rec ledger.Record) error {
				if rec.Status != message.Dead {
					return fmt.Errorf("message %s is %s, not a dead letter: `gupdispatch message show` tells its story", rec.ID, rec.Status)
				}
				return a.showMessage(c.Context(), rec, reveal, asJSON)
			})
		},
	}
	senderFlag(c, &sender, "the sender, where several use one id")
	c.Flags().BoolVar(&reveal, "reveal", false, "show the whole phone number")
	jsonFlag(c, &asJSON)
	return c
}
