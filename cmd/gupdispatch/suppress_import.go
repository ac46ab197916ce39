package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/config"
	"github.com/gupdispatch/gupdispatch/ledger"
)

func newSuppressImportCommand(e *env) *cobra.Command {
	var sender string
	var dryRun, asJSON bool
	c := &cobra.Command{
		Use: "import FILE|-", Short: "Suppress the numbers of a file", Args: exactly(1, "a file, or - for standard input"),
		Long: "Keep a sender from writing to the numbers of a file: one number on a line, or CSV with a header of the columns number, scope\n" +
			"(all or bulk), until (RFC 3339) and reason, of which only number is needed. A line that is wrong is reported, the rest goes on,\n" +
			"and the exit code is 1. Importing a file again does no harm.\n" + suppressRules,
		Example: "  gupdispatch suppress import opted-out.csv --sender shop --dry-run",
		RunE: func(c *cobra.Command, args []string) error {
			return e.forSender(c.Context(), sender, func(a *app, s config.Sender) error {
				i := importing{app: a, sender: s.Name, rows: suppressionRows{region: s.DefaultRegion, now: e.now}, dryRun: dryRun}
				if err := i.file(c.Context(), args[0]); err != nil {
					return err
				}
				return i.end(asJSON)
			})
		},
	}
	senderFlag(c, &sender, "the sender that must not write; may be left out if there is only one")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only check the file and say what would be done")
	jsonFlag(c, &asJSON)
	return c
}

// importing puts the numbers of a file on a sender's list.
type importing struct {
	*app
	sender string
	rows   suppressionRows
	dryRun bool

	done, wrong int // lines
}

// file reads in bounded memory however long the file is, and stops when Redis does not answer.
func (i *importing) file(ctx context.Context, name string) error {
	in, err := i.env.input(name, "the file")
	if err != nil {
		return err
	}
	defer in.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the reader, too, unless it hangs in its input
	lines, last := readLines(ctx, in), 0
	for {
		batch, more := nextBatch(ctx, lines)
		if len(batch) > 0 && ctx.Err() == nil {
			err := i.batch(ctx, batch)
			var header *headerError
			switch {
			case errors.As(err, &header):
				return usagef("line %d: %s; nothing was done", batch[0].number, err)
			case err != nil:
				return fmt.Errorf("stopped after line %d, %s suppressed; importing the whole file again is safe: %w", last, counted(i.done), err)
			}
			last = batch[len(batch)-1].number
		}
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted after line %d, %s suppressed: import the file again, which is safe", last, counted(i.done))
		}
		if !more {
			return nil
		}
	}
}

// batch takes in some lines and reports those that are wrong.
func (i *importing) batch(ctx context.Context, lines []fileLine) error {
	var list []ledger.Suppression
	for _, l := range lines {
		s, ok, err := i.rows.read(l)
		var header *headerError
		switch {
		case errors.As(err, &header): // what the columns below it mean is anybody's guess
			return err
		case err != nil:
			i.wrong++
			i.env.note("line %d: %s", l.number, err)
		case ok:
			list = append(list, s)
		}
	}
	if len(list) > 0 && !i.dryRun {
		if err := i.ledger.Suppress(ctx, i.sender, list); err != nil {
			return err
		}
	}
	i.done += len(list)
	return nil
}

// end tells what came of it.
func (i *importing) end(asJSON bool) error {
	var err error
	switch {
	case asJSON:
		err = i.env.printJSON(suppressed{Sender: i.sender, Suppressed: i.done, Wrong: i.wrong, DryRun: i.dryRun})
	case i.dryRun:
		err = i.env.say("would suppress %s for %s", counted(i.done), i.sender)
	default:
		err = i.env.say("%s suppressed for %s", counted(i.done), i.sender)
	}
	if err == nil && i.wrong > 0 {
		err = fmt.Errorf("%d of %d lines are wrong: mend those named above and import the file again, which is safe", i.wrong, i.wrong+i.done)
	}
	return err
}
