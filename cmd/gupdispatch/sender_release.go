package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/flow"
	"github.com/gupdispatch/gupdispatch/view"
	"github.com/gupdispatch/gupdispatch/worker"
)

func newSenderReleaseCommand(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "release NAME", Short: "Let a sender send again, whoever or whatever holds it", Args: exactly(1, "the name of a sender"),
		Long: "Let a sender send again, whoever or whatever holds it or some of its priorities. What waits is let go bit by bit; should the\n" +
			"trouble still be there, it is held again. A sender that Gupshup slowed down or stopped (429) gets its rate back. Templates have holds of their own, and a queue that a person paused stays paused.",
		RunE: func(c *cobra.Command, args []string) error {
			a, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer a.close()
			if err := a.someSender(args[0]); err != nil {
				return err
			}
			return a.releaseSender(c, args[0], asJSON)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func (a *app) releaseSender(c *cobra.Command, sender string, asJSON bool) error {
	ctx := c.Context()
	all, own, templates, err := a.heldOf(ctx, sender)
	if err != nil {
		return err
	}
	released, err := a.ledger.Release(ctx, sender, "", a.env.userName())
	if err != nil {
		return fmt.Errorf("not known whether %s is released, repeating the command is safe: %w", sender, err)
	}
	restored, err := flow.Restore(ctx, a.redis.general, sender)
	if err != nil {
		return err
	}
	paused, err := worker.PausedQueues(ctx, a.redis.general, sender)
	if err != nil {
		return err
	}
	for _, q := range paused {
		a.env.note("a person paused the queue %s: it stays paused until it is resumed in the web UI", q)
	}
	if len(templates) > 0 {
		a.env.note("%s of %s held, which this does not release: see `gupdispatch template list`", countedTemplates(len(templates)), sender)
	}
	if !released && !restored && len(own) == 0 { // released, but not by us, is what was wanted, too: a lost reply makes our own call come twice
		return fmt.Errorf("%s is not held: nothing was released", sender)
	}
	v := view.Released{Sender: sender, Released: view.HoldsOf(own), Restored: restored}
	v.Waiting = view.WaitingFor(all, v.Released...)
	if asJSON {
		return a.env.printJSON(v)
	}
	for _, h := range v.Released {
		if err := a.env.say("%s of %s released; the hold was: %s", h.What(), sender, h.Past(a.env.now())); err != nil {
			return err
		}
	}
	if restored {
		if err := a.env.say("%s has its rate back, which Gupshup had cut", sender); err != nil {
			return err
		}
	}
	if len(v.Released) == 0 {
		return nil
	}
	return a.env.say("%s: %s", countedMessages(v.Waiting.Total()), bitByBit)
}
