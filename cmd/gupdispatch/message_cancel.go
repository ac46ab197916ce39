package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// cancelled is what `message cancel` prints with --json.
type cancelled struct {
	ID     string         `json:"id"`
	Sender string         `json:"sender"`
	Status message.Status `json:"status"`
}

func newMessageCancelCommand(e *env) *cobra.Command {
	var sender string
	var asJSON bool
	c := &cobra.Command{
		Use: "cancel ID", Short: "Take a message back that has not been sent", Args: exactly(1, "the id of a message"),
		Long: "Take a message back, as long as it is queued: waiting for its turn, its time, its retry, or behind a hold. Once it is cancelled\n" +
			"it is not sent any more. A message whose earlier attempt is in doubt may have arrived all the same; a callback then says so.",
		RunE: func(c *cobra.Command, args []string) error {
			return e.oneMessage(c.Context(), args[0], sender, func(a *app, rec ledger.Record) error {
				err := a.ledger.Cancel(c.Context(), rec.Sender, rec.ID)
				var late *ledger.TooLateError
				switch {
				case errors.As(err, &late):
					return fmt.Errorf("not cancelled: %w", late)
				case err != nil:
					return fmt.Errorf("not known whether it is cancelled, repeating the command is safe: %w", err)
				case asJSON:
					return e.printJSON(cancelled{ID: rec.ID, Sender: rec.Sender, Status: message.Cancelled})
				}
				return e.say("message %s of sender %s cancelled", rec.ID, rec.Sender)
			})
		},
	}
	senderFlag(c, &sender, "the sender, where several use one id")
	jsonFlag(c, &asJSON)
	return c
}
