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
	from, rate := now, p.Rate
	if d.StartAt.After(now) {
		from = d.StartAt
	}
	left, other, largest := map[string]int64{}, p.Left, c.Tracks[0]
	for _, t := range c.Tracks {
		left[t.Zone] = t.Rows - t.Expanded + t.Waiting
		other -= left[t.Zone]
		if t.Rows > largest.Rows {
			largest = t
		}
	}
	left[largest.Zone] += other // of what is with Gupshup, in doubt or failed the zone is not counted
	shares, err := d.shares(left)
	if err != nil {
		return p, err
	}
	if starts := startOf(shares, from); rate < planned(d, senderRate)/10 || starts.After(now) {
		rate = planned(d, senderRate) // it has only begun, or does not send at this time
	}
	p.End, _ = End(from, rate, shares...)
	if !d.Expires.IsZero() && p.End.After(d.Expires) {
		p.End = d.Expires
	}
	return p, nil
}

// shares are how many recipients there are in each zone, with its window.
func (d *Definition) shares(recipients map[string]int64) ([]Share, error) {
	shares := make([]Share, 0, len(recipients))
	for zone, n := range recipients {
		if n <= 0 {
			continue
		}
		w, err := d.WindowIn(zone)
		if err != nil {
			return nil, err
		}
		shares = append(shares, Share{w, n})
	}
	return shares, nil
}

// startOf is when the first window is open, from a time on.
func startOf(shares []Share, from time.Time) (starts time.Time) {
	for _, s := range shares {
		opens := from
		if !s.Window.Always() {
			if o, _ := s.Window.At(from); o.After(from) {
				opens = o
			}
		}
		if starts.IsZero() || opens.Before(starts) {
			starts = opens
		}
	}
	return later(starts, from)
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
	Over       bool          // its window closes before all of it was sent, and it goes on the next day
	OverBudget bool          // more recipients than the sender may write to in a day
	Late       bool          // it ends after its expires_at: the rest is not sent
}

// PlanFor works out a plan for recipients, so many in each zone that their window goes by (see Taken). daily is how many recipients the sender
// may write to within 24 hours; 0: any number.
func PlanFor(d Definition, recipients map[string]int64, senderRate float64, daily int, now time.Time) (Plan, error) {
	shares, err := d.shares(recipients)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Rate: planned(d, senderRate)}
	for _, s := range shares {
		p.Recipients += s.Messages
	}
	p.Starts = startOf(shares, later(now, d.StartAt))
	p.Takes = time.Duration(float64(p.Recipients) / p.Rate * float64(time.Second))
	p.Ends, p.Over = End(p.Starts, p.Rate, shares...)
	p.OverBudget = daily > 0 && p.Recipients > int64(daily)
	if p.OverBudget {
		p.Ends = later(p.Ends, p.Starts.AddDate(0, 0, int((p.Recipients-1)/int64(daily))))
	}
	p.Late = !d.Expires.IsZero() && p.Ends.After(d.Expires)
	return p, nil
}
