package campaign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// site is a sender with its books, and a clock that tests move.
type site struct {
	t      *testing.T
	rdb    *redis.Client
	sender string
	offset atomic.Int64
	ledger *ledger.Ledger
	x      *expansion
	window int
}

func newSite(t *testing.T, rdb *redis.Client) *site {
	s := &site{t: t, rdb: rdb, sender: redistest.Sender(), window: 1000}
	s.ledger = s.books(rdb)
	s.x = s.expander(rdb)
	return s
}

func (s *site) books(rdb *redis.Client) *ledger.Ledger {
	return ledger.New(rdb, ledger.Config{Offset: func() time.Duration { return time.Duration(s.offset.Load()) }})
}

func (s *site) expander(rdb *redis.Client) *expansion {
	return NewExpander(ExpanderConfig{Redis: rdb, Ledger: s.books(rdb), Senders: []string{s.sender}, Window: s.window}).expansion(s.sender)
}

func (s *site) pass(d time.Duration) { s.offset.Add(int64(d)) }

func (s *site) definition(id string) Definition {
	d := Definition{ID: id, Sender: s.sender, Template: template, Params: []string{"{name}"}}
	require.NoError(s.t, d.Normalise(time.Now()))
	return d
}

func (s *site) take(d Definition, file string, more ...func(*File)) (Taken, []Rejection, error) {
	return s.takeWith(s.ledger, d, file, more...)
}

func (s *site) takeWith(l *ledger.Ledger, d Definition, file string, more ...func(*File)) (Taken, []Rejection, error) {
	var rejected []Rejection
	f := File{In: strings.NewReader(file), Format: CSV, Reject: func(r Rejection) error { rejected = append(rejected, r); return nil }}
	for _, m := range more {
		m(&f)
	}
	done, err := (&Intake{Ledger: l}).Take(s.t.Context(), d, f)
	return done, rejected, err
}

func (s *site) step() {
	s.t.Helper()
	require.NoError(s.t, s.x.step(s.t.Context()))
}

func (s *site) get(id string) ledger.Campaign {
	s.t.Helper()
	c, err := s.ledger.GetCampaign(s.t.Context(), s.sender, id)
	require.NoError(s.t, err)
	return c
}

// queue empties the asynq queue of bulk: the ids of the messages whose tasks were there.
func (s *site) queue() []string {
	s.t.Helper()
	var ids []string
	key := "asynq:{" + message.Queue(s.sender, message.Bulk) + "}:pending"
	for {
		task, err := s.rdb.RPop(s.t.Context(), key).Result()
		if errors.Is(err, redis.Nil) {
			return ids
		}
		require.NoError(s.t, err)
		id, _, _ := strings.Cut(task, ":")
		ids = append(ids, id)
	}
}

func (s *site) claim(id string) ledger.Claim {
	s.t.Helper()
	c, err := s.ledger.Claim(s.t.Context(), ledger.ClaimRequest{Sender: s.sender, ID: id, Generation: 99, Token: message.NewID(), Lease: time.Minute})
	require.NoError(s.t, err)
	return c
}

// send claims a message and has it taken, if it may be sent.
func (s *site) send(id string) ledger.Verdict {
	s.t.Helper()
	c := s.claim(id)
	if c.Verdict == ledger.Send {
		_, err := s.ledger.Commit(s.t.Context(), ledger.Commit{
			Sender: s.sender, ID: id, Attempt: c.Attempt, Outcome: ledger.OutcomeSubmitted, Next: message.Submitted, Spends: true, MessageID: "gs-" + id,
		})
		require.NoError(s.t, err)
	}
	return c.Verdict
}

func (s *site) steer(id string, e message.CampaignEvent) {
	s.t.Helper()
	_, err := s.ledger.SteerCampaign(s.t.Context(), s.sender, id, e, "a test", "tester")
	require.NoError(s.t, err)
}

func (s *site) sweep() ledger.Sweep {
	s.t.Helper()
	found, err := s.ledger.Sweep(s.t.Context(), ledger.SweepRequest{
		Sender: s.sender, Owner: "sweeper", Lease: time.Second, Most: 10000, LetGo: 10000, Room: 10000,
		Grace: map[message.Priority]time.Duration{message.Critical: time.Hour, message.Default: time.Hour, message.Bulk: time.Hour},
	})
	require.NoError(s.t, err)
	return found
}

