package message

import (
	"fmt"
	"time"
)

// Priority says how urgent a message is. Each priority of a sender has an asynq queue of its own.
type Priority string

// The three priorities, most urgent first.
const (
	Critical Priority = "critical" // one-time passwords: somebody waits in front of a locked door
	Default  Priority = "default"  // utility messages, such as order updates
	Bulk     Priority = "bulk"     // campaigns
)

// Priorities lists every priority, most urgent first.
var Priorities = []Priority{Critical, Default, Bulk}

// ParsePriority reads a priority's name; the empty string is Default.
func ParsePriority(s string) (Priority, error) {
	switch p := Priority(s); p {
	case "":
		return Default, nil
	case Critical, Default, Bulk:
		return p, nil
	}
	return "", fmt.Errorf("unknown priority %q: use critical, default or bulk", s)
}

// Lifetime is the time a message of this priority may wait when its caller sets no expiry; 0 means for ever.
// A one-time password that comes after ten minutes only confuses.
func (p Priority) Lifetime() time.Duration {
	if p == Critical {
		return 10 * time.Minute
	}
	return 0
}
