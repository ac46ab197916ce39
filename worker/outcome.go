package worker

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hibiken/asynq"
)

// retryError tells asynq to bring the task again after delay. Its text is what ops see in the web UI.
type retryError struct {
	text  string
	delay time.Duration
	spent bool // counts as a failure in asynq's statistics
}

func (e *retryError) Error() string { return e.text }

// errStopping ends a handler that was still waiting for room in Redis or for its slot when the worker stopped: nothing was spent.
var errStopping = &retryError{text: "the worker stopped before it was this message's turn"}

// errBusy ends a run whose message another run has just now: nothing was spent.
var errBusy = &retryError{text: "another run has this message", delay: time.Second}

// archived tells asynq to archive the task, with what ops must know in the text: asynqmon shows nothing else of it.
func archived(text string) error { return fmt.Errorf("%s: %w", text, asynq.SkipRetry) }

const (
	deadLetter  = "dead letter: "
	attemptMark = " · attempt "
)

// deadText is the text of an archived dead letter: code · reason · messageId · attempt.
func deadText(code, reason, messageID string, attempt int) string {
	if messageID == "" {
		messageID = "none"
	}
	text := fmt.Sprintf("%s%s · %s · messageId %s%s%d", deadLetter, code, reason, messageID, attemptMark, attempt)
	if code == CodeInDoubt {
		text += " · it may have been delivered, running it again may send it twice"
	}
	return text
}

// isDeadText says whether an asynq task's last error is ours, about this very attempt. If so and the task comes again, a
// person pressed Run in the web UI; asynq's own redeliveries carry other errors.
func isDeadText(lastErr string, attempt int) bool {
	at := strings.LastIndex(lastErr, attemptMark) // the reason before it is the provider's
	if !strings.HasPrefix(lastErr, deadLetter) || at < 0 {
		return false
	}
	var n int
	_, err := fmt.Sscanf(lastErr[at+len(attemptMark):], "%d", &n)
	return err == nil && n == attempt
}

// asynq's two questions about an error of ours. A lost lease (a worker was killed) is nobody's failure.

func isFailure(err error) bool {
	var r *retryError
	if errors.As(err, &r) {
		return r.spent
	}
	return errors.Is(err, asynq.SkipRetry)
}

func retryDelay(_ int, err error, _ *asynq.Task) time.Duration {
	var r *retryError
	if errors.As(err, &r) {
		return r.delay
	}
	return time.Second
}