func (s *site) balanced() ledger.DeepAudit {
	s.t.Helper()
	d, err := s.ledger.AuditDeep(s.t.Context(), s.sender)
	require.NoError(s.t, err)
	require.True(s.t, d.Balanced(), "%+v", d)
	require.False(s.t, d.Moving)
	return d
}

// people writes a file of n rows, the first of which is line 2.
func people(n int) string {
	var b strings.Builder
	b.WriteString("to,name\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,Asha %d\n", 919800000000+i*7, i)
	}
	return b.String()
}

func TestCampaignFromFileToEnd(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		s.window = 1500
		s.x = s.expander(rdb)
		done, rejected, err := s.take(s.definition("spring"), people(2500))
		require.NoError(t, err)
		require.Empty(t, rejected)
		require.Equal(t, Taken{ID: "spring", Status: message.CampaignRunning, Lines: 2501, Accepted: 2500, Zones: map[string]int64{"": 2500}}, done)
		require.EqualValues(t, 2500, s.balanced().Accepted)
		keys, err := rdb.Keys(t.Context(), "gupdispatch:{"+s.sender+"}:c:spring:[ni]:*").Result()
		require.NoError(t, err)
		require.Empty(t, keys, "what told the rows apart is gone")

		s.step()
		ids := s.queue()
		require.Len(t, ids, 1500, "no more than the window")
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(ids))), 1500)
		audit := s.balanced()
		require.EqualValues(t, 1000, audit.InChunks)
		require.EqualValues(t, 2500, audit.Counts[message.Queued], "expanding changes no total")
		s.step()
		require.Empty(t, s.queue())
		for _, id := range ids {
			require.Equal(t, ledger.Send, s.send(id))
		}
		s.step()
		for _, id := range s.queue() {
			require.Equal(t, ledger.Send, s.send(id))
		}
		s.step()
		c := s.get("spring")
		require.Equal(t, message.CampaignCompleted, c.Status)
		require.EqualValues(t, 2500, c.Counts[message.Submitted])
		require.EqualValues(t, 0, c.Unsettled())
		s.balanced()

		rec, err := s.ledger.Get(t.Context(), s.sender, "spring.2")
		require.NoError(t, err)
		require.Equal(t, "spring", rec.Campaign)
		require.Equal(t, []string{"Asha 0"}, rec.Content.Template.Params)

		s.pass(100 * 24 * time.Hour)
		s.step()
		_, err = s.ledger.GetCampaign(t.Context(), s.sender, "spring")
		require.ErrorIs(t, err, ledger.ErrNoCampaign, "nothing is kept for ever")
	})
}

func TestRowsAreRejectedAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		require.NoError(t, firstError(s.ledger.Accept(t.Context(), []message.Message{s.message("taken")})))
		var b strings.Builder
		b.WriteString("to,name,id\n919811111111,A,one\n12,B,\n+91 98111 11111,C,\n\n919811111112,D,one\n919811111113,E,taken\n919811111114,F\tG,\n919811111119,H,odd.9\n")
		for i := range 1200 { // into the next chunk
			fmt.Fprintf(&b, "%d,x,\n", 919822222222+i)
		}
		b.WriteString("919811111111,again,\n919811111115,again,one\n919811111116,I,last\n")
		done, rejected, err := s.take(s.definition("odd"), b.String())
		require.NoError(t, err)
		var text []string
		for _, r := range rejected {
			text = append(text, r.Error())
		}
		require.ElementsMatch(t, []string{
			"line 3: to: is not a possible phone number: give it with its country code, such as 447700900123",
			"line 4: to: its number stands in line 2 already",
			"line 6: id: it stands in line 2 already",
			"line 7: id: another message has it",
			"line 8: name: must not contain line breaks, tabs or other control characters",
			"line 9: id: must not begin with the campaign's id and a dot, as the ids of rows without one do",
			"line 1210: to: its number stands in an earlier line",
			"line 1211: id: it stands in an earlier line",
		}, text)
		require.EqualValues(t, 1202, done.Accepted)
		require.EqualValues(t, 8, done.Rejected)
		require.EqualValues(t, 1212, done.Lines)
		s.balanced()
		var kept []string
		require.NoError(t, Rejected(t.Context(), s.ledger, s.sender, "odd", func(r Rejection) error { kept = append(kept, r.Error()); return nil }))
		slices.SortFunc(rejected, func(a, b Rejection) int { return int(a.Line - b.Line) })
		require.Len(t, kept, len(rejected))
		for i, r := range rejected {
			require.Equal(t, r.Error(), kept[i], "in the order of the file")
		}

		dry, again, err := s.take(s.definition("other"), b.String(), func(f *File) { f.DryRun = true })
		require.NoError(t, err)
		require.Len(t, again, 6, "that another message has an id only Redis knows")
		require.EqualValues(t, 1204, dry.Accepted)
		_, err = s.ledger.GetCampaign(t.Context(), s.sender, "other")
		require.ErrorIs(t, err, ledger.ErrNoCampaign)

		_, _, err = s.take(s.definition("strict"), b.String(), func(f *File) { f.Strict = true })
		var strict *StrictError
		require.ErrorAs(t, err, &strict)
		require.Equal(t, message.CampaignCancelled, s.get("strict").Status)
		_, _, err = s.take(s.definition("strict"), b.String())
		var refused *ledger.IntakeError
		require.ErrorAs(t, err, &refused)
		s.balanced()
	})
}

