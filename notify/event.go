package notify

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/message"
)

// StreamKey is the Redis stream into which the ledger writes one entry for each change of a message's state.
func StreamKey(sender string) string { return "gupdispatch:{" + sender + "}:events" }

// Event is one change of a message's state, as it is posted: see docs/events.md. Receivers may decode a body into it.
type Event struct {
	EventID   string         `json:"event_id"` // the entry's id in the stream; the same whenever the event is posted again
	Sender    string         `json:"sender"`
	ID        string         `json:"id"`             // of the message
	From      message.Status `json:"from,omitempty"` // the state it left; empty when it was accepted just now
	Status    message.Status `json:"status"`         // the state it came to
	Attempt   int            `json:"attempt"`        // of the message, from 1; 0 before the first
	At        time.Time      `json:"at"`             // when, by the clock of Redis
	MessageID string         `json:"message_id,omitempty"`
	Code      string         `json:"code,omitempty"`
	Class     string         `json:"class,omitempty"`
	Reason    string         `json:"reason,omitempty"`
}

const milliseconds = "2006-01-02T15:04:05.000Z" // RFC 3339, in UTC; times are as long as each other, and sort as text

// MarshalJSON writes the time in UTC with milliseconds.
func (e Event) MarshalJSON() ([]byte, error) {
	type plain Event
	return json.Marshal(struct {
		plain
		At string `json:"at"`
	}{plain(e), e.At.UTC().Format(milliseconds)})
}

// readEntry makes an event of a stream's entry. Its error names the field that is wrong.
func readEntry(sender string, entry redis.XMessage) (Event, error) {
	text := func(field string) string {
		s, _ := entry.Values[field].(string)
		return s
	}
	e := Event{
		EventID: entry.ID, Sender: sender, ID: text("id"), From: message.Status(text("from")), Status: message.Status(text("status")),
		MessageID: text("message_id"), Code: text("code"), Class: text("class"), Reason: text("reason"),
	}
	if e.ID == "" || e.Status == "" {
		return Event{}, fmt.Errorf("entry %s has no id or no status", entry.ID)
	}
	at, err := strconv.ParseInt(text("at"), 10, 64)
	if err != nil {
		return Event{}, fmt.Errorf("entry %s: field at is no number of milliseconds", entry.ID)
	}
	e.At = time.UnixMilli(at).UTC()
	if a := text("attempt"); a != "" {
		if e.Attempt, err = strconv.Atoi(a); err != nil {
			return Event{}, fmt.Errorf("entry %s: field attempt is no number", entry.ID)
		}
	}
	return e, nil
}
