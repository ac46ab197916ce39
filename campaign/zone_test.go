package campaign

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nyaruka/phonenumbers"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// zoneOf are the zones of a number in a campaign from nine to nine.
func zoneOf(number string) (string, error) {
	return (&zones{}).of(Definition{Window: "09:00-21:00", Zone: ByRecipient}, number, time.Now())
}

func TestZonesOfNumbers(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{
		"919812345678":  "Asia/Calcutta",
		"447700900123":  "Europe/London",       // and islands with the same clock
		"16502530000":   "America/Los_Angeles", // by its area
		"14165551234":   "America/Toronto",
		"5511987654321": "America/Sao_Paulo",
		"5581987654321": "America/Sao_Paulo", // Recife, with an hour's difference to an island in its area
		"5592987654321": "America/Manaus",
		"5215512345678": "America/Mexico_City", // with the 1 of WhatsApp, which is no area
		"526641234567":  "America/Tijuana",
		"5491123456789": "America/Buenos_Aires",
		"351912345678":  "Atlantic/Azores,Europe/Lisbon",
		"34612345678":   "Atlantic/Canary,Europe/Madrid",
		"243812345678":  "Africa/Kinshasa,Africa/Lubumbashi",
		"6281234567890": "Asia/Jakarta,Asia/Jayapura,Asia/Makassar",
		"77011234567":   "Asia/Aqtobe", // with the same clock as Almaty
		"4915112345678": "Europe/Berlin",
	} {
		zones, err := zoneOf(number)
		require.NoError(t, err, number)
		require.Equal(t, want, zones, number)
	}
	russia, err := zoneOf("79161234567")
	require.NoError(t, err)
	for _, zone := range []string{"Europe/Kaliningrad", "Europe/Moscow", "Asia/Vladivostok", "Asia/Kamchatka"} {
		require.Contains(t, strings.Split(russia, ","), zone, "its mobiles do not tell where they are")
	}
	australia, err := zoneOf("61412345678")
	require.NoError(t, err)
	require.Subset(t, strings.Split(australia, ","), []string{"Australia/Perth", "Australia/Sydney"})
	for _, unknown := range []string{"870773111632", "88213300655", "99912345678", ""} {
		_, err := zoneOf(unknown)
		require.ErrorIs(t, err, errZone, unknown)
	}
	america, err := zoneOf("18005551234") // toll-free, or an area code that is newer than the library
	require.NoError(t, err)
	w, err := ParseWindow("09:00-21:00", america)
	require.NoError(t, err)
	opens, closes := w.At(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	require.Equal(t, 90*time.Minute, closes.Sub(opens), "nine in the morning on Guam to nine in the evening in Newfoundland")
}

// Wherever a window of a number is open, it is open by the clocks of all of its country, as the table of the tz database has them.
func TestWindowsAreOpenInAllOfACountry(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("testdata/zone.tab")
	require.NoError(t, err)
	zonesOf := map[string][]string{} // by country
	for line := range strings.Lines(string(table)) {
		if fields := strings.Split(strings.TrimSpace(line), "\t"); len(fields) >= 3 && !strings.HasPrefix(line, "#") {
			zonesOf[fields[0]] = append(zonesOf[fields[0]], fields[2])
		}
	}
	// Kazakhstan has digits of its own, the Crimea has Russia's numbers, and in China clocks and laws go by Beijing.
	apart := []string{"Europe/Simferopol", "Asia/Urumqi"}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	checked, wrong := 0, map[string]bool{}
	for code := range phonenumbers.GetSupportedCallingCodes() {
		number := fmt.Sprint(code, "900000000")
		if telling(number) != fmt.Sprint(code) {
			continue // by area
		}
		for _, window := range []string{"09:00-21:00", "07:00-23:00", "21:00-03:00"} {
			zones, err := (&zones{}).of(Definition{Window: window, Zone: ByRecipient}, number, from)
			if err != nil {
				continue
			}
			ours, err := ParseWindow(window, zones)
			require.NoError(t, err)
			for _, region := range phonenumbers.GetRegionCodesForCountryCode(code) {
				for _, zone := range zonesOf[region] {
					if region == "KZ" || slices.Contains(apart, zone) {
						continue
					}
					there, err := ParseWindow(window, zone)
					require.NoError(t, err)
					checked++
					for at := from; at.Before(from.AddDate(1, 0, 0)); at = at.Add(83 * time.Hour) {
						opens, closes := ours.At(at)
						o, c := there.At(opens)
						if o.After(opens) || c.Before(closes) {
							wrong[fmt.Sprint(code, " ", zone)] = true
						}
					}
				}
			}
		}
	}
	require.Greater(t, checked, 500)
	require.Empty(t, wrong)
}

// Every zone that the library knows of is one that Go knows, too.
func TestEveryZoneIsKnown(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for prefix := 1; prefix < 1_000_000; prefix++ {
		zones, err := phonenumbers.GetTimezonesForPrefix(strconv.Itoa(prefix))
		require.NoError(t, err)
		for _, zone := range zones {
			if !seen[zone] && zone != phonenumbers.UNKNOWN_TIMEZONE {
				_, err := time.LoadLocation(zone)
				require.NoError(t, err)
			}
			seen[zone] = true
		}
	}
	require.Greater(t, len(seen), 200)
}

func TestWindowInSeveralZones(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	w, err := ParseWindow("09:00-21:00", "Europe/Kaliningrad,Asia/Kamchatka") // UTC+2 and UTC+12
	require.NoError(t, err)
	opens, closes := w.At(at)
	require.Equal(t, at.Add(7*time.Hour), opens, "nine in the west")
	require.Equal(t, at.Add(9*time.Hour), closes, "nine in the evening in the east")
	next, _ := w.At(closes)
	require.Equal(t, opens.AddDate(0, 0, 1), next)
	require.True(t, w.Opens(at))

	never, err := ParseWindow("09:00-19:00", "Europe/Kaliningrad,Asia/Kamchatka")
	require.NoError(t, err)
	require.False(t, never.Opens(at))
	opens, closes = never.At(at)
	require.True(t, opens.After(at.AddDate(0, 0, 7)) && closes.After(opens))
	again, _ := never.At(at.Add(time.Hour))
	require.Equal(t, opens, again, "what is noted does not change at each look")
	_, err = ParseWindow("09:00-21:00", "Europe/Berlin,")
	require.NoError(t, err, "no zone is UTC")
}

func TestEndOfSeveralShares(t *testing.T) {
	t.Parallel()
	d := Definition{Window: "09:00-21:00", Zone: ByRecipient}
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	end := func(from time.Time, rate float64, recipients map[string]int64) time.Time {
		shares, err := d.shares(recipients)
		require.NoError(t, err)
		end, _ := End(from, rate, shares...)
		return end
	}
	both := map[string]int64{"Asia/Kolkata": 3600, "America/New_York": 3600} // open 3:30 to 15:30 and 14:00 to 2:00
	require.Equal(t, day.Add(4*time.Hour+30*time.Minute), end(day.Add(4*time.Hour), 2, map[string]int64{"Asia/Kolkata": 3600}))
	require.Equal(t, day.Add(14*time.Hour+30*time.Minute), end(day.Add(4*time.Hour), 2, both), "each at its time")
	require.Equal(t, day.Add(16*time.Hour), end(day.Add(15*time.Hour), 2, both), "that first which closes first, and there is time for all of it")
	require.Equal(t, day.Add(27*time.Hour+45*time.Minute), end(day.Add(15*time.Hour+15*time.Minute), 2, map[string]int64{"Asia/Kolkata": 3600}),
		"a quarter of an hour today, the other tomorrow")

	narrow := Definition{Window: "09:00-10:00", Zone: ByRecipient}
	never, err := narrow.shares(map[string]int64{"Asia/Tokyo,Europe/London": 5})
	require.NoError(t, err)
	ends, _ := End(day, 1, never...)
	require.True(t, ends.After(day.AddDate(50, 0, 0)), "it never ends, and that is found out")
	brazil := map[string]int64{"America/Sao_Paulo": 41400, "America/Noronha,America/Rio_Branco": 1800} // the former until midnight, the latter until 23 h
	require.Equal(t, day.Add(24*time.Hour), end(day.Add(12*time.Hour), 1, brazil), "what opens later and closes earlier comes in between")

	p, err := PlanFor(d, both, 2, 0, day.Add(4*time.Hour))
	require.NoError(t, err)
	require.Equal(t, Plan{
		Recipients: 7200, Rate: 2, Starts: day.Add(4 * time.Hour), Ends: day.Add(14*time.Hour + 30*time.Minute), Takes: time.Hour,
	}, p)
	p, err = PlanFor(d, map[string]int64{"Asia/Kolkata": 86400 + 1}, 2, 0, day)
	require.NoError(t, err)
	require.True(t, p.Over)
	p, err = PlanFor(d, map[string]int64{"Asia/Kolkata": 3600, "America/Los_Angeles": 3600}, 1, 0, day.Add(15*time.Hour))
	require.NoError(t, err)
	require.True(t, p.Over, "half of India's wait, though the evening in Los Angeles is long")
	p, err = PlanFor(d, map[string]int64{"Asia/Kolkata": 3600, "Asia/Colombo": 3600}, 1, 0, day.Add(14*time.Hour+30*time.Minute))
	require.NoError(t, err)
	require.True(t, p.Over, "there was no time for any of the second")
}

// world writes a file of n rows with numbers of several countries, one after the other.
func world(n int) string {
	var b strings.Builder
	b.WriteString("to,name\n")
	for i := range n {
		number := []int{919800000000, 447400000000, 12125550000, 351910000000, 61400000000}[i%5]
		fmt.Fprintf(&b, "%d,Asha %d\n", number+i, i)
	}
	return b.String()
}

// byRecipient is a campaign whose window is open from 9 to 21 h by the clock of each recipient.
func (s *site) byRecipient(id string) Definition {
	d := s.definition(id)
	d.Window, d.Zone = "09:00-21:00", ByRecipient
	require.NoError(s.t, d.Normalise(time.Now()))
	return d
}

// until moves the clock on to the next time that a clock in UTC shows.
func (s *site) until(hour, minute int) {
	now := time.Now().Add(time.Duration(s.offset.Load())).UTC()
	at := time.Date(now.Year(), now.Month(), now.Day(), hour, minute, 0, 0, time.UTC)
	if !at.After(now) {
		at = at.AddDate(0, 0, 1)
	}
	s.pass(at.Sub(now))
}

// zonesQueued are the zones of the messages whose tasks are there, and how many.
func (s *site) zonesQueued(ids []string) map[string]int {
	s.t.Helper()
	n := map[string]int{}
	for _, id := range ids {
		rec, err := s.ledger.Get(s.t.Context(), s.sender, id)
		require.NoError(s.t, err)
		zones, err := zoneOf(rec.To)
		require.NoError(s.t, err)
		n[zones]++
	}
	return n
}

// clocks are where people with the numbers of world may be, by the first two digits.
var clocks = map[string][]string{
	"91": {"Asia/Kolkata"}, "44": {"Europe/London"}, "12": {"America/New_York"}, "35": {"Europe/Lisbon", "Atlantic/Azores"},
	"61": {"Australia/Perth", "Australia/Adelaide", "Australia/Sydney"},
}

func TestWindowOfEachRecipient(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		s.window = 300
		s.x = s.expander(rdb)
		s.until(12, 30) // 18:00 in India, 12:30 or 13:30 in London, 7:30 or 8:30 in New York, at night in Sydney
		done, rejected, err := s.take(s.byRecipient("c"), world(2000)+"870773111632,Nobody\n")
		require.NoError(t, err)
		require.Equal(t, []Rejection{{2002, errZone.Error()}}, rejected)
		const india, london, york, lisbon = "Asia/Calcutta", "Europe/London", "America/New_York", "Atlantic/Azores,Europe/Lisbon"
		australia, err := zoneOf("61412345678")
		require.NoError(t, err)
		require.Equal(t, map[string]int64{india: 400, london: 400, york: 400, lisbon: 400, australia: 400}, done.Zones)
		s.balanced()

		s.step()
		ids := s.queue()
		require.Equal(t, map[string]int{india: 300}, s.zonesQueued(ids), "where the evening comes first")
		require.EqualValues(t, 1700, s.balanced().InChunks)
		for _, id := range ids[:200] {
			require.Equal(t, ledger.Send, s.send(id))
		}
		s.step()
		more := s.queue()
		require.Equal(t, map[string]int{india: 100, lisbon: 100}, s.zonesQueued(more), "then where it comes next")
		var row *UnsentError
		require.ErrorAs(t, FindUnsent(t.Context(), s.ledger, []string{s.sender}, "c.4"), &row, "New York's first")
		require.NoError(t, FindUnsent(t.Context(), s.ledger, []string{s.sender}, "c.2"))

		s.until(15, 31) // it has closed in India
		s.step()
		for _, id := range ids[200:] {
			require.Equal(t, ledger.Held, s.send(id))
		}
		rec, err := s.ledger.Get(t.Context(), s.sender, ids[200])
		require.NoError(t, err)
		require.Equal(t, "window", rec.WaitingFor)
		require.EqualValues(t, 200, s.get("c").Track(india).Waiting)
		later := s.queue()
		require.Equal(t, map[string]int{lisbon: 200}, s.zonesQueued(later), "what waits for tomorrow keeps nobody else waiting")
		for _, id := range later {
			require.Equal(t, ledger.Send, s.send(id))
		}
		s.balanced()

		sent, asked := 400, map[string]bool{}
		for hours := 0; s.get("c").Status == message.CampaignRunning; hours++ {
			require.Less(t, hours, 48)
			s.step()
			waiting := s.queue()
			for _, q := range s.sweepLost() {
				waiting = append(waiting, q.ID)
			}
			for _, id := range waiting {
				if s.send(id) == ledger.Send {
					sent++
					at := time.Now().Add(time.Duration(s.offset.Load()))
					rec, err := s.ledger.Get(t.Context(), s.sender, id)
					require.NoError(t, err)
					for _, zone := range clocks[rec.To[:2]] {
						there, err := time.LoadLocation(zone)
						require.NoError(t, err)
						hour := at.In(there).Hour()
						require.True(t, hour >= 9 && hour < 21, "%d h in %s", hour, zone)
						asked[zone] = true
					}
				}
			}
			s.pass(20 * time.Minute)
		}
		require.Equal(t, 2000, sent)
		require.Len(t, asked, 8)
		c := s.get("c")
		require.Equal(t, message.CampaignCompleted, c.Status)
		for _, track := range c.Tracks {
			require.Zero(t, track.Waiting, track.Zone)
			require.EqualValues(t, 400, track.Expanded)
		}
		line := int64(1)
		require.NoError(t, Report(t.Context(), s.ledger, s.sender, "c", func(l ReportLine) error {
			line++
			require.Equal(t, line, l.Line)
			require.Equal(t, "submitted", l.Status)
			return nil
		}))
		s.balanced()

		s.pass(100 * 24 * time.Hour)
		s.step()
		keys, err := rdb.Keys(t.Context(), "gupdispatch:{"+s.sender+"}:c:*").Result()
		require.NoError(t, err)
		require.Empty(t, keys, "nothing is kept for ever")
	})
}

