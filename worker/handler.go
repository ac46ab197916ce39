package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/flow"
	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/tracing"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// Sender makes one attempt at Gupshup. Its error is always a *gupshup.Error.
type Sender interface {
	Send(ctx context.Context, r gupshup.Request) (gupshup.Receipt, error)
}

// Ledger is what the handler needs of the books.
type Ledger interface {
	Claim(ctx context.Context, q ledger.ClaimRequest) (ledger.Claim, error)
	Commit(ctx context.Context, c ledger.Commit) (ledger.Committed, error)
	Resolve(ctx context.Context, d ledger.Resolution) (ledger.Committed, error)
	SetHold(ctx context.Context, q ledger.HoldRequest) (isNew bool, err error)
}

// Gate gives a handler its moment to send, and is told when Gupshup finds that too fast.
type Gate interface {
	Wait(ctx context.Context, p message.Priority) (flow.Slot, error)
	Slow(ctx context.Context, sent time.Time, retryAfter time.Duration) error
}

// archiveText looks up the text with which a task was archived before it was run again, if it was.
type archiveText func(sender string, p message.Priority, taskID string) (string, error)

const (
	redisTimeout = 5 * time.Second        // one try at the ledger
	claimSlack   = 5 * time.Second        // a claim holds that much longer than its request may take
	redisPause   = 500 * time.Millisecond // between tries at a ledger that does not answer
	probeWait    = 50 * time.Second       // for a slot; less than what ledger/lua/claim.lua leaves it
)

// codeClaimLost is the code of a doubt that the ledger found by itself: see lua/claim.lua.
const codeClaimLost = "claim_lost"

// Codes of attempts that were given up before the request.
const (
	codeSlotLost      = "slot_lost"
	codeStalled       = "stalled"
	codeNotReplicated = "not_replicated"
)

// handler sends the messages of one sender. One run of it is one task: wait for a slot, claim, one HTTP attempt, commit.
type handler struct {
	name    string // of the sender
	app     string
	source  string
	client  Sender
	outage  *outage
	prompt  prompt
	valve   *valve
	gate    Gate
	ledger  Ledger
	archive archiveText
	limits  limits
	timeout time.Duration // of one HTTP attempt
	doubt   map[message.Priority]message.OnInDoubt
	checks  bool // session messages need a user who wrote within 24 hours
	log     *zap.Logger
	rare    *zap.Logger // the same, for what all handlers say at once: each line once in ten seconds
	tracer  *tracing.Tracer
	metrics *metrics
	ending  <-chan struct{}                    // closed when the process has to end, whatever Redis does
	slack   map[message.Priority]time.Duration // see grace in sweeper.go
}

// job is a task and the lane that it came by: the queue of its message's priority, or the sender's probe lane.
type job struct {
	message.Task
	lane message.Priority
}

// express says that the sweeper called for the message: to decide about it, or to try a hold with it.
func (j job) express() bool { return j.lane == message.Probe }

// urgency is the priority with which it waits for its slot.
func (j job) urgency() message.Priority {
	if j.express() {
		return message.Critical // they are few, and others wait for what comes of them
	}
	return j.lane
}

// handle brings one message. The error is for asynq: nil ends the task, a *retryError brings it again, anything that wraps
// asynq.SkipRetry archives it. result is told what the web UI shall show of a finished task.
func (h *handler) handle(ctx context.Context, j job, result func(messageID string)) error {
	began := time.Now()
	if j.express() { // a decision needs no slot
		c, token, _, err := h.claim(ctx, j, true)
		if err != nil || c.Verdict != ledger.Ready {
			return h.unsent(ctx, j, c, token, err)
		}
	}
	if !h.valve.wait(ctx) {
		return errStopping
	}
	slot, err := h.slot(ctx, j)
	if err != nil {
		return errStopping
	}
	granted := time.Now()
	c, token, started, err := h.claim(ctx, j, false)
	if errors.Is(err, ledger.ErrNotReplicated) && c.Verdict == ledger.Send {
		slot.GiveBack()
		return h.finish(ctx, j, c, attempt{failed: notReplicated()})
	}
	if err != nil || c.Verdict != ledger.Send {
		slot.GiveBack()
		return h.unsent(ctx, j, c, token, err)
	}
	ctx, span := h.attemptSpan(ctx, j, c, began, granted)
	defer span.End()
	if c.NoSession {
		slot.GiveBack()
		return h.finish(ctx, j, c, attempt{failed: noSession()})
	}
	receipt, sendErr := h.send(ctx, j, c, granted, started)
	err = h.finish(ctx, j, c, attempt{receipt: receipt, failed: asError(sendErr), took: time.Since(started)})
	if err == nil && sendErr == nil {
		result(receipt.MessageID)
	}
	return err
}

