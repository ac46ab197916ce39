//go:build unix

package crash

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// archive waits until asynq shows every dead letter. A worker that dies between writing a message down as dead and archiving its
// task leaves that to asynq's recoverer, which comes two minutes later or when a worker starts; so the leases are made older.
func (s *site) archive() {
	ctx := context.Background()
	for _, p := range message.Lanes {
		key := "asynq:{" + message.Queue(s.base.Sender, p) + "}:lease"
		held, err := s.rdb.ZRange(ctx, key, 0, -1).Result()
		require.NoError(s.t, err)
		for _, task := range held {
			require.NoError(s.t, s.rdb.ZAddXX(ctx, key, redis.Z{Score: float64(time.Now().Add(-time.Minute).Unix()), Member: task}).Err())
		}
	}
	last := s.start(s.spec(workerRole), plan{})
	for limit := time.Now().Add(30 * time.Second); len(s.unarchived()) > 0 && time.Now().Before(limit); {
		pause(ctx, 200*time.Millisecond)
	}
	last.stop()
	assert.Empty(s.t, s.unarchived(), "dead letters that asynq does not show as archived with our text")
}

// unarchived lists dead letters whose task is not archived with the dead letter's text.
func (s *site) unarchived() (out []string) {
	inspector := asynq.NewInspectorFromRedisClient(s.rdb)
	err := s.ledger.Dead(context.Background(), s.base.Sender, ledger.DeadFilter{}, func(r ledger.Record, _ time.Time) bool {
		id := message.TaskID(r.ID, r.Generation)
		info, err := inspector.GetTaskInfo(message.Queue(s.base.Sender, r.Priority), id)
		if err != nil { // decided about at once
			info, err = inspector.GetTaskInfo(message.Queue(s.base.Sender, message.Probe), id)
		}
		switch {
		case err != nil:
			out = append(out, fmt.Sprintf("%s (%s): %v", id, r.Code, err))
		case info.State != asynq.TaskStateArchived || !strings.HasPrefix(info.LastErr, "dead letter: "+r.Code):
			out = append(out, fmt.Sprintf("%s (%s): %s, %q", id, r.Code, info.State, info.LastErr))
		}
		return len(out) < 20
	})
	require.NoError(s.t, err)
	return out
}

// report is what a run came to.
type report struct {
	began         time.Time
	killedByRedis int64

	records, confirmed, lost int
	known                    int
	problems                 []string
	sent                     map[int][]gupshuptest.Accepted // what really went out, by message
	twiceHeld, twiceResent   int
	doubts                   map[string]int // what became of attempts in doubt
	audit                    ledger.Audit
}

// verify compares the books with what the simulator saw.
func (s *site) verify(r *report) {
	ctx, t := context.Background(), s.t
	deep, err := s.ledger.AuditDeep(ctx, s.base.Sender)
	require.NoError(t, err)
	assert.True(t, deep.Balanced(), "the audit: %+v", deep)
	assert.Zero(t, deep.Unsettled(), "messages that came to no end")
	r.audit = deep.Audit

	stats := s.sim.Stats()
	require.EqualValues(t, stats.Accepted, stats.Kept, "the simulator has forgotten some: raise MaxKept")
	r.sent, r.doubts = map[int][]gupshuptest.Accepted{}, map[string]int{}
	for _, a := range s.sim.Accepted(gupshuptest.Filter{}) {
		i, err := indexOf(a.Destination)
		require.NoError(t, err)
		r.sent[i] = append(r.sent[i], a)
	}
	for i := range s.stream.N {
		s.compare(i, r)
	}
	assert.EqualValues(t, r.records, deep.Accepted, "records and the count of accepted messages")
	for id, to := range s.known {
		i, err := indexOf(to)
		require.NoError(t, err)
		rec, err := s.ledger.Get(ctx, s.base.Sender, messageID(i))
		require.NoError(t, err)
		if !slices.ContainsFunc(rec.Attempts, func(a ledger.Attempt) bool {
			return a.MessageID == id && a.Outcome == ledger.OutcomeSubmitted
		}) {
			r.problem("Gupshup said that it took message %d as %s, and the record does not: %s", i, id, storyOf(rec, r.sent[i]))
		}
	}
	r.known = len(s.known)
	doubled := 0
	for _, sent := range r.sent {
		doubled += len(sent) - 1
	}
	assert.Empty(t, r.problems)
	assert.LessOrEqual(t, deep.Duplicates, int64(doubled), "the ledger counts duplicates that were none")
}

