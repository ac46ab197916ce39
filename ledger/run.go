package ledger

import (
	"context"
	"fmt"

	"github.com/gupdispatch/gupdispatch/message"
)

// IdleRunError says why running a message's task again would send nothing.
type IdleRunError struct {
	Status     message.Status // of the message; empty: there is no record of it
	WaitingFor string         // what a queued message is kept back for
	Stale      bool           // a newer task stands for the message
}

func (e *IdleRunError) Error() string {
	switch {
	case e.Status == "" && !e.Stale:
		return "its message is not known any more: its record was retired"
	case e.Stale:
		return "a newer task stands for its message, and this one would do nothing"
	case e.Status == message.Queued && e.WaitingFor != "":
		return fmt.Sprintf("its message waits (%s), and no task brings it before that is over", e.WaitingFor)
	case e.Status == message.Queued:
		return "its message waits for its time"
	}
	return fmt.Sprintf("its message is %s: there is nothing to send", e.Status)
}

// PrepareRun is asked before a person runs a task of this message again, through asynq: it says whether that sends the message, and lets one
// that waits for a retry go at once. code is that of a dead letter, which the task sends again; empty for what is queued. *IdleRunError,
// *SuppressedError or *CampaignCancelledError if nothing would be sent.
func (l *Ledger) PrepareRun(ctx context.Context, sender, id string, generation int) (code string, err error) {
	r, err := l.run(ctx, runScript, sender, id, generation)
	if err != nil {
		return "", err
	}
	switch r.text(0) {
	case "dead":
		return r.text(1), nil
	case "queued":
		return "", nil
	case "suppressed":
		return "", &SuppressedError{Code: r.text(1)}
	case "cancelled":
		return "", &CampaignCancelledError{Campaign: r.text(1)}
	case "stale":
		return "", &IdleRunError{Stale: true}
	case "waits":
		return "", &IdleRunError{Status: message.Queued, WaitingFor: r.text(1)}
	case "no":
		return "", &IdleRunError{Status: message.Status(r.text(1))}
	}
	return "", &IdleRunError{}
}
