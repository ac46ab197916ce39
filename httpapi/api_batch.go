package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
)

// maxBatch is how many messages one request may hand over.
const maxBatch = 1000

// batchRequest is many messages.
type batchRequest struct {
	Messages []payload[message.Message] `json:"messages" nullable:"false" minItems:"1" maxItems:"1000"`
}

// batchAnswer tells what became of each.
type batchAnswer struct {
	Results []batchResult `json:"results" nullable:"false" doc:"one for each message, in their order"`
}

// batchResult is what a request with this message alone would have been answered.
type batchResult struct {
	HTTPStatus int            `json:"http_status" doc:"202 accepted, 200 accepted before, 409, 422 or 503: see problem" example:"202"`
	ID         string         `json:"id,omitempty"`
	Status     message.Status `json:"status,omitempty"`
	Problem    *problem       `json:"problem,omitempty"`
}

func (a *api) batch() {
	type sending struct {
		IdempotencyKey string `header:"Idempotency-Key" hidden:"true"` // refused: passed over, it would promise what a repeat does not keep
		Body           payload[batchRequest]
	}
	type answer struct {
		RetryAfter string `header:"Retry-After" doc:"when to send what was answered 503 again, in seconds"`
		Body       batchAnswer
	}
	op := a.operation(http.MethodPost, "/v1/messages/batch", "send-messages", "messages", "Hand many messages over",
		"Up to 1,000. Each is taken or refused by itself, and has a result: 200 here says only that the request was understood. "+
			"Messages with ids can be sent again safely; those that come without one should not be. An Idempotency-Key is refused: give each message an id.",
		withBody...)
	op.MaxBodyBytes = maxBatchBody
	register(a, op, func(ctx context.Context, in *sending) (*answer, error) {
		switch {
		case in.IdempotencyKey != "":
			return nil, wrong("Idempotency-Key", "is not for batches: give each message an id, then the batch can be sent again safely")
		case in.Body.err != nil:
			return nil, in.Body.err
		}
		handed := in.Body.value.Messages
		switch n := len(handed); {
		case n == 0:
			return nil, wrong("messages", "is missing: hand over at least one")
		case n > maxBatch:
			return nil, wrong("messages", "has %d messages; at most %d", n, maxBatch)
		}
		results := make([]batchResult, len(handed))
		var ms []message.Message
		var at []int
		for i, m := range handed {
			if m.err != nil {
				results[i] = a.refused(ctx, producer.Result{Err: m.err})
				continue
			}
			ms, at = append(ms, m.value), append(at, i)
		}
		for i, r := range a.Producer.SendBatch(ctx, ms) {
			if r.Err != nil {
				results[at[i]] = a.refused(ctx, r)
			} else {
				results[at[i]] = batchResult{HTTPStatus: statusOf(r), ID: r.ID, Status: r.Status}
			}
		}
		return &answer{RetryAfter: retryAfter(results), Body: batchAnswer{Results: results}}, nil
	})
}

// refused is the result of a message that was not accepted, for all that is known.
func (a *api) refused(ctx context.Context, r producer.Result) batchResult {
	p := a.problemOf(ctx, r.Err)
	return batchResult{HTTPStatus: p.Status, ID: r.ID, Problem: p}
}

// retryAfter is the longest wait that a result asks for, "" for none.
func retryAfter(results []batchResult) string {
	var longest time.Duration
	for _, r := range results {
		if r.Problem != nil {
			longest = max(longest, r.Problem.retryAfter)
		}
	}
	if longest == 0 {
		return ""
	}
	return seconds(longest)
}
