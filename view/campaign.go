package view

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gupdispatch/gupdispatch/campaign"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// Campaign is how far a campaign has come.
type Campaign struct {
	ID        string                   `json:"id"`
	Sender    string                   `json:"sender"`
	Status    message.CampaignStatus   `json:"status"`
	Reason    string                   `json:"reason" doc:"why it is paused or was cancelled"`
	By        string                   `json:"by" doc:"who did that; template: its template is held"`
	Template  string                   `json:"template"`
	Priority  message.Priority         `json:"priority"`
	Accepted  int64                    `json:"accepted" doc:"rows that were taken in"`
	Rejected  int64                    `json:"rejected" doc:"lines that were not"`
	Counts    map[message.Status]int64 `json:"counts" doc:"its rows by the status of their messages; those that are no messages yet are queued"`
	Done      int64                    `json:"done" doc:"rows that Gupshup took, or that came to another end"`
	Rate      float64                  `json:"rate" doc:"of those, a second, in the last half minute"`
	End       Stamp                    `json:"expected_end" nullable:"true" doc:"null: it is over, or stands still"`
	RateLimit float64                  `json:"rate_limit,omitempty" doc:"its own, below the sender's"`
	Window    string                   `json:"window,omitempty"`
	Timezone  string                   `json:"timezone,omitempty" doc:"of the window; recipient: the zone of each number"`
	Zones     []CampaignZone           `json:"zones,omitempty" doc:"those of its recipients, if the window goes by them"`
	StartAt   Stamp                    `json:"start_at,omitzero"`
	ExpiresAt Stamp                    `json:"expires_at,omitzero"`
	CreatedAt Stamp                    `json:"created_at"`
	UpdatedAt Stamp                    `json:"updated_at"`
	EndedAt   Stamp                    `json:"ended_at,omitzero"`
}

// CampaignZone is how far the recipients in a zone have come.
type CampaignZone struct {
	Zone     string `json:"zone" doc:"or several with commas between: the numbers do not tell in which, and the window is open when it is in all"`
	Accepted int64  `json:"accepted" doc:"rows that were taken in"`
	Queued   int64  `json:"queued" doc:"those that are still to be sent"`
	Open     bool   `json:"open" doc:"whether the window is open there now"`
	Opens    Stamp  `json:"opens" doc:"when it opens, or has opened"`
	Closes   Stamp  `json:"closes"`
}

// zonesShown shows the tracks of a campaign whose window goes by its recipients.
func zonesShown(c ledger.Campaign, d campaign.Definition, now time.Time) (zones []CampaignZone, err error) {
	if d.Zone != campaign.ByRecipient || c.Status.Ended() {
		return nil, nil
	}
	for _, t := range c.Tracks {
		if t.Rows == 0 {
			continue
		}
		w, err := d.WindowIn(t.Zone)
		if err != nil {
			return nil, err
		}
		opens, closes := w.At(now)
		z := CampaignZone{Zone: t.Zone, Accepted: t.Rows, Queued: t.Rows - t.Expanded + t.Waiting, Open: !now.Before(opens), Opens: Stamp(opens), Closes: Stamp(closes)}
		zones = append(zones, z)
	}
	slices.SortFunc(zones, func(a, b CampaignZone) int { return cmp.Or(a.turn().Compare(b.turn()), cmp.Compare(a.Zone, b.Zone)) })
	return zones, nil
}

// turn is what zones are ordered by: those that are open first, in the order in which they close.
func (z CampaignZone) turn() time.Time {
	if z.Open {
		return time.Time(z.Closes)
	}
	return time.Time(z.Opens).AddDate(0, 0, 2)
}

// CampaignOf shows a campaign; what is expected of it depends on its sender's rate.
func CampaignOf(c ledger.Campaign, senderRate float64, now time.Time) (Campaign, error) {
	d, err := campaign.DecodeDefinition(c.Definition)
	if err != nil {
		return Campaign{}, err
	}
	p, err := campaign.ProgressOf(c, d, senderRate, now)
	if err != nil {
		return Campaign{}, err
	}
	v := Campaign{
		ID: c.ID, Sender: c.Sender, Status: c.Status, Reason: c.Reason, By: c.By, Template: d.Template, Priority: d.Priority, Accepted: c.Rows,
		Rejected: c.Rejected, Counts: map[message.Status]int64{}, Done: p.Done, Rate: float64(int(p.Rate*10)) / 10, End: Stamp(p.End),
		RateLimit: d.Rate, Window: d.Window, Timezone: d.Zone, StartAt: Stamp(d.StartAt), ExpiresAt: Stamp(d.Expires),
		CreatedAt: Stamp(c.CreatedAt), UpdatedAt: Stamp(c.UpdatedAt), EndedAt: Stamp(c.EndedAt),
	}
	if v.Window != "" {
		v.Timezone = cmp.Or(v.Timezone, "UTC")
	}
	if v.Zones, err = zonesShown(c, d, now); err != nil {
		return Campaign{}, err
	}
	for _, s := range message.Statuses {
		v.Counts[s] = c.Counts[s]
	}
	return v, nil
}

