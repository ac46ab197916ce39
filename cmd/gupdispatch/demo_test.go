package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// The demo tests itself: exit code 0 means that every message, of every case, is where the sample says, that the books balance
// and that the simulator has seen nothing twice that it should not.
func TestDemoPasses(t *testing.T) {
	t.Parallel()
	out, errs, code := demo(t, "--rate", "400")
	require.Equal(t, exitOK, code, "%s\n%s", out, errs)
	require.Contains(t, out, "Every message is where the sample says it should be.")
	sample, err := readDemoSample(shippedSample)
	require.NoError(t, err)
	foretold := foretell(sample)
	require.Equal(t, foretold.outcomes, outcomeRows(out))
	require.Equal(t, foretold.told, tableRows(out, "Gupshup took it, and told", 0, 1))
	require.Equal(t, foretold.dead, tableRows(out, "meaning", 0, 2))
	require.Equal(t, foretold.byCallback, tableRows(out, "meaning", 0, 3))
	require.Contains(t, out, "balanced    yes: accepted 1,200 =")
	require.Contains(t, out, "none lost   yes")
	require.Contains(t, out, "as told     yes")
	require.Contains(t, out, "none twice  yes: but for 3 that were in doubt")
	require.Regexp(t, `│ 1002 .*│ +30 │ +16 │ [0-9a-f]{8}-[0-9a-f-]{27} `, out, "a messageId to look at")
	require.Contains(t, out, "Number Not Exist On WhatsApp", "what a code means")
	require.Contains(t, out, "gupdispatch demo --keep", "what to try next")
	require.NotContains(t, out+errs, demoAPIKey)
	require.NotRegexp(t, `1555\d{7}`, out+errs, "no full numbers")
	require.NotContains(t, out, "\x1b", "no colours where nobody sees them")
	require.Regexp(t, `\d+s +[\d,]+ of 1,200 at their end: [\d,]+ taken by Gupshup, of them [\d,]+ delivered and [\d,]+ read`, errs, "progress in lines")
	require.NotContains(t, errs, `"event"`, "no log")
}

// foretold is what the tables of a demo must say, and nothing else, by their first columns.
type foretold struct {
	outcomes               map[string]string // by status and story
	told, dead, byCallback map[string]string
}

// foretell counts what the sample says.
func foretell(sample []demoMessage) foretold {
	cases := map[string]demoCase{}
	for _, c := range demoCases() {
		cases[c.name] = c
	}
	outcomes, lines, dead, byCallback := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	for _, d := range sample {
		c := cases[d.Case]
		failed := c.fault.Kind == gupshuptest.KindCallback
		outcomes[string(d.Expect.status)+": "+c.story]++
		if d.Expect.status == message.Dead {
			dead[d.Expect.detail]++
			if failed {
				byCallback[d.Expect.detail]++
			} else {
				byCallback[d.Expect.detail] += 0
			}
		}
		switch {
		case failed && d.Expect.status == message.Dead:
			lines["failed for good: dead letter"]++
		case failed:
			lines["failed, so it was sent again: delivered or read"]++
		case d.Expect.status == message.Sent:
			lines["sent, and nothing since"]++
		case d.Expect.status == message.Submitted:
			lines["nothing yet"]++
		case d.Expect.status.Taken():
			lines[string(d.Expect.status)]++
		}
	}
	return foretold{written(outcomes), written(lines), written(dead), written(byCallback)}
}

// written are counts as the tables write them.
func written(counts map[string]int) map[string]string {
	out := map[string]string{}
	for name, n := range counts {
		out[name] = thousands(n)
	}
	return out
}

// cells are the rows of the table that has this word in its header, without header and footer.
func cells(out, header string) (rows [][]string) {
	_, rest, _ := strings.Cut(out, "│ "+header)
	_, rest, _ = strings.Cut(rest, "┤\n")
	body, _, _ := strings.Cut(rest, "└")
	for _, line := range strings.Split(body, "\n") {
		if cols := strings.Split(line, "│"); len(cols) > 2 {
			for i := range cols {
				cols[i] = strings.TrimSpace(cols[i])
			}
			rows = append(rows, cols[1:])
		}
	}
	return rows
}

