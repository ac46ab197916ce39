package view

import (
	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// Message is a message with its story.
type Message struct {
	ID         string            `json:"id"`
	Sender     string            `json:"sender"`
	To         string            `json:"to" doc:"digits only, masked unless it may be revealed" example:"9198******10"`
	Priority   message.Priority  `json:"priority"`
	Status     message.Status    `json:"status"`
	WaitingFor string            `json:"waiting_for" doc:"what a queued message is kept back for: the reason of a hold, pair, daily; empty otherwise"`
	MessageID  string            `json:"message_id" doc:"Gupshup's, of the attempt that stands"`
	Code       string            `json:"code" doc:"of the last failure, such as 1002, http_429 or IN_DOUBT"`
	Class      gupshup.Class     `json:"class" doc:"the kind of failure, a row of the table of failures"`
	Reason     string            `json:"reason"`
	Attempts   []Attempt         `json:"attempts" nullable:"false"`
	Receipts   []Receipt         `json:"receipts" nullable:"false"`
	Fallback   bool              `json:"fallback,omitempty" doc:"sent as its fallback template, for want of an open session"`
	CreatedAt  Stamp             `json:"created_at"`
	UpdatedAt  Stamp             `json:"updated_at"`
	NextAt     Stamp             `json:"next_at,omitzero" doc:"when a queued message is tried next, or a doubt is decided about; absent when it stands in line"`
	SendAt     Stamp             `json:"send_at,omitzero"`
	ExpiresAt  Stamp             `json:"expires_at,omitzero"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Campaign   string            `json:"campaign,omitempty" doc:"that it is of"`
}

// Attempt is one try to send a message.
type Attempt struct {
	N         int            `json:"n"`
	At        Stamp          `json:"at"`
	Outcome   ledger.Outcome `json:"outcome" doc:"submitted, refused, not_sent or in_doubt; empty while it is under way"`
	MessageID string         `json:"message_id"`
	Code      string         `json:"code"`
}

// Receipt is what a callback of Gupshup's told.
type Receipt struct {
	Event    string `json:"event" doc:"enqueued, sent, delivered, read, failed or billing"`
	At       Stamp  `json:"at"`
	Attempt  int    `json:"attempt"`
	Code     string `json:"code,omitempty" doc:"of a failure"`
	Category string `json:"category,omitempty" doc:"of a billing event"`
}

// MessageOf shows a record; its number is masked unless reveal says otherwise.
func MessageOf(r ledger.Record, reveal bool) Message {
	v := Message{
		ID: r.ID, Sender: r.Sender, To: Number(r.To, reveal), Priority: r.Priority, Status: r.Status, WaitingFor: r.WaitingFor,
		MessageID: r.MessageID, Code: r.Code, Class: r.Class, Reason: r.Reason,
		Attempts: make([]Attempt, len(r.Attempts)), Receipts: make([]Receipt, len(r.Receipts)), Fallback: r.FellBack,
		CreatedAt: Stamp(r.CreatedAt), UpdatedAt: Stamp(r.UpdatedAt), SendAt: Stamp(r.SendAt), ExpiresAt: Stamp(r.ExpiresAt),
		Metadata: r.Metadata, Campaign: r.Campaign,
	}
	if r.Status == message.Queued || r.Status == message.InDoubt {
		v.NextAt = Stamp(r.DueAt)
	}
	if v.UpdatedAt.IsZero() {
		v.UpdatedAt = v.CreatedAt // nothing has happened since
	}
	for i, a := range r.Attempts {
		v.Attempts[i] = Attempt{N: a.N, At: Stamp(a.At), Outcome: a.Outcome, MessageID: a.MessageID, Code: a.Code}
	}
	for i, line := range r.Receipts {
		v.Receipts[i] = Receipt{Event: line.Event, At: Stamp(line.At), Attempt: line.Attempt, Code: line.Code}
		if line.Event == ledger.Billing {
			v.Receipts[i].Code, v.Receipts[i].Category = "", line.Code
		}
	}
	return v
}

// DeadLetter is a message that came to a terminal failure.
type DeadLetter struct {
	ID        string           `json:"id"`
	Sender    string           `json:"sender"`
	To        string           `json:"to" doc:"digits only, masked unless it may be revealed" example:"9198******10"`
	Priority  message.Priority `json:"priority"`
	Code      string           `json:"code" doc:"why it died, such as 1002 or IN_DOUBT"`
	Class     gupshup.Class    `json:"class" doc:"the kind of failure, a row of the table of failures"`
	Reason    string           `json:"reason"`
	MessageID string           `json:"message_id" doc:"Gupshup's, if there is one"`
	Attempts  int              `json:"attempts"`
	At        Stamp            `json:"at" doc:"when it died"`
}

// DeadLetterOf shows a dead letter; its number is masked unless reveal says otherwise.
func DeadLetterOf(d ledger.DeadLetter, reveal bool) DeadLetter {
	r := d.Record
	return DeadLetter{
		ID: r.ID, Sender: r.Sender, To: Number(r.To, reveal), Priority: r.Priority, Code: r.Code, Class: r.Class, Reason: r.Reason,
		MessageID: r.MessageID, Attempts: tries(r), At: Stamp(d.At),
	}
}

// tries is how many attempts were made; a record drops the oldest of very many, their numbers go on.
func tries(r ledger.Record) int {
	if n := len(r.Attempts); n > 0 {
		return r.Attempts[n-1].N
	}
	return 0
}

// Number shows a phone number, masked unless reveal says otherwise.
func Number(to string, reveal bool) string {
	if reveal {
		return to
	}
	return message.MaskNumber(to)
}