// slot waits for the moment to send. A probe waits only for so long: while its sender is stopped it would keep a handler from decisions.
func (h *handler) slot(ctx context.Context, j job) (flow.Slot, error) {
	if j.express() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, probeWait)
		defer cancel()
	}
	return h.gate.Wait(ctx, j.urgency())
}

// unsent is what becomes of a task whose message is not to be sent now.
func (h *handler) unsent(ctx context.Context, j job, c ledger.Claim, token string, err error) error {
	switch {
	case err != nil:
		return err
	case c.Verdict == ledger.AlreadyDead:
		return archived(deadText(c.Code, c.Reason, c.MessageID, c.Attempt))
	case c.Verdict == ledger.Decide:
		return h.decideAgain(ctx, j, c, token)
	case c.Verdict == ledger.Busy:
		// asynq brings a task twice when it believes the first run lost. If this one ended the task, the first could not archive it.
		return errBusy
	}
	h.log.Debug("message.skipped", zap.String("id", j.ID), zap.String("sender", h.name), zap.String("verdict", string(c.Verdict)))
	return nil
}

// claim asks the ledger whether to send, or only whether there is something to decide. A dead letter whose archived task a person ran again is claimed as a replay.
func (h *handler) claim(ctx context.Context, j job, look bool) (ledger.Claim, string, time.Time, error) {
	q := ledger.ClaimRequest{
		Sender: h.name, ID: j.ID, Generation: j.Generation, Token: message.NewID(), Lease: h.timeout + claimSlack,
		Sessions: h.checks, Express: j.express(), Look: look,
	}
	started := time.Now() // before the intent is written, so that the request ends before the claim does
	c, err := h.ask(ctx, q, started)
	if err == nil && c.Verdict == ledger.AlreadyDead {
		text, lookupErr := h.archive(h.name, j.lane, message.TaskID(j.ID, j.Generation))
		if lookupErr == nil && isDeadText(text, c.Attempt) {
			q.Replay = true
			h.log.Info("message.replayed", zap.String("id", j.ID), zap.String("sender", h.name), zap.String("by", "asynq web UI"))
			started = time.Now()
			c, err = h.ask(ctx, q, started)
		}
	}
	if errors.Is(err, ledger.ErrNotReplicated) && c.Verdict == ledger.Send {
		return c, q.Token, started, err // written, and not so that it would outlive its Redis: nothing may be sent
	}
	var unreadable *ledger.ContentError
	if err != nil && !errors.As(err, &unreadable) {
		// Unknown whether the claim was written. If it was, its lease runs out and the doubt is decided; nothing was sent.
		return ledger.Claim{}, "", started, &retryError{text: "Redis did not answer the claim", delay: redisPause}
	}
	if unreadable != nil {
		c.Content = gupshup.Content{} // Send refuses it as content, which makes it a dead letter
	}
	return c, q.Token, started, nil
}

// ask repeats a claim that got no answer, under the same token, for as long as its request would have had: what was claimed is
// then still ours to send, and is not left in doubt.
func (h *handler) ask(ctx context.Context, q ledger.ClaimRequest, started time.Time) (ledger.Claim, error) {
	for {
		try, cancel := context.WithTimeout(ctx, redisTimeout)
		c, err := h.ledger.Claim(try, q)
		cancel()
		var unreadable *ledger.ContentError
		if err == nil || errors.As(err, &unreadable) || errors.Is(err, ledger.ErrRefused) || time.Since(started) >= h.timeout {
			return c, err
		}
		select {
		case <-h.ending:
			return c, err
		case <-ctx.Done():
			return c, err
		case <-time.After(redisPause):
		}
	}
}