func TestCancelWithSeveralZones(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		s.window = 900
		s.x = s.expander(rdb)
		s.until(12, 30)
		_, _, err := s.take(s.byRecipient("c"), world(4000))
		require.NoError(t, err)
		s.step()
		ids := s.queue()
		require.Len(t, ids, 900)
		for _, id := range ids[:50] {
			require.Equal(t, ledger.Send, s.send(id))
		}
		s.steer("c", message.CampaignCancel)
		require.Equal(t, ledger.AlreadyDone, s.send(ids[50]))
		require.Contains(t, []string{"cancelled", "queued"}, s.statusOf("c", 5))
		s.balanced()
		s.step()
		c := s.get("c")
		require.EqualValues(t, 3950, c.Counts[message.Cancelled])
		require.EqualValues(t, 50, c.Counts[message.Submitted])
		for _, track := range c.Tracks {
			require.Zero(t, track.Waiting)
		}
		require.Equal(t, "cancelled", s.statusOf("c", 5), "a row that never was a message, before others that were")
		s.balanced()
		s.pass(8 * 24 * time.Hour)
		s.step()
		s.balanced()
	})
}

// statusOf is what the report says of a line.
func (s *site) statusOf(campaign string, line int64) (status string) {
	s.t.Helper()
	require.NoError(s.t, Report(s.t.Context(), s.ledger, s.sender, campaign, func(l ReportLine) error {
		if l.Line == line {
			status = l.Status
		}
		return nil
	}))
	return status
}

