package campaign

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nyaruka/phonenumbers"

	"github.com/gupdispatch/gupdispatch/message"
)

// ByRecipient is the zone of a window that goes by the clock of each recipient.
const ByRecipient = "recipient"

var errZone = errors.New("to: the time zone of its number is not known: send to it by a window in a zone of your own")

// zonesOf are the time zones that a recipient may be in, by the country and, where its numbers tell it, the region: commas between them.
// Of those that a country has the ones are left out that are never the first nor the last to see the sun rise.
func zonesOf(to string) (string, error) {
	found, err := phonenumbers.GetTimezonesForPrefix(message.NumberKey(to)) // which has no digits that tell a mobile where a region should be
	switch {
	case err != nil || len(found) == 0 || found[0] == phonenumbers.UNKNOWN_TIMEZONE:
		return "", errZone
	case len(found) == 1:
		return found[0], nil
	}
	all := strings.Join(found, ",")
	if known, ok := outermost.Load(all); ok {
		return known.(string), nil
	}
	zones, err := outer(found, time.Now())
	if err != nil {
		return "", errZone
	}
	outermost.Store(all, strings.Join(zones, ","))
	return strings.Join(zones, ","), nil
}

// outermost keeps what outer found, by the zones it was asked for, of which there are some hundred.
var outermost sync.Map

// outer leaves of zones those that are ahead of all others, or behind, at some time in the year from a time on: a window that is open there
// is open in all. Of those whose clocks agree all year the one with the shortest name stands for the others.
func outer(names []string, from time.Time) ([]string, error) {
	names = slices.SortedFunc(slices.Values(names), func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	zones := make([]*time.Location, len(names))
	for i, name := range names {
		var err error
		if zones[i], err = time.LoadLocation(name); err != nil {
			return nil, err
		}
	}
	kept := map[string]bool{}
	for week := range 53 {
		at := from.AddDate(0, 0, 7*week)
		first, last := 0, 0
		for i := range zones {
			if offset(at, zones[i]) > offset(at, zones[first]) {
				first = i
			}
			if offset(at, zones[i]) < offset(at, zones[last]) {
				last = i
			}
		}
		kept[names[first]], kept[names[last]] = true, true
	}
	return slices.DeleteFunc(names, func(name string) bool { return !kept[name] }), nil
}

func offset(t time.Time, zone *time.Location) int {
	_, seconds := t.In(zone).Zone()
	return seconds
}

// zones remembers which zones a window is ever open in. It is safe for concurrent use.
type zones struct{ opens sync.Map }

// of answers the zone that a recipient's window goes by, and an error if there is none that is ever open.
func (z *zones) of(d Definition, to string) (string, error) {
	zone, err := zonesOf(to)
	if err != nil {
		return "", err
	}
	opens, known := z.opens.Load(zone)
	if !known {
		w, err := d.WindowIn(zone)
		if err != nil {
			return "", errZone
		}
		opens = w.Opens(later(time.Now(), d.StartAt))
		z.opens.Store(zone, opens)
	}
	if opens == false {
		return "", fmt.Errorf("to: its number may be in any of %s, and the window is never open in all of them: make it wider, or send by a zone of your own",
			strings.ReplaceAll(zone, ",", ", "))
	}
	return zone, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