// send makes the one attempt. It ends with the time that its intent was written for, also for a process that was stopped.
func (h *handler) send(ctx context.Context, j job, c ledger.Claim, granted, started time.Time) (gupshup.Receipt, error) {
	// A stopping worker lets requests finish, and asynq cancels its context only after that: our own deadline is the bound.
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), started.Add(h.timeout))
	defer cancel()
	if h.prompt.late(time.Since(granted)) { // all that waited for Redis with us must not go at once: take another slot
		if _, err := h.gate.Wait(ctx, j.urgency()); err != nil {
			return gupshup.Receipt{}, &gupshup.Error{Class: gupshup.ClassNotSent, Code: codeSlotLost, Reason: "Redis was slow, and the next slot came too late"}
		}
	}
	if !time.Now().Before(started.Add(h.timeout)) {
		return gupshup.Receipt{}, &gupshup.Error{Class: gupshup.ClassNotSent, Code: codeStalled, Reason: "the worker stood still until the claim was over"}
	}
	ctx, span := h.requestSpan(ctx)
	receipt, err := h.client.Send(ctx, gupshup.Request{Source: h.source, AppName: h.app, Destination: c.To, Content: c.Content})
	endRequest(span, receipt, asError(err))
	return receipt, err
}

// finish decides, writes down what the attempt came to, and tells asynq.
func (h *handler) finish(ctx context.Context, j job, c ledger.Claim, a attempt) error {
	commit := ledger.Commit{Sender: h.name, ID: j.ID, Attempt: c.Attempt, Slack: h.behind(j, c), Template: c.Template, Trace: tracing.Pack(ctx)}
	h.watch(ctx, a.failed)
	var v verdict
	if a.failed == nil {
		commit.Outcome, commit.Next, commit.Spends, commit.MessageID = ledger.OutcomeSubmitted, message.Submitted, true, a.receipt.MessageID
	} else {
		v = decide(h.failure(c, a.failed), h.limits)
		commit = withFailure(commit, a.failed, v)
		h.slow(ctx, c.Now, a.failed)
	}
	done, err := h.write(ctx, func(ctx context.Context) (ledger.Committed, error) { return h.ledger.Commit(ctx, commit) })
	if err != nil {
		done.Status = c.Status // as far as we know
	}
	h.report(ctx, j, c, commit, v, done, a)
	switch {
	case err != nil:
		// The process ends before Redis came back. The intent stands: whoever comes next finds the message in doubt.
		return &retryError{text: "Redis did not answer the commit", delay: redisPause}
	case a.failed == nil || !done.Applied:
		return nil // taken, or the ledger knew better
	}
	return h.answer(j, v, done, commit.Code, commit.Reason, c)
}

// behind is how long after a retry's time the due set brings the message if its task does not. A retry of the probe lane has no task: it
// goes back to the queue of its priority.
func (h *handler) behind(j job, c ledger.Claim) time.Duration {
	if j.express() {
		return 0
	}
	return h.slack[c.Priority]
}

// attempt is what one HTTP attempt came to.
type attempt struct {
	receipt gupshup.Receipt
	failed  *gupshup.Error // nil: Gupshup took it
	took    time.Duration
}

// answer tells asynq what the verdict means for the task, and what the ledger made of it.
func (h *handler) answer(j job, v verdict, done ledger.Committed, code, reason string, c ledger.Claim) error {
	switch {
	case done.Status == message.Dead:
		h.metrics.died(h.name, v.code)
		return archived(deadText(v.code, reason, c.MessageID, c.Attempt))
	case v.action == retry && !j.express():
		return &retryError{text: fmt.Sprintf("%s · %s · attempt %d", code, reason, c.Attempt), delay: v.delay, spent: v.spends}
	}
	return nil // parked, held or in doubt: the due set brings it again, or the end of the hold
}

