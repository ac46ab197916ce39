//go:build unix

package crash

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/worker"
)

const (
	callbackSpeed = 20               // the first callback comes a quarter of a second after the message was taken
	claimWindow   = 20 * time.Second // for a callback to claim a doubt, through all the kills
)

// failing are the codes that callbacks fail messages with: ten of them, together one message in twenty. Gupshup fails a message
// once only, so those that are worth another attempt arrive with it.
var failing = map[string]bool{ // code → whether it is terminal
	"1002": true, "1008": true, "1010": true, "131026": true, "131047": true, "132000": true,
	"131000": false, "131016": false, "500": false, "131053": false,
}

// TestReceiptsTellTheTruth is the promise about what became of messages: callbacks come in any order and more than once, receivers
// and workers are killed, and in the end the books say of every message what Gupshup says.
func TestReceiptsTellTheTruth(t *testing.T) {
	t.Parallel()
	n := messages(t)
	s := newSite(t, n, min(max(float64(n)/40, 50), 250),
		[]gupshuptest.Rule{{Probability: .02, Fault: gupshuptest.Fault{Kind: gupshuptest.KindResetAfter}}}, workerRole, receiverRole)
	s.base.Window, s.base.Listen = claimWindow, freeAddr(t)
	s.stream.Waiting = true
	s.callBack()

	began := time.Now()
	ctx, end := context.WithCancel(context.Background())
	var all sync.WaitGroup
	turn := &turn{}
	for number := range 2 {
		all.Go(func() { s.workWhile(ctx, turn, number) })
	}
	all.Go(func() { s.receiveWhile(ctx) })
	s.produce(func() plan { return plan{Lose: losing} })
	for limit := time.Now().Add(2 * time.Minute); time.Now().Before(limit) && s.unsettled() > int64(n/20); {
		pause(ctx, 100*time.Millisecond)
	}
	end()
	all.Wait()
	t.Logf("%s: %d of %d messages unsettled, %d callbacks to come, no more harm from here on",
		time.Since(began).Round(time.Second), s.unsettled(), n, s.sim.Pending())
	s.comeToRest()
	s.archive()
	s.verifyReceipts(began)
}

// callBack makes the simulator report to our receiver.
func (s *site) callBack() {
	c := gupshuptest.Callbacks{
		URL: "http://" + s.base.Listen + "/callbacks/gupshup/" + s.base.Sender, Token: callbackToken, Speed: callbackSpeed,
		FailOnce: true, Read: .5, ReadOnly: .1, Duplicates: .2, Reorder: .3, StringCodes: .3, Billing: .2, Attempts: 100,
	}
	for code := range failing {
		c.Failures = append(c.Failures, gupshuptest.Failure{Code: code, Probability: .05 / float64(len(failing))})
	}
	require.NoError(s.t, s.sim.SetCallbacks(c))
}

// receiveWhile keeps a receiver running until ctx ends. Each is killed, too.
func (s *site) receiveWhile(ctx context.Context) {
	for ctx.Err() == nil {
		p := s.plan(receiverRole)
		for i := range p.Points {
			p.Points[i].Nth *= 50 // let it take some
		}
		s.liveAndDie(ctx, s.start(s.spec(receiverRole), p))
	}
}

// comeToRest lets an unharmed worker and receiver finish: every message settled, every callback told, and whatever those led to.
func (s *site) comeToRest() {
	w, r := s.start(s.spec(workerRole), plan{}), s.start(s.spec(receiverRole), plan{})
	for limit := time.Now().Add(settling); time.Now().Before(limit); {
		s.waitForTheLast()
		ctx, cancel := context.WithDeadline(context.Background(), limit)
		err := s.sim.Drain(ctx)
		cancel()
		require.NoError(s.t, err, "callbacks that nobody took")
		if s.unsettled() == 0 && s.sim.Pending() == 0 {
			break
		}
	}
	w.stop()
	r.stop()
}

// verifyReceipts compares each message's record with what the simulator told of it.
func (s *site) verifyReceipts(began time.Time) {
	t, ctx := s.t, context.Background()
	deep, err := s.ledger.AuditDeep(ctx, s.base.Sender)
	require.NoError(t, err)
	assert.True(t, deep.Balanced(), "the audit: %+v", deep)
	assert.EqualValues(t, s.stream.N, deep.Accepted)
	sent := map[int][]gupshuptest.Accepted{}
	for _, a := range s.sim.Accepted(gupshuptest.Filter{}) {
		i, err := indexOf(a.Destination)
		require.NoError(t, err)
		sent[i] = append(sent[i], a)
	}
	var r report
	counts := map[string]int{}
	for i := range s.stream.N {
		rec, err := s.ledger.Get(ctx, s.base.Sender, messageID(i))
		require.NoError(t, err)
		how, wrong := judge(rec, sent[i])
		counts[how]++
		if wrong != "" {
			r.problem("message %d: %s: %s; receipts %+v; Gupshup: %s", i, wrong, storyOf(rec, sent[i]), rec.Receipts, outcomesOf(sent[i]))
		}
	}
	assert.Empty(t, r.problems)
	assert.Zero(t, deep.Duplicates)
	for code := range failing {
		assert.Positive(t, s.sim.Stats().Callbacks.Codes[code], "nothing failed with %s: run with more messages", code)
	}
	s.wasThoroughFor(receiverRole)
	stats := s.sim.Stats().Callbacks
	t.Logf("%s: %v\ncallbacks: %d taken, %d refused or lost; killed: workers %v, receivers %v", time.Since(began).Round(time.Second), counts,
		stats.Delivered, stats.Refused, s.harms[workerRole], s.harms[receiverRole])
}

