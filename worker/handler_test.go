package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/flow"
	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// fakeGate gives every slot at once, until it is closed.
type fakeGate struct{ waits, closedAfter int }

func (g *fakeGate) Wait(context.Context, message.Priority) (flow.Slot, error) {
	if g.waits++; g.closedAfter > 0 && g.waits > g.closedAfter {
		return flow.Slot{}, flow.ErrClosed
	}
	return flow.Slot{}, nil
}

// fakeLedger says send, after a while and some failures, and remembers the commit.
type fakeLedger struct {
	slow     time.Duration
	failures int
	tokens   []string
	commit   ledger.Commit
}

func (l *fakeLedger) Claim(_ context.Context, q ledger.ClaimRequest) (ledger.Claim, error) {
	l.tokens = append(l.tokens, q.Token)
	time.Sleep(l.slow) // on the bubble's clock
	if l.failures--; l.failures >= 0 {
		return ledger.Claim{}, errors.New("EOF")
	}
	return ledger.Claim{Verdict: ledger.Send, Now: time.Now(), Attempt: 1, Spent: 1, First: time.Now(), Priority: message.Bulk, To: "919876543210"}, nil
}

func (l *fakeLedger) Commit(_ context.Context, c ledger.Commit) (ledger.Committed, error) {
	l.commit = c
	return ledger.Committed{Status: c.Next, Applied: true}, nil
}

func (l *fakeLedger) Resolve(context.Context, ledger.Resolution) (ledger.Committed, error) {
	return ledger.Committed{}, errors.New("not expected")
}

type fakeSender struct{ sent int }

func (s *fakeSender) Send(context.Context, gupshup.Request) (gupshup.Receipt, error) {
	s.sent++
	return gupshup.Receipt{MessageID: "x"}, nil
}

func TestASlotThatPassedWhileRedisWasSlowIsNotUsed(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		ledger fakeLedger
		gate   fakeGate
		waits  int
		sent   int
		code   string
	}{
		{"a quick claim uses its slot", fakeLedger{slow: 5 * time.Millisecond}, fakeGate{}, 1, 1, ""},
		{"a slow one takes another", fakeLedger{slow: time.Second}, fakeGate{}, 2, 1, ""},
		{"or gives up when the worker stops", fakeLedger{slow: time.Second}, fakeGate{closedAfter: 1}, 2, 0, "slot_lost"},
		{"after the claim's time nothing is sent", fakeLedger{slow: 11 * time.Second}, fakeGate{}, 2, 0, "stalled"},
		{"an unanswered claim is asked again under its token", fakeLedger{slow: 10 * time.Millisecond, failures: 3}, fakeGate{}, 2, 1, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := &fakeSender{}
				h := &handler{
					name: "shop", client: client, gate: &c.gate, ledger: &c.ledger, limits: testLimits, timeout: 10 * time.Second,
					log: zap.NewNop(), metrics: newMetrics(nil), slack: grace, ending: make(chan struct{}),
				}
				_ = h.handle(t.Context(), job{message.Task{Sender: "shop", ID: "a", Generation: 1}, message.Bulk}, func(string) {})
				require.Equal(t, c.waits, c.gate.waits)
				require.Equal(t, c.sent, client.sent)
				require.Equal(t, c.code, c.ledger.commit.Code)
				if c.code != "" {
					require.Equal(t, ledger.OutcomeNotSent, c.ledger.commit.Outcome)
					require.False(t, c.ledger.commit.Spends)
				}
				for _, token := range c.ledger.tokens {
					require.Equal(t, c.ledger.tokens[0], token)
				}
			})
		})
	}
}
