package ledger_test

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// pair is a master and its replica, and a ledger that waits for it.
type pair struct {
	master, replica *redis.Client
	ledger          *ledger.Ledger
	sender          string
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{master: redistest.Own(t, "--repl-diskless-sync-delay", "0"), sender: redistest.Sender()}
	host, port, err := net.SplitHostPort(p.master.Options().Addr)
	require.NoError(t, err)
	p.replica = redistest.Own(t, "--replicaof", host+" "+port)
	p.ledger = ledger.New(p.master, ledger.Config{Confirm: 300 * time.Millisecond})
	p.awaitReplicas(t, 1)
	return p
}

// part ends the replication, and join begins it anew.
func (p *pair) part(t *testing.T) {
	t.Helper()
	require.NoError(t, p.replica.Do(t.Context(), "replicaof", "no", "one").Err())
	p.awaitReplicas(t, 0)
}

func (p *pair) join(t *testing.T) {
	t.Helper()
	host, port, err := net.SplitHostPort(p.master.Options().Addr)
	require.NoError(t, err)
	require.NoError(t, p.replica.Do(t.Context(), "replicaof", host, port).Err())
	p.awaitReplicas(t, 1)
}

// awaitReplicas waits until so many replicas have what is written.
func (p *pair) awaitReplicas(t *testing.T, n int64) {
	t.Helper()
	require.Eventually(t, func() bool {
		asked := p.master.Pipeline()
		asked.Set(t.Context(), "a write", 1, 0)
		have := asked.Do(t.Context(), "wait", 1, 50)
		_, err := asked.Exec(t.Context())
		got, _ := have.Int64()
		return err == nil && got == n
	}, 20*time.Second, 20*time.Millisecond)
}

func (p *pair) accept(t *testing.T, id string) (ledger.Acceptance, error) {
	t.Helper()
	out, errs := p.ledger.Accept(t.Context(), []message.Message{{
		ID: id, Sender: p.sender, To: "919800000001", Priority: message.Critical,
		Content: gupshup.Content{Message: gupshup.Text{Text: "Hello"}},
	}})
	return out[0], errs[0]
}

func (p *pair) claim(t *testing.T, id string) (ledger.Claim, error) {
	t.Helper()
	return p.ledger.Claim(t.Context(), ledger.ClaimRequest{Sender: p.sender, ID: id, Generation: 1, Token: "t", Lease: time.Minute})
}

// onReplica tells whether the replica has a record.
func (p *pair) onReplica(t *testing.T, id string) bool {
	t.Helper()
	_, err := ledger.New(p.replica, ledger.Config{}).Get(t.Context(), p.sender, id)
	return err == nil
}

func TestWithConfirmNothingIsAnsweredBeforeAReplicaHasIt(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	_, _ = p.accept(t, "a")
	for _, id := range []string{"a", "b"} { // the first makes the key that is written before the question
		_, err := p.accept(t, id)
		require.NoError(t, err)
		require.True(t, p.onReplica(t, id))
	}
	c, err := p.claim(t, "a")
	require.NoError(t, err)
	require.Equal(t, ledger.Send, c.Verdict)

	p.part(t)
	_, err = p.accept(t, "c")
	require.ErrorIs(t, err, ledger.ErrNotReplicated)
	c, err = p.claim(t, "b")
	require.ErrorIs(t, err, ledger.ErrNotReplicated)
	require.Equal(t, ledger.Send, c.Verdict, "the master's answer, for a handler that takes it back")
	done, err := p.ledger.Commit(t.Context(), ledger.Commit{
		Sender: p.sender, ID: "a", Attempt: 1, Outcome: ledger.OutcomeSubmitted, Next: message.Submitted, Spends: true, MessageID: "x",
	})
	require.ErrorIs(t, err, ledger.ErrNotReplicated)
	require.Zero(t, done)

	p.join(t)
	a, err := p.accept(t, "c")             // on record already: it writes nothing itself
	for i := 0; i < 5 && err != nil; i++ { // right after a replica came, Redis may miss its first acknowledgement; callers repeat
		a, err = p.accept(t, "c")
	}
	require.NoError(t, err)
	require.Equal(t, ledger.AcceptedExisting, a.Outcome)
	require.True(t, p.onReplica(t, "c"))
}

// A repeated call finds its work done and writes nothing. Were only its own writes asked for, it would be confirmed without a replica.
func TestARepeatedCallIsNotConfirmedByOlderWrites(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	_, _ = p.accept(t, "a")
	p.part(t)
	for range 3 {
		_, err := p.accept(t, "b")
		require.ErrorIs(t, err, ledger.ErrNotReplicated)
	}
}

func TestConfirmingABatch(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	batch := func() (errs []error) {
		var ms []message.Message
		for _, id := range []string{"x", "y", "z"} {
			ms = append(ms, message.Message{
				ID: id, Sender: p.sender, To: "919800000001", Priority: message.Bulk, Content: gupshup.Content{Message: gupshup.Text{Text: "Hello"}},
			})
		}
		_, errs = p.ledger.Accept(t.Context(), ms)
		return errs
	}
	p.part(t)
	for _, err := range batch() {
		require.ErrorIs(t, err, ledger.ErrNotReplicated)
	}
	p.join(t)
	require.Eventually(t, func() bool { return errors.Join(batch()...) == nil }, 10*time.Second, time.Millisecond)
	require.NoError(t, p.master.ScriptFlush(t.Context()).Err())
	for _, err := range batch() { // sent whole, and confirmed as well
		require.NoError(t, err)
	}
}