// tableRows are two columns of a table; lines that only continue another, and the footer, have an empty first one.
func tableRows(out, header string, key, value int) map[string]string {
	rows := map[string]string{}
	for _, cols := range cells(out, header) {
		if cols[key] != "" {
			rows[cols[key]] = cols[value]
		}
	}
	return rows
}

// outcomeRows are the counts of the table of outcomes. A status stands in its first line only.
func outcomeRows(out string) map[string]string {
	rows, status := map[string]string{}, ""
	for _, cols := range cells(out, "status") {
		if cols[0] != "" {
			status = cols[0]
		}
		if cols[1] != "" {
			rows[status+": "+cols[1]] = cols[2]
		}
	}
	return rows
}

func TestDemoRepeatsAndShowsItsLog(t *testing.T) {
	t.Parallel()
	out, errs, code := demo(t, "--messages", "40", "--verbose")
	require.Equal(t, exitOK, code, "%s\n%s", out, errs)
	require.Contains(t, out, "accepted 40 =")
	require.Contains(t, errs, `"event":"message.attempted"`)
}

func TestDemoFailsWhenAnOutcomeIsAnother(t *testing.T) {
	t.Parallel()
	lines := strings.SplitAfterN(string(shippedSample), "\n", 4)[:3]
	wrong := regexp.MustCompile(`"expect":"\w+"`).ReplaceAllString(lines[0], `"expect":"dead 1002"`)
	require.NotEqual(t, wrong, lines[0])
	sample := filepath.Join(t.TempDir(), "wrong.ndjson")
	require.NoError(t, os.WriteFile(sample, []byte(wrong+lines[1]+lines[2]), 0o600))

	out, errs, code := demo(t, "--sample", sample)
	require.Equal(t, exitFailed, code, "%s\n%s", out, errs)
	require.Contains(t, out, "This is not what the sample says:\n  shipped-001 (straight) should be dead 1002 after 1 attempt(s) and is read after 1 attempt(s)\n")
	require.Contains(t, out, "NO: 1 are not")
	require.NotContains(t, out, "Every message is where")
}

// That it leaves no goroutine behind is what TestMain looks at.
func TestDemoKeepsRunning(t *testing.T) {
	t.Parallel()
	b := start(t, "demo", "--messages", "60", "--keep")
	ui := b.out.find(t, `web UI +(http://127\.0\.0\.1:\d+/ui/)`)
	b.out.find(t, `(/_sim/stats)`)
	out := b.out.String()

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ui+"login", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, do(t, req, nil), "the web UI is served")

	commands := regexp.MustCompile(`(?m)^  `+regexp.QuoteMeta(os.Args[0])+` (--config .*)$`).FindAllStringSubmatch(out, -1)
	require.Len(t, commands, len(keepCommandsOf(t)))
	for _, c := range commands {
		want := exitOK
		if strings.Contains(c[1], "1002") {
			want = exitFailed // a refused message, as the text says
		}
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), words(c[1]), nil, strings.NewReader(""), &stdout, &stderr)
		require.Equal(t, want, code, "%s\n%s%s", c[1], &stdout, &stderr)
		require.NotEmpty(t, stdout.String(), c[1])
		if strings.HasSuffix(c[1], "receipts parked") {
			require.Contains(t, stdout.String(), "1555*****77", "the receiver goes on, and parks what it does not know")
		}
	}

	requests := regexp.MustCompile(`(?m)^  (.*/v1/.*)$`).FindAllStringSubmatch(out, -1)
	require.Len(t, requests, len((&demoStage{}).keepRequests()))
	for i, want := range []string{`"queued"`, `"id":"hello"`, `"accepted":2,"rejected":1`, `"id":"spring"`, "spring.3,1555*****02,"} {
		if _, err := exec.LookPath("curl"); err != nil {
			t.Log("SKIPPED: there is no curl here")
			break
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", requests[i][1])
		cmd.Env = append(os.Environ(), "no_proxy=*")
		text, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", text)
		require.Contains(t, string(text), want, requests[i][1])
	}

	file := regexp.MustCompile(`--config (\S+)`).FindStringSubmatch(out)[1]
	require.FileExists(t, file)
	require.Equal(t, exitOK, b.end())
	require.NoDirExists(t, filepath.Dir(file), "nothing stays")
	_, err = new(http.Client).Do(req)
	require.Error(t, err, "the web UI is closed")
}

