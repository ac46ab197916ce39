package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	pretty "github.com/jedib0t/go-pretty/v6/text"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// demoStatuses are the states in which a demo should end, in the order of the report. Others come behind them.
var demoStatuses = []message.Status{
	message.Read, message.Delivered, message.Sent, message.Submitted, message.Dead, message.Expired, message.Suppressed, message.Queued,
}

// demoColours are those of the states, for a terminal.
var demoColours = map[message.Status]pretty.Color{
	message.Read: pretty.FgGreen, message.Delivered: pretty.FgGreen, message.Sent: pretty.FgGreen, message.Submitted: pretty.FgGreen,
	message.Dead: pretty.FgRed, message.Expired: pretty.FgYellow, message.Suppressed: pretty.FgYellow, message.Queued: pretty.FgYellow,
}

// paint colours a text where a person sees it, unless NO_COLOR asks not to.
func (s *demoStage) paint(c pretty.Color, what string) string {
	if !s.env.isTerminal(s.env.stdout) || slices.ContainsFunc(s.env.environ, func(v string) bool {
		name, value, _ := strings.Cut(v, "=")
		return name == "NO_COLOR" && value != ""
	}) {
		return what
	}
	return pretty.Colors{c}.EscapeSeq() + what + pretty.Reset.EscapeSeq()
}

func (s *demoStage) verdict(good bool) string {
	if good {
		return s.paint(pretty.FgGreen, "yes")
	}
	return s.paint(pretty.FgRed, "NO")
}

// introduce says what is about to happen.
func (s *demoStage) introduce() {
	out := s.env.stdout
	fmt.Fprintf(out, "%s sample messages go through a simulated Gupshup, and many of them meet trouble. Nothing leaves this machine.\n\n",
		thousands(len(s.sample)))
	fmt.Fprintf(out, "  Gupshup   http://%s, simulated\n", s.simAddr)
	fmt.Fprintf(out, "  callbacks http://%s/callbacks/gupshup/{sender}, %d times as fast as Gupshup's\n", s.hearAddr, demoSpeed)
	fmt.Fprintf(out, "  Redis     redis://%s, embedded\n", s.redis.addr())
	for i, d := range demoSenders() {
		label, rate := "", d.rate
		if i == 0 {
			label, rate = "senders", s.flags.rate
		}
		fmt.Fprintf(out, "  %-9s %-9s %4g messages/s  %s\n", label, d.name, rate, d.story)
	}
	if s.uiAddr != "" {
		fmt.Fprintf(out, "  web UI    http://%s/ui/  user %s, password %s\n", s.uiAddr, demoUser, s.password)
	}
	fmt.Fprintln(out)
}

// report tells the whole result.
func (s *demoStage) report(r *demoResult) {
	out := s.env.stdout
	fmt.Fprintf(out, "%s messages, %s requests, %s callbacks, %.1f seconds.\n\n",
		thousands(len(s.sample)), thousands(r.stats.Requests), thousands(r.stats.Callbacks.Delivered), r.took.Seconds())
	fmt.Fprintln(out, s.outcomes(r))
	fmt.Fprintf(out, "\nWhat callbacks told of the messages that Gupshup took\n%s\n", s.callbacks(r))
	if len(r.dead) > 0 {
		fmt.Fprintf(out, "\nDead letters, by code\n%s\n", s.deadLetters(r))
	}
	s.explainWaiting(r)
	s.proof(r)
	if r.ok() {
		fmt.Fprintf(out, "\n%s\n", s.paint(pretty.FgGreen, "Every message is where the sample says it should be."))
		return
	}
	fmt.Fprintf(out, "\n%s\n", s.paint(pretty.FgRed, "This is not what the sample says:"))
	const most = 20
	lines := r.complaints()
	for _, line := range lines[:min(len(lines), most)] {
		fmt.Fprintln(out, "  "+line)
	}
	if more := len(lines) - most; more > 0 {
		fmt.Fprintf(out, "  and %s more\n", thousands(more))
	}
}

