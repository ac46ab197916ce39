package httpapi

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"github.com/gupdispatch/gupdispatch/campaign"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
	"github.com/gupdispatch/gupdispatch/view"
)

// accepted is the answer to a message that was taken in.
type accepted struct {
	ID     string         `json:"id"`
	Status message.Status `json:"status" doc:"queued; or suppressed, which is no error: the number is on the suppression list"`
}

// ended is the answer to a message that was cancelled.
type ended struct {
	ID     string         `json:"id"`
	Sender string         `json:"sender"`
	Status message.Status `json:"status"`
}

// The types of parameters are exported because huma, which reads them by reflection, has to reach what is embedded.

// MessageRef names a message.
type MessageRef struct {
	ID     string `path:"id" doc:"the message's id, ours or Gupshup's messageId"`
	Sender string `query:"sender" doc:"the sender, where several use one id"`
}

// maxIdempotencyKey is how long an Idempotency-Key may be.
const maxIdempotencyKey = 255

// RevealQuery asks for whole phone numbers.
type RevealQuery struct {
	Reveal bool `query:"reveal" doc:"show whole phone numbers, for keys that may see them"`
}

// messages are the operations on single messages.
func (a *api) messages() {
	const tag, path = "messages", "/v1/messages"
	type sending struct {
		IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"for messages without an id: it follows from this, the API key and the sender"`
		Body           payload[message.Message]
	}
	op := a.operation(http.MethodPost, path, "send-message", tag, "Hand a message over",
		"202: accepted; it will come to exactly one end. 200: it had been accepted before, with the same content. After a 503 or no answer at all, "+
			"send it again with the same id.",
		append(withBody, http.StatusConflict)...)
	op.DefaultStatus, op.MaxBodyBytes = http.StatusAccepted, maxMessageBody
	a.alsoAnswers(&op, http.StatusOK, "It had been accepted before, with the same content", accepted{})
	register(a, op, func(ctx context.Context, in *sending) (*reply[accepted], error) {
		m := in.Body.value
		if in.Body.err != nil {
			return nil, in.Body.err
		}
		if m.ID == "" && in.IdempotencyKey != "" {
			m.ID = derivedID(visitOf(ctx).key.name(), m.Sender, in.IdempotencyKey)
		}
		r := a.Producer.SendBatch(ctx, []message.Message{m})[0]
		if r.Err != nil {
			p := a.problemOf(ctx, r.Err)
			if p.Status != http.StatusUnprocessableEntity {
				p.ID = r.ID
			}
			return nil, p
		}
		return &reply[accepted]{Status: statusOf(r), Body: accepted{ID: r.ID, Status: r.Status}}, nil
	})

	type showing struct {
		MessageRef
		RevealQuery
	}
	op = a.operation(http.MethodGet, path+"/{id}", "show-message", tag, "Tell the story of a message",
		"What is known of a message: its status, attempts and receipts.", http.StatusNotFound, http.StatusConflict)
	register(a, op, func(ctx context.Context, in *showing) (*reply[view.Message], error) {
		if err := in.allowed(ctx); err != nil {
			return nil, err
		}
		rec, err := a.find(ctx, in.MessageRef)
		if err != nil {
			return nil, err
		}
		return ok(view.MessageOf(rec, in.Reveal)), nil
	})

	op = a.operation(http.MethodDelete, path+"/{id}", "cancel-message", tag, "Take a message back",
		"As long as it is queued: waiting for its turn, its time, its retry, or behind a hold. Once it is cancelled it is not sent any more. "+
			"A message whose earlier attempt is in doubt may have arrived all the same; a callback then says so.", http.StatusNotFound, http.StatusConflict)
	register(a, op, func(ctx context.Context, in *MessageRef) (*reply[ended], error) {
		rec, err := a.find(ctx, *in)
		if err != nil {
			return nil, err
		}
		if err := a.Ledger.Cancel(ctx, rec.Sender, rec.ID); err != nil {
			return nil, err
		}
		return ok(ended{ID: rec.ID, Sender: rec.Sender, Status: message.Cancelled}), nil
	})
}

// derivedID is the id of a message that has none of its own but an Idempotency-Key: always the same one for a key of the API and a
// sender, and for nobody else's.
func derivedID(apiKey, sender, key string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{apiKey, sender, key}, "\x00")))
	return "idem-" + hex.EncodeToString(sum[:16])
}

// statusOf is the HTTP status of a message that was accepted.
func statusOf(r producer.Result) int {
	if r.Existing {
		return http.StatusOK
	}
	return http.StatusAccepted
}

// allowed refuses whole phone numbers to keys that may not see them.
func (q RevealQuery) allowed(ctx context.Context) error {
	if q.Reveal && !visitOf(ctx).key.reveal {
		return newProblem(http.StatusForbidden, "this API key may not see whole phone numbers: leave reveal out, or give the key reveal: true")
	}
	return nil
}

// find reads the message with this id, of one sender or of all.
func (a *api) find(ctx context.Context, q MessageRef) (ledger.Record, error) {
	senders, err := a.some(q.Sender)
	if err != nil {
		return ledger.Record{}, err
	}
	found, owners, err := a.Ledger.FindAmong(ctx, senders, q.ID)
	if err != nil {
		return ledger.Record{}, err
	}
	switch len(found) {
	case 0:
		err := campaign.FindUnsent(ctx, a.Ledger, senders, q.ID)
		var row *campaign.UnsentError
		if errors.As(err, &row) {
			return ledger.Record{}, newProblem(http.StatusNotFound, "this is no message yet: "+row.Error())
		}
		return ledger.Record{}, cmp.Or(err, ledger.ErrNotFound)
	case 1:
		return found[0], nil
	}
	p := newProblem(http.StatusConflict, "several senders have a message with this id: choose one with the parameter sender")
	p.Senders = owners
	return ledger.Record{}, p
}
