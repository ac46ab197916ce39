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
	"github.com/gupdispatch/gupdispatch/worker"
)

// archive waits until asynq shows every dead letter. A worker that dies between writing a message down as dead and archiving its
// task leaves that to asynq's recoverer, which comes two minutes later or when a worker starts; so the leases are made older.
func (s *site) archive() {
	ctx := context.Background()
	for _, p := range message.Priorities {
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

	records, confirmed, refused, lost int
	sent                              map[int][]gupshuptest.Accepted // what really went out, by message
	twiceHeld, twiceResent            int
	doubts                            map[string]int // what became of attempts in doubt
	audit                             ledger.Audit
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
		s.judge(i, r)
	}
	assert.EqualValues(t, r.records, deep.Accepted, "records and the count of accepted messages")
	doubled := 0
	for _, sent := range r.sent {
		doubled += len(sent) - 1
	}
	assert.LessOrEqual(t, deep.Duplicates, int64(doubled), "the ledger counts duplicates that were none")
}

// wasThorough checks that every step was recognised, and that processes were killed at all of them.
func (s *site) wasThorough() {
	t := s.t
	for role, names := range steps {
		for _, step := range names {
			assert.True(t, s.seen[role][step], "no %s came by the step %q: is it recognised?", role, step)
		}
		assert.Empty(t, s.pending(role), "points where no %s was killed: run with more messages", role)
	}
}

// judge compares the record of one message with what was sent.
func (s *site) judge(i int, r *report) {
	t, sent := s.t, r.sent[i]
	rec, err := s.ledger.Get(context.Background(), s.base.Sender, messageID(i))
	if errors.Is(err, ledger.ErrNotFound) {
		if s.accepted[i] {
			r.lost++
			t.Errorf("message %d was confirmed as accepted, and has no record", i)
		}
		assert.Empty(t, sent, "message %d was sent without a record", i)
		return
	}
	require.NoError(t, err)
	r.records++
	if s.accepted[i] {
		r.confirmed++
	} else {
		r.refused++
	}
	story := func() string {
		return fmt.Sprintf("message %d (%s, %s): %s %s, attempts %+v, sent %+v", i, rec.Priority, rec.OnInDoubt, rec.Status, rec.Code, rec.Attempts, sent)
	}
	if !rec.Status.Settled() {
		r.lost++
		t.Errorf("not settled: %s", story())
	}

	// What the attempts say must be what was sent: an id for each that succeeded, and no more than the doubtful beyond.
	byID := map[string]bool{}
	for _, a := range sent {
		byID[a.MessageID] = true
	}
	outcomes := map[int]ledger.Outcome{}
	for _, a := range rec.Attempts { // a late success is a second line about its attempt
		if outcomes[a.N] != ledger.OutcomeSubmitted {
			outcomes[a.N] = a.Outcome
		}
		if a.Outcome == ledger.OutcomeSubmitted {
			assert.True(t, byID[a.MessageID], "Gupshup never gave this id: %s", story())
		}
	}
	taken, doubtful := 0, 0
	for _, outcome := range outcomes {
		switch outcome {
		case ledger.OutcomeSubmitted:
			taken++
		case ledger.OutcomeInDoubt:
			doubtful++
		}
	}
	assert.GreaterOrEqual(t, len(sent), taken, story())
	assert.LessOrEqual(t, len(sent)-taken, doubtful, "sent, but taken for refused or unsent: %s", story())
	switch rec.Status {
	case message.Submitted:
		assert.NotZero(t, taken, "submitted, but not by any attempt: %s", story())
	case message.Dead, message.Expired:
		assert.Zero(t, taken, "taken, but %s: %s", rec.Status, story())
		if len(sent) > 0 && rec.OnInDoubt == message.Hold {
			assert.Equal(t, worker.CodeInDoubt, rec.Code, story())
		}
	default:
		t.Errorf("it cannot have come to this: %s", story())
	}
	if len(sent) > 1 {
		if rec.OnInDoubt == message.Hold {
			r.twiceHeld++
			t.Errorf("sent twice, in spite of hold: %s", story())
		} else {
			r.twiceResent += len(sent) - 1
		}
	}
	if doubtful > 0 {
		switch {
		case rec.Status == message.Dead && rec.Code == worker.CodeInDoubt && len(sent) > taken:
			r.doubts["dead letter IN_DOUBT, had been sent"]++
		case rec.Status == message.Dead && rec.Code == worker.CodeInDoubt:
			r.doubts["dead letter IN_DOUBT, had not been sent"]++
		case len(sent) > 1:
			r.doubts["sent again, arrived twice"]++
		default:
			r.doubts["sent again, arrived once or ended otherwise"]++
		}
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