func (s *site) message(id string) message.Message {
	d := s.definition("x")
	m, err := NewForm(d).Message(Row{To: "919833333333", ID: id, Values: []string{"x"}})
	require.NoError(s.t, err)
	return m
}

func firstError(_ []ledger.Acceptance, errs []error) error { return errors.Join(errs...) }

// A message with a row's own id comes between its intake and its expansion: neither is lost.
func TestAnIdThatIsTakenLater(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		_, _, err := s.take(s.definition("c"), "to,name,id\n919811111111,A,mine\n")
		require.NoError(t, err)
		require.NoError(t, firstError(s.ledger.Accept(t.Context(), []message.Message{s.message("mine")})))
		s.step()
		require.Equal(t, []string{"c.2"}, s.queue())
		require.Equal(t, ledger.Send, s.send("c.2"))
		require.Equal(t, ledger.Send, s.send("mine"))
		found, err := s.ledger.CampaignMessages(t.Context(), s.sender, "c", [][2]string{{"mine", "c.2"}})
		require.NoError(t, err)
		require.Equal(t, "gs-c.2", found[0].MessageID)
		s.balanced()
	})
}

func TestSameCampaignAgain(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		d := s.definition("c")
		_, _, err := s.take(d, people(5))
		require.NoError(t, err)
		done, _, err := s.take(d, people(5))
		require.NoError(t, err)
		require.True(t, done.Existing)
		require.EqualValues(t, 5, done.Accepted)
		_, _, err = s.take(d, strings.ReplaceAll(people(5), "\n", "\r\n"), func(f *File) { f.Strict = true })
		require.NoError(t, err)
		for _, file := range []string{
			people(4), people(6), people(5) + "12,Nobody\n", people(2000), strings.Replace(people(5), "Asha 3", "Asha 4", 1), people(5) + "\n", "to,name,x\n9,a,b\n",
		} {
			_, rejected, err := s.take(d, file, func(f *File) { f.Strict = true })
			requireOtherFile(t, err)
			require.Empty(t, rejected)
		}
		_, _, err = s.take(d, `{"to":"919800000000","name":"Asha 0"}`, func(f *File) { f.Format = NDJSON })
		requireOtherFile(t, err)
		require.Equal(t, message.CampaignRunning, s.get("c").Status)
		d.Params = []string{"{name}!"}
		_, _, err = s.take(d, people(5))
		var conflict *ConflictError
		require.ErrorAs(t, err, &conflict)
		require.EqualValues(t, 5, s.balanced().Accepted)
	})
}

