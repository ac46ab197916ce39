package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/config"
)

// senderFlag adds --sender to a command.
func senderFlag(c *cobra.Command, name *string, usage string) {
	c.Flags().StringVar(name, "sender", "", usage)
}

// pastTime reads --since and --until: a moment, or how long ago it was. "" is no time at all.
func pastTime(flag, text string, now time.Time) (time.Time, error) {
	return moment(flag, text, func(d time.Duration) time.Time { return now.Add(-d) })
}

// futureTime reads --send-at and --expires-at: a moment, or how long from now it is. "" is no time at all.
func futureTime(flag, text string, now time.Time) (time.Time, error) {
	return moment(flag, text, now.Add)
}

func moment(flag, text string, from func(time.Duration) time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	if d, err := config.ParseDuration(text); err == nil && d >= 0 {
		return from(d).UTC(), nil
	}
	return time.Time{}, usagef("--%s %q is no time: write it as 2026-01-31T18:00:00Z, or as a duration such as 30m, 24h or 7d", flag, text)
}

// changed lists which of the flags were given.
func changed(c *cobra.Command, names ...string) []string {
	var given []string
	for _, n := range names {
		if c.Flags().Changed(n) {
			given = append(given, "--"+n)
		}
	}
	return given
}
