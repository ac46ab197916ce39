package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// Hold is what keeps a sender, or some of its priorities, from sending; reason, code, since and until are part of the contract.
type Hold struct {
	Reason     string             `json:"reason" doc:"a class of failures, outage, storm or by_hand"`
	Code       string             `json:"code" doc:"Gupshup's, if there was one"`
	Note       string             `json:"note" doc:"what the person wrote who holds it"`
	By         string             `json:"by" doc:"that person; empty: the policy"`
	SeenBy     string             `json:"seen_by" doc:"the process whose message failed; empty: by a person, or it is not known"`
	Since      Stamp              `json:"since"`
	Until      Stamp              `json:"until" nullable:"true" doc:"by the policy: when it is tried next; by a person: when it ends, null when somebody releases it"`
	Priorities []message.Priority `json:"priorities" nullable:"false" doc:"what it is about; all three for the whole sender"`
	Probe      string             `json:"probe" doc:"the message it is being tried with"`
}

// HoldOf shows a hold.
func HoldOf(h ledger.HeldScope) Hold {
	v := Hold{
		Reason: h.Reason, Code: h.Code, Note: h.Note, By: h.By, SeenBy: h.SeenBy, Since: Stamp(h.Since), Until: Stamp(h.Until), Probe: h.Probe,
		Priorities: []message.Priority{},
	}
	for _, p := range message.Priorities {
		if h.Covers(p) {
			v.Priorities = append(v.Priorities, p)
		}
	}
	return v
}

// HoldsOf shows holds; it never is null in JSON.
func HoldsOf(held []ledger.HeldScope) []Hold {
	views := make([]Hold, len(held))
	for i, h := range held {
		views[i] = HoldOf(h)
	}
	return views
}

// Whole says that all of the sender is held.
func (v Hold) Whole() bool { return len(v.Priorities) == len(message.Priorities) }

// What tells what is held: all, or "default and bulk".
func (v Hold) What() string {
	if v.Whole() {
		return "all"
	}
	words := make([]string, len(v.Priorities))
	for i, p := range v.Priorities {
		words[i] = string(p)
	}
	return strings.Join(words, " and ")
}

// Story tells a hold for people: why, since when, and what comes next.
func (v Hold) Story(now time.Time) string {
	seen := ""
	if v.SeenBy != "" {
		seen = ", first seen by " + v.SeenBy
	}
	return v.Past(now) + seen + "; " + v.Next(now)
}

// Past tells why something is, or was, held, and for how long.
func (v Hold) Past(now time.Time) string {
	return fmt.Sprintf("%s, for %s", v.Why(), max(0, now.Sub(time.Time(v.Since))).Truncate(time.Second))
}

// Why is such as "account (1003)", or who holds it and what they wrote.
func (v Hold) Why() string {
	switch {
	case v.By != "":
		return fmt.Sprintf("by %s, %q", v.By, v.Note)
	case v.Code != "":
		return v.Reason + " (" + v.Code + ")"
	}
	return v.Reason
}

// Next tells how a hold ends.
func (v Hold) Next(now time.Time) string {
	left := func() string { return RoundUp(time.Time(v.Until).Sub(now)).String() }
	switch {
	case v.By != "" && v.Until.IsZero():
		return "until it is released"
	case v.By != "":
		return "ends in " + left()
	case v.Probe != "":
		return "being tried with " + v.Probe
	case time.Time(v.Until).After(now):
		return "tried again in " + left()
	}
	return "tried with the next message that comes"
}

// RoundUp makes whole seconds of what is still to come.
func RoundUp(d time.Duration) time.Duration {
	return max(0, d+time.Second-1).Truncate(time.Second)
}

// Waiting counts the messages that wait for their turn or behind a hold.
type Waiting struct {
	Critical int64 `json:"critical"`
	Default  int64 `json:"default"`
	Bulk     int64 `json:"bulk"`
}

// WaitingOf asks for each priority.
func WaitingOf(of func(message.Priority) int64) Waiting {
	return Waiting{Critical: of(message.Critical), Default: of(message.Default), Bulk: of(message.Bulk)}
}

// Total is all of them.
func (w Waiting) Total() int64 { return w.Critical + w.Default + w.Bulk }

// WaitingFor counts what waits for holds of a sender: their priorities, but not what templates keep back.
func WaitingFor(all ledger.Holds, holds ...Hold) Waiting {
	return WaitingOf(func(p message.Priority) int64 {
		if !slices.ContainsFunc(holds, func(v Hold) bool { return slices.Contains(v.Priorities, p) }) {
			return 0
		}
		n := all.Waiting(p)
		for _, h := range all.Scopes {
			if h.Template != "" && h.On() {
				n -= h.Waiting[p]
			}
		}
		return n
	})
}
