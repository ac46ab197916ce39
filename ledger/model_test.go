package ledger_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// The model: what is true of one message whatever happens to producers, workers, asynq and Gupshup's replies.
type modelMessage struct {
	status     message.Status
	generation int
	attempt    int
	hold       bool // rather not at all than twice
	expires    bool
	taken      int           // how often Gupshup took it
	told       bool          // a commit said so
	resends    int           // how often policy or a person chose to send again out of doubt, or after a failure by callback
	attempts   []int         // those that Gupshup took
	failed     bool          // a callback said so of one of them
	arrived    bool          // a callback said that it was delivered
	until      time.Duration // a claim, or a doubt, stands until then on the test's clock
}

// step moves the model and insists that the state table allows it.
func (m *modelMessage) step(t require.TestingT, to message.Status) {
	if m.status != to {
		require.True(t, m.status.CanBecome(to), "%s → %s", m.status, to)
		m.status = to
	}
}

// A run is one handler at work on one task. It may die at any point, or come back late.
type modelRun struct {
	id      string
	token   string
	attempt int
	intent  time.Duration // on the test's clock
	phase   string        // claimed, called, deciding
	outcome ledger.Commit
}

type modelTask struct {
	id         string
	generation int
	express    bool
}

// world is the real ledger beside the model, with an asynq that may repeat and lose tasks and a Gupshup that may not answer.
type world struct {
	*book
	messages map[string]*modelMessage
	ids      []string
	tasks    []modelTask
	runs     []*modelRun
	tokens   int
}

const (
	httpTimeout = 10 * time.Second
	doubtWindow = 2 * time.Minute
)

// TestMain makes the model's walks long enough for rare meetings, such as a late reply of a first attempt during a second one.
func TestMain(m *testing.M) {
	flag.Parse()
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range map[string]string{"rapid.steps": "80", "rapid.checks": "30"} {
		if !given[name] {
			_ = flag.Set(name, value)
		}
	}
	os.Exit(m.Run())
}

func TestModel(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		rapid.Check(t, func(rt *rapid.T) {
			w := &world{book: newBook(rt, rdb), messages: map[string]*modelMessage{}}
			rt.Repeat(map[string]func(*rapid.T){
				"":             w.check,
				"accept":       w.acceptNew,
				"accept again": w.acceptAgain,
				"begin":        w.begin,
				"begin more":   w.begin,
				"call":         w.call,
				"commit":       w.commitOne,
				"decide":       w.decide,
				"receive":      w.receiveOne,
				"receive more": w.receiveOne,
				"crash":        w.crash,
				"take over":    w.takeOver,
				"lose a task":  w.loseTask,
				"sweep":        w.sweepOnce,
				"advance":      func(rt *rapid.T) { w.ahead += time.Duration(rapid.IntRange(0, 90).Draw(rt, "seconds")) * time.Second },
				"replay":       w.replay,
				"cancel":       w.cancel,
				"hold":         w.holdOrRelease,
			})
			w.drain(rt)
		})
	})
}

func pick[T any](rt *rapid.T, from []T) T {
	if len(from) == 0 {
		rt.Skip("nothing there")
	}
	return from[rapid.IntRange(0, len(from)-1).Draw(rt, "which")]
}

func chance(rt *rapid.T, percent int, label string) bool {
	return rapid.IntRange(1, 100).Draw(rt, label) <= percent
}

func (w *world) acceptNew(rt *rapid.T) {
	if len(w.ids) == 3 {
		rt.Skip("enough")
	}
	id := fmt.Sprintf("m%d", len(w.ids))
	m := w.message(id, rapid.SampledFrom(message.Priorities).Draw(rt, "priority"))
	m.To = numberOf(id) // two to one number would only tell that nothing is guessed
	model := &modelMessage{status: message.Queued, generation: 1, hold: chance(rt, 50, "hold")}
	if chance(rt, 20, "expires") || m.Priority == message.Critical {
		model.expires = true
		m.ExpiresAt = time.Now().Add(w.ahead + 5*time.Minute).Truncate(time.Millisecond)
	}
	require.Equal(rt, ledger.AcceptedNew, w.accept(m).Outcome)
	w.messages[id] = model
	w.ids = append(w.ids, id)
	if chance(rt, 75, "enqueued") { // otherwise the producer was killed in between
		w.tasks = append(w.tasks, modelTask{id: id, generation: 1})
	}
}

