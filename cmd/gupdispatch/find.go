package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

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
	var found []ledger.Record
	var owners []string
	for _, s := range senders {
		rec, err := a.ledger.Find(ctx, s, id)
		switch {
		case errors.Is(err, ledger.ErrNotFound):
		case err != nil:
			return ledger.Record{}, err
		default:
			found, owners = append(found, rec), append(owners, s)
		}
	}
	switch len(found) {
	case 0:
		return ledger.Record{}, fmt.Errorf("no message %q of %s: it was never accepted, or its record was retired (ledger.retention is %s)",
			id, strings.Join(senders, ", "), days(a.cfg.Ledger))
	case 1:
		return found[0], nil
	}
	return ledger.Record{}, fmt.Errorf("the senders %s each have a message %q: choose one with --sender", strings.Join(owners, ", "), id)
}

func days(l config.Ledger) string { return fmt.Sprintf("%.3gd", l.Retention.Hours()/24) }