// withFailure fills in what a failed attempt came to.
func withFailure(c ledger.Commit, e *gupshup.Error, v verdict) ledger.Commit {
	c.Code, c.Class, c.Reason, c.Spends, c.Delay, c.Follows = v.code, e.Class, e.Reason, v.spends, v.delay, v.follows
	switch e.Class {
	case gupshup.ClassNotSent:
		c.Outcome = ledger.OutcomeNotSent
	case gupshup.ClassInDoubt:
		c.Outcome = ledger.OutcomeInDoubt
	default:
		c.Outcome = ledger.OutcomeRefused
	}
	c.Next, c.WaitingFor = next(v)
	return c
}

// next is the state that a verdict leads to.
func next(v verdict) (s message.Status, waitingFor string) {
	switch v.action {
	case archive:
		return message.Dead, ""
	case doubt:
		return message.InDoubt, ""
	}
	return message.Queued, v.waitingFor
}

// decideAgain lets the policy decide about a message whose last attempt is in doubt or failed by callback.
func (h *handler) decideAgain(ctx context.Context, j job, c ledger.Claim, token string) error {
	ctx, span := h.decisionSpan(ctx, j, c)
	defer span.End()
	failed := &gupshup.Error{Class: c.Class, Code: c.Code}
	h.slow(ctx, c.Intent, failed)
	f := h.failure(c, failed)
	passed := c.Now.Sub(c.Intent)
	f.waited = passed >= h.limits.doubtWindow
	v := decideLate(f, h.limits)
	if v.action == doubt {
		v.delay -= passed
	}
	status, waitingFor := next(v)
	d := ledger.Resolution{
		Sender: h.name, ID: j.ID, Attempt: c.Attempt, Token: token, Next: status, Delay: v.delay, WaitingFor: waitingFor,
		Code: v.code, Class: c.Class, Reason: c.Reason, Spends: v.spends, Slack: h.behind(j, c), Template: c.Template, Follows: v.follows,
	}
	done, err := h.write(ctx, func(ctx context.Context) (ledger.Committed, error) { return h.ledger.Resolve(ctx, d) })
	endDecision(span, c.Class, v, done)
	h.log.Info("message.decided", zap.String("id", j.ID), zap.String("sender", h.name), zap.Int("attempt", c.Attempt),
		zap.String("class", string(c.Class)), zap.String("code", v.code), zap.String("action", string(v.action)),
		zap.String("status", string(done.Status)), zap.String("why", v.why), zap.Error(err))
	switch {
	case err != nil:
		return &retryError{text: "Redis did not answer the decision", delay: redisPause}
	case !done.Applied:
		return nil
	}
	if c.Status == message.Failed || c.Code == codeClaimLost { // any other doubt was counted when its attempt ended
		h.metrics.failed(h.name, c.Class)
	}
	return h.answer(j, v, done, v.code, c.Reason, c)
}

// slow tells all replicas that Gupshup finds this sender too fast, if that is what it said. It comes before the commit, so that it is
// done at once, and its failure is only logged: the message is retried all the same, and the next refusal tells again.
func (h *handler) slow(ctx context.Context, sent time.Time, e *gupshup.Error) {
	if e.Class != gupshup.ClassThrottled {
		return
	}
	try, cancel := context.WithTimeout(context.WithoutCancel(ctx), redisTimeout)
	defer cancel()
	if err := h.gate.Slow(try, sent, min(e.RetryAfter, h.limits.retryAfterCap)); err != nil {
		h.log.Warn("pace.slow", zap.String("sender", h.name), zap.Error(err))
	}
}

// failure gathers what the policy looks at.
func (h *handler) failure(c ledger.Claim, e *gupshup.Error) failure {
	onInDoubt := c.OnInDoubt
	if onInDoubt == "" {
		onInDoubt = h.doubt[c.Priority]
	}
	return failure{
		class: e.Class, code: e.Code, retryAfter: e.RetryAfter, priority: c.Priority, onInDoubt: onInDoubt,
		attempt: c.Attempt, spent: c.Spent, age: c.Age(), template: c.Template, jitter: rand.Float64(),
		expired: !c.ExpiresAt.IsZero() && !c.Now.Before(c.ExpiresAt),
	}
}