func (w *world) acceptAgain(rt *rapid.T) {
	id := pick(rt, w.ids)
	other := w.message(id, message.Bulk)
	other.To = "919999999999"
	got := w.accept(other)
	require.Equal(rt, ledger.AcceptConflict, got.Outcome)
	require.Equal(rt, w.messages[id].status, got.Status)
}

func (w *world) begin(rt *rapid.T) {
	task := pick(rt, w.tasks)
	if !chance(rt, 20, "redelivered") {
		w.tasks = slices.Delete(w.tasks, slices.Index(w.tasks, task), slices.Index(w.tasks, task)+1)
	}
	w.tokens++
	run := &modelRun{id: task.id, token: fmt.Sprintf("run-%d", w.tokens), intent: w.ahead}
	c := w.bring(task, run.token)
	if chance(rt, 20, "reply lost") {
		again := w.bring(task, run.token)
		if c.Verdict == ledger.Send || c.Verdict == ledger.Decide {
			require.Equal(rt, c.Verdict, again.Verdict)
			require.Equal(rt, c.Attempt, again.Attempt)
		}
	}
	m := w.messages[task.id]
	switch c.Verdict {
	case ledger.Send:
		require.GreaterOrEqual(rt, task.generation, m.generation)
		m.step(rt, message.Sending)
		m.attempt++
		m.until = w.ahead + lease
		require.Equal(rt, m.attempt, c.Attempt)
		run.phase, run.attempt = "claimed", c.Attempt
		w.runs = append(w.runs, run)
	case ledger.Decide:
		require.GreaterOrEqual(rt, w.ahead, m.until, "somebody else's claim or doubt still stood")
		m.decides(rt, w.get(task.id).Status)
		m.until = w.ahead + lease
		run.phase, run.attempt = "deciding", c.Attempt
		w.runs = append(w.runs, run)
	case ledger.ExpiredNow:
		require.True(rt, m.expires)
		m.step(rt, message.Expired)
	case ledger.Stale:
		require.Less(rt, task.generation, m.generation)
	case ledger.Busy:
		require.Contains(rt, []message.Status{message.Sending, message.InDoubt, message.Failed}, m.status)
		require.Less(rt, w.ahead, m.until, "nobody can have it any more")
	case ledger.Wait:
		require.False(rt, m.status.Settled())
	case ledger.Held:
		require.Equal(rt, message.Queued, m.status)
	case ledger.AlreadyDead:
		require.Equal(rt, message.Dead, m.status)
	case ledger.AlreadyDone:
		if !m.status.Settled() { // receipts that had been waiting turned out to be about it
			m.learn(w.get(task.id))
			m.follow(rt, w.get(task.id).Status)
		}
		require.True(rt, m.status.Settled())
	default:
		rt.Fatalf("unexpected verdict %s", c.Verdict)
	}
}

// bring claims a message as the handler of the task's queue does: one of the express queue asks first whether there is a decision to make.
func (w *world) bring(task modelTask, token string) ledger.Claim {
	q := ledger.ClaimRequest{ID: task.id, Generation: task.generation, Token: token, Express: task.express, Look: task.express}
	c := w.ask(q)
	if c.Verdict == ledger.Ready {
		q.Look = false
		c = w.ask(q)
	}
	return c
}

// holdOrRelease is a person, who holds the sender and thinks better of it.
func (w *world) holdOrRelease(rt *rapid.T) {
	released, err := w.Release(context.Background(), w.sender, "", "ops")
	require.NoError(rt, err)
	if !released && chance(rt, 30, "hold") {
		_, err := w.SetHold(context.Background(), ledger.HoldRequest{Sender: w.sender, Reason: ledger.ReasonByHand, By: "ops"})
		require.NoError(rt, err)
	}
}

func numberOf(id string) string { return "91987654321" + id[1:] }

