package campaign

import (
	"errors"
	"math"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a container may have none, and a window in the wrong zone rings people out of bed
)

// Window is the part of each day in which a campaign may send. The zero value is all of it.
type Window struct {
	from, to int              // minutes since midnight; to may lie before from: then it goes over midnight
	zones    []*time.Location // it is open when it is in each of them
}

// ParseWindow reads a window such as 09:00-21:00 in a zone such as Asia/Kolkata, or in all of several with commas between; "" is always, and
// no zone is UTC.
func ParseWindow(text, zones string) (w Window, err error) {
	for name := range strings.SplitSeq(zones, ",") {
		zone, err := time.LoadLocation(name)
		if err != nil || name == "Local" {
			return w, errors.New("is no zone that is known: write it as Asia/Kolkata, or recipient for that of each number")
		}
		w.zones = append(w.zones, zone)
	}
	if text == "" {
		return w, nil
	}
	from, to, ok := strings.Cut(text, "-")
	if w.from, err = minuteOf(from); err == nil {
		w.to, err = minuteOf(to)
	}
	if !ok || err != nil || w.from == w.to {
		return Window{}, errors.New("is no part of a day: write it as 09:00-21:00")
	}
	return w, nil
}

func minuteOf(text string) (int, error) {
	if text == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", text)
	return t.Hour()*60 + t.Minute(), err
}

// Always says that the window never closes.
func (w Window) Always() bool { return w.from == w.to }

// farthest is how far ahead a window is looked for that is open in several zones at a time: the clocks may be changed only on some days.
const farthest = 8 * 24 * time.Hour

// Opens says whether there is a time from t on when it is open: with several zones there may be none.
func (w Window) Opens(t time.Time) bool {
	opens, _ := w.At(t)
	return opens.Before(t.Add(farthest))
}

// At answers the span that is open at a time, or the next one after it. If none is near, it is one that begins farther than the next week.
func (w Window) At(t time.Time) (opens, closes time.Time) {
	for at := t; at.Before(t.Add(farthest)); at = closes {
		opens, closes = w.in(w.zones[0], at)
		for _, zone := range w.zones[1:] {
			o, c := w.in(zone, at)
			if o.After(opens) {
				opens = o
			}
			if c.Before(closes) {
				closes = c
			}
		}
		if opens.Before(closes) {
			return opens, closes
		}
	}
	opens = t.Add(farthest + 24*time.Hour).Truncate(24 * time.Hour)
	return opens, opens.Add(time.Minute)
}

// in is At in one of the zones.
func (w Window) in(zone *time.Location, t time.Time) (opens, closes time.Time) {
	local := t.In(zone)
	for day := -1; ; day++ {
		opens, closes = w.on(local, day)
		if closes.After(t) {
			return opens.UTC(), closes.UTC()
		}
	}
}

// on is the window of the day that is so many after that of a time in a zone. The clock may be put forward or back in it: what counts is
// what it says.
func (w Window) on(t time.Time, day int) (opens, closes time.Time) {
	y, m, d := t.Date()
	end := day
	if w.to < w.from {
		end++
	}
	return time.Date(y, m, d+day, 0, w.from, 0, 0, t.Location()), time.Date(y, m, d+end, 0, w.to, 0, 0, t.Location())
}

// Share is how many messages are to be sent within a window. The shares of a campaign have the same window in different zones.
type Share struct {
	Window   Window
	Messages int64
}

// End works out when all shares have been sent at a rate, beginning at a time. Of windows that are open the one comes first that closes first.
// over says that some of a share is left when its window closes, and waits for the next day.
func End(from time.Time, rate float64, shares ...Share) (end time.Time, over bool) {
	var open []*spell
	for _, s := range shares {
		seconds := float64(max(0, s.Messages)) / rate
		switch {
		case rate <= 0 || s.Messages <= 0:
		case seconds >= math.MaxInt32:
			return from.AddDate(100, 0, 0), !s.Window.Always() // never, for all that it matters
		case s.Window.Always():
			from = from.Add(time.Duration(seconds * float64(time.Second)))
		default:
			open = append(open, &spell{window: s.Window, left: time.Duration(seconds * float64(time.Second))})
		}
	}
	for {
		open = slices.DeleteFunc(open, func(s *spell) bool { return s.left <= 0 })
		if len(open) == 0 {
			return from, over
		}
		var next *spell
		var opens time.Time // the first of those that are closed
		for _, s := range open {
			switch s.opens, s.closes = s.window.At(from); {
			case s.opens.After(from):
				if opens.IsZero() || s.opens.Before(opens) {
					opens = s.opens
				}
			case next == nil || s.closes.Before(next.closes):
				next = s
			}
		}
		if next == nil && opens.After(from.Add(farthest)) {
			return from.AddDate(100, 0, 0), true // as above
		}
		if next == nil {
			from = opens
			continue
		}
		until := from.Add(min(next.left, next.closes.Sub(from)))
		if !opens.IsZero() && opens.Before(until) {
			until = opens // that one may close before
		}
		next.left -= until.Sub(from)
		from = until
		for _, s := range open {
			over = over || s.left > 0 && !s.closes.After(from)
		}
	}
}

// spell is what is left of a share, and when its window is open next.
type spell struct {
	window        Window
	left          time.Duration
	opens, closes time.Time
}
