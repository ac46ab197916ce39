package main

import (
	"time"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// messageView is a message as `message show` prints it; its names are part of the contract.
type messageView struct {
	ID         string            `json:"id"`
	Sender     string            `json:"sender"`
	To         string            `json:"to"`
	Priority   message.Priority  `json:"priority"`
	Status     message.Status    `json:"status"`
	WaitingFor string            `json:"waiting_for"`
	MessageID  string            `json:"message_id"`
	Code       string            `json:"code"`
	Class      gupshup.Class     `json:"class"`
	Reason     string            `json:"reason"`
	Attempts   []attemptView     `json:"attempts"`
	Receipts   []receiptView     `json:"receipts"`
	Fallback   bool              `json:"fallback,omitempty"` // sent as its fallback template, for want of an open session
	CreatedAt  stamp             `json:"created_at"`
	UpdatedAt  stamp             `json:"updated_at"`
	SendAt     stamp             `json:"send_at,omitzero"`
	ExpiresAt  stamp             `json:"expires_at,omitzero"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Campaign   string            `json:"campaign,omitempty"`
}

type attemptView struct {
	N         int            `json:"n"`
	At        stamp          `json:"at"`
	Outcome   ledger.Outcome `json:"outcome"`
	MessageID string         `json:"message_id"`
	Code      string         `json:"code"`
}

type receiptView struct {
	Event    string `json:"event"`
	At       stamp  `json:"at"`
	Attempt  int    `json:"attempt"`
	Code     string `json:"code,omitempty"`     // of a failure
	Category string `json:"category,omitempty"` // of a billing event
}

// viewOf shows a record; its number is masked unless reveal says otherwise.
func viewOf(r ledger.Record, reveal bool) messageView {
	v := messageView{
		ID: r.ID, Sender: r.Sender, To: shownNumber(r.To, reveal), Priority: r.Priority, Status: r.Status, WaitingFor: r.WaitingFor,
		MessageID: r.MessageID, Code: r.Code, Class: r.Class, Reason: r.Reason,
		Attempts: make([]attemptView, len(r.Attempts)), Receipts: make([]receiptView, len(r.Receipts)), Fallback: r.FellBack,
		CreatedAt: stamp(r.CreatedAt), UpdatedAt: stamp(r.UpdatedAt), SendAt: stamp(r.SendAt), ExpiresAt: stamp(r.ExpiresAt),
		Metadata: r.Metadata, Campaign: r.Campaign,
	}
	if v.UpdatedAt.IsZero() {
		v.UpdatedAt = v.CreatedAt // nothing has happened since
	}
	for i, a := range r.Attempts {
		v.Attempts[i] = attemptView{N: a.N, At: stamp(a.At), Outcome: a.Outcome, MessageID: a.MessageID, Code: a.Code}
	}
	for i, line := range r.Receipts {
		v.Receipts[i] = receiptView{Event: line.Event, At: stamp(line.At), Attempt: line.Attempt, Code: line.Code}
		if line.Event == ledger.Billing {
			v.Receipts[i].Code, v.Receipts[i].Category = "", line.Code
		}
	}
	return v
}

// deadView is a dead letter as `dead list` prints it; its names are part of the contract.
type deadView struct {
	ID        string           `json:"id"`
	Sender    string           `json:"sender"`
	To        string           `json:"to"`
	Priority  message.Priority `json:"priority"`
	Code      string           `json:"code"`
	Class     gupshup.Class    `json:"class"`
	Reason    string           `json:"reason"`
	MessageID string           `json:"message_id"`
	Attempts  int              `json:"attempts"`
	At        stamp            `json:"at"`
}

func deadViewOf(d deadLetter, reveal bool) deadView {
	r := d.record
	return deadView{
		ID: r.ID, Sender: r.Sender, To: shownNumber(r.To, reveal), Priority: r.Priority, Code: r.Code, Class: r.Class, Reason: r.Reason,
		MessageID: r.MessageID, Attempts: tries(r), At: stamp(d.at),
	}
}

// tries is how many attempts were made; a record drops the oldest of very many, their numbers go on.
func tries(r ledger.Record) int {
	if n := len(r.Attempts); n > 0 {
		return r.Attempts[n-1].N
	}
	return 0
}

func shownNumber(to string, reveal bool) string {
	if reveal {
		return to
	}
	return message.MaskNumber(to)
}

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