// receiveOne is a callback about an attempt that Gupshup took, whether or not its commit has come, or ever will.
func (w *world) receiveOne(rt *rapid.T) {
	var heard []string
	for _, id := range w.ids {
		if len(w.messages[id].attempts) > 0 {
			heard = append(heard, id)
		}
	}
	id := pick(rt, heard)
	m := w.messages[id]
	r := ledger.Receipt{
		Event:     rapid.SampledFrom([]string{"enqueued", "sent", "delivered", "read", "failed", "failed", "billing"}).Draw(rt, "event"),
		MessageID: fmt.Sprintf("%s-%d", id, pick(rt, m.attempts)), At: w.now(),
	}
	if r.Event == "failed" {
		r.Code, r.Class = "131000", gupshup.ClassTransient
	}
	r.To = numberOf(id)
	got := w.receive(r)
	again := w.receive(r) // at least once
	if got.Outcome == ledger.ReceiptParked {
		require.Equal(rt, ledger.ReceiptParked, again.Outcome)
		return
	}
	require.Equal(rt, got.Status, again.Status)
	require.Equal(rt, id, got.ID)
	m.failed = m.failed || r.Event == "failed"
	m.arrived = m.arrived || r.Event == "delivered" || r.Event == "read"
	m.told = true // claimed, if no commit has said so
	m.follow(rt, got.Status)
}

// follow takes over what receipts made of a message: its status is worked out by rules that have tests of their own.
func (m *modelMessage) follow(t require.TestingT, to message.Status) {
	if m.status != to && !m.status.CanBecome(to) {
		m.step(t, message.Submitted)
	}
	if to == message.Failed && m.status != to {
		m.until = 0 // due at once
	}
	m.step(t, to)
}

// decides follows a message to the state about which somebody has to decide.
func (m *modelMessage) decides(t require.TestingT, to message.Status) {
	require.Contains(t, []message.Status{message.InDoubt, message.Failed}, to)
	if m.status == message.Sending {
		m.step(t, message.InDoubt)
	}
	if to == message.Failed {
		m.failed = true
	}
	m.follow(t, to)
}

// learn takes over what parked receipts told, once they are on record.
func (m *modelMessage) learn(rec ledger.Record) {
	for _, r := range rec.Receipts {
		m.failed = m.failed || r.Event == "failed"
		m.arrived = m.arrived || r.Event == "delivered" || r.Event == "read"
	}
}

func (w *world) in(rt *rapid.T, phase string) *modelRun {
	var found []*modelRun
	for _, r := range w.runs {
		if r.phase == phase {
			found = append(found, r)
		}
	}
	return pick(rt, found)
}

// call is the one HTTP attempt. A run that was stopped past its deadline sends nothing any more.
func (w *world) call(rt *rapid.T) {
	run := w.in(rt, "claimed")
	m := w.messages[run.id]
	run.phase = "called"
	answer := rapid.SampledFrom([]string{"taken", "taken, reply lost", "transient", "terminal", "wrong key", "not sent", "lost before"}).Draw(rt, "answer")
	if w.ahead-run.intent >= httpTimeout {
		answer = "not sent"
	}
	switch answer {
	case "taken":
		m.taken++
		m.attempts = append(m.attempts, run.attempt)
		run.outcome = taken
		run.outcome.MessageID = fmt.Sprintf("%s-%d", run.id, run.attempt)
	case "taken, reply lost":
		m.taken++
		m.attempts = append(m.attempts, run.attempt)
		run.outcome = w.doubt(m, run)
	case "lost before":
		run.outcome = w.doubt(m, run)
	case "transient":
		run.outcome = transient
	case "terminal":
		run.outcome = terminal
	case "wrong key":
		run.outcome = wrongKey
	case "not sent":
		run.outcome = ledger.Commit{Outcome: ledger.OutcomeNotSent, Next: message.Queued, Delay: time.Second, Code: "connect", Class: gupshup.ClassNotSent}
	}
	run.outcome.ID, run.outcome.Attempt = run.id, run.attempt
}

func (w *world) doubt(m *modelMessage, run *modelRun) ledger.Commit {
	c := doubtful
	if !m.hold && run.attempt%2 == 1 { // as critical does: again at once
		c.Next, c.Delay = message.Queued, 0
	}
	return c
}