// A zone with few rows in a long file is found in some looks, of which none reads all of it.
func TestFewRowsInALongFile(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		s.until(5, 0) // morning in India, night in London
		file := strings.Builder{}
		file.WriteString("to,name\n")
		const chunks = expandReads + 50
		for i := range chunks { // each chunk is small, since its lines are long
			fmt.Fprintf(&file, "%d,A%s\n", 447400000000+i, strings.Repeat(" x", 20<<10))
			file.WriteString(strings.Repeat("\n", chunkLines-1))
		}
		file.WriteString("919811111111,A\n")
		d := s.byRecipient("c")
		d.Params = []string{"hello"}
		_, _, err := s.take(d, file.String())
		require.NoError(t, err)
		require.Greater(t, s.get("c").Chunks, int64(expandReads))
		s.step()
		require.Empty(t, s.queue(), "it is not found yet")
		for range chunks / trackReads {
			s.step()
		}
		require.Len(t, s.queue(), 1)
		s.until(12, 30)
		for looks := 0; s.get("c").Expanded < chunks+1; looks++ {
			require.Less(t, looks, 20)
			s.step()
			require.LessOrEqual(t, s.x.forms["c"].reads, expandReads)
		}
		require.EqualValues(t, chunks+1, s.get("c").Expanded)
		s.balanced()
	})
}

