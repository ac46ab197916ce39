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

// regional are the beginnings of numbers whose digits tell more than their country, and how many digits do. Elsewhere mobiles have the same
// prefixes in the whole country, which the library's table does not heed: it has all Russian ones in Moscow.
var regional = []struct {
	begin  string
	digits int
}{
	{"1", 7},  // North America: mobiles have area codes
	{"52", 5}, // Mexico, likewise
	{"55", 4}, // Brazil, likewise
	{"77", 2}, // Kazakhstan, within Russia's code
}

// corrected are countries for which the library's table has a neighbour's clock, or lacks a zone.
var corrected = map[string][]string{
	"7": {
		"Europe/Kaliningrad", "Europe/Moscow", "Europe/Samara", "Asia/Yekaterinburg", "Asia/Omsk", "Asia/Krasnoyarsk", "Asia/Irkutsk", "Asia/Yakutsk",
		"Asia/Vladivostok", "Asia/Magadan", "Asia/Kamchatka",
	},
	"56":  {"America/Santiago", "America/Punta_Arenas", "Pacific/Easter"},
	"211": {"Africa/Juba"},
	"212": {"Africa/Casablanca"},
	"213": {"Africa/Algiers"},
	"218": {"Africa/Tripoli"},
	"299": {"America/Nuuk", "America/Danmarkshavn", "America/Scoresbysund", "America/Thule"},
	"505": {"America/Managua"},
	"675": {"Pacific/Port_Moresby", "Pacific/Bougainville"},
	"970": {"Asia/Gaza"},
}

var callingCodes = sync.OnceValue(phonenumbers.GetSupportedCallingCodes)

// telling are the digits of a number that tell where it is from.
func telling(to string) string {
	for _, r := range regional {
		if strings.HasPrefix(to, r.begin) {
			return to[:min(r.digits, len(to))]
		}
	}
	code := 0
	for i := range min(3, len(to)) {
		if code = 10*code + int(to[i]-'0'); callingCodes()[code] {
			return to[:i+1]
		}
	}
	return ""
}

// zones tells in which zone recipients are, and remembers what it found. It is safe for concurrent use.
type zones struct {
	known sync.Map // digits that tell it → found
}

type found struct {
	zone string
	err  error
}

// of answers the zones that a recipient may be in, commas between them, as ParseWindow takes them. It is an error if they are not known, or
// if the window is open in all of them at no time from now on.
func (z *zones) of(d Definition, to string, now time.Time) (string, error) {
	digits := telling(message.NumberKey(to)) // which has no digit for mobiles in front of a region
	if f, ok := z.known.Load(digits); ok {
		return f.(found).zone, f.(found).err
	}
	var f found
	f.zone, f.err = zonesAt(digits, now)
	if f.err == nil {
		f.err = everOpen(d, f.zone, now)
	}
	z.known.Store(digits, f)
	return f.zone, f.err
}

// zonesAt are the zones of numbers that begin with these digits. Of those whose clocks agree for a year the one with the shortest name stands
// for all, of equally short ones the last: London, rather than Jersey.
func zonesAt(digits string, now time.Time) (string, error) {
	names, err := phonenumbers.GetTimezonesForPrefix(digits)
	if better, ok := corrected[digits]; ok {
		names = better
	}
	if digits == "" || err != nil || len(names) == 0 || names[0] == phonenumbers.UNKNOWN_TIMEZONE {
		return "", errZone
	}
	names = slices.SortedFunc(slices.Values(names), func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(b, a)) })
	clocks := map[string]bool{}
	kept := names[:0]
	for _, name := range names {
		zone, err := time.LoadLocation(name)
		if err != nil {
			return "", errZone
		}
		if c := clock(zone, now); !clocks[c] {
			clocks[c], kept = true, append(kept, name)
		}
	}
	slices.Sort(kept)
	return strings.Join(kept, ","), nil
}

// clock is how a zone's clock is set in each week of a year.
func clock(zone *time.Location, from time.Time) string {
	var b strings.Builder
	for week := range 53 {
		_, offset := from.AddDate(0, 0, 7*week).In(zone).Zone()
		fmt.Fprintf(&b, "%d ", offset)
	}
	return b.String()
}

func everOpen(d Definition, zone string, now time.Time) error {
	w, err := d.WindowIn(zone)
	switch {
	case err != nil:
		return errZone
	case !w.Opens(later(now, d.StartAt)):
		return errors.New("to: its number does not tell in which of its country's time zones it is, and the window is never open in all of them: " +
			"make it wider, or send by a zone of your own")
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
