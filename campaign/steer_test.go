package campaign

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// bring makes a campaign and brings it into a state.
func (s *site) bring(id string, st message.CampaignStatus) {
	s.t.Helper()
	d := s.definition(id)
	switch st {
	case message.CampaignScheduled:
		d.StartAt = time.Now().Add(time.Duration(s.offset.Load()) + time.Hour)
	case message.CampaignIngesting:
		_, err := (&Intake{Ledger: s.ledger}).Take(s.t.Context(), d, File{In: &brokenReader{text: people(10), err: errors.New("broken")}, Format: CSV})
		require.Error(s.t, err)
		require.Equal(s.t, st, s.get(id).Status)
		return
	}
	_, _, err := s.take(d, people(10))
	require.NoError(s.t, err)
	switch st {
	case message.CampaignPaused:
		s.steer(id, message.CampaignPause)
	case message.CampaignCancelled:
		s.steer(id, message.CampaignCancel)
	case message.CampaignCompleted:
		s.step()
		for _, id := range s.queue() {
			s.send(id)
		}
		s.step()
	}
	require.Equal(s.t, st, s.get(id).Status)
}

// The scripts do what the table in message says, from every state. Done twice is no error; and rows are taken in only where they may be.
func TestScriptsFollowTheLifeOfACampaign(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		for _, st := range message.CampaignStatuses {
			for _, e := range []message.CampaignEvent{message.CampaignPause, message.CampaignResume, message.CampaignCancel} {
				id := string(st) + "-" + string(e)
				s.bring(id, st)
				want, may := st.After(e)
				got, err := s.ledger.SteerCampaign(t.Context(), s.sender, id, e, "why", "me")
				already := map[message.CampaignEvent]message.CampaignStatus{
					message.CampaignPause: message.CampaignPaused, message.CampaignResume: message.CampaignRunning, message.CampaignCancel: message.CampaignCancelled,
				}[e]
				switch {
				case may:
					require.NoError(t, err, id)
					require.Equal(t, want, got, id)
				case st == already || st == message.CampaignScheduled && e == message.CampaignResume:
					require.NoError(t, err, id)
				default:
					var no *ledger.SteerError
					require.ErrorAs(t, err, &no, id)
					want = st
				}
				if want != "" {
					require.Equal(t, want, s.get(id).Status, id)
				}
				s.balanced()
			}
			_, err := s.ledger.AddRows(t.Context(), ledger.CampaignChunk{Sender: s.sender, ID: string(st) + "-resume", Owner: "x", Lines: 1})
			if st != message.CampaignIngesting { // there another one reads
				var refused *ledger.IntakeError
				require.ErrorAs(t, err, &refused)
				require.NotEmpty(t, refused.Status, st)
			}
		}
		_, err := s.ledger.SteerCampaign(t.Context(), s.sender, "other", message.CampaignPause, "", "")
		require.ErrorIs(t, err, ledger.ErrNoCampaign)
	})
}