// complaints are all reasons why the demo failed.
func (r *demoResult) complaints() []string {
	lines := slices.Clone(r.wrong)
	for _, id := range r.doubled {
		lines = append(lines, id+" was taken twice without a doubt")
	}
	for _, id := range r.lost {
		lines = append(lines, id+" counts as taken, but never was")
	}
	lines = append(lines, r.untold...)
	for _, d := range demoSenders() {
		a := r.audits[d.name]
		if a.Moving {
			lines = append(lines, "audit of "+d.name+": messages still moved while they were counted")
		} else if !a.Balanced() {
			lines = append(lines, "audit of "+d.name+": the books do not add up")
		}
		for _, p := range a.Problems {
			lines = append(lines, "audit of "+d.name+": "+p)
		}
	}
	return lines
}

// newDemoTable is how the demo's tables look.
func newDemoTable(header ...any) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = pretty.FormatDefault
	t.Style().Format.Footer = pretty.FormatDefault
	t.AppendHeader(header)
	return t
}

func (s *demoStage) outcomes(r *demoResult) string {
	t := newDemoTable("status", "what happened", "messages", "attempts", "as expected")
	numbers := table.ColumnConfig{Align: pretty.AlignRight, AlignHeader: pretty.AlignRight, AlignFooter: pretty.AlignRight}
	count, attempts := numbers, numbers
	count.Number, attempts.Number = 3, 4
	t.SetColumnConfigs([]table.ColumnConfig{count, attempts})
	wrong := 0
	for i, status := range r.statuses() {
		rows := slices.DeleteFunc(slices.Clone(r.rows), func(row demoRow) bool { return row.status != status })
		slices.SortStableFunc(rows, func(a, b demoRow) int { return storyOrder(a.story) - storyOrder(b.story) })
		if i > 0 {
			t.AppendSeparator()
		}
		name := s.paint(demoColours[status], string(status))
		for _, row := range rows {
			t.AppendRow(table.Row{name, row.story, thousands(row.count), row.attempts(), s.expected(row)})
			name = ""
			wrong += row.wrong
		}
	}
	t.AppendFooter(table.Row{"", "", thousands(len(s.sample)), "", s.verdict(wrong == 0)})
	return t.Render()
}

// statuses are those that messages ended in, known ones first.
func (r *demoResult) statuses() []message.Status {
	var out []message.Status
	for _, status := range everyStatus() {
		if slices.ContainsFunc(r.rows, func(row demoRow) bool { return row.status == status }) {
			out = append(out, status)
		}
	}
	return out
}

// everyStatus lists all states in the order of the report.
func everyStatus() []message.Status {
	all := slices.Clone(demoStatuses)
	for _, status := range message.Statuses {
		if !slices.Contains(all, status) {
			all = append(all, status)
		}
	}
	return all
}

func storyOrder(story string) int {
	return slices.IndexFunc(demoCases(), func(c demoCase) bool { return c.story == story })
}

func (row demoRow) attempts() string {
	if row.min == row.max {
		return fmt.Sprint(row.min)
	}
	return fmt.Sprintf("%d to %d", row.min, row.max)
}

func (s *demoStage) expected(row demoRow) string {
	if row.wrong == 0 {
		return s.verdict(true)
	}
	return fmt.Sprintf("%s: %s are not", s.verdict(false), thousands(row.wrong))
}

