package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

func newSenderHoldCommand(e *env) *cobra.Command {
	var f holdFlags
	var priorities []string
	c := &cobra.Command{
		Use: "hold NAME", Short: "Keep a sender, or some of its priorities, from sending", Args: exactly(1, "the name of a sender"),
		Long: "Keep a sender, or some of its priorities, from sending until it is released. Messages are accepted meanwhile, wait, spend\n" +
			"nothing and go on expiring; requests that are on their way are not stopped. It takes the place of a person's hold of the same kind, so\n" +
			"that what the policy holds is not tried any more; priorities that were held before stay held with it.",
		Example: `  gupdispatch sender hold shop --reason "moving to another number" --until 2h
  gupdispatch sender hold shop --priority bulk --reason "the campaign has a wrong link"`,
		RunE: func(c *cobra.Command, args []string) error {
			q, err := f.request(e)
			if err != nil {
				return err
			}
			if c.Flags().Changed("priority") && len(priorities) == 0 { // an empty variable of a script's must not hold everything
				return usagef("--priority is empty: use critical, default or bulk, or leave it out to hold all")
			}
			if q.Priorities, err = somePriorities(priorities); err != nil {
				return err
			}
			a, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer a.close()
			q.Sender = args[0]
			if err := a.someSender(q.Sender); err != nil {
				return err
			}
			return a.holdSender(c, q, f.json)
		},
	}
	f.add(c)
	c.Flags().StringSliceVar(&priorities, "priority", nil, "only critical, default or bulk; may be given several times (default: all)")
	return c
}

// somePriorities reads --priority, in the usual order. All of them are the whole sender, as none is.
func somePriorities(texts []string) (some []message.Priority, err error) {
	for _, text := range texts {
		if !slices.Contains(message.Priorities, message.Priority(text)) {
			return nil, usagef("--priority %q is unknown: use critical, default or bulk", text)
		}
	}
	for _, p := range message.Priorities {
		if slices.Contains(texts, string(p)) {
			some = append(some, p)
		}
	}
	if len(some) == len(message.Priorities) {
		return nil, nil
	}
	return some, nil
}

// holdSender holds, and tells what is held now: it may be more than was asked for.
func (a *app) holdSender(c *cobra.Command, q ledger.HoldRequest, asJSON bool) error {
	ctx := c.Context()
	_, before, _, err := a.heldOf(ctx, q.Sender)
	if err != nil {
		return err
	}
	if _, err := a.ledger.SetHold(ctx, q); err != nil {
		return fmt.Errorf("not known whether %s is held, repeating the command is safe: %w", q.Sender, err)
	}
	all, own, _, err := a.heldOf(ctx, q.Sender)
	if err != nil {
		return err
	}
	same := func(h ledger.HeldScope) bool {
		return h.By != "" && (len(h.Priorities) > 0) == (len(q.Priorities) > 0) // the policy's stand beside it
	}
	i := slices.IndexFunc(own, same)
	if i < 0 {
		return fmt.Errorf("%s was released meanwhile by somebody else: look with `gupdispatch sender list`", q.Sender)
	}
	now := view.HoldOf(own[i])
	v := view.Held{Sender: q.Sender, Hold: now, Waiting: view.WaitingFor(all, now)}
	if asJSON {
		return a.env.printJSON(v)
	}
	if i := slices.IndexFunc(before, same); i >= 0 {
		old := view.HoldOf(before[i])
		a.env.note("this takes the place of a hold of %s of %s: %s", old.What(), q.Sender, old.Story(a.env.now()))
	}
	if err := a.env.say("%s of %s held, %s; %s", now.What(), q.Sender, now.Next(a.env.now()), countedMessages(v.Waiting.Total())); err != nil {
		return err
	}
	return a.env.say("`gupdispatch sender release %s` lets go", q.Sender)
}