func (w *world) commitOne(rt *rapid.T) {
	run := w.in(rt, "called")
	w.finish(rt, run)
}

func (w *world) finish(rt require.TestingT, run *modelRun) {
	m := w.messages[run.id]
	before := w.get(run.id).Status
	got := w.commit(run.outcome) // twice
	w.drop(run)
	m.learn(w.get(run.id))
	m.follow(rt, got.Status)
	if got.Applied && got.Status == message.InDoubt && before != message.InDoubt { // a doubt that others have begun is not theirs to lengthen
		m.until = w.ahead + doubtWindow
	}
	if run.outcome.Outcome == ledger.OutcomeInDoubt && got.Status == message.Queued && got.Applied {
		m.resends++
	}
	if run.outcome.Outcome == ledger.OutcomeSubmitted {
		m.told = true
		require.True(rt, m.failed || got.Status.Taken(), "a success counts, whenever it comes (was %s, is %s)", before, got.Status)
	}
}

func (w *world) drop(run *modelRun) {
	i := slices.Index(w.runs, run)
	w.runs = slices.Delete(w.runs, i, i+1)
}

func (w *world) decide(rt *rapid.T) { w.settleDoubt(rt, w.in(rt, "deciding")) }

func (w *world) settleDoubt(rt require.TestingT, run *modelRun) {
	m := w.messages[run.id]
	next := message.Queued
	if m.hold {
		next = message.Dead
	}
	got, err := w.Resolve(context.Background(), ledger.Resolution{
		Sender: w.sender, ID: run.id, Attempt: run.attempt, Token: run.token, Next: next, Code: "IN_DOUBT", Class: gupshup.ClassInDoubt,
	})
	require.NoError(rt, err)
	w.drop(run)
	if got.Applied {
		m.step(rt, next)
		if next == message.Queued {
			m.resends++
		}
	}
	m.learn(w.get(run.id))
	m.follow(rt, got.Status)
}

func (w *world) crash(rt *rapid.T) { w.drop(pick(rt, w.runs)) }

// takeOver is what follows when runs stall: their claims run out, others decide about the doubt and begin again.
func (w *world) takeOver(rt *rapid.T) {
	w.ahead += doubtWindow
	w.take(rt, w.look(nil), func() bool { return true })
	for len(w.tasks) > 0 {
		w.begin(rt)
		for _, r := range slices.Clone(w.runs) {
			if r.phase == "deciding" {
				w.settleDoubt(rt, r)
			}
		}
		if chance(rt, 30, "enough") {
			return
		}
	}
}

func (w *world) loseTask(rt *rapid.T) {
	i := slices.Index(w.tasks, pick(rt, w.tasks))
	w.tasks = slices.Delete(w.tasks, i, i+1)
}

func (w *world) sweepOnce(rt *rapid.T) {
	idle := map[message.Priority]bool{}
	if len(w.tasks) == 0 {
		for _, p := range message.Priorities {
			idle[p] = true
		}
	}
	w.take(rt, w.look(idle), func() bool { return chance(rt, 80, "enqueued") })
}

// look sweeps, knowing whether express tasks are on their way.
func (w *world) look(idle map[message.Priority]bool) ledger.Sweep {
	w.called = 0
	for _, t := range w.tasks {
		if t.express {
			w.called++
		}
	}
	return w.sweep(ledger.SweepRequest{Idle: idle})
}

func (w *world) take(rt require.TestingT, s ledger.Sweep, enqueued func() bool) {
	for _, q := range s.Requeue {
		m := w.messages[q.ID]
		require.False(rt, m.status.Settled(), "%s is %s and came back", q.ID, m.status)
		require.Equal(rt, m.generation+1, q.Generation)
		m.generation = q.Generation
		if enqueued() {
			w.tasks = append(w.tasks, modelTask{q.ID, q.Generation, q.Express})
		}
	}
	for id, m := range w.messages {
		if m.status == message.Queued && m.expires && w.get(id).Status == message.Expired {
			m.step(rt, message.Expired)
			s.Expired--
		}
	}
	require.Zero(rt, s.Expired)
}

