package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
	"github.com/gupdispatch/gupdispatch/worker"
)

func newDeadReplayCommand(e *env) *cobra.Command {
	var f pickFlags
	var includeInDoubt bool
	c := &cobra.Command{
		Use: "replay [ID...]", Short: "Send dead letters again",
		Long: "Send dead letters again, with a new budget of attempts and without their old expiry. Those with the code IN_DOUBT may have\n" +
			"arrived: chosen by flags they are left alone, unless --include-in-doubt says otherwise.",
		RunE: func(c *cobra.Command, ids []string) error {
			if _, err := f.byFilter(c, ids); err != nil {
				return err
			}
			a, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer a.close()
			return a.act(c, ids, f, deadAction{
				verb: "replay", done: "replayed", status: string(message.Queued),
				leave: func(targets []target, byFilter bool) []target {
					return e.withoutDoubt(targets, byFilter && !includeInDoubt)
				},
				look: a.checkReplay,
				do: a.replay(func(what string, t target, err error) {
					e.note("%s of %s: %s: %s", t.id, t.sender, replayTexts[what], err)
				}),
			})
		},
	}
	f.add(c)
	c.Flags().BoolVar(&includeInDoubt, "include-in-doubt", false, "also those that may have arrived, although they may then arrive twice")
	return c
}

// checkReplay says of each letter why a replay would leave it alone.
func (a *app) checkReplay(ctx context.Context, targets []target) ([]error, error) {
	refs := make([]ledger.LetterRef, len(targets))
	for i, t := range targets {
		refs[i] = ledger.LetterRef{Sender: t.sender, ID: t.id}
	}
	return a.ledger.CheckReplay(ctx, refs)
}

// withoutDoubt takes out the letters in doubt, or warns of them.
func (e *env) withoutDoubt(targets []target, takeOut bool) []target {
	certain, doubts := make([]target, 0, len(targets)), 0
	for _, t := range targets {
		if t.inDoubt() {
			doubts++
		} else {
			certain = append(certain, t)
		}
	}
	switch {
	case doubts == 0:
		return targets
	case takeOut:
		e.note("%s in doubt left alone: replayed they may arrive twice; --include-in-doubt replays them, too", letters(doubts))
		return certain
	}
	e.note("%s in doubt: replayed they may arrive twice", letters(doubts))
	return targets
}

// What may be left undone by a replay, none of which loses a message.
const (
	taskStays   = "task_stays"
	notEnqueued = "not_enqueued"
)

var replayTexts = map[string]string{
	taskStays:   "its old task stays among the archived ones of the web UI",
	notEnqueued: "it was replayed, and the workers will find it a little later",
}

// replay makes a dead letter a queued message with a new task. Once the ledger has changed, the message cannot be lost: were we
// killed before it is enqueued, the sweeper would find it. note is told what was left undone, and why.
func (a *app) replay(note func(what string, t target, err error)) func(context.Context, target) error {
	inspector, queue := a.inspector(), producer.NewEnqueuer(a.redis.general)
	return func(ctx context.Context, t target) error {
		requeued, err := a.ledger.Replay(ctx, t.sender, t.id, t.generation)
		if err != nil {
			return err
		}
		// Its archived task would only confuse: running it does nothing.
		if err := worker.DeleteTask(inspector, t.sender, t.priority, t.taskID()); err != nil {
			note(taskStays, t, err)
		}
		if err := queue.Enqueue(ctx, worker.TaskOf(t.sender, requeued), requeued.Priority); err != nil {
			note(notEnqueued, t, err)
		}
		return nil
	}
}