func TestCalledAs(t *testing.T) {
	t.Parallel()
	for called, want := range map[string]string{"gupdispatch": "gupdispatch", "./bin/gupdispatch": "./bin/gupdispatch", "/opt/gd": "/opt/gd"} {
		require.Equal(t, want, calledAs(called))
	}
}

func keepCommandsOf(t *testing.T) []string {
	t.Helper()
	sample, err := readDemoSample(shippedSample)
	require.NoError(t, err)
	return (&demoStage{sample: sample}).keepCommands()
}

// words splits a command line at spaces outside of single quotes.
func words(line string) []string {
	var out []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			out = append(out, part)
		} else {
			out = append(out, strings.Fields(part)...)
		}
	}
	return out
}

func TestDemoCanBeInterrupted(t *testing.T) {
	t.Parallel()
	b := start(t, "demo", "--rate", "1")
	b.err.find(t, `(at their end)`)
	require.Equal(t, exitFailed, b.end())
	require.Contains(t, b.err.String(), "interrupted before every message had come to its end")
}

func TestDemoRefusesWrongUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	line := func(metadata string) string {
		return `{"id":"a","sender":"shop","to":"15550005000","message":{"type":"text","text":"hi"},"metadata":` + metadata + "}\n"
	}
	good := line(`{"case":"straight","expect":"submitted"}`)
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"too many", "--messages 20001", []string{"--messages", "20001"}},
		{"too few", "--messages -1", []string{"--messages", "-1"}},
		{"no rate", "--rate 0", []string{"--rate", "0"}},
		{"a rate that is no number", "--rate NaN", []string{"--rate", "NaN"}},
		{"a configuration", "brings a configuration of its own", []string{"--config", filepath.Join(dir, "none")}},
		{"a port for nothing", "only open with --keep", []string{"--listen", "127.0.0.1:0"}},
		{"an argument", "takes no arguments", []string{"now"}},
		{"no such sample", "no such file", []string{"--sample", filepath.Join(dir, "none")}},
		{"an empty sample", "no message", []string{"--sample", file("a", "\n")}},
		{"an unknown case", `line 2: metadata.case "flood" does not exist`, []string{"--sample", file("b", good+line(`{"case":"flood"}`))}},
		{"no expectation", `line 1: metadata.expect is ""`, []string{"--sample", file("c", line(`{"case":"straight"}`))}},
		{"half an expectation", `metadata.expect is "dead"`, []string{"--sample", file("d", line(`{"case":"straight","expect":"dead"}`))}},
		{"a receipt that does not exist", `metadata.receipt "eaten"`, []string{"--sample", file("i", line(`{"case":"straight","receipt":"eaten","expect":"read"}`))}},
		{"attempts that are none", `metadata.attempts "0"`, []string{"--sample", file("e", line(`{"case":"straight","expect":"submitted","attempts":"0"}`))}},
		{"no duration", `metadata.expires_in "soon"`, []string{"--sample", file("f", line(`{"case":"straight","expect":"expired","expires_in":"soon"}`))}},
		{"an unknown sender", "sender is none of shop, boutique, clinic, florist", []string{"--sample", file("g", strings.Replace(good, "shop", "shed", 1))}},
		{"no message", "line 1", []string{"--sample", file("h", "to be sent\n")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, errs, code := demo(t, c.args...)
			require.Equal(t, exitUsage, code)
			require.Contains(t, errs, c.want)
			require.Empty(t, out)
		})
	}
}