// A held template's campaign is paused for longer than its windows were noted: then they are noted anew, and the hold is tried.
func TestAHoldOutlivesTheWindowsThatWereNoted(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		s.until(12, 30)
		_, _, err := s.take(s.byRecipient("c"), world(100))
		require.NoError(t, err)
		s.step()
		ids := s.queue()
		_, err = s.ledger.SetHold(t.Context(), ledger.HoldRequest{
			Sender: s.sender, Hold: ledger.Hold{Template: template, For: time.Minute, AtMost: time.Hour}, Reason: "template", Code: "4003",
		})
		require.NoError(t, err)
		for _, id := range ids {
			require.Equal(t, ledger.Held, s.send(id))
		}
		for range 23 { // into the next day's window
			s.step()
			s.pass(time.Hour)
		}
		require.Equal(t, message.CampaignPaused, s.get("c").Status)
		s.step()
		tried := s.probes()
		for sweeps := 0; len(tried) == 0; tried = s.probes() {
			s.pass(time.Second)
			require.Less(t, sweeps, 20)
			sweeps++
		}
		require.Equal(t, ledger.Send, s.express(tried[0]))
		s.balanced()
	})
}

// While processes of an older version run, which do not count what waits in a zone, a campaign goes on all the same.
func TestCountsThatAreOff(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		s.window = 100
		s.x = s.expander(rdb)
		s.until(12, 30)
		_, _, err := s.take(s.byRecipient("c"), world(2000))
		require.NoError(t, err)
		for _, off := range []int{5000, -5000} {
			require.NoError(t, rdb.HSet(t.Context(), "gupdispatch:{"+s.sender+"}:c:c:z:Asia/Calcutta", "q", off).Err())
			s.step()
			ids := s.queue()
			require.Len(t, ids, 100)
			for _, id := range ids {
				require.Equal(t, ledger.Send, s.send(id))
			}
		}
		s.balanced()
		require.NoError(t, rdb.HIncrBy(t.Context(), "gupdispatch:{"+s.sender+"}:c:c:z:Asia/Calcutta", "xp", 1).Err())
		d, err := s.ledger.AuditDeep(t.Context(), s.sender)
		require.NoError(t, err)
		require.False(t, d.Balanced(), "but how many rows are messages must be right")
	})
}

