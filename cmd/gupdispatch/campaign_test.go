package main

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/message"
)

func recipients(n int) string {
	var b strings.Builder
	b.WriteString("to,name\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,Asha %d\n", 919800000000+i, i)
	}
	return b.String()
}

// shownCampaign is what tests read of a campaignView.
type shownCampaign struct {
	Reason string                   `json:"reason"`
	Counts map[message.Status]int64 `json:"counts"`
}

func (s *site) campaign(id string) shownCampaign {
	return decode[shownCampaign](s.t, s.ok("campaign", "show", id, "--json").out)
}

// A whole campaign through the commands and a worker: from a file with wrong rows to a report.
func TestCampaignThroughTheCommands(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		dir := t.TempDir()
		file, rejects := filepath.Join(dir, "people.csv"), filepath.Join(dir, "rejects.csv")
		require.NoError(t, os.WriteFile(file, []byte(recipients(60)+"12,Nobody\n919800000000,Again\n"), 0o600))
		create := []string{
			"campaign", "create", "--id", "spring", "--template", testTemplate, "--param", "{name}", "--param", "20%", "--csv", file, "--rejects", rejects,
		}

		dry := s.ok(append(create, "--dry-run")...)
		require.Equal(t, "60 rows would be taken, 2 rejected; nothing was done\n", dry.out)
		require.FileExists(t, rejects, "which the campaign itself begins anew")
		strict := s.run(append(create, "--strict")...)
		require.Equal(t, exitFailed, strict.code)
		require.Contains(t, strict.errs, "line 62: to: is not a possible phone number")
		require.Contains(t, s.ok("campaign", "list").errs, "there are no campaigns", "of a file nothing is taken in")

		made := s.ok(append(create, "--json")...)
		require.Contains(t, made.errs, "60 recipients at 1000/s take less than a second")
		out := decode[map[string]any](t, made.out)
		require.Equal(t, "spring", out["id"])
		require.Equal(t, "running", out["status"])
		require.EqualValues(t, 60, out["accepted"])
		require.EqualValues(t, 2, out["rejected"])
		list, err := os.ReadFile(rejects)
		require.NoError(t, err)
		rows, err := csv.NewReader(strings.NewReader(string(list))).ReadAll()
		require.NoError(t, err)
		require.Equal(t, [][]string{
			{"line", "reason"},
			{"62", "to: is not a possible phone number: give it with its country code, such as 447700900123"},
			{"63", "to: its number stands in line 2 already"},
		}, rows)
		require.Equal(t, string(list), s.ok("campaign", "rejects", "spring").out)
		require.Contains(t, s.ok(create...).errs, "had been read before: nothing was added")

		require.Equal(t, "campaign spring is paused\n", s.ok("campaign", "pause", "spring", "--reason", "a mistake").out)
		require.Contains(t, s.run("message", "show", "spring.2").errs, "it is line 2 of campaign spring of "+s.sender+", which is paused")
		worker := s.begin("worker")
		defer worker.stop()
		require.Equal(t, "a mistake", s.campaign("spring").Reason)
		s.ok("campaign", "resume", "spring")
		watched := s.ok("campaign", "watch", "spring", "--every", "50ms")
		require.Contains(t, watched.out, "campaign spring of "+s.sender+" is completed")
		require.EqualValues(t, 60, s.campaign("spring").Counts[message.Submitted])
		require.Len(t, s.sim.Accepted(gupshuptest.Filter{}), 60)

		report, err := csv.NewReader(strings.NewReader(s.ok("campaign", "report", "spring").out)).ReadAll()
		require.NoError(t, err)
		require.Len(t, report, 61)
		require.Equal(t, []string{"2", "spring.2", "9198******00", "submitted"}, report[1][:4])
		require.NotEmpty(t, report[1][5], "its messageId")
		require.Contains(t, s.ok("message", "show", "spring.2", "--json").out, `"campaign": "spring"`)
		require.Contains(t, s.ok("audit", "--deep").out, "balances, and the records agree with it")

		letters := []string{"dead", "list", "--campaign", "spring", "--json"}
		require.Empty(t, decode[[]map[string]any](t, s.ok(letters...).out))

		later := s.runWith(recipients(5), append(create[:len(create)-4:len(create)-4], "--csv", "-", "--id", "later", "--start-at", "2h")...)
		require.Equal(t, exitOK, later.code, later.errs)
		require.Contains(t, later.out, "campaign later is scheduled")
		require.Equal(t, "campaign later is cancelled\n", s.ok("campaign", "cancel", "later").out)
		require.EqualValues(t, 5, s.campaign("later").Counts[message.Cancelled])
		no := s.run("campaign", "resume", "later")
		require.Equal(t, exitFailed, no.code)
		require.Contains(t, no.errs, "it is cancelled, and cannot resume")
		require.Contains(t, s.ok("campaign", "report", "later").out, "cancelled")
		require.Len(t, decode[[]shownCampaign](t, s.ok("campaign", "list", "--json").out), 2)
		require.Equal(t, exitFailed, s.run("campaign", "show", "other").code)
		require.Contains(t, s.ok("audit", "--deep").out, "balances")
	})
}

// openIn is a window that is open now by the clock of a zone, and closed by one that is some ten hours behind it.
func openIn(t *testing.T, zone string) string {
	t.Helper()
	there, err := time.LoadLocation(zone)
	require.NoError(t, err)
	now := time.Now().In(there)
	return now.Add(-2*time.Hour).Format("15:04") + "-" + now.Add(2*time.Hour).Format("15:04")
}

