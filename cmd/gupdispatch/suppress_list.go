package main

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/view"
)

func newSuppressListCommand(e *env) *cobra.Command {
	var sender string
	var reveal, asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List the numbers that must not be written to", Args: exactly(0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			return e.forSenders(c.Context(), sender, func(a *app, senders []string) error {
				out := bufio.NewWriterSize(e.stdout, 64<<10)
				array, table := jsonArray{w: out}, suppressionTable{w: out, width: longest(senders)}
				add, end := table.add, table.end
				if asJSON {
					add, end = func(v view.Suppression) error { return array.add(v) }, array.end
				}
				n := 0
				err := a.suppressions(c.Context(), senders, func(sender string, s ledger.Suppression) error {
					n++
					return add(view.SuppressionOf(sender, s, reveal))
				})
				if err == nil {
					err = end()
				}
				if flushed := printed(out.Flush()); err == nil {
					err = flushed
				}
				if err == nil && n == 0 {
					e.note("no number is suppressed")
				}
				return err
			})
		},
	}
	senderFlag(c, &sender, "only this sender's")
	c.Flags().BoolVar(&reveal, "reveal", false, "show whole phone numbers")
	jsonFlag(c, &asJSON)
	return c
}

// suppressions visits the lists of the senders, one after the other, until visit fails.
func (a *app) suppressions(ctx context.Context, senders []string, visit func(sender string, s ledger.Suppression) error) error {
	for _, sender := range senders {
		var stopped error
		err := a.ledger.Suppressions(ctx, sender, func(s ledger.Suppression) bool {
			stopped = visit(sender, s)
			return stopped == nil
		})
		if stopped != nil {
			err = stopped
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// suppressionTable prints entries for people. Its columns have fixed widths: a tabwriter would hold all of a list, which may be long.
type suppressionTable struct {
	w     io.Writer
	width int // of the sender's column
	begun bool
}

const suppressionRow = "%-*s  %-18s  %-5s  %-24s  %-24s  %-16s  %s\n"

func (t *suppressionTable) add(v view.Suppression) error {
	if !t.begun {
		t.begun = true
		if _, err := fmt.Fprintf(t.w, suppressionRow, t.width, "SENDER", "NUMBER", "SCOPE", "SINCE", "UNTIL", "SOURCE", "CODE"); err != nil {
			return printed(err)
		}
	}
	until := "for ever"
	if !v.Until.IsZero() {
		until = v.Until.String()
	}
	_, err := fmt.Fprintf(t.w, suppressionRow, t.width, v.Sender, v.Number, v.Scope, v.Since, until, v.Source, orDash(v.Code))
	return printed(err)
}

func (t *suppressionTable) end() error { return nil } // a table has no end of its own

// longest is the width of the column of senders.
func longest(senders []string) int {
	width := len("SENDER")
	for _, s := range senders {
		width = max(width, len(s))
	}
	return width
}