func TestAnotherFileIsNotTheRestOfThisOne(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		stopped := errors.New("stopped")
		_, err := (&Intake{Ledger: s.ledger}).Take(t.Context(), s.definition("c"), File{
			Format: CSV, In: &brokenReader{text: people(1500), err: stopped},
		})
		require.ErrorIs(t, err, stopped)
		require.Equal(t, message.CampaignIngesting, s.get("c").Status)
		var changed *FileError
		_, _, err = s.take(s.definition("c"), strings.Replace(people(1500), "Asha 3\n", "Asha 4\n", 1))
		require.ErrorAs(t, err, &changed)
		_, _, err = s.take(s.definition("c"), people(10))
		require.ErrorAs(t, err, &changed)
		s.step()
		require.Empty(t, s.queue(), "nothing is sent before the whole file was read")
		done, _, err := s.take(s.definition("c"), people(1500), func(f *File) { f.Waiting = func(time.Duration) { t.Error("whoever read it has said that it ended") } })
		require.NoError(t, err)
		require.EqualValues(t, 1500, done.Accepted)
		require.NotZero(t, done.Before)
		s.balanced()
	})
}

// hooked reads the beginning of a file, calls a function, and reads the rest.
type hooked struct {
	begin, rest io.Reader
	hook        func()
}

func (h *hooked) Read(p []byte) (int, error) {
	if n, err := h.begin.Read(p); err == nil {
		return n, nil
	}
	if h.hook != nil {
		h.hook()
		h.hook = nil
	}
	return h.rest.Read(p)
}

// hookedInto calls a function once the campaign of a file has begun, and no row of it was read.
func hookedInto(file string, hook func()) *hooked {
	at := strings.Index(file, "\n") + 2
	return &hooked{begin: strings.NewReader(file[:at]), rest: strings.NewReader(file[at:]), hook: hook}
}

// Whoever broke off and began anew may be faster than the end of the first call: what that one still takes in is not taken again.
func TestAnotherCallTakesRowsMeanwhile(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		stopped := errors.New("stopped")
		file := people(3000) + "12,Nobody\n"
		take := func(id, other string) (Taken, error) {
			done, _, err := s.take(s.definition(id), "", func(f *File) {
				f.In = hookedInto(file, func() {
					_, err := (&Intake{Ledger: s.ledger}).Take(t.Context(), s.definition(id), File{Format: CSV, In: &brokenReader{text: other, err: stopped}})
					require.ErrorIs(t, err, stopped)
				})
			})
			return done, err
		}
		for i, lines := range []int{1, 999, 1000, 1001, 2500, 3000} {
			id := fmt.Sprint("c", i)
			done, err := take(id, people(lines))
			require.NoError(t, err, lines)
			require.EqualValues(t, 3000, done.Accepted, lines)
			require.EqualValues(t, 1, done.Rejected, lines)
			require.EqualValues(t, 3000, s.get(id).Rows, lines)
			require.EqualValues(t, 1, s.get(id).Rejected, lines)
		}
		_, err := take("other", strings.Replace(people(1500), "Asha 3\n", "Asha 4\n", 1))
		var changed *FileError
		require.ErrorAs(t, err, &changed)
		s.balanced()
	})
}

// Files that nobody can be sent to from are told apart, and leave no campaign behind.
func TestFilesOfNoUse(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t))
	for file, want := range map[string]string{
		"":                            "the file is empty",
		"to,name":                     "the file has no rows",
		"to,name\n\r\n\n":             "the file has no rows",
		"\xff\xfet\x00o\x00":          "is UTF-16",
		"\xfe\xff\x00t\x00o":          "is UTF-16",
		"\x1f\x8b\x08\x00":            "is compressed (gzip)",
		"PK\x03\x04\x14":              "is an Excel workbook",
		"sep=;\nto;name\n9198;Asha\n": "only Excel knows",
	} {
		for _, dry := range []bool{true, false} {
			_, _, err := s.take(s.definition("c"), file, func(f *File) { f.DryRun = dry })
			var useless *FileError
			require.ErrorAs(t, err, &useless, "%q", file)
			require.ErrorContains(t, err, want)
		}
	}
	_, _, err := s.take(s.definition("c"), "\n", func(f *File) { f.Format = NDJSON })
	require.ErrorContains(t, err, "the file has no rows")
	_, err = s.ledger.GetCampaign(t.Context(), s.sender, "c")
	require.ErrorIs(t, err, ledger.ErrNoCampaign)
	done, _, err := s.take(s.definition("c"), "to,name\n"+strings.Repeat("\n", 300<<10)+"919811111111,A\n")
	require.NoError(t, err, "many blank lines are no end")
	require.EqualValues(t, 1, done.Accepted)
}

