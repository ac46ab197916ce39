package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/config"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/view"
)

func newTemplateHoldCommand(e *env) *cobra.Command {
	var f holdFlags
	var sender string
	c := &cobra.Command{
		Use: "hold ID", Short: "Keep a sender from sending a template", Args: exactly(1, "the id of a template"),
		Long: "Keep a sender from sending a template until it is released. Its messages are accepted meanwhile, wait, spend nothing and go\n" +
			"on expiring. It takes the place of any other hold of this template.",
		Example: `  gupdispatch template hold c6aecef6-bcb0-4fb1-8100-28c094e3bc6b --sender shop --reason "wrong price in its text"`,
		RunE: func(c *cobra.Command, args []string) error {
			q, err := f.request(e)
			if err != nil {
				return err
			}
			id, err := theTemplate(args[0])
			if err != nil {
				return err
			}
			return e.forSender(c.Context(), sender, func(a *app, s config.Sender) error {
				q.Sender, q.Template = s.Name, id
				return a.holdTemplate(c, q, f.json)
			})
		},
	}
	f.add(c)
	senderFlag(c, &sender, "the sender that must not send it; may be left out if there is only one")
	return c
}

func (a *app) holdTemplate(c *cobra.Command, q ledger.HoldRequest, asJSON bool) error {
	ctx := c.Context()
	before, err := a.templateHeld(c, q.Sender, q.Template)
	if err != nil {
		return err
	}
	if _, err := a.ledger.SetHold(ctx, q); err != nil {
		return fmt.Errorf("not known whether the template is held, repeating the command is safe: %w", err)
	}
	now, err := a.templateHeld(c, q.Sender, q.Template)
	switch {
	case err != nil:
		return err
	case now == nil:
		return fmt.Errorf("template %s of %s was released meanwhile by somebody else: look with `gupdispatch template list`", q.Template, q.Sender)
	case asJSON:
		return a.env.printJSON(now)
	}
	if before != nil {
		a.env.note("this takes the place of a hold of it: %s", before.Hold().Story(a.env.now()))
	}
	return a.env.say("template %s of %s held, %s: its messages wait when their turn comes", q.Template, q.Sender, now.Hold().Next(a.env.now()))
}

// templateHeld looks up the hold of a template of a sender; nil if there is none.
func (a *app) templateHeld(c *cobra.Command, sender, template string) (*view.Template, error) {
	_, _, templates, err := a.heldOf(c.Context(), sender)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(templates, func(h ledger.HeldScope) bool { return h.Template == template })
	if i < 0 {
		return nil, nil
	}
	v := view.TemplateOf(sender, templates[i])
	return &v, nil
}