func (s *demoStage) deadLetters(r *demoResult) string {
	byCode := map[string][]ledger.Record{}
	for _, rec := range r.dead {
		byCode[rec.Code] = append(byCode[rec.Code], rec)
	}
	codes := make([]string, 0, len(byCode))
	for code := range byCode {
		codes = append(codes, code)
	}
	slices.SortFunc(codes, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	t := newDemoTable("code", "meaning", "messages", "by callback", "for example")
	t.SetColumnConfigs([]table.ColumnConfig{
		{Number: 2, WidthMax: 36, WidthMaxEnforcer: pretty.WrapSoft},
		{Number: 3, Align: pretty.AlignRight, AlignHeader: pretty.AlignRight},
		{Number: 4, Align: pretty.AlignRight, AlignHeader: pretty.AlignRight},
	})
	for _, code := range codes {
		example, byCallback := byCode[code][0], 0
		for _, rec := range byCode[code] {
			if !failedByCallback(rec) {
				continue
			}
			if byCallback == 0 {
				example = rec // Gupshup gave it a messageId before it failed
			}
			byCallback++
		}
		t.AppendRow(table.Row{
			s.paint(pretty.FgRed, code), deadMeaning(example), thousands(len(byCode[code])), thousands(byCallback),
			cmp.Or(example.MessageID, example.ID), // commands take either
		})
	}
	return t.Render()
}

// deadMeaning is what a dead letter's code says, from the table of codes or, for a code that is not in it, from the answer.
func deadMeaning(rec ledger.Record) string {
	if row, known := gupshup.LookupCode(rec.Code); known {
		return row.Meaning
	}
	switch rec.Class {
	case gupshup.ClassInDoubt:
		return "Gupshup may have taken it: a person decides"
	case gupshup.ClassUnknown:
		return "a code that nobody has described yet"
	}
	return rec.Reason
}

// explainWaiting says why some messages are still queued: a hold lasts longer than a demo.
func (s *demoStage) explainWaiting(r *demoResult) {
	told := false
	for _, row := range r.rows {
		if row.status != message.Queued {
			continue
		}
		if !told {
			fmt.Fprintln(s.env.stdout, "\nStill queued: they wait behind something that takes longer than a demo")
			told = true
		}
		why := longWaits[row.waits]
		if why == "" {
			why = "it should not"
		}
		fmt.Fprintf(s.env.stdout, "  %5s of %-9s  %-9s  %s\n", thousands(row.count), row.sender, row.waits, why)
	}
}

// proof is the audit, and what the other side has seen.
func (s *demoStage) proof(r *demoResult) {
	out := s.env.stdout
	var accepted, retired, sum int64
	var parts []string
	for _, status := range everyStatus() {
		n := int64(0)
		for _, a := range r.audits {
			n += a.Counts[status]
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", thousands(n), status))
			sum += n
		}
	}
	for _, a := range r.audits {
		accepted += a.Accepted
		retired += a.Retired
	}
	if retired > 0 {
		parts = append(parts, thousands(retired)+" retired")
	}
	busiest := r.stats.Apps[demoSenders()[0].name].BusiestSecond
	fmt.Fprintf(out, "\nIs it true?\n")
	fmt.Fprintf(out, "  balanced    %s: accepted %s = %s, recounted record by record\n", s.verdict(r.balanced()), thousands(accepted), strings.Join(parts, " + "))
	fmt.Fprintf(out, "  none lost   %s: Gupshup has every message that counts as taken (%s requests, %s taken)\n",
		s.verdict(len(r.lost) == 0), thousands(r.stats.Requests), thousands(r.stats.Accepted))
	fmt.Fprintf(out, "  as told     %s: each message is what its callbacks said, though some came twice and many in another order\n",
		s.verdict(len(r.untold) == 0))
	doubts := "nobody got a message a second time"
	if r.twice > 0 {
		doubts = "but for " + thousands(r.twice) + " that were in doubt, and whose policy is rather twice than not at all"
	}
	fmt.Fprintf(out, "  none twice  %s: %s\n", s.verdict(len(r.doubled) == 0), doubts)
	fmt.Fprintf(out, "  in pace     at a rate of %g a second, Gupshup took %s messages of the shop in the busiest one\n", s.flags.rate, thousands(busiest))
}

// sinceText is a duration for people.
func sinceText(d time.Duration) string { return d.Round(time.Second).String() }
