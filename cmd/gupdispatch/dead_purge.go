package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/worker"
)

func newDeadPurgeCommand(e *env) *cobra.Command {
	var f pickFlags
	c := &cobra.Command{
		Use: "purge [ID...]", Short: "Delete dead letters for good",
		Long: "Delete dead letters for good, with their content. `dead export --reveal` keeps a copy. The audit counts them as retired.",
		RunE: func(c *cobra.Command, ids []string) error {
			if _, err := f.byFilter(c, ids); err != nil {
				return err
			}
			a, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer a.close()
			return a.act(c, ids, f, deadAction{verb: "purge", done: "purged", status: "purged", do: a.purge()})
		},
	}
	f.add(c)
	return c
}

// purge deletes a dead letter, then its archived task.
func (a *app) purge() func(context.Context, target) error {
	inspector := a.inspector()
	return func(ctx context.Context, t target) error {
		if err := a.ledger.Purge(ctx, t.sender, t.id); err != nil {
			return err
		}
		if err := worker.DeleteTask(inspector, t.sender, t.priority, t.taskID()); err != nil {
			a.env.note("%s of %s: its old task stays among the archived ones of the web UI: %s", t.id, t.sender, err)
		}
		return nil
	}
}