// write repeats a change of the ledger until it is confirmed: each may be applied twice, none may be left out. It outlives the
// task's context, and gives up only when the process has to end.
func (h *handler) write(ctx context.Context, change func(context.Context) (ledger.Committed, error)) (ledger.Committed, error) {
	ctx = context.WithoutCancel(ctx)
	for {
		try, cancel := context.WithTimeout(ctx, redisTimeout)
		done, err := change(try)
		cancel()
		if err == nil {
			return done, nil
		}
		if errors.Is(err, ledger.ErrRefused) {
			h.log.Error("ledger.refused", zap.String("sender", h.name), zap.Error(err), zap.String("follows", "the claim runs out, then the message is in doubt"))
			return ledger.Committed{}, err
		}
		h.rare.Warn("ledger.away", zap.String("sender", h.name), zap.Error(err))
		select {
		case <-h.ending:
			return ledger.Committed{}, err
		case <-time.After(redisPause):
		}
	}
}

// report writes the one line of an attempt and counts it. The provider's words, which may quote anything, are not for the log: the record has them.
func (h *handler) report(ctx context.Context, j job, c ledger.Claim, commit ledger.Commit, v verdict, done ledger.Committed, a attempt) {
	h.metrics.attempted(h.name, c, done.Status, a.failed, a.took)
	endAttempt(ctx, commit, done)
	fields := []zap.Field{
		zap.String("id", j.ID), zap.String("sender", h.name), zap.String("priority", string(c.Priority)),
		zap.String("lane", string(j.lane)), zap.Int("generation", j.Generation), zap.String("template", c.Template),
		zap.Int("attempt", c.Attempt), zap.Int("spent", c.Spent), zap.Duration("age", c.Now.Sub(c.CreatedAt)),
		zap.String("outcome", string(commit.Outcome)), zap.String("status", string(done.Status)), zap.Duration("took", a.took),
	}
	if id := tracing.ID(ctx); id != "" {
		fields = append(fields, zap.String("trace_id", id))
	}
	if done.Turned {
		fields = append(fields, zap.Bool("turned", true)) // it waits behind a hold instead of dying, or the other way round
	}
	if a.failed == nil {
		h.log.Info("message.attempted", append(fields, zap.String("message_id", commit.MessageID))...)
		return
	}
	h.log.Warn("message.attempted", append(fields, zap.String("class", string(commit.Class)), zap.String("code", commit.Code),
		zap.String("action", string(v.action)), zap.Duration("delay", v.delay), zap.String("why", v.why))...)
}

// CodeNoSession is the code of session messages that were not sent because their recipient had not written for a day. Gupshup
// would have taken them, and failed them later with 1005, 470 or 131047.
const CodeNoSession = "NO_SESSION"

func noSession() *gupshup.Error {
	return &gupshup.Error{Class: gupshup.ClassConsent, Code: CodeNoSession, Reason: "the recipient has not written in the last 24 hours, and the message has no fallback template"}
}

// notReplicated is an attempt whose intent no replica has. It is taken back, and a handler stays with that until a replica answers: so
// nothing more is claimed meanwhile, and no message ends in doubt that was never sent.
func notReplicated() *gupshup.Error {
	return &gupshup.Error{Class: gupshup.ClassNotSent, Code: codeNotReplicated, Reason: "no replica of Redis confirmed the intent to send it"}
}

// asError reads a sender's error. One of another kind cannot be; were it, nobody would know what happened.
func asError(err error) *gupshup.Error {
	if err == nil {
		return nil
	}
	var e *gupshup.Error
	if errors.As(err, &e) {
		return e
	}
	return &gupshup.Error{Class: gupshup.ClassInDoubt, Code: "unexpected", Reason: "the client failed in an unknown way"}
}
