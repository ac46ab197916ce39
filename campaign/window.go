package campaign

import (
	"errors"
	"math"
	"strings"
	"time"
	_ "time/tzdata" // a container may have none, and a window in the wrong zone rings people out of bed
)

// Window is the part of each day in which a campaign may send. The zero value is all of it.
type Window struct {
	from, to int // minutes since midnight; to may lie before from: then it goes over midnight
	zone     *time.Location
}

// ParseWindow reads a window such as 09:00-21:00 in a zone such as Asia/Kolkata; "" is always, and no zone is UTC.
func ParseWindow(text, zone string) (w Window, err error) {
	if w.zone, err = time.LoadLocation(zone); err != nil || zone == "Local" {
		return w, errors.New("is no zone that is known: write it as Asia/Kolkata")
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

// At answers the span that is open at a time, or the next one after it.
func (w Window) At(t time.Time) (opens, closes time.Time) {
	local := t.In(w.zone)
	for day := -1; ; day++ {
		opens, closes = w.on(local, day)
		if closes.After(t) {
			return opens.UTC(), closes.UTC()
		}
	}
}

// on is the window of the day that is so many after a time's. The clock may be put forward or back in it: what counts is what it says.
func (w Window) on(t time.Time, day int) (opens, closes time.Time) {
	y, m, d := t.Date()
	end := day
	if w.to < w.from {
		end++
	}
	return time.Date(y, m, d+day, 0, w.from, 0, 0, w.zone), time.Date(y, m, d+end, 0, w.to, 0, 0, w.zone)
}

// End works out when so many messages have been sent at a rate, beginning at a time and within the window.
func (w Window) End(from time.Time, messages int64, rate float64) time.Time {
	if rate <= 0 || messages <= 0 {
		return from
	}
	if seconds := float64(messages) / rate; seconds < math.MaxInt32*10 {
		left := time.Duration(seconds * float64(time.Second))
		if w.Always() {
			return from.Add(left)
		}
		for {
			opens, closes := w.At(from)
			if from.Before(opens) {
				from = opens
			}
			if open := closes.Sub(from); open >= left {
				return from.Add(left)
			} else { //nolint:revive // open belongs to both
				left -= open
			}
			from = closes
		}
	}
	return from.AddDate(100, 0, 0) // never, for all that it matters
}
