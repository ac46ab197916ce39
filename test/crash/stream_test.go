//go:build unix

package crash

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/message"
)

// stream is what producers hand over: messages 0 to N-1, so many a second. Message i is the same whoever makes it, so that a
// producer can hand it over again.
type stream struct {
	N         int
	PerSecond float64
	Began     time.Time
	HoldOnly  bool // every message is on_in_doubt: hold
	Waiting   bool // none is sent again before a callback had its time, and none is to wait or to expire
}

// at is when message i is handed over.
func (s stream) at(i int) time.Time {
	return s.Began.Add(time.Duration(float64(i) / s.PerSecond * float64(time.Second)))
}

// message makes message i: all priorities, half of each to be held when in doubt and half to be sent again, a few that are to
// wait, and a few that expire soon. Each has a number of its own, so that the simulator can tell what was sent twice.
func (s stream) message(sender string, i int) message.Message {
	m := message.Message{
		ID: messageID(i), Sender: sender, To: number(i), OnInDoubt: message.Hold,
		Content: gupshup.Content{Message: gupshup.Text{Text: "Your order is on its way, number " + strconv.Itoa(i)}},
	}
	switch i % 10 {
	case 0, 1, 2:
		m.Priority = message.Critical
	case 3, 4, 5, 6:
		m.Priority = message.Default
	default:
		m.Priority = message.Bulk
	}
	if i/10%2 == 1 && !s.HoldOnly {
		m.OnInDoubt = message.Resend
	}
	if s.Waiting {
		if m.Priority == message.Critical {
			m.OnInDoubt = message.Hold // resend would not wait for the callback
		}
		return m
	}
	if i%25 == 3 {
		m.SendAt = s.at(i).Add(time.Second)
	}
	if i%40 == 7 {
		m.ExpiresAt = s.at(i).Add(4 * time.Second)
	}
	return m
}

func messageID(i int) string { return fmt.Sprintf("m%06d", i) }

const numberPrefix = "9198"

func number(i int) string { return fmt.Sprintf("%s%08d", numberPrefix, i) }

// indexOf is the reverse of messageID and number.
func indexOf(idOrNumber string) (int, error) {
	return strconv.Atoi(strings.TrimPrefix(strings.TrimPrefix(idOrNumber, numberPrefix), "m"))
}