// Two calls at the same time, of which the other one comes to the end: the same file had been read before, another one is refused.
func TestAnotherCallReadsTheWholeFileMeanwhile(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		file := people(2500) + "12,Nobody\n"
		for i, other := range []string{file, people(1), people(1500), people(2501), people(3000), strings.Replace(file, "Asha 3\n", "Asha 4\n", 1)} {
			id := fmt.Sprint("c", i)
			var first Taken
			done, _, err := s.take(s.definition(id), "", func(f *File) {
				f.In = hookedInto(file, func() {
					var err error
					first, _, err = s.take(s.definition(id), other)
					require.NoError(t, err)
				})
			})
			require.Equal(t, first.Accepted, s.get(id).Rows, id)
			require.Equal(t, message.CampaignRunning, s.get(id).Status)
			if i > 0 {
				requireOtherFile(t, err)
				continue
			}
			require.NoError(t, err)
			first.Existing = true
			require.Equal(t, first, done)
		}
		s.balanced()
	})
}

// A strict call does not cancel what another call, which is not, has taken in whole meanwhile.
func TestAStrictCallIsOvertakenByAnother(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		file := people(5) + "12,Nobody\n"
		done, _, err := s.take(s.definition("c"), "", func(f *File) {
			f.Strict = true
			f.In = hookedInto(file, func() {
				_, _, err := s.take(s.definition("c"), file)
				require.NoError(t, err)
			})
		})
		var conflict *ConflictError
		require.ErrorAs(t, err, &conflict)
		require.ErrorContains(t, err, "line 7 is rejected, but another call without strict")
		require.Equal(t, message.CampaignRunning, done.Status)
		require.Equal(t, message.CampaignRunning, s.get("c").Status)
		s.balanced()
	})
}

func requireOtherFile(t *testing.T, err error) {
	t.Helper()
	var conflict *ConflictError
	require.ErrorAs(t, err, &conflict)
	require.True(t, conflict.File)
	require.ErrorContains(t, err, "read from another file")
}

// Chunks are bounded by bytes, too, so that long lines do not fill the memory of whoever reads them.
func TestLongLinesMakeSmallChunks(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t))
	file := strings.ReplaceAll(people(100), "\n", ","+strings.Repeat("x", 40<<10)+"\n")
	done, _, err := s.take(s.definition("c"), file)
	require.NoError(t, err)
	require.EqualValues(t, 100, done.Accepted)
	require.EqualValues(t, 4, s.get("c").Chunks)
	s.balanced()
}

// A process that was killed says nothing: the next one waits until its time is over, and says that it does.
func TestWhoeverWasKilledIsWaitedFor(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		d := s.definition("c")
		text, err := d.Encode()
		require.NoError(t, err)
		_, _, err = s.ledger.CreateCampaign(t.Context(), ledger.NewCampaign{Sender: s.sender, ID: "c", Definition: text, Template: template, Priority: d.Priority})
		require.NoError(t, err)
		_, err = s.ledger.AddRows(t.Context(), ledger.CampaignChunk{Sender: s.sender, ID: "c", Owner: "killed", Lease: readerLease, Lines: 0, Sum: "0"})
		require.NoError(t, err)
		told := 0
		done, _, err := s.take(d, people(5), func(f *File) {
			f.Waiting = func(atMost time.Duration) {
				require.Equal(t, readerLease, atMost)
				told++
				s.pass(readerLease)
			}
		})
		require.NoError(t, err)
		require.EqualValues(t, 5, done.Accepted)
		require.Equal(t, 1, told)
		s.balanced()
	})
}

// brokenReader reads a text and then fails.
type brokenReader struct {
	text string
	err  error
}

func (b *brokenReader) Read(p []byte) (int, error) {
	if b.text == "" {
		return 0, b.err
	}
	n := copy(p, b.text)
	b.text = b.text[n:]
	return n, nil
}