// judge tells how a message ended, and what is wrong with that.
func judge(rec ledger.Record, sent []gupshuptest.Accepted) (how, wrong string) {
	var arrived, failed []gupshuptest.Accepted
	for _, a := range sent {
		if a.Outcome == gupshuptest.OutcomeFailed {
			failed = append(failed, a)
		} else {
			arrived = append(arrived, a)
		}
	}
	switch {
	case len(arrived) > 1:
		return "doubled", "somebody got it twice"
	case len(arrived) == 1:
		if rec.Status != message.Status(arrived[0].Outcome) || rec.MessageID != arrived[0].MessageID {
			return "differs", "it arrived, and the record says otherwise"
		}
		return string(rec.Status), ""
	case len(failed) > 0:
		last := failed[len(failed)-1]
		if !failing[last.Code] && rec.Status == message.Dead && rec.Code == worker.CodeInDoubt && len(rec.Attempts) > len(sent) {
			return "dead IN_DOUBT, never sent", "" // as below, when it was to be sent again
		}
		if rec.Status != message.Dead || rec.Code != last.Code || rec.MessageID != last.MessageID || !failing[last.Code] {
			return "differs", "it failed, and is not the dead letter that it should be"
		}
		return "dead " + last.Code, ""
	case rec.Status == message.Dead && rec.Code == worker.CodeInDoubt:
		return "dead IN_DOUBT, never sent", "" // a worker died before its request: nobody could tell
	}
	return "differs", "it was never sent"
}

func outcomesOf(sent []gupshuptest.Accepted) (out string) {
	for _, a := range sent {
		out += fmt.Sprintf("%s %s %s; ", a.MessageID, a.Outcome, a.Code)
	}
	return out
}

// TestJudgeFindsWhatIsWrong makes sure that this judge is awake, too.
func TestJudgeFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	read := gupshuptest.Accepted{MessageID: "x", Outcome: gupshuptest.OutcomeRead}
	terminal := gupshuptest.Accepted{MessageID: "x", Outcome: gupshuptest.OutcomeFailed, Code: "1008"}
	passing := gupshuptest.Accepted{MessageID: "y", Outcome: gupshuptest.OutcomeFailed, Code: "131000"}
	for _, tc := range []struct {
		name  string
		rec   ledger.Record
		sent  []gupshuptest.Accepted
		right bool
	}{
		{"read", ledger.Record{Status: message.Read, MessageID: "x"}, []gupshuptest.Accepted{read}, true},
		{"read after a retry", ledger.Record{Status: message.Read, MessageID: "x"}, []gupshuptest.Accepted{passing, read}, true},
		{"dead", ledger.Record{Status: message.Dead, MessageID: "x", Code: "1008"}, []gupshuptest.Accepted{terminal}, true},
		{"only delivered", ledger.Record{Status: message.Delivered, MessageID: "x"}, []gupshuptest.Accepted{read}, false},
		{"another's", ledger.Record{Status: message.Read, MessageID: "z"}, []gupshuptest.Accepted{read}, false},
		{"twice", ledger.Record{Status: message.Read, MessageID: "x"}, []gupshuptest.Accepted{read, read}, false},
		{"dead too early", ledger.Record{Status: message.Dead, MessageID: "y", Code: "131000"}, []gupshuptest.Accepted{passing}, false},
		{"in doubt at its retry", ledger.Record{Status: message.Dead, Code: worker.CodeInDoubt, Attempts: make([]ledger.Attempt, 2)}, []gupshuptest.Accepted{passing}, true},
		{"in doubt without one", ledger.Record{Status: message.Dead, Code: worker.CodeInDoubt, Attempts: make([]ledger.Attempt, 1)}, []gupshuptest.Accepted{passing}, false},
		{"in doubt though it is dead", ledger.Record{Status: message.Dead, Code: worker.CodeInDoubt, Attempts: make([]ledger.Attempt, 2)}, []gupshuptest.Accepted{terminal}, false},
		{"without its messageId", ledger.Record{Status: message.Dead, Code: "1008"}, []gupshuptest.Accepted{terminal}, false},
		{"lost", ledger.Record{Status: message.Queued}, nil, false},
	} {
		_, wrong := judge(tc.rec, tc.sent)
		require.Equal(t, tc.right, wrong == "", tc.name)
	}
	require.Equal(t, gupshup.ReceiptFailed, string(gupshuptest.OutcomeFailed))
}

func freeAddr(t *testing.T) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = free.Close() }()
	return free.Addr().String()
}
