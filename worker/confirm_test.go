package worker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// unconfirmed is a ledger whose Redis has no replica for a while.
type unconfirmed struct {
	fakeLedger
	until   time.Time
	commits int
}

func (l *unconfirmed) confirmed() error {
	if time.Now().Before(l.until) {
		return ledger.ErrNotReplicated
	}
	return nil
}

func (l *unconfirmed) Claim(ctx context.Context, q ledger.ClaimRequest) (ledger.Claim, error) {
	c, err := l.fakeLedger.Claim(ctx, q)
	if err != nil {
		return c, err
	}
	return c, l.confirmed()
}

func (l *unconfirmed) Commit(ctx context.Context, c ledger.Commit) (ledger.Committed, error) {
	l.commits++
	done, err := l.fakeLedger.Commit(ctx, c)
	if l.confirmed() != nil {
		return ledger.Committed{}, l.confirmed()
	}
	return done, err
}

// What no replica has is not sent. A claim that stays unconfirmed is taken back, and its handler waits until that is confirmed.
func TestAnIntentThatNoReplicaHasIsTakenBack(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		away    time.Duration
		sent    int
		outcome ledger.Outcome
	}{
		{"for a moment", 3 * time.Second, 1, ledger.OutcomeSubmitted},
		{"for a minute", time.Minute, 0, ledger.OutcomeNotSent},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				client, books := &fakeSender{}, &unconfirmed{until: began.Add(tc.away)}
				h := &handler{
					name: "shop", outage: newOutage(100), client: client, gate: &fakeGate{}, ledger: books, limits: testLimits, timeout: 10 * time.Second,
					log: zap.NewNop(), rare: zap.NewNop(), metrics: newMetrics(nil), slack: grace, ending: make(chan struct{}),
				}
				err := h.handle(t.Context(), job{Task: message.Task{ID: "m"}, lane: message.Bulk}, func(string) {})
				require.GreaterOrEqual(t, time.Since(began), tc.away, "nothing else is claimed meanwhile")
				require.Equal(t, tc.sent, client.sent)
				require.Equal(t, tc.outcome, books.commit.Outcome)
				if tc.sent == 0 {
					var again *retryError
					require.ErrorAs(t, err, &again)
					require.False(t, again.spent)
					require.Equal(t, codeNotReplicated, books.commit.Code)
					require.Greater(t, books.commits, 1)
				}
			})
		})
	}
}
