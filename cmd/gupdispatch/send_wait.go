package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
	"github.com/gupdispatch/gupdispatch/view"
)

// waitPoll is how often --wait looks at the ledger: one short command.
const waitPoll = 100 * time.Millisecond

// waitFor prints a message once it is settled, or as it stands when the time is over. It is an error unless Gupshup took it.
func (s *sending) waitFor(ctx context.Context, sender string, r producer.Result, timeout time.Duration) error {
	rec, err := s.settled(ctx, sender, r.ID, timeout)
	if rec.ID == "" { // nothing was read: what we know is that it was accepted
		return errors.Join(s.print(r), err)
	}
	if printErr := s.printSettled(rec); err == nil {
		err = printErr
	}
	switch {
	case err != nil:
		return err
	case tookIt(rec.Status):
		return nil
	}
	return fmt.Errorf("message %s ended as %s", rec.ID, statusText(view.MessageOf(rec, false)))
}

// settled looks at a message until nothing is left to do with it. The record is the latest that was read, also beside an error.
func (s *sending) settled(ctx context.Context, sender, id string, timeout time.Duration) (rec ledger.Record, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ticker := time.NewTicker(waitPoll)
	defer ticker.Stop()
	state := "its state cannot be read"
	for {
		if read, readErr := s.ledger.Get(ctx, sender, id); readErr == nil {
			if rec = read; rec.Status.Settled() {
				return rec, nil
			}
			state = statusText(view.MessageOf(rec, false))
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return rec, fmt.Errorf("message %s is not settled after %s (%s): it stays accepted; is a worker running? See `gupdispatch message show %s`",
					id, timeout, state, id)
			}
			return rec, fmt.Errorf("interrupted: message %s stays accepted; see `gupdispatch message show %s`", id, id)
		case <-ticker.C:
		}
	}
}

// tookIt says whether Gupshup took the message, of a settled status.
func tookIt(s message.Status) bool {
	switch s {
	case message.Submitted, message.Enqueued, message.Sent, message.Delivered, message.Read:
		return true
	}
	return false
}

func (s *sending) printSettled(rec ledger.Record) error {
	if !s.human {
		return s.env.printLine(sent{ID: rec.ID, Status: rec.Status, MessageID: rec.MessageID, Code: rec.Code, Reason: rec.Reason})
	}
	text := statusText(view.MessageOf(rec, false))
	if rec.MessageID != "" {
		text += ", messageId " + rec.MessageID
	}
	_, err := fmt.Fprintf(s.env.stdout, "%s is %s\n", rec.ID, text)
	return printed(err)
}