func TestWindowsThatAreNeverOpen(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t))
	d := s.byRecipient("c")
	d.Window = "09:00-09:30"
	done, rejected, err := s.take(d, "to,name\n351912345678,A\n919811111111,B\n", func(f *File) { f.DryRun = true })
	require.NoError(t, err)
	require.EqualValues(t, 1, done.Accepted)
	require.Len(t, rejected, 1)
	require.Contains(t, rejected[0].Reason, "does not tell in which of its country's time zones it is, and the window is never open in all of them")
	require.Equal(t, map[string]int64{"Asia/Calcutta": 1}, done.Zones)
}

func TestZoneOfADefinition(t *testing.T) {
	t.Parallel()
	sender := Sender{Name: "demo", Timezone: "Asia/Kolkata", Rate: 20}
	complete := func(window, zone string) (Definition, error) {
		d := Definition{ID: "c", Template: template, Window: window, Zone: zone}
		return d, sender.Complete(&d, time.Now())
	}
	d, err := complete("09:00-21:00", ByRecipient)
	require.NoError(t, err)
	require.Equal(t, ByRecipient, d.Zone)
	for zone, want := range map[string]string{"Europe/Berlin,Asia/Kolkata": "several zones", "Mars/Olympus": "no zone that is known", "Local": "no zone"} {
		_, err := complete("09:00-21:00", zone)
		require.ErrorContains(t, err, want)
	}
	_, err = complete("", ByRecipient)
	require.ErrorContains(t, err, "there is none", "a zone without a window")
}

func TestRowsKeepTheirZones(t *testing.T) {
	t.Parallel()
	rows := []Row{
		{Line: 2, To: "1", Zone: "A/B"},
		{Line: 3, To: "2", Zone: "A/B"},
		{Line: 5, To: "3", Zone: "A/B,C"},
		{Line: 6, To: "4", Zone: ""},
		{Line: 7, To: "5", Zone: "A/B"},
	}
	lines := encodeRows(rows)
	require.Equal(t, []string{"2@A/B\t1", "\t2", "5@A/B,C\t3", "@\t4", "@A/B\t5"}, lines)
	back, err := decodeRows(lines, 0)
	require.NoError(t, err)
	require.Equal(t, rows, back)
}