func TestPauseStopsWhatWaitsAlready(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		s.window = 10
		s.x = s.expander(rdb)
		_, _, err := s.take(s.definition("c"), people(30))
		require.NoError(t, err)
		s.step()
		ids := s.queue()
		require.Equal(t, ledger.Send, s.send(ids[0]))
		s.steer("c", message.CampaignPause)
		s.steer("c", message.CampaignPause)
		require.Equal(t, ledger.Held, s.send(ids[1]))
		rec, err := s.ledger.Get(t.Context(), s.sender, ids[2])
		require.NoError(t, err)
		require.Equal(t, "paused", rec.WaitingFor)
		require.NoError(t, firstError(s.ledger.Accept(t.Context(), []message.Message{s.message("alone")})))
		require.Equal(t, ledger.Send, s.send("alone"), "a message of no campaign is not held up")
		s.step()
		require.Empty(t, s.queue(), "nothing is expanded")
		require.Empty(t, s.sweep().Holds, "a paused campaign pauses no queue")
		s.balanced()

		s.steer("c", message.CampaignResume)
		found := s.sweep()
		require.Len(t, found.Requeue, 1)
		require.Equal(t, ids[1], found.Requeue[0].ID)
		for _, id := range ids[1:] {
			require.Equal(t, ledger.Send, s.send(id))
		}
		s.step()
		require.Len(t, s.queue(), 10)
		s.balanced()
	})
}

func TestCancelLeavesNothingWaiting(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		s.window = 1100
		s.x = s.expander(rdb)
		_, _, err := s.take(s.definition("c"), people(2500))
		require.NoError(t, err)
		s.step()
		ids := s.queue()
		require.Len(t, ids, 1100)
		for _, id := range ids[:100] {
			s.send(id)
		}
		s.steer("c", message.CampaignCancel)
		require.Equal(t, ledger.AlreadyDone, s.send(ids[100]), "at once")
		s.balanced()
		s.step()
		c := s.get("c")
		require.EqualValues(t, 0, c.Counts[message.Queued])
		require.EqualValues(t, 2400, c.Counts[message.Cancelled])
		require.EqualValues(t, 100, c.Counts[message.Submitted])
		d := s.balanced()
		require.Zero(t, d.InChunks)
		require.Zero(t, d.Unsettled())
		s.step()
		left, err := rdb.ZCard(t.Context(), "gupdispatch:{"+s.sender+"}:campaigns:open").Result()
		require.NoError(t, err)
		require.Zero(t, left)
		s.pass(8 * 24 * time.Hour)
		s.step()
		d = s.balanced()
		require.EqualValues(t, 1400, d.Retired, "rows that never became messages are kept no longer than messages")
		_, err = s.ledger.SteerCampaign(t.Context(), s.sender, "c", message.CampaignResume, "", "")
		var no *ledger.SteerError
		require.ErrorAs(t, err, &no)
	})
}

func TestAHeldTemplatePausesItsCampaign(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		_, _, err := s.take(s.definition("c"), people(3))
		require.NoError(t, err)
		_, err = s.ledger.SetHold(t.Context(), ledger.HoldRequest{
			Sender: s.sender, Hold: ledger.Hold{Template: template, For: time.Minute, AtMost: time.Hour}, Reason: "template", Code: "4003",
		})
		require.NoError(t, err)
		s.step()
		c := s.get("c")
		require.Equal(t, message.CampaignPaused, c.Status)
		require.Equal(t, "its template is held: template 4003", c.Reason)
		_, err = s.ledger.SteerCampaign(t.Context(), s.sender, "c", message.CampaignResume, "", "")
		require.ErrorContains(t, err, "its template is held: template 4003; it goes on when that hold ends")
		s.steer("c", message.CampaignPause)
		require.Equal(t, "a test", s.get("c").Reason, "a person's pause")
		_, err = s.ledger.SteerCampaign(t.Context(), s.sender, "c", message.CampaignResume, "", "")
		require.ErrorContains(t, err, "it goes on when that hold ends")
		require.Equal(t, message.CampaignPaused, s.get("c").Status)
		s.step()
		require.Empty(t, s.queue())
		_, err = s.ledger.Release(t.Context(), s.sender, template, "ops")
		require.NoError(t, err)
		s.step()
		require.Equal(t, message.CampaignRunning, s.get("c").Status)
		s.step()
		require.Len(t, s.queue(), 3)
	})
}

