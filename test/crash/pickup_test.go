//go:build unix

package crash

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
)

// send hands one message over from this process, which nobody kills.
func (s *site) send(m message.Message) {
	s.t.Helper()
	p, err := producer.New(producer.Config{Redis: s.rdb, Senders: []producer.Sender{{Name: s.base.Sender}}})
	require.NoError(s.t, err)
	_, err = p.Send(s.t.Context(), m)
	require.NoError(s.t, err)
}

// sentTimes returns how often a message went out within the given time; it returns early when it went once.
func (s *site) sentTimes(to string, within time.Duration) int {
	for limit := time.Now().Add(within); ; pause(s.t.Context(), 5*time.Millisecond) {
		if n := len(s.sim.Accepted(gupshuptest.Filter{Destination: to})); n > 0 || time.Now().After(limit) {
			return n
		}
	}
}

// TestCriticalIsPickedUpAfterAKill measures how long a critical message waits whose worker was killed when it had taken the task
// and not yet claimed it. The bar is 5 s; the test fails beyond 10, because machines that run tests are busy with others.
func TestCriticalIsPickedUpAfterAKill(t *testing.T) {
	const rounds = 4
	const sweeperHolds = 2500 * time.Millisecond // a little longer than a sweeper's lease, see worker/sweeper.go
	s := newSite(t, 1000, 1000, nil)
	survivor := s.start(s.spec(workerRole), plan{})
	<-survivor.ready
	next := 0
	for round := range rounds {
		victim := s.start(s.spec(workerRole), plan{Points: []armed{{point{"claim", before}, 1}}})
		<-victim.ready
		if round%2 == 1 { // let the sweeper be in the victim, too
			survivor.stop()
			pause(t.Context(), sweeperHolds)
			survivor = s.start(s.spec(workerRole), plan{})
			<-survivor.ready
		}
		for { // until it is the victim that takes one
			m := s.stream.message(s.base.Sender, next)
			next++
			m.Priority, m.SendAt, m.ExpiresAt = message.Critical, time.Time{}, time.Time{}
			s.send(m)
			if !s.takenBy(victim, m.To) {
				continue
			}
			killed := time.Now()
			require.Equal(t, 1, s.sentTimes(m.To, 15*time.Second), "round %d: nobody has sent it", round)
			took := time.Since(killed)
			t.Logf("round %d: sent %s after the kill", round, took.Round(time.Millisecond))
			assert.Less(t, took, 10*time.Second)
			break
		}
	}
	survivor.stop()
}

// takenBy waits until a message was sent, or its taker has died.
func (s *site) takenBy(victim *process, to string) bool {
	for {
		select {
		case <-victim.done:
			return true
		default:
		}
		if s.sentTimes(to, 10*time.Millisecond) > 0 {
			return false
		}
	}
}

// TestAFrozenWorkerSendsNothingTwice stops a worker at a bad moment for longer than its claims hold, while another goes on, and
// lets it continue. Afterwards nothing that is to be held when in doubt was sent twice, and nothing is open.
func TestAFrozenWorkerSendsNothingTwice(t *testing.T) {
	t.Parallel()
	const short, long = claimHolds + time.Second, 40 * time.Second // beyond the claim, and beyond asynq's lease of 30 s, too
	for _, tc := range []struct {
		at     point
		frozen time.Duration
	}{
		{point{"asynq dequeue", after}, long},
		{point{"claim", after}, short},
		{point{httpStep, before}, short},
		{point{httpStep, before}, long},
		{point{httpStep, after}, short},
		{point{httpStep, after}, long},
		{point{"commit", after}, long},
	} {
		t.Run(fmt.Sprintf("%s for %s", tc.at, tc.frozen), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 200, 100, faults())
			s.stream.HoldOnly = true
			other := s.start(s.spec(workerRole), plan{})
			frozen := s.start(s.spec(workerRole), plan{Points: []armed{{tc.at, 5}}, Stop: true})
			s.produce(func() plan { return plan{} })
			select {
			case <-frozen.harm:
			case <-time.After(20 * time.Second):
				t.Fatal("it never came to this point")
			}
			pause(context.Background(), tc.frozen)
			require.NoError(t, frozen.cmd.Process.Signal(syscall.SIGCONT))
			s.waitForTheLast()
			frozen.stop()
			other.stop()
			var r report
			s.verify(&r)
		})
	}
}