// A window by the clocks of its recipients: who is awake is sent to, who sleeps waits, and a number that tells no zone is rejected.
func TestCampaignByTheClocksOfItsRecipients(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		file := "to\n919800000001\n12125550001\n919800000002\n870773111632\n12125550002\n12125550003\n"
		create := []string{
			"campaign", "create", "--id", "world", "--template", testTemplate, "--csv", "-", "--window", openIn(t, "Asia/Kolkata"), "--timezone", "recipient",
			"--rejects", filepath.Join(t.TempDir(), "rejects.csv"),
		}
		made := s.runWith(file, create...)
		require.Equal(t, exitOK, made.code, made.errs)
		require.Contains(t, made.out, "campaign world is running: 5 rows taken, 1 rejected")
		require.Contains(t, made.errs, "5 recipients at 1000/s take less than a second, from ")
		require.NotContains(t, made.errs, "does not fit")
		require.Contains(t, s.ok("campaign", "rejects", "world").out, "5,to: the time zone of its number is not known")

		worker := s.begin("worker")
		defer worker.stop()
		require.Eventually(t, func() bool { return s.campaign("world").Counts[message.Submitted] == 2 }, 20*time.Second, 20*time.Millisecond)
		shown := s.ok("campaign", "show", "world").out
		require.Regexp(t, `window +\d\d:\d\d-\d\d:\d\d recipient`, shown)
		require.Regexp(t, `America/New_York: 3 of 3 rows to be sent, opens 20`, shown)
		require.Regexp(t, `Asia/Calcutta: 0 of 2 rows to be sent, open until 20`, shown)
		require.Contains(t, s.run("message", "show", "world.3").errs, "it is line 3 of campaign world")
		require.Len(t, s.sim.Accepted(gupshuptest.Filter{}), 2)
		require.Contains(t, s.ok("audit", "--deep").out, "balances")
	})
}

func TestCampaignWarnsBeforehand(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	now := time.Now().UTC()
	window := now.Add(-time.Hour).Format("15:04") + "-" + now.Add(time.Minute).Format("15:04")
	file := filepath.Join(t.TempDir(), "people.csv")
	require.NoError(t, os.WriteFile(file, []byte(recipients(600)), 0o600))
	got := s.ok("campaign", "create", "--id", "c", "--template", testTemplate, "--csv", file, "--rate", "0.2", "--window", window, "--expires-at", "10m", "--dry-run")
	require.Contains(t, got.errs, "600 recipients at 0.2/s take 50 minutes, from")
	require.Contains(t, got.errs, "does not fit into one window")
	require.Contains(t, got.errs, "does not fit before it expires")
}

func TestCampaignWrongUsage(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	for args, want := range map[string]string{
		"campaign create --template x":                                            "name one file",
		"campaign create --csv a --ndjson b --template x":                         "name one file",
		"campaign create --csv -":                                                 "--template is missing",
		"campaign create --csv - --rate 2000 --template " + testTemplate:          "above the sender's own",
		"campaign create --csv - --timezone UTC --template " + testTemplate:       "timezone: is that of a window",
		"campaign create --csv - --timezone recipient --template " + testTemplate: "timezone: is that of a window",
		"campaign create --csv - --start-at tomorrow --template " + testTemplate:  "--start-at \"tomorrow\" is no time",
		"campaign create --csv /does/not/exist --template " + testTemplate:        "the file of recipients cannot be read",
		"campaign show": "needs the id",
		"campaign":      "a command is missing",
	} {
		got := s.run(strings.Fields(args)...)
		require.Equal(t, exitUsage, got.code, args+": "+got.errs)
		require.Contains(t, got.errs, want, args)
	}
	none := filepath.Join(t.TempDir(), "none.csv")
	create := []string{"campaign", "create", "--csv", "-", "--id", "c", "--template", testTemplate, "--rejects"}
	bad := s.runWith(recipients(1), append(create, "/does/not/exist/x")...)
	require.Equal(t, exitFailed, bad.code)
	require.Contains(t, bad.errs, "the file for rejected rows cannot be written")
	bad = s.runWith(recipients(0), append(create, none)...)
	require.Equal(t, exitFailed, bad.code)
	require.Contains(t, bad.errs, "the file has no rows")
	require.Contains(t, s.ok("campaign", "list").errs, "there are no campaigns")
	require.NoFileExists(t, none)
	people := filepath.Join(t.TempDir(), "people.csv")
	require.NoError(t, os.WriteFile(people, []byte(recipients(1)), 0o600))
	own := s.run("campaign", "create", "--csv", people, "--template", testTemplate, "--rejects", people)
	require.Equal(t, exitUsage, own.code)
	require.Contains(t, own.errs, "the file for rejected rows is that of the recipients")
	require.FileExists(t, people)
	one := s.runWith(recipients(1), append(create, none)...)
	require.Equal(t, exitOK, one.code)
	require.Contains(t, one.out, ": 1 row taken, 0 rejected")
	require.Contains(t, one.errs, "1 recipient at 1000/s takes less than a second")
	require.NoFileExists(t, none, "nothing was rejected")

	got := s.runWith("number\n1\n", "campaign", "create", "--csv", "-", "--template", testTemplate)
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.errs, "no column named to")
}

func TestATimeIsToldWithItsDayUnlessThatIsToday(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 22, 0, 0, 0, time.Local)
	require.Equal(t, "23:00:00", now.Add(time.Hour).Format(layout(now.Add(time.Hour), now)))
	require.Equal(t, "28 Nov 09:00", now.Add(11*time.Hour).Format(layout(now.Add(11*time.Hour), now)))
	require.Equal(t, "27 Dec 22:00", now.AddDate(0, 1, 0).Format(layout(now.AddDate(0, 1, 0), now)), "the same day of another month")
}