func TestStartWindowRateAndExpiry(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		now := time.Now().UTC().Truncate(time.Millisecond)
		d := s.definition("later")
		d.StartAt = now.Add(time.Hour)
		done, _, err := s.take(d, people(3))
		require.NoError(t, err)
		require.Equal(t, message.CampaignScheduled, done.Status)
		s.step()
		require.Empty(t, s.queue())
		s.steer("later", message.CampaignPause)
		require.Equal(t, message.CampaignPaused, s.get("later").Status)
		for range 2 {
			s.steer("later", message.CampaignResume)
			require.Equal(t, message.CampaignScheduled, s.get("later").Status, "its start is still to come")
		}
		s.step()
		require.Empty(t, s.queue())
		s.pass(time.Hour + time.Minute)
		s.step()
		require.Len(t, s.queue(), 3, "its time has come")

		d = s.definition("rated")
		d.Rate = 10
		_, _, err = s.take(d, people(100))
		require.NoError(t, err)
		s.step()
		n := len(s.queue())
		require.InDelta(t, 10, n, 1)
		s.pass(500 * time.Millisecond)
		s.step()
		more := len(s.queue())
		require.InDelta(t, 5, more, 2)

		d = s.definition("windowed")
		at := time.Now().Add(time.Duration(s.offset.Load())).UTC()
		d.Window = at.Add(-2*time.Hour).Format("15:04") + "-" + at.Add(2*time.Minute).Format("15:04")
		_, _, err = s.take(d, people(3))
		require.NoError(t, err)
		s.step()
		ids := slices.DeleteFunc(s.queue(), func(id string) bool { return !strings.HasPrefix(id, "windowed.") })
		require.Len(t, ids, 3)
		require.Equal(t, ledger.Send, s.send(ids[0]))
		s.pass(3 * time.Minute)
		require.Equal(t, ledger.Held, s.send(ids[1]), "its window is over")
		rec, err := s.ledger.Get(t.Context(), s.sender, ids[1])
		require.NoError(t, err)
		require.Equal(t, "window", rec.WaitingFor)
		s.step()
		require.Equal(t, ledger.Wait, s.send(ids[1]))
		s.pass(22 * time.Hour)
		s.step()
		found := s.sweep()
		require.True(t, slices.ContainsFunc(found.Requeue, func(q ledger.Requeued) bool { return q.ID == ids[1] }), "it is open again")
		require.Equal(t, ledger.Send, s.send(ids[1]))

		d = s.definition("brief")
		d.Expires = time.Now().Add(time.Duration(s.offset.Load()) + time.Second)
		_, _, err = s.take(d, people(1200))
		require.NoError(t, err)
		s.pass(2 * time.Second)
		s.step()
		require.Empty(t, slices.DeleteFunc(s.queue(), func(id string) bool { return !strings.HasPrefix(id, "brief.") }))
		require.EqualValues(t, 1200, s.get("brief").Counts[message.Expired])
		s.balanced()
	})
}

func TestSuppressedRowsBecomeNoTask(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		require.NoError(t, s.ledger.Suppress(t.Context(), s.sender, []ledger.Suppression{{Number: "919800000000", Scope: "bulk", Code: "stop", Source: "hand"}}))
		_, _, err := s.take(s.definition("c"), people(2))
		require.NoError(t, err)
		s.step()
		require.Equal(t, []string{"c.3"}, s.queue())
		require.EqualValues(t, 1, s.get("c").Counts[message.Suppressed])
		s.balanced()
	})
}

// cutter ends a process at one of its scripts: before Redis sees it, or after, when the answer is lost. From then on nothing gets through.
type cutter struct {
	left  atomic.Int64
	after bool
	dead  atomic.Bool
}

var errKilled = errors.New("killed")

func (c *cutter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *cutter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if c.dead.Load() {
			return errKilled
		}
		return next(ctx, cmds)
	}
}

func (c *cutter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if c.dead.Load() {
			return errKilled
		}
		if c.left.Add(-1) != 0 {
			return next(ctx, cmd)
		}
		c.dead.Store(true)
		if c.after {
			_ = next(ctx, cmd)
		}
		cmd.SetErr(errKilled)
		return errKilled
	}
}

