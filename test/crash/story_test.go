//go:build unix

package crash

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/worker"
)

// story is a message as the ledger tells it, and as the simulator saw it.
type story struct {
	rec      ledger.Record
	sent     []gupshuptest.Accepted
	taken    int // attempts that the record calls submitted
	doubtful int // attempts that it calls in doubt
	invented int // messageIds in the record that Gupshup never gave
}

func storyOf(rec ledger.Record, sent []gupshuptest.Accepted) story {
	st := story{rec: rec, sent: sent}
	given := map[string]bool{}
	for _, a := range sent {
		given[a.MessageID] = true
	}
	outcomes := map[int]ledger.Outcome{}
	for _, a := range rec.Attempts {
		if a.Outcome == ledger.OutcomeSubmitted && !given[a.MessageID] {
			st.invented++
		}
		if outcomes[a.N] != ledger.OutcomeSubmitted { // a late success is a second line about its attempt
			outcomes[a.N] = a.Outcome
		}
	}
	for _, outcome := range outcomes {
		switch outcome {
		case ledger.OutcomeSubmitted:
			st.taken++
		case ledger.OutcomeInDoubt:
			st.doubtful++
		}
	}
	return st
}

func (st story) String() string {
	return fmt.Sprintf("%s, %s: %s %s, attempts %+v, sent %d times",
		st.rec.Priority, st.rec.OnInDoubt, st.rec.Status, st.rec.Code, st.rec.Attempts, len(st.sent))
}

// problems lists what must not be.
func (st story) problems() (out []string) {
	status, sent := st.rec.Status, len(st.sent)
	for _, rule := range []struct {
		broken bool
		what   string
	}{
		{!status.Settled(), "not settled"},
		{status.Settled() && status != message.Submitted && status != message.Dead && status != message.Expired, "it cannot have come to this"},
		{st.invented > 0, "a messageId that Gupshup never gave"},
		{sent < st.taken, "submitted more often than it was sent"},
		{sent > st.taken+st.doubtful, "sent, but taken for refused or unsent"},
		{status == message.Submitted && st.taken == 0, "submitted, but not by any attempt"},
		{status != message.Submitted && st.taken > 0, "taken, but its end says otherwise"},
		{sent > 1 && st.rec.OnInDoubt == message.Hold, "sent twice, in spite of hold"},
		{sent > 0 && st.rec.OnInDoubt == message.Hold && status == message.Dead && st.rec.Code != worker.CodeInDoubt, "sent, but dead with a code that denies it"},
	} {
		if rule.broken {
			out = append(out, rule.what)
		}
	}
	return out
}

// doubt tells what became of a message that was in doubt, or "" if it never was.
func (st story) doubt() string {
	unresolved := st.rec.Status == message.Dead && st.rec.Code == worker.CodeInDoubt
	switch {
	case st.doubtful == 0:
		return ""
	case unresolved && len(st.sent) > st.taken:
		return "dead letter IN_DOUBT, had been sent"
	case unresolved:
		return "dead letter IN_DOUBT, had not been sent"
	case len(st.sent) > 1:
		return "sent again, arrived twice"
	}
	return "sent again, arrived once or ended otherwise"
}

// TestStoryFindsWhatIsWrong makes sure that the judge itself is awake.
func TestStoryFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	attempts := func(outcomes ...ledger.Outcome) (out []ledger.Attempt) {
		for i, o := range outcomes {
			a := ledger.Attempt{N: i + 1, Outcome: o}
			if o == ledger.OutcomeSubmitted {
				a.MessageID = "x"
			}
			out = append(out, a)
		}
		return out
	}
	once, twice := []gupshuptest.Accepted{{MessageID: "x"}}, []gupshuptest.Accepted{{MessageID: "y"}, {MessageID: "x"}}
	const submitted, refused, inDoubt = ledger.OutcomeSubmitted, ledger.OutcomeRefused, ledger.OutcomeInDoubt
	for _, tc := range []struct {
		name     string
		status   message.Status
		code     string
		rule     message.OnInDoubt
		attempts []ledger.Attempt
		sent     []gupshuptest.Accepted
		want     []string
	}{
		{"sent once", message.Submitted, "", message.Hold, attempts(submitted), once, nil},
		{"refused", message.Dead, "1002", message.Hold, attempts(refused), nil, nil},
		{"doubt that had been sent", message.Dead, worker.CodeInDoubt, message.Hold, attempts(inDoubt), once, nil},
		{"resent", message.Submitted, "", message.Resend, attempts(inDoubt, submitted), twice, nil},
		{"doubt, then refused", message.Dead, "1002", message.Resend, attempts(inDoubt, refused), once, nil},
		{"still waiting", message.Queued, "", message.Hold, nil, nil, []string{"not settled"}},
		{"doubled", message.Submitted, "", message.Hold, attempts(inDoubt, submitted), twice, []string{"sent twice, in spite of hold"}},
		{"a send that nobody wrote down", message.Submitted, "", message.Resend, attempts(refused, submitted), twice, []string{"sent, but taken for refused or unsent"}},
		{"a refusal that was none", message.Dead, "1002", message.Hold, attempts(refused), once, []string{"sent, but taken for refused or unsent", "sent, but dead with a code that denies it"}},
		{"made up", message.Submitted, "", message.Hold, attempts(submitted), nil, []string{"a messageId that Gupshup never gave", "submitted more often than it was sent"}},
		{"forgotten success", message.Dead, worker.CodeInDoubt, message.Hold, attempts(submitted), once, []string{"taken, but its end says otherwise"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			rec := ledger.Record{Status: tc.status, Code: tc.code, OnInDoubt: tc.rule, Attempts: tc.attempts}
			require.Equal(t, tc.want, storyOf(rec, tc.sent).problems())
		})
	}
}
