package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/view"
)

func newTemplateReleaseCommand(e *env) *cobra.Command {
	var sender string
	var asJSON bool
	c := &cobra.Command{
		Use: "release ID", Short: "Let a template be sent again, whoever or whatever holds it", Args: exactly(1, "the id of a template"),
		Long: "Let a template be sent again, whoever or whatever holds it, by all senders or by one. What waits is let go bit by bit; should\n" +
			"the trouble still be there, it is held again.",
		RunE: func(c *cobra.Command, args []string) error {
			id, err := theTemplate(args[0])
			if err != nil {
				return err
			}
			return e.forSenders(c.Context(), sender, func(a *app, senders []string) error {
				return a.releaseTemplate(c, senders, id, asJSON)
			})
		},
	}
	senderFlag(c, &sender, "only for this sender (default: for all)")
	jsonFlag(c, &asJSON)
	return c
}

// releaseTemplate prints the holds that it has ended.
func (a *app) releaseTemplate(c *cobra.Command, senders []string, template string, asJSON bool) error {
	released := []view.Template{}
	for _, sender := range senders {
		was, err := a.templateHeld(c, sender, template)
		if err != nil {
			return err
		}
		if _, err := a.ledger.Release(c.Context(), sender, template, a.env.userName()); err != nil {
			return fmt.Errorf("not known whether the template is released for %s, repeating the command is safe: %w", sender, err)
		}
		if was != nil {
			released = append(released, *was)
		}
	}
	if len(released) == 0 {
		return fmt.Errorf("template %s of %s is not held: nothing was released; `gupdispatch template list` shows what is", template, strings.Join(senders, ", "))
	}
	if asJSON {
		return a.env.printJSON(released)
	}
	for _, v := range released {
		err := a.env.say("template %s of %s released; the hold was: %s; %s: %s",
			v.Template, v.Sender, v.Hold().Past(a.env.now()), countedMessages(v.Waiting.Total()), bitByBit)
		if err != nil {
			return err
		}
	}
	return nil
}