// PlanNotes tells how long a campaign takes, and warns of what will not fit. Nobody is told of a plan for nobody.
func PlanNotes(d campaign.Definition, p campaign.Plan, now time.Time) []string {
	if p.Recipients <= 0 {
		return nil
	}
	end, take := "", "take"
	if p.Recipients == 1 {
		take = "takes"
	}
	if p.Starts.Sub(now) > time.Minute || p.Ends.Sub(p.Starts) > p.Takes+time.Minute {
		end = fmt.Sprintf(", from %s until about %s", Stamp(p.Starts), Stamp(p.Ends))
	}
	notes := []string{fmt.Sprintf("%s at %v/s %s %s%s", Counted(p.Recipients, "recipient"), p.Rate, take, roughly(p.Takes), end)}
	if p.Over {
		notes = append(notes, fmt.Sprintf("that does not fit into one window of %s: it goes on the next day", d.Window))
	}
	if p.OverBudget {
		notes = append(notes, "that is more than the sender may write to in a day: the rest waits for the next")
	}
	if p.Late {
		notes = append(notes, "it does not fit before it expires: what is not sent until then never is")
	}
	return notes
}

// Counted is a count of things, in the number that it asks for.
func Counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return Thousands(n) + " " + what + "s"
}

// roughly is a duration as people say it.
func roughly(d time.Duration) string {
	switch {
	case d < time.Second:
		return "less than a second"
	case d < time.Minute:
		return Counted(int64(d.Round(time.Second).Seconds()), "second")
	case d < 2*time.Hour:
		return Counted(int64(d.Round(time.Minute).Minutes()), "minute")
	}
	return fmt.Sprintf("%.1f hours", d.Hours())
}

// Thousands is a count with commas.
func Thousands[N int | int64 | uint64](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// WriteReport writes as CSV what became of each row of a campaign, in the order of the file, and holds one chunk at a time. After an
// error it is not complete.
func WriteReport(ctx context.Context, out io.Writer, l *ledger.Ledger, c ledger.Campaign, reveal bool) error {
	w := csv.NewWriter(out)
	if err := w.Write([]string{"line", "id", "to", "status", "code", "message_id", "reason", "attempts", "updated_at"}); err != nil {
		return err
	}
	err := campaign.Report(ctx, l, c.Sender, c.ID, func(r campaign.ReportLine) error {
		return w.Write([]string{
			strconv.FormatInt(r.Line, 10), r.ID, Number(r.To, reveal), r.Status, r.Code, r.MessageID, Harmless(r.Reason),
			strconv.Itoa(r.Attempts), Stamp(r.UpdatedAt).String(),
		})
	})
	if err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

// RejectsHeader is the first line of a file of rejects.
var RejectsHeader = []string{"line", "reason"}

// RejectsRow is one that is not sent to, as such a file has it.
func RejectsRow(r campaign.Rejection) []string {
	return []string{strconv.FormatInt(r.Line, 10), Harmless(r.Reason)}
}

// WriteRejects writes as CSV which lines of a campaign's file were rejected, and why.
func WriteRejects(ctx context.Context, out io.Writer, l *ledger.Ledger, c ledger.Campaign) error {
	w := csv.NewWriter(out)
	if err := w.Write(RejectsHeader); err != nil {
		return err
	}
	err := campaign.Rejected(ctx, l, c.Sender, c.ID, func(r campaign.Rejection) error { return w.Write(RejectsRow(r)) })
	if err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

// Harmless keeps a spreadsheet from taking a provider's text for a formula.
func Harmless(text string) string {
	if strings.IndexAny(text, "=+-@") == 0 {
		return "'" + text
	}
	return text
}
