package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/gupdispatch/gupdispatch/campaign"
	"github.com/gupdispatch/gupdispatch/config"
	"github.com/gupdispatch/gupdispatch/ledger"
)

// find reads the message with this id, ours or Gupshup's, of one sender or of all. Several senders may use one id: then the error
// names them.
func (a *app) find(ctx context.Context, id, sender string) (ledger.Record, error) {
	senders, err := a.senders(sender)
	if err != nil {
		return ledger.Record{}, err
	}
	found, owners, err := a.ledger.FindAmong(ctx, senders, id)
	if err != nil {
		return ledger.Record{}, err
	}
	switch len(found) {
	case 0:
		if err := campaign.FindUnsent(ctx, a.ledger, senders, id); err != nil {
			return ledger.Record{}, fmt.Errorf("no message %q yet: %w", id, err)
		}
		return ledger.Record{}, fmt.Errorf("no message %q of %s: it was never accepted, or its record was retired (ledger.retention is %s)",
			id, strings.Join(senders, ", "), days(a.cfg.Ledger))
	case 1:
		return found[0], nil
	}
	return ledger.Record{}, fmt.Errorf("the senders %s each have a message %q: choose one with --sender", strings.Join(owners, ", "), id)
}

// oneMessage is how a command about one message begins.
func (e *env) oneMessage(ctx context.Context, id, sender string, do func(*app, ledger.Record) error) error {
	a, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	rec, err := a.find(ctx, id, sender)
	if err != nil {
		return err
	}
	return do(a, rec)
}

func days(l config.Ledger) string { return fmt.Sprintf("%.3gd", l.Retention.Hours()/24) }
