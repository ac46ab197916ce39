package campaign

import (
	"time"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// Progress is how far a campaign has come.
type Progress struct {
	Done int64     // rows that Gupshup took, or that came to another end
	Left int64     // all others
	Rate float64   // of those that are done, per second; 0: not known yet
	End  time.Time // when all will be; zero: it is over, or stands still
}

// ProgressOf works out when a campaign ends, from the rate that it has now, or else from its own or its sender's.
func ProgressOf(c ledger.Campaign, d Definition, senderRate float64, now time.Time) (Progress, error) {
	p := Progress{Left: c.Unsettled(), Rate: c.RateNow}
	p.Done = c.Rows - p.Left
	if c.Status.Ended() || c.Status == message.CampaignPaused || p.Left == 0 {
		return p, nil
	}
	w, err := ParseWindow(d.Window, d.Zone)
	if err != nil {
		return p, err
	}
	from, rate := now, p.Rate
	if d.StartAt.After(now) {
		from = d.StartAt
	}
	if opens, _ := w.At(from); rate < planned(d, senderRate)/10 || from.After(now) || !w.Always() && opens.After(now) {
		rate = planned(d, senderRate) // it has only begun, or does not send at this time
	}
	p.End = w.End(from, p.Left, rate)
	return p, nil
}

// planned is the rate at which a campaign can be sent.
func planned(d Definition, senderRate float64) float64 {
	if d.Rate > 0 {
		return min(d.Rate, senderRate)
	}
	return senderRate
}

// Plan is how long a campaign of so many recipients takes.
type Plan struct {
	Recipients int64
	Rate       float64
	Starts     time.Time
	Ends       time.Time
	Takes      time.Duration // of sending, without the nights between
	Days       int           // on which it sends
	OverBudget bool          // more recipients than the sender may write to in a day
	Late       bool          // it ends after its expires_at: the rest is not sent
}

// PlanFor works out a plan. daily is how many recipients the sender may write to within 24 hours; 0: any number.
func PlanFor(d Definition, recipients int64, senderRate float64, daily int, now time.Time) (Plan, error) {
	w, err := ParseWindow(d.Window, d.Zone)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Recipients: recipients, Rate: planned(d, senderRate), Starts: now, Days: 1}
	if d.StartAt.After(now) {
		p.Starts = d.StartAt
	}
	if !w.Always() {
		if opens, _ := w.At(p.Starts); opens.After(p.Starts) {
			p.Starts = opens
		}
	}
	p.Takes = time.Duration(float64(recipients) / p.Rate * float64(time.Second))
	p.Ends = w.End(p.Starts, recipients, p.Rate)
	p.OverBudget = daily > 0 && recipients > int64(daily)
	if p.OverBudget {
		if more := p.Starts.AddDate(0, 0, int((recipients-1)/int64(daily))); more.After(p.Ends) {
			p.Ends = more
		}
	}
	if !w.Always() || p.OverBudget {
		p.Days = 1 + int(p.Ends.Sub(p.Starts)/(24*time.Hour))
		if _, closes := w.At(p.Starts); !w.Always() && p.Ends.After(closes) {
			p.Days = max(p.Days, 2)
		}
	}
	p.Late = !d.Expires.IsZero() && p.Ends.After(d.Expires)
	return p, nil
}
