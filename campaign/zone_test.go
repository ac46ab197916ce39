package campaign

import (
	"fmt"
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

func TestZonesOfNumbers(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{
		"919812345678":  "Asia/Calcutta",
		"447700900123":  "Europe/London",       // and those of islands with the same clock
		"16502530000":   "America/Los_Angeles", // by its area
		"14165551234":   "America/Toronto",
		"5511987654321": "America/Sao_Paulo",
		"5215512345678": "America/Mexico_City", // with the 1 of WhatsApp, which is no area
		"5491123456789": "America/Buenos_Aires",
		"351912345678":  "Europe/Lisbon,Atlantic/Azores",
		"243812345678":  "Africa/Kinshasa,Africa/Lubumbashi",
	} {
		zones, err := zonesOf(number)
		require.NoError(t, err, number)
		require.Equal(t, want, zones, number)
	}
	_, err := zonesOf("870773111632") // a satellite's
	require.ErrorIs(t, err, errZone)
	zones, err := zonesOf("18005551234") // all of North America, and its islands in the Pacific
	require.NoError(t, err)
	require.Equal(t, "Pacific/Guam,Pacific/Pago_Pago", zones)
}

// Every zone that the library knows of is one that Go knows, too: all its prefixes have six digits or less, or share a zone with one that has.
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

func TestOuterZones(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	zones, err := outer([]string{"Australia/Adelaide", "Australia/Brisbane", "Australia/Perth", "Australia/Sydney"}, from)
	require.NoError(t, err)
	require.Equal(t, []string{"Australia/Perth", "Australia/Sydney"}, zones)
	_, err = outer([]string{"Mars/Olympus", "UTC"}, from)
	require.Error(t, err)
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
		return End(from, rate, shares...)
	}
	both := map[string]int64{"Asia/Kolkata": 3600, "America/New_York": 3600} // open 3:30 to 15:30 and 14:00 to 2:00
	require.Equal(t, day.Add(4*time.Hour+30*time.Minute), end(day.Add(4*time.Hour), 2, map[string]int64{"Asia/Kolkata": 3600}))
	require.Equal(t, day.Add(14*time.Hour+30*time.Minute), end(day.Add(4*time.Hour), 2, both), "each at its time")
	require.Equal(t, day.Add(16*time.Hour), end(day.Add(15*time.Hour), 2, both), "that first which closes first, and there is time for all of it")
	require.Equal(t, day.Add(27*time.Hour+45*time.Minute), end(day.Add(15*time.Hour+15*time.Minute), 2, map[string]int64{"Asia/Kolkata": 3600}),
		"a quarter of an hour today, the other tomorrow")

	p, err := PlanFor(d, both, 2, 0, day.Add(4*time.Hour))
	require.NoError(t, err)
	require.Equal(t, Plan{
		Recipients: 7200, Rate: 2, Starts: day.Add(4 * time.Hour), Ends: day.Add(14*time.Hour + 30*time.Minute), Takes: time.Hour, Days: 1,
	}, p)
	p, err = PlanFor(d, map[string]int64{"Asia/Kolkata": 86400 + 1}, 2, 0, day)
	require.NoError(t, err)
	require.Equal(t, 2, p.Days)
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
		zones, err := zonesOf(rec.To)
		require.NoError(s.t, err)
		n[zones]++
	}
	return n
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
		const india, london, york, lisbon = "Asia/Calcutta", "Europe/London", "America/New_York", "Europe/Lisbon,Atlantic/Azores"
		require.Equal(t, map[string]int64{india: 400, london: 400, york: 400, lisbon: 400, "Australia/Sydney": 400}, done.Zones)
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
					zones, err := zonesOf(rec.To)
					require.NoError(t, err)
					for zone := range strings.SplitSeq(zones, ",") {
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
		require.Len(t, asked, 6)
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
		s.step()
		require.Len(t, s.queue(), 1)
		s.until(12, 30)
		for len(s.queue()) < chunks {
			s.step()
			require.LessOrEqual(t, s.x.forms["c"].reads, expandReads)
			if s.get("c").Expanded == chunks+1 {
				break
			}
		}
		require.EqualValues(t, chunks+1, s.get("c").Expanded)
		s.balanced()
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
	require.Contains(t, rejected[0].Reason, "may be in any of Europe/Lisbon, Atlantic/Azores, and the window is never open in all of them")
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