// A run of fewer messages than thorough may leave a few points unstruck: its messages may be settled before the last points are reached.
const (
	thorough = 5000
	mayMiss  = 4
)

// wasThorough checks that every step was recognised, and that processes were killed at all of them.
func (s *site) wasThorough() {
	for role := range s.missing {
		s.wasThoroughFor(role)
	}
}

func (s *site) wasThoroughFor(role string) {
	for _, step := range steps[role] {
		assert.True(s.t, s.seen[role][step], "no %s came by the step %q: is it recognised?", role, step)
	}
	missed := s.pending(role)
	if s.stream.N < thorough && len(missed) <= mayMiss { // it depends on when messages come to be retried
		s.t.Logf("points where no %s was killed, for want of messages: %v", role, missed)
		return
	}
	assert.Empty(s.t, missed, "points where no %s was killed: run with more messages", role)
}

// compare looks at the record of one message, and at what was sent of it.
func (s *site) compare(i int, r *report) {
	sent := r.sent[i]
	rec, err := s.ledger.Get(context.Background(), s.base.Sender, messageID(i))
	if errors.Is(err, ledger.ErrNotFound) {
		if s.accepted[i] || len(sent) > 0 {
			r.lost++
			r.problem("message %d has no record; confirmed: %t, sent: %d times", i, s.accepted[i], len(sent))
		}
		return
	}
	require.NoError(s.t, err)
	r.records++
	if s.accepted[i] {
		r.confirmed++
	}
	if !rec.Status.Settled() {
		r.lost++
	}
	st := storyOf(rec, sent)
	for _, what := range st.problems() {
		r.problem("message %d, %s: %s", i, what, st)
	}
	if len(sent) > 1 && rec.OnInDoubt == message.Hold {
		r.twiceHeld++
	} else if len(sent) > 1 {
		r.twiceResent += len(sent) - 1
	}
	if how := st.doubt(); how != "" {
		r.doubts[how]++
	}
}

// problem notes what does not fit. One mistake shows in hundreds of messages, so only the first are told.
func (r *report) problem(format string, args ...any) {
	if r.problems = append(r.problems, fmt.Sprintf(format, args...)); len(r.problems) > 20 {
		r.problems = append(r.problems[:20], "… and more")
	}
}

// summary is a run as a table.
func (s *site) summary(r report) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { _, _ = fmt.Fprintf(w, "%s\t%v\n", name, value) }
	row("messages accepted", r.records)
	row("  confirmed to the producer", r.confirmed)
	for _, status := range message.Statuses {
		if n := r.audit.Counts[status]; n > 0 {
			row("  "+string(status), n)
		}
	}
	row("lost", r.lost)
	row("replies of Gupshup that had to be on record", r.known)
	row("tasks delivered twice on purpose", s.redelivered)
	row("sent twice with hold", r.twiceHeld)
	row("sent twice with resend", r.twiceResent)
	row("messages that were in doubt", "")
	for _, how := range slices.Sorted(maps.Keys(r.doubts)) {
		row("  "+how, r.doubts[how])
	}
	row("connections cut", s.relay.cuts.Load()+r.killedByRedis)
	row("  with a reply underway", s.relay.lost.Load())
	lost := 0
	for _, n := range s.lost {
		lost += n
	}
	row("replies lost within a process", lost)
	for _, step := range slices.Sorted(maps.Keys(s.lost)) {
		row("  "+step, s.lost[step])
	}
	kills := 0
	for _, byPoint := range s.harms {
		for _, n := range byPoint {
			kills += n
		}
	}
	row("processes killed", kills)
	for _, role := range slices.Sorted(maps.Keys(s.harms)) {
		for _, where := range slices.Sorted(maps.Keys(s.harms[role])) {
			row("  "+role+" "+where, s.harms[role][where])
		}
	}
	row("time", time.Since(r.began).Round(time.Second))
	_ = w.Flush()
	return out.String()
}
