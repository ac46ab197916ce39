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
type fakeGate struct {
	waits, closedAfter int
	slowed             []time.Duration // how long each time
}

func (g *fakeGate) Slow(_ context.Context, _ time.Time, retryAfter time.Duration) error {
	g.slowed = append(g.slowed, retryAfter)
	return errors.New("Redis is away") // which changes nothing about the message
}

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
	claim    *ledger.Claim // what a claim gets instead of send
	resolved ledger.Resolution
}

func (l *fakeLedger) Claim(_ context.Context, q ledger.ClaimRequest) (ledger.Claim, error) {
	l.tokens = append(l.tokens, q.Token)
	time.Sleep(l.slow) // on the bubble's clock
	if l.failures--; l.failures >= 0 {
		return ledger.Claim{}, errors.New("EOF")
	}
	if l.claim != nil {
		return *l.claim, nil
	}
	return ledger.Claim{Verdict: ledger.Send, Now: time.Now(), Attempt: 1, Spent: 1, First: time.Now(), Priority: message.Bulk, To: "919876543210"}, nil
}

func (l *fakeLedger) Commit(_ context.Context, c ledger.Commit) (ledger.Committed, error) {
	l.commit = c
	return ledger.Committed{Status: c.Next, Applied: true}, nil
}

func (l *fakeLedger) SetHold(context.Context, ledger.HoldRequest) (bool, error) { return true, nil }

func (l *fakeLedger) Resolve(_ context.Context, d ledger.Resolution) (ledger.Committed, error) {
	if l.claim == nil {
		return ledger.Committed{}, errors.New("not expected")
	}
	l.resolved = d
	return ledger.Committed{Status: d.Next, Applied: true}, nil
}

type fakeSender struct {
	sent int
	err  *gupshup.Error
}

func (s *fakeSender) Send(context.Context, gupshup.Request) (gupshup.Receipt, error) {
	s.sent++
	if s.err != nil {
		return gupshup.Receipt{}, s.err
	}
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
					name: "shop", outage: newOutage(100), client: client, gate: &c.gate, ledger: &c.ledger, limits: testLimits, timeout: 10 * time.Second,
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

// TestTooFastSlowsTheSenderDown: whoever says it, reply or callback, the gate is told, no attempt is spent, and that the gate could not
// pass it on changes nothing.
func TestTooFastSlowsTheSenderDown(t *testing.T) {
	t.Parallel()
	callback := func(class gupshup.Class, code string) *ledger.Claim {
		return &ledger.Claim{
			Verdict: ledger.Decide, Now: time.Now(), Intent: time.Now(), First: time.Now(), Attempt: 1, Spent: 1, Priority: message.Bulk,
			Class: class, Code: code,
		}
	}
	const most = 10 * time.Minute // testLimits
	for _, c := range []struct {
		name   string
		reply  *gupshup.Error
		claim  *ledger.Claim
		slowed []time.Duration
	}{
		{"429", &gupshup.Error{Class: gupshup.ClassThrottled, Code: "http_429"}, nil, []time.Duration{0}},
		{"429 with Retry-After", &gupshup.Error{Class: gupshup.ClassThrottled, Code: "http_429", RetryAfter: 7 * time.Second}, nil, []time.Duration{7 * time.Second}},
		{"429 with a Retry-After of a day", &gupshup.Error{Class: gupshup.ClassThrottled, Code: "http_429", RetryAfter: 24 * time.Hour}, nil, []time.Duration{most}},
		{"another refusal", &gupshup.Error{Class: gupshup.ClassTransient, Code: "http_503", RetryAfter: time.Minute}, nil, nil},
		{"too many to one recipient", &gupshup.Error{Class: gupshup.ClassPairThrottled, Code: "131056"}, nil, nil},
		{"taken", nil, nil, nil},
		{"130429 by callback", nil, callback(gupshup.ClassThrottled, "130429"), []time.Duration{0}},
		{"another failure by callback", nil, callback(gupshup.ClassTransient, "131000"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			gate, books := fakeGate{}, fakeLedger{claim: c.claim}
			h := &handler{
				name: "shop", outage: newOutage(100), client: &fakeSender{err: c.reply}, gate: &gate, ledger: &books, limits: testLimits, timeout: 10 * time.Second,
				log: zap.NewNop(), metrics: newMetrics(nil), slack: grace, ending: make(chan struct{}),
			}
			_ = h.handle(t.Context(), job{message.Task{Sender: "shop", ID: "a", Generation: 1}, message.Bulk}, func(string) {})
			require.Equal(t, c.slowed, gate.slowed)
			if c.slowed != nil {
				require.False(t, books.commit.Spends || books.resolved.Spends)
				require.Equal(t, message.Queued, books.commit.Next+books.resolved.Next)
			}
		})
	}
}