// Intake and expansion are killed again and again, at any of their commands, with and without an answer that is lost: every row comes to
// exactly one message, and each message to Gupshup once.
func TestKilledAnywhereEveryRowIsSentOnce(t *testing.T) {
	t.Parallel()
	killedAnywhere(t, people, func(s *site, id string) Definition { return s.definition(id) }, time.Minute)
}

// The same where rows become messages by the clocks of their recipients.
func TestKilledAnywhereInSeveralZones(t *testing.T) {
	t.Parallel()
	killedAnywhere(t, world, func(s *site, id string) Definition { return s.byRecipient(id) }, 3*time.Hour)
}

func killedAnywhere(t *testing.T, fileOf func(n int) string, definition func(*site, string) Definition, step time.Duration) {
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		s.window = 250
		seed := uint64(time.Now().UnixNano()) //nolint:gosec // any seed will do
		t.Logf("seed %d", seed)
		rnd := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
		const rows, kills = 2500, 50
		file := fileOf(rows)
		file += file[len("to,name\n") : len("to,name\n")+1000] // numbers that stand there already, in the last chunk
		process := func(most int64) (*redis.Client, *cutter) {
			c := &cutter{after: rnd.IntN(2) == 0}
			c.left.Store(1 + rnd.Int64N(most))
			one := redis.NewClient(&redis.Options{Addr: rdb.Options().Addr, Protocol: 2, MaxRetries: -1})
			one.AddHook(c)
			t.Cleanup(func() { _ = one.Close() })
			return one, c
		}
		killed := 0
		for n := 0; killed < kills; n++ {
			id := fmt.Sprintf("c%d", n)
			d := definition(s, id)
			for done := false; !done; {
				one, _ := process(6)
				_, _, err := s.takeWith(s.books(one), d, file)
				if done = err == nil; !done {
					require.ErrorIs(t, err, errKilled)
					killed++
				}
				s.pass(2 * readerLease)
			}
			c := s.get(id)
			require.EqualValues(t, rows, c.Rows)
			require.Positive(t, c.Rejected)
			s.balanced()

			sent := map[string]int{}
			for s.get(id).Status != message.CampaignCompleted {
				one, cut := process(60)
				x := s.expander(one)
				for range 3 {
					if err := x.step(t.Context()); err != nil {
						break
					}
				}
				if cut.dead.Load() {
					killed++
				}
				s.pass(step)
				if rnd.IntN(20) == 0 {
					s.balanced()
				}
				ids := s.queue()
				for _, q := range s.sweepLost() {
					ids = append(ids, q.ID)
				}
				for _, id := range ids {
					if s.send(id) == ledger.Send {
						sent[id]++
					}
				}
			}
			require.Len(t, sent, rows)
			for i := range rows {
				require.Equal(t, 1, sent[lineID(id, int64(i+2))], "line %d", i+2)
			}
			require.EqualValues(t, rows, s.get(id).Counts[message.Submitted])
			all := s.balanced()
			require.EqualValues(t, rows*(n+1), all.Counts[message.Submitted]+all.Retired)
		}
		t.Logf("killed %d times", killed)
	})
}

// sweepLost is a sweep that finds every task lost.
func (s *site) sweepLost() []ledger.Requeued {
	s.t.Helper()
	found, err := s.ledger.Sweep(s.t.Context(), ledger.SweepRequest{
		Sender: s.sender, Owner: "sweeper", Lease: time.Second, Most: 10000, LetGo: 10000, Room: 10000,
		Grace: map[message.Priority]time.Duration{message.Bulk: time.Second}, Idle: map[message.Priority]bool{message.Bulk: true},
	})
	require.NoError(s.t, err)
	return found.Requeue
}

func TestTasksAreAsOthers(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb)
		_, _, err := s.take(s.definition("c"), people(1))
		require.NoError(t, err)
		s.step()
		info, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo(message.Queue(s.sender, message.Bulk), message.TaskID("c.2", 1))
		require.NoError(t, err)
		task, err := message.DecodeTask(info.Payload)
		require.NoError(t, err)
		require.Equal(t, message.Task{Sender: s.sender, ID: "c.2", Generation: 1, To: message.MaskNumber("919800000000"), Template: template}, task)
	})
}