func TestRepeatedSampleHasNewIDsAndNumbers(t *testing.T) {
	t.Parallel()
	sample, err := readDemoSample(shippedSample)
	require.NoError(t, err)
	all, err := repeatTo(sample, maxDemoMessages)
	require.NoError(t, err)
	require.Len(t, all, maxDemoMessages)
	ids, numbers := map[string]bool{}, map[string]bool{}
	for _, d := range all { // no require: twenty thousand times it takes its time
		if !message.ValidID(d.ID) || ids[d.ID] || numbers[d.To] {
			t.Fatalf("id %s or its number comes twice, or is none", d.ID)
		}
		ids[d.ID], numbers[d.To] = true, true
	}
	_, err = message.NormaliseNumber(all[len(all)-1].To, "")
	require.NoError(t, err)
	short, err := repeatTo(sample, 7)
	require.NoError(t, err)
	require.Len(t, short, 7)
}

func TestExpectationIsMetByNothingElse(t *testing.T) {
	t.Parallel()
	once := []ledger.Attempt{{N: 1}}
	for _, c := range []struct {
		expect string
		rec    ledger.Record
		met    bool
	}{
		{"submitted", ledger.Record{Status: message.Submitted}, true},
		{"submitted", ledger.Record{Status: message.Dead, Code: "1002"}, false},
		{"dead 1002", ledger.Record{Status: message.Dead, Code: "1002"}, true},
		{"dead 1002", ledger.Record{Status: message.Dead, Code: "1003"}, false},
		{"dead 1002", ledger.Record{Status: message.Queued, Code: "1002"}, false},
		{"waiting account", ledger.Record{Status: message.Queued, WaitingFor: "account"}, true},
		{"waiting account", ledger.Record{Status: message.Queued}, false},
		{"waiting account", ledger.Record{Status: message.Queued, WaitingFor: "template"}, false},
		{"expired", ledger.Record{Status: message.Expired}, true},
		{"read", ledger.Record{Status: message.Read}, true},
		{"delivered", ledger.Record{Status: message.Read}, false},
		{"sent", ledger.Record{Status: message.Sent}, true},
		{"suppressed", ledger.Record{Status: message.Suppressed}, true},
	} {
		x, err := parseExpectation(c.expect)
		require.NoError(t, err)
		require.Equal(t, c.met, x.met(c.rec), "%s: %+v", c.expect, c.rec)
		require.Equal(t, c.expect, x.String())
		x.attempts = 1
		require.False(t, x.met(c.rec), "without an attempt")
		c.rec.Attempts = once
		require.Equal(t, c.met, x.met(c.rec), "with one")
		c.rec.Attempts = append(once, ledger.Attempt{N: 2, Outcome: ledger.OutcomeNotSent})
		require.Equal(t, c.met, x.met(c.rec), "with one, and one that was not sent")
	}
}

// The result must notice what cannot happen, or the demo would prove nothing.
func TestDemoResultNoticesEveryFault(t *testing.T) {
	t.Parallel()
	good := func() *demoResult {
		return &demoResult{audits: map[string]ledger.DeepAudit{"shop": {
			Audit: ledger.Audit{Accepted: 1, Counts: map[message.Status]int64{message.Submitted: 1}},
		}}}
	}
	require.True(t, good().ok())
	for name, spoil := range map[string]func(*demoResult){
		"another outcome": func(r *demoResult) { r.wrong = []string{"a"} },
		"taken twice":     func(r *demoResult) { r.doubled = []string{"a"} },
		"never taken":     func(r *demoResult) { r.lost = []string{"a"} },
		"told otherwise":  func(r *demoResult) { r.untold = []string{"a is sent, though Gupshup told read"} },
		"one too few": func(r *demoResult) {
			r.audits["shop"] = ledger.DeepAudit{Audit: ledger.Audit{Accepted: 2, Counts: map[message.Status]int64{message.Submitted: 1}}}
		},
		"still moving": func(r *demoResult) { a := r.audits["shop"]; a.Moving = true; r.audits["shop"] = a },
		"no place":     func(r *demoResult) { a := r.audits["shop"]; a.Problems = []string{"p"}; r.audits["shop"] = a },
	} {
		r := good()
		spoil(r)
		require.False(t, r.ok(), name)
		require.NotEmpty(t, r.complaints(), name)
	}

	doubt, hold := ledger.Attempt{N: 1, Outcome: ledger.OutcomeInDoubt}, ledger.Attempt{N: 2, Outcome: ledger.OutcomeSubmitted}
	require.True(t, doubted(ledger.Record{Attempts: []ledger.Attempt{doubt, hold}}))
	require.False(t, doubted(ledger.Record{Attempts: []ledger.Attempt{hold}}))
	require.False(t, doubted(ledger.Record{Attempts: []ledger.Attempt{doubt}}), "nothing was sent after it")
}

