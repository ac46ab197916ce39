package ledger

import (
	"context"
	"fmt"

	"github.com/gupdispatch/gupdispatch/message"
)

// TooLateError says that a message cannot be cancelled any more: it is being sent, was sent, or has come to another end.
type TooLateError struct{ Status message.Status }

func (e *TooLateError) Error() string {
	return fmt.Sprintf("the message is %s, and only what is queued can be cancelled", e.Status)
}

// Cancel takes back a queued message, wherever it waits: from then on no claim sends it. Cancelling what is cancelled already is a
// success. ErrNotFound if there is no such message, *TooLateError if it is not queued any more. Of a message that is queued for another
// attempt an earlier one may have arrived, if its outcome is unknown; should a callback say so, it counts.
func (l *Ledger) Cancel(ctx context.Context, sender, id string) error {
	r, err := l.run(ctx, cancelScript, sender, id)
	if err != nil {
		return err
	}
	switch r.text(0) {
	case "gone":
		return ErrNotFound
	case "too_late":
		return &TooLateError{Status: message.Status(r.text(1))}
	}
	return nil
}
