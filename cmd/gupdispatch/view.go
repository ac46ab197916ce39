package main

import (
	"time"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

// stamp is a time as the contract writes it.
type stamp = view.Stamp

// againOf is the message object that sends a record's message again. What is over by now, such as its expiry, is left out.
func againOf(r ledger.Record, now time.Time) message.Message {
	m := message.Message{
		ID: r.ID, Sender: r.Sender, To: r.To, Priority: r.Priority, Content: r.Content, Fallback: r.Fallback, OnInDoubt: r.OnInDoubt, Metadata: r.Metadata,
	}
	if r.SendAt.After(now) {
		m.SendAt = r.SendAt
	}
	if r.ExpiresAt.After(now) {
		m.ExpiresAt = r.ExpiresAt
	}
	return m
}
