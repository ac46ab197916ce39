package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
	"github.com/gupdispatch/gupdispatch/worker"
)

func newMessageCommand(e *env) *cobra.Command {
	return group("message", "Look at messages, or take them back",
		newMessageShowCommand(e), newMessageListCommand(e), newMessageCancelCommand(e))
}

func newMessageShowCommand(e *env) *cobra.Command {
	var sender string
	var reveal, asJSON bool
	c := &cobra.Command{
		Use: "show ID", Short: "Tell the story of a message", Args: exactly(1, "the id of a message, ours or Gupshup's messageId"),
		RunE: func(c *cobra.Command, args []string) error {
			return e.oneMessage(c.Context(), args[0], sender, func(a *app, rec ledger.Record) error {
				return a.showMessage(c.Context(), rec, reveal, asJSON)
			})
		},
	}
	senderFlag(c, &sender, "the sender, where several use one id")
	c.Flags().BoolVar(&reveal, "reveal", false, "show the whole phone number")
	jsonFlag(c, &asJSON)
	return c
}

func (a *app) showMessage(ctx context.Context, rec ledger.Record, reveal, asJSON bool) error {
	v := view.MessageOf(rec, reveal)
	if asJSON {
		return a.env.printJSON(v)
	}
	why := ""
	if rec.Status == message.Dead {
		reasons, err := a.ledger.CheckReplay(ctx, []ledger.LetterRef{{Sender: rec.Sender, ID: rec.ID}})
		if err != nil {
			return err
		}
		why = ledger.LeftAlone(reasons[0])
	}
	tellStory(a.env.stdout, v, why)
	return nil
}

// tellStory prints a message for people, one event on a line. leftAlone is why a dead letter would not be replayed.
func tellStory(w io.Writer, v view.Message, leftAlone string) {
	fmt.Fprintf(w, "message %s of sender %s to %s, priority %s\n", v.ID, v.Sender, v.To, v.Priority)
	event := func(at stamp, format string, args ...any) {
		fmt.Fprintf(w, "  %s  %s\n", at, fmt.Sprintf(format, args...))
	}
	event(v.CreatedAt, "accepted")
	for _, c := range view.Story(v) {
		event(c.At, "%s", c.Text)
	}
	event(v.UpdatedAt, "it is %s", statusText(v))
	switch {
	case v.NextAt.IsZero():
	case v.Status == message.InDoubt:
		event(v.NextAt, "somebody decides about the doubt, unless a callback has by then")
	default:
		event(v.NextAt, "it is tried, unless it is kept back still")
	}
	if v.Status == message.Queued && !v.ExpiresAt.IsZero() {
		event(v.ExpiresAt, "it expires, if it has not been sent until then")
	}
	if v.Fallback {
		fmt.Fprintln(w, "its recipient had no open session, so its fallback template takes its place")
	}
	switch {
	case v.Status != message.Dead:
	case leftAlone != "":
		fmt.Fprintf(w, "`gupdispatch dead replay` would leave it alone: %s\n", leftAlone)
	default:
		fmt.Fprintf(w, "`gupdispatch dead replay %s --sender %s` sends it again", v.ID, v.Sender)
		if v.Code == worker.CodeInDoubt {
			fmt.Fprint(w, ", although it may have arrived")
		}
		fmt.Fprintln(w)
	}
}

func statusText(v view.Message) string {
	text := string(v.Status)
	if v.WaitingFor != "" {
		text += ", waiting for " + v.WaitingFor
	}
	if why := whyText(v.Code, string(v.Class), v.Reason); why != "" {
		text += ": " + why
	}
	return text
}

// whyText joins what is known of a failure: "1002 (recipient) Number Does Not Exist On WhatsApp".
func whyText(code, class, reason string) string {
	if class != "" {
		class = "(" + class + ")"
	}
	return strings.Join(strings.Fields(strings.Join([]string{code, class, reason}, " ")), " ")
}
