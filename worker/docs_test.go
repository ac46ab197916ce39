package worker

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
)

var update = flag.Bool("update", false, "write the error table into README.md")

const tableBegin, tableEnd = "<!-- error table: go test ./worker -run TestREADMEErrorTable -update -->\n", "<!-- end of error table -->"

// The error table in the README is made from the policy, the table of codes and the classifier, so it cannot go stale.
func TestREADMEErrorTable(t *testing.T) {
	t.Parallel()
	const file = "../README.md"
	readme, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(readme), tableBegin)
	require.True(t, found, "README.md lost the begin of the error table")
	old, after, found := strings.Cut(rest, tableEnd)
	require.True(t, found, "README.md lost the end of the error table")
	want := errorTable()
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(before+tableBegin+want+tableEnd+after), 0o600))
		return
	}
	require.Equal(t, want, old, "run: go test ./worker -run TestREADMEErrorTable -update")
}

func errorTable() string {
	var b strings.Builder
	b.WriteString("| class | codes | what happens | why |\n|---|---|---|---|\n")
	replies := repliesByClass()
	for _, c := range gupshup.Classes() {
		var codes []string
		for _, row := range gupshup.Codes() {
			if row.Class == c {
				codes = append(codes, row.Code)
			}
		}
		codes = append(codes, replies[c]...)
		r := policy[c]
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", c, strings.Join(codes, ", "), r.describe(), r.why)
	}
	return b.String()
}

// describe says a rule in words.
func (r rule) describe() string {
	var parts []string
	switch r.action {
	case archive:
		parts = append(parts, "dead letter")
	case retry:
		if parts = append(parts, "retry"); r.tries > 0 {
			parts[0] = fmt.Sprintf("at most %d attempts", r.tries)
		}
		if !r.spends {
			parts = append(parts, "nothing spent")
		}
	case park:
		waits := "for the end of the hold"
		if r.holds == nothing {
			waits = span(r.wait, r.atMost)
		}
		parts = append(parts, "waits "+waits+", nothing spent")
		if r.tries > 0 {
			parts = append(parts, fmt.Sprintf("dead letter after %d times", r.tries))
		}
	case doubt:
		parts = append(parts, "`on_in_doubt`: `resend` (critical at once, others after the window) or `hold` (dead letter `IN_DOUBT` after the window)")
	}
	if r.holds != nothing {
		parts = append(parts, "**holds "+string(r.holds)+"**, tried again after "+span(r.wait, r.atMost))
	}
	if r.guard != ledger.GuardNothing {
		parts = append(parts, "20 in a row: **holds the "+string(r.guard)+"** and spares the rest")
	}
	if r.outage {
		parts = append(parts, "half of 20 within 10 s: **holds the sender**")
	}
	switch r.urgent {
	case retry:
		parts = append(parts, "critical: retry")
	case archive:
		parts = append(parts, "critical: dead letter")
	}
	return strings.Join(parts, "; ")
}

func span(from, to time.Duration) string {
	short := func(d time.Duration) string {
		s := d.String()
		s = strings.TrimSuffix(s, "0s")
		if strings.HasSuffix(s, "h0m") {
			s = strings.TrimSuffix(s, "0m")
		}
		return s
	}
	if from == 6*time.Second {
		return "6s to " + short(to)
	}
	if from == to {
		return short(from)
	}
	return short(from) + " to " + short(to)
}

// repliesByClass asks the classifier about replies without a code of the table.
func repliesByClass() map[gupshup.Class][]string {
	out := map[gupshup.Class][]string{}
	reply := func(name string, status int, body string) {
		_, err := gupshup.Classify(&gupshup.Reply{Status: status, Body: []byte(body)}, nil, nil, time.Time{})
		out[err.Class] = append(out[err.Class], name)
	}
	for _, status := range []int{307, 400, 401, 403, 404, 405, 408, 422, 429, 502, 503, 504} {
		reply(fmt.Sprintf("HTTP %d", status), status, `{"status":"error","message":"something"}`)
	}
	reply("HTTP 500 with Gupshup's JSON", 500, `{"status":"error","message":"something"}`)
	reply("HTTP 500 without", 500, `<html>`)
	reply("400 Invalid Destination", 400, `{"status":"error","message":"Invalid Destination"}`)
	reply("400 Invalid App Details", 400, `{"status":"error","message":"Invalid App Details"}`)
	reply("2xx with `status: error`", 200, `{"status":"error","message":"something"}`)
	reply("2xx without messageId", 200, `{"status":"submitted"}`)
	for name, fault := range map[string]*gupshup.Fault{
		"timeout, reset or crash after the request was written": {Written: true},
		"connection refused, DNS, TLS, request not written":     {},
	} {
		_, err := gupshup.Classify(nil, fault, nil, time.Time{})
		out[err.Class] = append(out[err.Class], name)
	}
	out[gupshup.ClassUnknown] = append(out[gupshup.ClassUnknown], "any other code or status")
	return out
}