// A client repeats a call whose answer was lost.
func TestScriptsMayRunTwice(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		d := s.definition("c")
		_, isNew, err := s.ledger.CreateCampaign(t.Context(), ledger.NewCampaign{Sender: s.sender, ID: "c", Template: template, Priority: message.Bulk})
		require.NoError(t, err)
		require.True(t, isNew)
		rows := []Row{{Line: 2, To: "919811111111", Values: []string{"A"}}, {Line: 3, To: "919811111112", ID: "own", Values: []string{"B"}}}
		chunk := ledger.CampaignChunk{
			Sender: s.sender, ID: "c", Owner: "me", Lease: time.Minute, Lines: 3, Packed: ledger.PackChunk(encodeRows(rows)),
			Rows:     []ledger.CampaignRow{{To: "919811111111"}, {To: "919811111112", ID: "own"}},
			Rejected: 1, Rejections: packRejections([]Rejection{{Line: 1, Reason: "a test"}}),
		}
		for range 2 {
			clashes, err := s.ledger.AddRows(t.Context(), chunk)
			require.NoError(t, err)
			require.Empty(t, clashes)
			require.EqualValues(t, 2, s.balanced().Accepted)
			require.EqualValues(t, 1, s.get("c").RejectedIn)
		}
		other := chunk
		other.Owner, other.After, other.Lines = "you", 3, 4
		var busy *ledger.IntakeError
		_, err = s.ledger.AddRows(t.Context(), other)
		require.ErrorAs(t, err, &busy)
		for range 2 {
			st, err := s.ledger.ReadyCampaign(t.Context(), s.sender, "c", "me", 3)
			require.NoError(t, err)
			require.Equal(t, message.CampaignRunning, st)
		}
		form := NewForm(d)
		q := ledger.Expansion{Sender: s.sender, ID: "c", To: ledger.Position{Chunk: 1}}
		for _, r := range rows {
			m, err := form.Message(r)
			require.NoError(t, err)
			q.Messages, q.Lines = append(q.Messages, m), append(q.Lines, lineID("c", r.Line))
		}
		for range 2 {
			tasks, moved, err := s.ledger.ExpandCampaign(t.Context(), q)
			require.NoError(t, err)
			require.False(t, moved)
			require.Len(t, tasks, 2)
			require.EqualValues(t, 2, s.get("c").Expanded)
			require.Zero(t, s.balanced().Rows)
		}
		require.Equal(t, ledger.Send, s.send("own"))
		tasks, _, err := s.ledger.ExpandCampaign(t.Context(), q)
		require.NoError(t, err)
		require.Len(t, tasks, 1, "what is sent needs no task")
		q.From = ledger.Position{Chunk: 1}
		_, moved, err := s.ledger.ExpandCampaign(t.Context(), q)
		require.NoError(t, err)
		require.True(t, moved, "those are not the next rows")
		s.balanced()
	})
}

func TestReportTellsOfEveryRow(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		s.window = 1200
		s.x = s.expander(rdb)
		_, _, err := s.take(s.definition("c"), people(2300))
		require.NoError(t, err)
		s.step()
		for _, id := range s.queue()[:1000] {
			s.send(id)
		}
		report := func() (all []ReportLine) {
			require.NoError(t, Report(t.Context(), s.ledger, s.sender, "c", func(l ReportLine) error { all = append(all, l); return nil }))
			return all
		}
		all := report()
		require.Len(t, all, 2300)
		for i, l := range all {
			require.EqualValues(t, i+2, l.Line)
		}
		require.Equal(t, ReportLine{Line: 2, ID: "c.2", To: "919800000000", Status: "submitted", MessageID: "gs-c.2", Attempts: 1, UpdatedAt: all[0].UpdatedAt}, all[0])
		require.Equal(t, "queued", all[2299].Status)
		require.NoError(t, rdb.Del(t.Context(), "gupdispatch:{"+s.sender+"}:m:c.3").Err())
		require.Equal(t, Retired, report()[1].Status)
		s.steer("c", message.CampaignCancel)
		all = report()
		require.Equal(t, "queued", all[1100].Status, "the expander takes it back")
		require.Equal(t, "cancelled", all[2299].Status)
		s.step()
		require.Equal(t, "cancelled", report()[1100].Status)
	})
}

func TestProgress(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		d := s.definition("c")
		_, _, err := s.take(d, people(1000))
		require.NoError(t, err)
		s.step()
		now := time.Now()
		p, err := ProgressOf(s.get("c"), d, 20, now)
		require.NoError(t, err)
		require.EqualValues(t, 1000, p.Left)
		require.Equal(t, 50*time.Second, p.End.Sub(now), "as fast as its sender, before anything is known")
		for _, id := range s.queue()[:500] {
			s.send(id)
		}
		s.pass(200 * time.Second) // beside which the time that this test takes is little
		c := s.get("c")
		require.InDelta(t, 2.5, c.RateNow, 0.4)
		p, err = ProgressOf(c, d, 20, now)
		require.NoError(t, err)
		require.InDelta(t, 200, p.End.Sub(now).Seconds(), 40)
		s.steer("c", message.CampaignPause)
		p, err = ProgressOf(s.get("c"), d, 20, now)
		require.NoError(t, err)
		require.True(t, p.End.IsZero(), "it stands still")
	})
}