func (w *world) replay(rt *rapid.T) {
	var dead []string
	for _, id := range w.ids {
		if w.messages[id].status == message.Dead {
			dead = append(dead, id)
		}
	}
	id := pick(rt, dead)
	task, err := w.Replay(context.Background(), w.sender, id, w.messages[id].generation)
	require.NoError(rt, err)
	m := w.messages[id]
	m.step(rt, message.Queued)
	m.generation, m.expires = task.Generation, false
	m.resends++ // a person decided
	w.tasks = append(w.tasks, modelTask{id: id, generation: task.Generation})
}

// cancel takes a message back, or is told that it is too late. That nothing cancelled is sent after all is what step insists on.
func (w *world) cancel(rt *rapid.T) {
	if !chance(rt, 40, "cancelled at all") {
		rt.Skip("messages that are cancelled early have no story")
	}
	id := pick(rt, w.ids)
	m := w.messages[id]
	err := w.Cancel(context.Background(), w.sender, id)
	require.Equal(rt, err, w.Cancel(context.Background(), w.sender, id), "the same again")
	if !m.status.CanBecome(message.Cancelled) && m.status != message.Cancelled {
		require.Equal(rt, &ledger.TooLateError{Status: m.status}, err)
		return
	}
	require.NoError(rt, err)
	if m.status == message.Queued {
		m.step(rt, message.Cancelled)
	}
}

// check holds after every step.
func (w *world) check(rt *rapid.T) {
	w.balanced()
	for id, m := range w.messages {
		rec := w.get(id)
		require.Equal(rt, m.status, rec.Status, id)
		require.LessOrEqual(rt, m.taken, 1+m.resends, "%s was sent twice without a doubt between", id)
		if m.told && !m.failed {
			require.True(rt, rec.Status.Taken(), "%s: Gupshup's word was lost, it is %s", id, rec.Status)
		}
		if m.arrived {
			require.Contains(rt, []message.Status{message.Delivered, message.Read}, rec.Status, "%s arrived", id)
		}
	}
}

// drain lets everything go well from here on. Then every message must come to an end, and to the right one.
func (w *world) drain(rt *rapid.T) {
	for _, run := range slices.Clone(w.runs) {
		if run.phase == "called" {
			w.finish(rt, run)
		}
	}
	w.runs = nil // the rest died
	_, err := w.Release(context.Background(), w.sender, "", "ops")
	require.NoError(rt, err)
	for range 30 {
		w.ahead += 70 * time.Second
		idle := map[message.Priority]bool{}
		for _, p := range message.Priorities {
			idle[p] = len(w.tasks) == 0
		}
		w.take(rt, w.look(idle), func() bool { return true })
		for len(w.tasks) > 0 {
			task := w.tasks[0]
			w.tasks = w.tasks[1:]
			w.tokens++
			run := &modelRun{id: task.id, token: fmt.Sprintf("run-%d", w.tokens), intent: w.ahead}
			m := w.messages[task.id]
			switch c := w.bring(task, run.token); c.Verdict {
			case ledger.Send:
				m.step(rt, message.Sending)
				m.attempt++
				m.taken++
				m.attempts = append(m.attempts, c.Attempt)
				run.attempt, run.outcome = c.Attempt, of(taken, run.id, c.Attempt)
				run.outcome.MessageID = fmt.Sprintf("%s-%d", run.id, c.Attempt)
				w.runs = append(w.runs, run)
				w.finish(rt, run)
			case ledger.Decide:
				m.decides(rt, w.get(task.id).Status)
				run.attempt = c.Attempt
				w.runs = append(w.runs, run)
				w.settleDoubt(rt, run)
			case ledger.ExpiredNow:
				m.step(rt, message.Expired)
			case ledger.AlreadyDone:
				m.learn(w.get(task.id))
				m.follow(rt, w.get(task.id).Status)
			}
		}
		w.check(rt)
	}
	for id, m := range w.messages {
		require.True(rt, m.status.Settled(), "%s is still %s", id, m.status)
		if m.status.Taken() {
			require.Positive(rt, m.taken)
		}
	}
}
