package main

import (
	"encoding/csv"
	"encoding/json"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

// exported is one dead letter with all that is needed to send it again.
type exported struct {
	view.DeadLetter
	Message *message.Message `json:"message,omitempty"` // only with --reveal: it holds number and text
}

func newDeadExportCommand(e *env) *cobra.Command {
	var f deadFlags
	var format string
	var reveal bool
	c := &cobra.Command{
		Use: "export", Short: "Write dead letters as NDJSON or CSV, newest first", Args: exactly(0, ""),
		Long: "Write dead letters as NDJSON or CSV, newest first. With --reveal each has its whole number, and as `message` the object that\n" +
			"`send --file` takes. Sent again with the same id, a letter that was not purged stays what it is: dead.",
		Example: `  gupdispatch dead export --since 7d --format csv > dead.csv
  gupdispatch dead export --code 1003 --reveal | jq -c .message > again.ndjson
  gupdispatch dead purge --code 1003 --yes && gupdispatch send --file again.ndjson`,
		RunE: func(c *cobra.Command, _ []string) error {
			if format != "ndjson" && format != "csv" {
				return usagef("--format %q is unknown: use ndjson or csv", format)
			}
			letters, a, err := e.chooseDead(c.Context(), f, 0)
			if err != nil {
				return err
			}
			defer a.close()
			if !reveal {
				e.note("numbers are masked and contents left out: --reveal writes them")
			}
			write, flush := e.exportNDJSON, func() error { return nil }
			if format == "csv" {
				write, flush = e.exportCSV(reveal)
			}
			for d, err := range letters {
				if err == nil {
					err = write(e.export(d, reveal))
				}
				if err != nil {
					return err
				}
			}
			return flush()
		},
	}
	f.add(c)
	c.Flags().StringVar(&format, "format", "ndjson", "ndjson or csv")
	c.Flags().BoolVar(&reveal, "reveal", false, "write whole numbers, and the contents")
	return c
}

func (e *env) export(d ledger.DeadLetter, reveal bool) exported {
	out := exported{DeadLetter: view.DeadLetterOf(d, reveal)}
	if reveal {
		m := againOf(d.Record, e.now())
		out.Message = &m
	}
	return out
}

func (e *env) exportNDJSON(x exported) error { return e.printLine(x) }

// exportCSV writes a header and then a row for each letter; the message, if any, is a column of JSON.
func (e *env) exportCSV(reveal bool) (write func(exported) error, flush func() error) {
	w := csv.NewWriter(e.stdout)
	header := []string{"id", "sender", "to", "priority", "code", "class", "reason", "message_id", "attempts", "at"}
	if reveal {
		header = append(header, "message")
	}
	begun := w.Write(header)
	write = func(x exported) error {
		row := []string{
			x.ID, x.Sender, x.To, string(x.Priority), x.Code, string(x.Class), view.Harmless(x.Reason), x.MessageID, strconv.Itoa(x.Attempts), x.At.String(),
		}
		if x.Message != nil {
			b, err := json.Marshal(x.Message)
			if err != nil {
				return err
			}
			row = append(row, string(b))
		}
		return printed(w.Write(row))
	}
	flush = func() error {
		w.Flush()
		if begun != nil {
			return printed(begun)
		}
		return printed(w.Error())
	}
	return write, flush
}
