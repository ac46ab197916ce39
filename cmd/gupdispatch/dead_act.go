package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/ledger"
)

// deadAction is what can be done to chosen dead letters: the course is the same for all, the deed is not.
type deadAction struct {
	verb, done, status string // "replay", "replayed", and the status that --json shows
	// leave takes out what must not be touched, and says why.
	leave func(targets []target, byFilter bool) []target
	// look says of each why it would be left alone, with the errors of do, before anything is done; nil: nobody can know.
	look func(ctx context.Context, targets []target) ([]error, error)
	// do acts on one. The errors that ledger.LeftAlone knows leave it alone.
	do func(ctx context.Context, t target) error
}

// act chooses, asks, acts and tells. ids is empty when the flags choose.
func (a *app) act(c *cobra.Command, ids []string, f pickFlags, action deadAction) error {
	byFilter, err := f.byFilter(c, ids)
	if err != nil {
		return err
	}
	ctx := c.Context()
	targets, wrong, err := a.pick(ctx, ids, f)
	if err != nil {
		return err
	}
	if action.leave != nil {
		targets = action.leave(targets, byFilter)
	}
	chosen := len(targets)
	if action.look != nil && (f.dryRun || byFilter) {
		if targets, err = a.unlessAlone(ctx, targets, f, action); err != nil {
			return err
		}
	}
	switch {
	case f.dryRun:
		for _, t := range targets {
			if err := a.env.showHandled(t, f, "dead"); err != nil {
				return err
			}
		}
		a.env.note("would %s %s", action.verb, letters(len(targets)))
		if !byFilter {
			wrong += chosen - len(targets)
		}
		return wrongIDs(wrong)
	case byFilter && len(targets) > 0:
		if err := a.env.confirm(ctx, action.verb+" "+letters(len(targets)), f.yes); err != nil {
			return err
		}
	}
	n := 0
	for _, t := range targets {
		err := action.do(ctx, t)
		switch why := ledger.LeftAlone(err); {
		case why != "":
			a.env.note("%s of %s was left alone: %s", t.id, t.sender, why)
			continue
		case err != nil:
			return fmt.Errorf("stopped at %s of %s, %s %s: %w", t.id, t.sender, letters(n), action.done, err)
		}
		n++
		if err := a.env.showHandled(t, f, action.status); err != nil {
			return err
		}
	}
	if !f.json {
		fmt.Fprintf(a.env.stdout, "%s %s\n", letters(n), action.done)
	}
	if !byFilter { // whoever names a letter wants just that one
		wrong += chosen - n
	}
	return wrongIDs(wrong)
}

// unlessAlone takes out what would be left alone, and says why.
func (a *app) unlessAlone(ctx context.Context, targets []target, f pickFlags, action deadAction) ([]target, error) {
	reasons, err := action.look(ctx, targets)
	if err != nil {
		return nil, err
	}
	was := "was"
	if f.dryRun {
		was = "would be"
	}
	kept := make([]target, 0, len(targets))
	for i, t := range targets {
		if why := ledger.LeftAlone(reasons[i]); why != "" {
			a.env.note("%s of %s %s left alone: %s", t.id, t.sender, was, why)
			continue
		}
		kept = append(kept, t)
	}
	return kept, nil
}

func wrongIDs(n int) error {
	if n == 0 {
		return nil
	}
	return errReported
}

// confirm asks the person at the terminal. Where there is none, nothing may be done without --yes.
func (e *env) confirm(ctx context.Context, what string, yes bool) error {
	if yes {
		return nil
	}
	if !e.isTerminal(e.stdin) || !e.isTerminal(e.stderr) {
		return usagef("it would %s: add --yes to do so, or --dry-run to see which", what)
	}
	fmt.Fprintf(e.stderr, "%s? [y/N] ", what)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(e.stdin).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		return errors.New("interrupted: nothing was done")
	case a := <-answer:
		if a == "y" || a == "yes" {
			return nil
		}
	}
	return errors.New("not confirmed: nothing was done")
}
