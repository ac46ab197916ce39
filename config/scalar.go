package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Pumps is how many asynq servers drain one queue of a process: 0 for "auto" (by rate and Redis round trip), or 1 to 8.
type Pumps int

const maxPumps = 8 // one asynq server takes about 350 tasks/s at a few ms of round trip; more than eight only adds polling

// UnmarshalText reads "auto" or a number from 1 to 8.
func (p *Pumps) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*p = 0
		return nil
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 || n > maxPumps {
		return fmt.Errorf(`%s is neither "auto" nor a number from 1 to %d`, show(string(text)), maxPumps)
	}
	*p = Pumps(n)
	return nil
}

// String returns "auto" or the number.
func (p Pumps) String() string {
	if p == 0 {
		return "auto"
	}
	return strconv.Itoa(int(p))
}

// MarshalText is the inverse of UnmarshalText.
func (p Pumps) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

var errDuration = errors.New("not a duration")

// ParseDuration reads Go's durations ("10s", "1h30m") and, before them, whole or broken days of 24 hours ("7d", "1d12h").
func ParseDuration(text string) (time.Duration, error) {
	days, rest, found := strings.Cut(text, "d")
	if !found {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseFloat(days, 64)
	if err != nil || strings.ContainsAny(days, "eExXpPiInN_+-") {
		return 0, errDuration
	}
	var tail time.Duration
	if rest != "" {
		if tail, err = time.ParseDuration(rest); err != nil || strings.ContainsAny(rest, "+-") {
			return 0, errDuration
		}
	}
	if n*float64(day)+float64(tail) >= math.MaxInt64 {
		return 0, errDuration
	}
	return time.Duration(n*float64(day)) + tail, nil
}

// show quotes a value for an error. A long one is only counted: it may be a key that somebody pasted into the wrong line.
func show(value string) string {
	const longest = 20 // Gupshup's keys have 32 characters and more
	if len(value) > longest {
		return fmt.Sprintf("the text of %d characters", len(value))
	}
	return strconv.Quote(value)
}
