//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/worker"
)

// found is what a run came to.
type found struct {
	lost        []int // accepted, and not accounted for
	twiceHeld   []int // sent twice although it was to be held when in doubt
	twiceResent int   // times that a message was sent again after a doubt
	unsure      int   // dead letters IN_DOUBT
	inDoubt     int   // messages that ever were
	problems    []string
	audit       ledger.DeepAudit
	sent        map[int][]gupshuptest.Accepted
}

func (f *found) problem(format string, args ...any) {
	if len(f.problems) < 20 {
		f.problems = append(f.problems, fmt.Sprintf(format, args...))
	}
}

// look compares the books with what the simulator saw.
func (s *site) look() *found {
	t, ctx := s.t, context.Background()
	t.Helper()
	f := &found{sent: map[int][]gupshuptest.Accepted{}}
	var err error
	f.audit, err = s.ledger.AuditDeep(ctx, s.sender)
	require.NoError(t, err)
	assert.True(t, f.audit.Balanced(), "the audit: %+v", f.audit)
	stats := s.sim.Stats()
	require.EqualValues(t, stats.Accepted, stats.Kept, "the simulator has forgotten some: raise MaxKept")
	for _, a := range s.sim.Accepted(gupshuptest.Filter{}) {
		var i int
		_, err := fmt.Sscanf(a.Destination, "9198%08d", &i)
		require.NoError(t, err)
		f.sent[i] = append(f.sent[i], a)
	}
	for i := range s.n {
		s.lookAt(ctx, i, f)
	}
	return f
}

// lookAt judges one message.
func (s *site) lookAt(ctx context.Context, i int, f *found) {
	sent := f.sent[i]
	rec, err := s.ledger.Get(ctx, s.sender, messageID(i))
	if errors.Is(err, ledger.ErrNotFound) {
		f.lost = append(f.lost, i)
		return
	}
	require.NoError(s.t, err)
	taken, doubtful := 0, 0
	outcomes := map[int]ledger.Outcome{}
	for _, a := range rec.Attempts {
		if outcomes[a.N] != ledger.OutcomeSubmitted { // a late success is a second line about its attempt
			outcomes[a.N] = a.Outcome
		}
	}
	for _, o := range outcomes {
		switch o {
		case ledger.OutcomeSubmitted:
			taken++
		case ledger.OutcomeInDoubt:
			doubtful++
		}
	}
	if doubtful > 0 {
		f.inDoubt++
	}
	status := rec.Status
	if len(sent) > 1 {
		if rec.OnInDoubt == message.Hold {
			f.twiceHeld = append(f.twiceHeld, i)
		} else {
			f.twiceResent += len(sent) - 1
		}
	}
	unsure := status == message.Dead && rec.Code == worker.CodeInDoubt
	if unsure {
		f.unsure++
	}
	for _, rule := range []struct {
		broken bool
		what   string
	}{
		{!status.Settled(), "not settled"},
		{status.Settled() && status != message.Dead && !arrived(status), "it cannot have come to this"},
		{arrived(status) && len(sent) == 0, "it arrived, and was never sent"},
		{arrived(status) && taken+doubtful == 0, "it arrived, and by no attempt"},
		{len(sent) > taken+doubtful, "sent more often than the record knows"},
		{status == message.Dead && !unsure && !deadly[rec.Code], "dead by a code that nobody gave"},
		{status == message.Dead && !unsure && rec.OnInDoubt == message.Hold && len(sent) > 0, "sent, but dead with a code that denies it"},
	} {
		if rule.broken {
			f.problem("message %d, %s: %s %s, %s, attempts %+v, sent %d times", i, rule.what, status, rec.Code, rec.OnInDoubt, rec.Attempts, len(sent))
		}
	}
}

func arrived(s message.Status) bool {
	return s == message.Submitted || s == message.Enqueued || s == message.Sent || s == message.Delivered || s == message.Read
}

// deadly are the codes that the simulator was told to refuse messages with for good.
var deadly = map[string]bool{"1008": true, "http_2xx_error": true, "http_307": true, "http_400": true}

// mustHold is the promise: nothing lost, nothing sent twice with hold, and with resend only out of doubt, and counted.
func (s *site) mustHold() *found {
	s.t.Helper()
	f := s.look()
	assert.Equal(s.t, s.n, len(s.accepted), "messages that nobody accepted")
	assert.Empty(s.t, f.lost, "lost")
	assert.Empty(s.t, f.twiceHeld, "sent twice with hold")
	assert.Empty(s.t, f.problems)
	assert.EqualValues(s.t, s.n, f.audit.Accepted, "accepted, and counted as such")
	if again := int64(f.twiceResent + len(f.twiceHeld)); s.skewed {
		assert.LessOrEqual(s.t, f.audit.Duplicates, again, "counted, and never sent again")
	} else {
		assert.Equal(s.t, again, f.audit.Duplicates, "sent again and reported by callback, and counted as such")
	}
	s.tell(f)
	return f
}

// tell prints a run as a row of the table in docs/reliability.md.
func (s *site) tell(f *found) {
	var harm []string
	for _, what := range slices.Sorted(maps.Keys(s.counts)) {
		harm = append(harm, fmt.Sprintf("%d %s", s.counts[what], what))
	}
	s.t.Logf("\nROW | %s | %d | %s | %d | %d | %d | %d | %d | %s |", strings.TrimPrefix(s.name, "Test"), s.n, strings.Join(harm, ", "), len(f.lost),
		len(f.twiceHeld), f.twiceResent, f.inDoubt, f.unsure, time.Since(s.began).Round(time.Second))
}
