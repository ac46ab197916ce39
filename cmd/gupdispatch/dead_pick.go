package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/worker"
)

// pickFlags choose the dead letters to act upon: by id, or by what they are like.
type pickFlags struct {
	deadFlags
	all, dryRun, yes, json bool
}

func (f *pickFlags) add(c *cobra.Command) {
	f.deadFlags.add(c)
	fs := c.Flags()
	fs.BoolVar(&f.all, "all", false, "all there are, as far as the other flags do not narrow it")
	fs.BoolVar(&f.dryRun, "dry-run", false, "only say what would be done")
	fs.BoolVar(&f.yes, "yes", false, "do not ask")
	jsonFlag(c, &f.json)
}

// byFilter says whether the letters are chosen by what they are like; an error if that is not clear.
func (f *pickFlags) byFilter(c *cobra.Command, ids []string) (bool, error) {
	filters := changed(c, append([]string{"all"}, deadFilterFlags...)...)
	switch {
	case len(ids) > 0 && len(filters) > 0:
		return false, usagef("ids and %s cannot be used together: choose dead letters one way or the other", strings.Join(filters, ", "))
	case len(ids) == 0 && len(filters) == 0 && f.sender == "":
		return false, usagef("nothing is chosen: name ids, or use --all, --sender, --code, --campaign, --since, --until or --limit")
	}
	return len(ids) == 0, nil
}

// target is a dead letter to act upon: little enough that a hundred thousand of them fit into memory.
type target struct {
	sender, id, code string
	priority         message.Priority
	generation       int // of its archived task
}

func targetOf(r ledger.Record) target {
	return target{sender: r.Sender, id: r.ID, code: r.Code, priority: r.Priority, generation: r.Generation}
}

// taskID is the id of its archived asynq task.
func (t target) taskID() string { return message.TaskID(t.id, t.generation) }

// inDoubt says that it may have arrived.
func (t target) inDoubt() bool { return t.code == worker.CodeInDoubt }

// pick gathers the targets before anything is done to them: acting moves the pages of the list. Ids that are no dead letters are
// reported and counted as wrong.
func (a *app) pick(ctx context.Context, ids []string, f pickFlags) (targets []target, wrong int, err error) {
	senders, err := a.senders(f.sender)
	if err != nil {
		return nil, 0, err
	}
	if len(ids) == 0 {
		q, err := f.filter(a.env.now())
		if err != nil {
			return nil, 0, err
		}
		for d, err := range a.ledger.DeadOf(ctx, senders, q) {
			if err != nil {
				return nil, 0, err
			}
			targets = append(targets, targetOf(d.Record))
		}
		return targets, 0, nil
	}
	chosen := map[target]bool{}
	for _, id := range ids {
		rec, err := a.find(ctx, id, f.sender)
		if err == nil && rec.Status != message.Dead {
			err = fmt.Errorf("message %s is %s, not a dead letter", id, rec.Status)
		}
		switch t := targetOf(rec); {
		case err != nil:
			wrong++
			a.env.note("%s", err)
		case !chosen[t]:
			chosen[t] = true
			targets = append(targets, t)
		}
	}
	return targets, wrong, nil
}

// handled is what acting on a dead letter prints with --json.
type handled struct {
	ID     string `json:"id"`
	Sender string `json:"sender"`
	Code   string `json:"code"`
	Status string `json:"status"`
}

// showHandled prints one target and what became of it. Without --json only a dry run has a line for each.
func (e *env) showHandled(t target, f pickFlags, status string) error {
	switch {
	case f.json:
		return e.printLine(handled{ID: t.id, Sender: t.sender, Code: t.code, Status: status})
	case f.dryRun:
		_, err := fmt.Fprintf(e.stdout, "%s of %s (%s)\n", t.id, t.sender, t.code)
		return printed(err)
	}
	return nil
}

// letters counts in words.
func letters(n int) string {
	if n == 1 {
		return "1 dead letter"
	}
	return fmt.Sprintf("%d dead letters", n)
}
