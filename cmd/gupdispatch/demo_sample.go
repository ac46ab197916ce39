package main

import (
	"bufio"
	"bytes"
	_ "embed" // the sample
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// shippedSample is message objects as the API and `send --file` take them, one a line. Its numbers lie in the area code 555, which
// does not exist. demo_sample_test.go makes it.
//
//go:embed sample/messages.ndjson
var shippedSample []byte

// The keys of a sample's metadata.
const (
	metaCase      = "case"       // what happens to the message: a name in demoCases
	metaReceipt   = "receipt"    // what its callbacks tell in the end once it is taken: sent, delivered, read or none; absent: any
	metaExpect    = "expect"     // what must become of it, see expectation
	metaAttempts  = "attempts"   // in exactly so many attempts that were sent; absent: any number
	metaExpiresIn = "expires_in" // its expires_at is so long after the start
)

// maxDemoMessages bounds a demo: the embedded Redis keeps everything in this process.
const maxDemoMessages = 20_000

// demoMessage is one line of the sample.
type demoMessage struct {
	message.Message
	Case      string
	Receipt   string
	Expect    expectation
	ExpiresIn time.Duration
}

// expectation is what must become of a message.
type expectation struct {
	status   message.Status
	detail   string // dead: the code; queued: what it waits for
	attempts int    // 0: any number
}

// ends are the expectations of one word.
var ends = []message.Status{
	message.Submitted, message.Sent, message.Delivered, message.Read, message.Expired, message.Suppressed,
}

// parseExpectation reads one of ends, "dead CODE" or "waiting CLASS".
func parseExpectation(text string) (expectation, error) {
	what, detail, _ := strings.Cut(text, " ")
	switch {
	case slices.Contains(ends, message.Status(what)) && detail == "":
		return expectation{status: message.Status(what)}, nil
	case what == "dead" && detail != "":
		return expectation{status: message.Dead, detail: detail}, nil
	case what == "waiting" && detail != "":
		return expectation{status: message.Queued, detail: detail}, nil
	}
	return expectation{}, fmt.Errorf(`metadata.%s is %q: write "dead CODE", "waiting CLASS", or one of %v`, metaExpect, text, ends)
}

// met tells whether a record is what was expected.
func (x expectation) met(rec ledger.Record) bool {
	switch {
	case rec.Status != x.status, x.attempts > 0 && x.attempts != attemptsSent(rec):
		return false
	case x.status == message.Dead:
		return rec.Code == x.detail
	case x.status == message.Queued:
		return rec.WaitingFor == x.detail
	}
	return true
}

// attemptsSent counts the attempts that may have reached Gupshup. How many did not depends on how busy the machine is.
func attemptsSent(rec ledger.Record) int {
	n := 0
	for _, a := range rec.Attempts {
		if a.Outcome != ledger.OutcomeNotSent {
			n++
		}
	}
	return n
}

// String is the expectation as the sample writes it.
func (x expectation) String() string {
	text := string(x.status)
	switch x.status {
	case message.Dead:
		text = "dead " + x.detail
	case message.Queued:
		text = "waiting " + x.detail
	}
	if x.attempts > 0 {
		text += fmt.Sprintf(" after %d attempt(s)", x.attempts)
	}
	return text
}

// readDemoSample reads NDJSON of message objects with a case and an expectation each. Its error names the first line that is wrong.
func readDemoSample(raw []byte) ([]demoMessage, error) {
	cases := map[string]bool{}
	for _, c := range demoCases() {
		cases[c.name] = true
	}
	var out []demoMessage
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		d, err := readDemoMessage(lines.Bytes(), cases)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, d)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, errors.New("there is no message in it")
	}
	return out, nil
}

func readDemoMessage(line []byte, cases map[string]bool) (demoMessage, error) {
	var d demoMessage
	if err := json.Unmarshal(line, &d.Message); err != nil {
		return d, err
	}
	var err error
	d.Case = d.Metadata[metaCase]
	if !cases[d.Case] {
		return d, fmt.Errorf("metadata.%s %q does not exist", metaCase, d.Case)
	}
	d.Receipt = d.Metadata[metaReceipt]
	switch d.Receipt {
	case "", gupshuptest.OutcomeNone, gupshup.ReceiptSent, gupshup.ReceiptDelivered, gupshup.ReceiptRead:
	default:
		return d, fmt.Errorf("metadata.%s %q is none of sent, delivered, read and none", metaReceipt, d.Receipt)
	}
	if d.Expect, err = parseExpectation(d.Metadata[metaExpect]); err != nil {
		return d, err
	}
	if text := d.Metadata[metaAttempts]; text != "" {
		if d.Expect.attempts, err = strconv.Atoi(text); err != nil || d.Expect.attempts < 1 {
			return d, fmt.Errorf("metadata.%s %q is not a number above 0", metaAttempts, text)
		}
	}
	if text := d.Metadata[metaExpiresIn]; text != "" {
		if d.ExpiresIn, err = time.ParseDuration(text); err != nil || d.ExpiresIn <= 0 {
			return d, fmt.Errorf("metadata.%s %q is not a duration such as 8s", metaExpiresIn, text)
		}
	}
	if d.ID == "" || !slices.Contains(demoSenderNames(), d.Sender) {
		return d, fmt.Errorf("id is missing, or sender is none of %s", strings.Join(demoSenderNames(), ", "))
	}
	if len(d.To) < 8 || strings.Trim(d.To, "0123456789") != "" {
		return d, errors.New("to must be an international number of digits only")
	}
	return d, nil
}

// roundsApart is how far the numbers of a repetition lie behind those before; a shipped sample has fewer lines.
const roundsApart = 10_000

// repeatTo shortens the sample to n messages, or repeats it under other ids and numbers until there are so many. A message whose
// number cannot be counted on is an error.
func repeatTo(sample []demoMessage, n int) ([]demoMessage, error) {
	out := make([]demoMessage, 0, n)
	for i := range n {
		d, round := sample[i%len(sample)], i/len(sample)
		d.Metadata = maps.Clone(d.Metadata)
		if round > 0 {
			number, err := strconv.ParseInt(d.To, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("number of %s: %w", d.ID, err)
			}
			d.ID += fmt.Sprintf(".%d", round+1)
			d.To = strconv.FormatInt(number+int64(round)*roundsApart, 10)
		}
		out = append(out, d)
	}
	return out, nil
}

// demoRules are the simulator's rules: for each recipient, first what happens to the message, then what is told of it once it is
// taken. Without what is lifted if mended, for after somebody has topped up the wallet and the template is back.
func demoRules(sample []demoMessage, mended bool) []gupshuptest.Rule {
	cases := map[string]demoCase{}
	for _, c := range demoCases() {
		cases[c.name] = c
	}
	var rules []gupshuptest.Rule
	for _, d := range sample {
		c := cases[d.Case]
		if c.told {
			c.fault.Outcome = d.Receipt
		}
		if c.fault.Kind != "" && (!mended || !c.lift) {
			rules = append(rules, gupshuptest.Rule{Destination: d.To, Times: c.times, Fault: c.fault})
		}
		if d.Receipt != "" {
			fault := gupshuptest.Fault{Kind: gupshuptest.KindCallback, Outcome: d.Receipt}
			rules = append(rules, gupshuptest.Rule{Destination: d.To, Fault: fault})
		}
	}
	return rules
}
