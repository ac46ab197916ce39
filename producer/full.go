package producer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// When it is worth trying again. Neither is known better: Redis gets room when messages are sent and retired, and a queue at the
// sender's rate.
const (
	retryMemory = 30 * time.Second
	retryQueue  = 5 * time.Second
)

// FullError says that there is no room for the message now. Nothing was written; a message that had been accepted before stays
// accepted, though.
type FullError struct {
	What       string        // what is full, and what to do about it
	RetryAfter time.Duration // when to send the message again, with the same id
}

func (e *FullError) Error() string {
	return fmt.Sprintf("not accepted: %s; send it again in %s", e.What, e.RetryAfter)
}

// makeRoom is what helps against a full Redis.
const makeRoom = "give Redis more maxmemory, or wait until messages are sent and retired"

// memoryFull returns why a message of that priority is refused while so much of Redis's memory is used, nil if it is not.
func memoryFull(used float64, p message.Priority) *FullError {
	limit, what := ledger.FullForAll, "message"
	if p == message.Bulk {
		limit, what = ledger.FullForBulk, "bulk message"
	}
	if used < limit {
		return nil
	}
	return &FullError{
		What:       fmt.Sprintf("Redis's memory is %.0f %% full, and from %.0f %% on no %s is accepted: %s", math.Floor(100*used), 100*limit, what, makeRoom),
		RetryAfter: retryMemory,
	}
}

// noMemory is the refusal of a Redis that reached its maxmemory before we saw it coming.
func noMemory() *FullError {
	return &FullError{What: "Redis has no memory left: " + makeRoom, RetryAfter: retryMemory}
}

// queueFull is the refusal of a sender with as many queued messages as it may have.
func queueFull(m message.Message, most int) *FullError {
	what := fmt.Sprintf("sender %s has its most messages queued (max_queued %d", m.Sender, most)
	if m.Priority == message.Bulk {
		what += ", of which bulk leaves a tenth to others"
	}
	return &FullError{What: what + "): wait until some are sent, or raise max_queued", RetryAfter: retryQueue}
}

// admit refuses what Redis has no room for, and returns the others.
func (p *Producer) admit(ctx context.Context, batch []message.Message, indexes []int, results []Result) []int {
	used, _ := p.room.Used(ctx)
	if used < ledger.FullForBulk {
		return indexes
	}
	var rest []int
	for _, i := range indexes {
		if full := memoryFull(used, batch[i].Priority); full != nil {
			results[i].Err = full
		} else {
			rest = append(rest, i)
		}
	}
	return rest
}

// refusal is the error of a message that the ledger did not confirm.
func refusal(id string, err error) error {
	if errors.Is(err, ledger.ErrNoMemory) {
		return noMemory()
	}
	return fmt.Errorf("message %s: Redis did not confirm it, send it again with the same id: %w", id, err)
}