func TestPlan(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 20, 30, 0, 0, time.UTC)
	p, err := PlanFor(Definition{Window: "09:00-21:00"}, map[string]int64{"": 60_000}, 20, 0, now)
	require.NoError(t, err)
	require.Equal(t, 50*time.Minute, p.Takes)
	require.True(t, p.Over)
	require.False(t, p.OverBudget)
	p, err = PlanFor(Definition{Rate: 10, Expires: now.Add(time.Hour)}, map[string]int64{"": 60_000}, 20, 10_000, now)
	require.NoError(t, err)
	require.Equal(t, 100*time.Minute, p.Takes)
	require.True(t, p.OverBudget)
	require.True(t, p.Late)
	require.Equal(t, now.AddDate(0, 0, 5), p.Ends)
}

// Rows are accepted before they are messages: whoever asks for one by the id that it will have is told so.
func TestRowsThatAreNoMessagesYet(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		find := func(id string) error {
			return FindUnsent(t.Context(), s.ledger, []string{"nobody", s.sender}, id)
		}
		_, _, err := s.take(s.definition("win.1"), people(3500)+"12,Nobody\n")
		require.NoError(t, err)
		for _, line := range []int64{2, 1000, 1001, 1002, 2001, 3501} {
			var row *UnsentError
			require.ErrorAs(t, find(fmt.Sprint("win.1.", line)), &row, line)
			require.Equal(t, UnsentError{Sender: s.sender, Campaign: "win.1", Line: line, Status: message.CampaignRunning}, *row)
			require.ErrorContains(t, row, "becomes a message when its turn comes")
		}
		nowhere := []string{"win.1.1", "win.1.3502", "win.1.9999", "win.1.02", "win.1.+2", "win.1.-1", "win.1.x", "win.1.", "win.1", "win", "", ".2", "other.2"}
		for _, id := range nowhere {
			require.NoError(t, find(id), id)
		}
		s.step()
		require.NoError(t, find("win.1.2"), "it is a message")
		require.NoError(t, find("win.1.1001"))
		require.Error(t, find("win.1.1002"))
		s.steer("win.1", message.CampaignCancel)
		require.ErrorContains(t, find("win.1.1002"), "counts as cancelled")
		_, _, err = s.take(s.definition("own"), "to,name,id\n919811111111,A,mine\n")
		require.NoError(t, err)
		require.NoError(t, find("own.2"), "its message has an id of its own")
	})
}

// A dead letter that a person calls back after its campaign is over does not wait for a window that nobody notes any more.
func TestReplayAfterTheCampaign(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		d := s.definition("c")
		at := time.Now().UTC()
		d.Window = at.Add(-2*time.Hour).Format("15:04") + "-" + at.Add(5*time.Minute).Format("15:04")
		_, _, err := s.take(d, people(1))
		require.NoError(t, err)
		s.step()
		s.dies("c.2")
		s.step()
		require.Equal(t, message.CampaignCompleted, s.get("c").Status)
		s.pass(48 * time.Hour)
		_, err = s.ledger.Replay(t.Context(), s.sender, "c.2", 1)
		require.NoError(t, err)
		require.Equal(t, ledger.Send, s.send("c.2"))
		require.EqualValues(t, 1, s.get("c").Counts[message.Submitted])
		s.balanced()
	})
}

// Of a cancelled campaign nothing is sent any more, also if a person asks for it: that is said, rather than done and undone.
func TestNoReplayAfterACancellation(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		_, _, err := s.take(s.definition("c"), people(2))
		require.NoError(t, err)
		s.step()
		s.dies("c.2")
		s.steer("c", message.CampaignCancel)
		_, err = s.ledger.Replay(t.Context(), s.sender, "c.2", 1)
		var cancelled *ledger.CampaignCancelledError
		require.ErrorAs(t, err, &cancelled)
		require.ErrorContains(t, err, "campaign c was cancelled")
		_, err = s.ledger.PrepareRun(t.Context(), s.sender, "c.2", 1)
		require.ErrorAs(t, err, &cancelled)
		run, err := s.ledger.Claim(t.Context(), ledger.ClaimRequest{Sender: s.sender, ID: "c.2", Generation: 1, Token: "run", Lease: time.Minute, Replay: true})
		require.NoError(t, err)
		require.Equal(t, ledger.AlreadyDead, run.Verdict, "Run in the web UI before it was refused there")
		rec, err := s.ledger.Get(t.Context(), s.sender, "c.2")
		require.NoError(t, err)
		require.Equal(t, message.Dead, rec.Status)
		s.balanced()
	})
}