func TestWhatCallbacksToldIsHeldAgainstTheRecord(t *testing.T) {
	t.Parallel()
	accepted := func(outcomes ...string) (all []gupshuptest.Accepted) {
		for i, o := range outcomes {
			outcome, code, _ := strings.Cut(o, " ")
			all = append(all, gupshuptest.Accepted{Outcome: gupshuptest.Outcome(outcome), Code: code, MessageID: "m-" + string(rune('1'+i))})
		}
		return all
	}
	for _, c := range []struct {
		name  string
		rec   ledger.Record
		taken []gupshuptest.Accepted
		right bool
	}{
		{"never taken", ledger.Record{Status: message.Dead, Code: "1002"}, nil, true},
		{"read", ledger.Record{Status: message.Read}, accepted("read"), true},
		{"not so far", ledger.Record{Status: message.Read}, accepted("delivered"), false},
		{"further", ledger.Record{Status: message.Submitted}, accepted("delivered"), false},
		{"nothing told", ledger.Record{Status: message.Submitted}, accepted(""), true},
		{"nothing told of one in doubt", ledger.Record{Status: message.Dead, Code: "IN_DOUBT"}, accepted(""), true},
		{"failed, then delivered", ledger.Record{Status: message.Delivered}, accepted("failed 131000", "delivered"), true},
		{"failed, and sent no more", ledger.Record{Status: message.Dead, Code: "131000"}, accepted("failed 131000", "delivered"), false},
		{"dead", ledger.Record{Status: message.Dead, Code: "1002", MessageID: "m-1"}, accepted("failed 1002"), true},
		{"dead with another code", ledger.Record{Status: message.Dead, Code: "1008", MessageID: "m-1"}, accepted("failed 1002"), false},
		{"dead with another messageId", ledger.Record{Status: message.Dead, Code: "131000", MessageID: "m-1"}, accepted("failed 131000", "failed 131000"), false},
		{"delivered, though it failed", ledger.Record{Status: message.Delivered}, accepted("failed 1002"), false},
		{"the better of two", ledger.Record{Status: message.Read}, accepted("sent", "read"), true},
	} {
		require.Equal(t, c.right, misheard(c.rec, c.taken) == "", c.name)
	}
}

func TestLineOfTheTableOfCallbacks(t *testing.T) {
	t.Parallel()
	failed := []ledger.ReceiptLine{{Event: gupshup.ReceiptSent}, {Event: gupshup.ReceiptFailed, Code: "131000"}}
	for _, c := range []struct {
		rec  ledger.Record
		line told
	}{
		{ledger.Record{Status: message.Read}, toldRead},
		{ledger.Record{Status: message.Delivered}, toldDelivered},
		{ledger.Record{Status: message.Sent}, toldSent},
		{ledger.Record{Status: message.Enqueued}, toldNothing},
		{ledger.Record{Status: message.Submitted}, toldNothing},
		{ledger.Record{Status: message.Delivered, Receipts: failed}, toldRetried},
		{ledger.Record{Status: message.Dead, Receipts: failed}, toldDead},
		{ledger.Record{Status: message.Queued, Receipts: failed}, toldAgain},
		{ledger.Record{Status: message.Dead}, ""},
		{ledger.Record{Status: message.Queued}, ""},
	} {
		require.Equal(t, c.line, toldOf(c.rec), "%+v", c.rec)
	}
}

// demo runs the demo to its end.
func demo(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	began := time.Now()
	code = run(t.Context(), append([]string{"demo"}, args...), nil, strings.NewReader(""), &stdout, &stderr)
	t.Logf("demo %v took %s", args, time.Since(began).Round(100*time.Millisecond))
	return stdout.String(), stderr.String(), code
}
