package message

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// TaskType is the type of the asynq task that sends a message.
const TaskType = "message:send"

// How asynq is to treat our tasks. asynq's own counting must never end a message: the ledger counts (see docs/decisions).
const (
	TaskMaxRetry = 1000          // asynq would archive a task by its own count; ours is always reached first
	TaskTimeout  = 2 * time.Hour // longer than handlers wait for a slot and a reply; should one not, asynq brings the message again
)

// TaskRetention is how long a finished task stays visible in the asynq web UI. A campaign's tasks are not kept:
// a million finished tasks would cost a third of a gigabyte.
func TaskRetention(p Priority) time.Duration {
	if p == Bulk {
		return 0
	}
	return time.Minute
}

// Task is the payload of the asynq task: where to find the message, and what anyone may see of it.
// The body lives only in the ledger.
type Task struct {
	Sender     string `json:"sender"`
	ID         string `json:"id"`
	Generation int    `json:"generation"`
	To         string `json:"to"`                 // masked
	Template   string `json:"template,omitempty"` // template id, if it is one
	Trace      string `json:"-"`                  // where its trace goes on; a header of the task, and only while it is traced
}

// Encode writes the payload.
func (t Task) Encode() ([]byte, error) { return json.Marshal(t) }

// DecodeTask reads a payload. What it cannot trust it refuses, naming the field.
func DecodeTask(raw []byte) (Task, error) {
	var t Task
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(&t); err != nil {
		return Task{}, fmt.Errorf("task payload is not readable: %w", err)
	}
	switch {
	case t.Sender == "":
		return Task{}, fmt.Errorf("task payload names no sender")
	case !ValidID(t.ID):
		return Task{}, fmt.Errorf("task payload has no valid message id")
	case t.Generation < 1:
		return Task{}, fmt.Errorf("task payload has generation %d; it starts at 1", t.Generation)
	}
	return t, nil
}

// TaskID is the asynq task's id. Every new task of a message takes the next generation, because asynq keeps the id of a
// finished or archived task occupied; a task of an old generation does nothing.
func TaskID(id string, generation int) string { return id + ":" + strconv.Itoa(generation) }

// Probe is the lane beside the priorities' queues for what must not wait in line: messages that a hold is tried with, and those about
// which the worker has to decide. It is no priority that a message can have.
const Probe Priority = "probe"

// Lanes lists every asynq queue of a sender: Probe and one for each priority.
var Lanes = append([]Priority{Probe}, Priorities...)

// Queue is the name of the asynq queue of a sender's priority, or of its Probe lane.
func Queue(sender string, p Priority) string { return sender + "." + string(p) }