// dies makes a dead letter of a message.
func (s *site) dies(id string) {
	s.t.Helper()
	c := s.claim(id)
	require.Equal(s.t, ledger.Send, c.Verdict)
	_, err := s.ledger.Commit(s.t.Context(), ledger.Commit{
		Sender: s.sender, ID: id, Attempt: c.Attempt, Outcome: ledger.OutcomeRefused, Next: message.Dead, Spends: true, Code: "1002", Class: "recipient",
	})
	require.NoError(s.t, err)
}

// probes sweeps once, and answers what a hold is to be tried with.
func (s *site) probes() (ids []string) {
	s.t.Helper()
	found, err := s.ledger.Sweep(s.t.Context(), ledger.SweepRequest{
		Sender: s.sender, Owner: "sweeper", Lease: time.Second, Most: 100, LetGo: 100, Room: 100, LaneEmpty: true,
		Grace: map[message.Priority]time.Duration{message.Critical: time.Hour, message.Default: time.Hour, message.Bulk: time.Hour},
	})
	require.NoError(s.t, err)
	for _, q := range found.Requeue {
		if q.Express {
			ids = append(ids, q.ID)
		}
	}
	return ids
}

// brief takes in a campaign of n rows whose window closes in two minutes.
func (s *site) brief(id string, n int) {
	s.t.Helper()
	d := s.definition(id)
	at := time.Now().Add(time.Duration(s.offset.Load())).UTC()
	d.Window = at.Add(-2*time.Hour).Format("15:04") + "-" + at.Add(2*time.Minute).Format("15:04")
	_, _, err := s.take(d, people(n))
	require.NoError(s.t, err)
	s.step()
	require.Len(s.t, s.queue(), n)
}

// A hold is tried with what may be sent: else each of a campaign's messages whose window has closed would keep its whole sender for a while.
func TestAHoldIsNotTriedWithWhatMustWait(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		s.brief("c", 60)
		hold := ledger.HoldRequest{Sender: s.sender, Hold: ledger.Hold{For: time.Minute, AtMost: time.Minute}, Reason: "account", Code: "1003"}
		_, err := s.ledger.SetHold(t.Context(), hold)
		require.NoError(t, err)
		for i := range 60 {
			require.Equal(t, ledger.Held, s.send(fmt.Sprint("c.", i+2)))
		}
		require.NoError(t, firstError(s.ledger.Accept(t.Context(), []message.Message{s.message("alone")})))
		require.Equal(t, ledger.Held, s.send("alone"))
		s.pass(4 * time.Minute)
		sweeps := 0
		for tried := s.probes(); len(tried) == 0; tried = s.probes() {
			s.pass(200 * time.Millisecond)
			sweeps++
			require.Less(t, sweeps, 5)
		}
		require.Equal(t, ledger.Send, s.express("alone"))
		rec, err := s.ledger.Get(t.Context(), s.sender, "c.2")
		require.NoError(t, err)
		require.Equal(t, "window", rec.WaitingFor)
		s.balanced()
	})
}

// A probe whose window closes before its turn has come is followed by another at once.
func TestAProbeThatMustWaitIsGivenBack(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		s.brief("c", 1)
		hold := ledger.HoldRequest{Sender: s.sender, Hold: ledger.Hold{For: 30 * time.Second, AtMost: time.Minute}, Reason: "account", Code: "1003"}
		_, err := s.ledger.SetHold(t.Context(), hold)
		require.NoError(t, err)
		require.Equal(t, ledger.Held, s.send("c.2"))
		s.pass(31 * time.Second)
		require.Equal(t, []string{"c.2"}, s.probes())
		require.NoError(t, firstError(s.ledger.Accept(t.Context(), []message.Message{s.message("alone")})))
		s.pass(3 * time.Minute)
		require.Equal(t, ledger.Held, s.express("c.2"), "its window is over")
		s.pass(time.Millisecond)
		require.Equal(t, []string{"alone"}, s.probes())
		require.Equal(t, ledger.Send, s.express("alone"))
		s.balanced()
	})
}

// express claims a message as the handler of express tasks does.
func (s *site) express(id string) ledger.Verdict {
	s.t.Helper()
	c, err := s.ledger.Claim(s.t.Context(), ledger.ClaimRequest{
		Sender: s.sender, ID: id, Generation: 99, Token: message.NewID(), Lease: time.Minute, Express: true,
	})
	require.NoError(s.t, err)
	return c.Verdict
}
