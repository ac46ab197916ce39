package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hibiken/asynq"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

const (
	// maxTasks is how many tasks a batch may name; asynqmon's own pages have up to 100.
	maxTasks = 1000
	// maxRunAll is how many tasks one press of "Run All" takes; asynq keeps no more archived ones.
	maxRunAll = 10_000
	// listPage is how many tasks are listed at a time.
	listPage = 100
)

// books is what the gate needs of the ledger.
type books interface {
	Get(ctx context.Context, sender, id string) (ledger.Record, error)
	Cancel(ctx context.Context, sender, id string) error
	PrepareRun(ctx context.Context, sender, id string, generation int) (code string, err error)
}

// gate stands between asynq's web UI and asynq, so that no click breaks the ledger, and none looks as if it had done what it has not.
// docs/decisions/0019 has the rules.
type gate struct {
	books books
	tasks *asynq.Inspector
	keep  func(ctx context.Context, queue string) (bool, error) // Options.KeepPaused
}

// ruling is what becomes of a deed.
type ruling struct {
	pass   bool   // asynq may do it; otherwise it is done, or refused
	status int    // of the answer, where asynq does not give it
	text   string // why it is refused, for people
	notice string // what else there is to say, for people
	body   any    // of the answer, nil for none
	detail string // for the audit log
}

// pass lets asynq do it.
func pass(notice string) ruling { return ruling{pass: true, notice: notice} }

// done says that nothing is left for asynq to do.
func done(notice string) ruling { return ruling{status: http.StatusNoContent, notice: notice} }

// refuse says why not, and what to do instead.
func refuse(status int, format string, args ...any) ruling {
	return ruling{status: status, text: fmt.Sprintf(format, args...)}
}

// rule decides about a deed, and does what has to be done before asynq, or in its place. An error means that Redis did not answer.
func (g *gate) rule(ctx context.Context, d deed, body []byte) (ruling, error) {
	sender, k := queueKind(d.queue)
	switch {
	case k == foreign:
		return pass(""), nil
	case d.scope == oneQueue:
		return g.ruleQueue(ctx, d, sender)
	case d.scope == allTasks && d.verb == "run" && k == messages:
		return g.runAll(ctx, d, sender)
	case d.scope == allTasks:
		return ruleMany(k, sender, d.verb, isWaiting(d.list)), nil
	case d.scope == aBatch:
		return g.ruleBatch(ctx, d, sender, k, body)
	}
	return g.ruleTask(ctx, d, sender, k)
}

func (g *gate) ruleQueue(ctx context.Context, d deed, sender string) (ruling, error) {
	switch d.verb {
	case "delete":
		return refuse(http.StatusForbidden, "Queues are not deleted: they cost nothing, and come back with the next message. To stop what this one "+
			"sends: gupdispatch sender hold %s --reason WHY", sender), nil
	case "pause":
		if g.keep == nil {
			return pass(""), nil
		}
		// Paused by a hold already: then the queue stays paused when the hold is over. asynq would refuse to pause what is paused.
		kept, err := g.keep(ctx, d.queue)
		if err != nil || !kept {
			return pass(""), err
		}
		return done("A hold pauses this queue. It now stays paused when that hold is over, until somebody resumes it."), nil
	}
	return pass(""), nil
}

// isWaiting says whether tasks of this list are still to run.
func isWaiting(list string) bool {
	switch list {
	case "pending", "scheduled", "retry", "aggregating":
		return true
	}
	return false
}

// ruleMany is the rule for many tasks at once. waiting says whether any of them is still to run.
func ruleMany(k kind, sender, verb string, waiting bool) ruling {
	switch {
	case k == messages && verb == "cancel":
		return refuse(http.StatusForbidden, "Messages are not cancelled in bulk here. %s", insteadOfBulk(sender))
	case !waiting || verb == "run":
		return pass("")
	case k == news && verb == "delete":
		return refuse(http.StatusForbidden, "What these tasks would tell nobody would ever hear, so they are not deleted in bulk. Archive them: "+
			"then they can be run when whoever should hear them is back.")
	case k == news:
		return pass("")
	}
	return refuse(http.StatusForbidden, "Waiting messages are not %s in bulk: the ledger would bring them again. %s", map[string]string{"delete": "deleted", "archive": "archived"}[verb], insteadOfBulk(sender))
}

func insteadOfBulk(sender string) string {
	return fmt.Sprintf("To keep them back: gupdispatch sender hold %s --reason WHY. To take them back: gupdispatch campaign cancel ID, or for one "+
		"message gupdispatch message cancel ID", sender)
}

// ruleBatch decides about tasks that are named. What a task's state is asynq says, not the page that it was asked from.
func (g *gate) ruleBatch(ctx context.Context, d deed, sender string, k kind, body []byte) (ruling, error) {
	var named struct {
		IDs []string `json:"task_ids"`
	}
	if err := json.Unmarshal(body, &named); err != nil || len(named.IDs) == 0 || len(named.IDs) > maxTasks {
		return refuse(http.StatusBadRequest, "The request must name 1 to %d tasks.", maxTasks), nil
	}
	detail := strings.Join(named.IDs, " ")
	if d.verb == "run" {
		r, err := g.run(ctx, d.queue, sender, k, named.IDs)
		r.detail = detail
		return r, err
	}
	waiting := false
	for _, id := range named.IDs {
		info, err := g.look(d.queue, id)
		if err != nil {
			return ruling{}, err
		}
		waiting = waiting || info != nil && isWaiting(info.State.String())
	}
	r := ruleMany(k, sender, d.verb, waiting)
	r.detail = detail
	return r, nil
}

// look finds a task; nil if there is none.
func (g *gate) look(queue, id string) (*asynq.TaskInfo, error) {
	info, err := g.tasks.GetTaskInfo(queue, id)
	if errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound) {
		return nil, nil //nolint:nilnil // there is none
	}
	return info, err
}

// ruleTask decides about one task.
func (g *gate) ruleTask(ctx context.Context, d deed, sender string, k kind) (ruling, error) {
	info, err := g.look(d.queue, d.id)
	switch {
	case err != nil:
		return ruling{}, err
	case info == nil:
		return refuse(http.StatusNotFound, "This task is not there any more: look at the list again."), nil
	case d.verb == "run":
		code, problem, err := g.prepare(ctx, sender, k, info)
		if err != nil || problem != "" {
			return refuse(http.StatusConflict, "Not run: %s.", problem), err
		}
		if code == codeInDoubt {
			return pass("It may have been delivered before: then it arrives twice."), nil
		}
		return pass(""), nil
	case k == news:
		return pass(""), nil
	case info.State == asynq.TaskStateActive:
		if d.verb != "cancel" {
			return refuse(http.StatusConflict, "A worker has this task just now. To take its message back, as long as it is not sent: "+
				"gupdispatch message cancel ID, or Cancel here."), nil
		}
		return g.takeBack(ctx, d, sender, info)
	case isWaiting(info.State.String()) && d.verb != "cancel":
		return g.takeBack(ctx, d, sender, info)
	case info.State == asynq.TaskStateArchived && d.verb == "delete":
		return pass("Only the task is deleted. Its dead letter stays in the ledger, as long as gupdispatch dead list shows it."), nil
	}
	return pass(""), nil // asynq says what it cannot do
}

// takeBack cancels a task's message, then does to the task what was asked. A task that a newer one has replaced, or whose message came to
// its end, stands for nothing: that is left to asynq.
func (g *gate) takeBack(ctx context.Context, d deed, sender string, info *asynq.TaskInfo) (ruling, error) {
	task, err := message.DecodeTask(info.Payload)
	if err != nil || task.Sender != sender {
		return pass(""), nil //nolint:nilerr // no message is behind it
	}
	rec, err := g.books.Get(ctx, sender, task.ID)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return pass(""), nil
	case err != nil:
		return ruling{}, err
	case rec.Generation != task.Generation:
		return pass(""), nil
	}
	err = g.books.Cancel(ctx, sender, task.ID)
	var late *ledger.TooLateError
	switch {
	case errors.As(err, &late) && late.Status.Settled() && d.verb != "cancel":
		return pass(""), nil
	case errors.As(err, &late):
		return refuse(http.StatusConflict, "Not taken back: %s.", late), nil
	case errors.Is(err, ledger.ErrNotFound):
		return pass(""), nil
	case err != nil:
		return ruling{}, err
	}
	// The message is cancelled, whatever becomes of the task now: a worker that has taken it meanwhile finds nothing to send.
	var undone error
	switch d.verb {
	case "delete":
		undone = g.tasks.DeleteTask(d.queue, d.id)
	case "archive":
		undone = g.tasks.ArchiveTask(d.queue, d.id)
	}
	r := done(fmt.Sprintf("Message %s of %s is cancelled: it is not sent.", task.ID, sender))
	if undone != nil {
		r.detail = "the task itself was left: " + undone.Error()
	}
	return r, nil
}

// prepare says why a task must not be run, empty if it may. code is that of a dead letter which it sends again.
func (g *gate) prepare(ctx context.Context, sender string, k kind, info *asynq.TaskInfo) (code, problem string, err error) {
	switch info.State {
	case asynq.TaskStateCompleted:
		return "", "it has done its work, and would do it twice", nil
	case asynq.TaskStateActive, asynq.TaskStatePending:
		return "", "it runs by itself, as soon as it is its turn", nil
	}
	if k == news {
		return "", "", nil
	}
	task, err := message.DecodeTask(info.Payload)
	if err != nil || task.Sender != sender {
		return "", "it brings no message of this sender", nil //nolint:nilerr // that is the answer
	}
	code, err = g.books.PrepareRun(ctx, sender, task.ID, task.Generation)
	var idle *ledger.IdleRunError
	var suppressed *ledger.SuppressedError
	var cancelled *ledger.CampaignCancelledError
	switch {
	case errors.As(err, &idle):
		return "", idle.Error(), nil
	case errors.As(err, &suppressed):
		return "", suppressed.Error(), nil
	case errors.As(err, &cancelled):
		return "", cancelled.Error(), nil
	}
	return code, "", err
}

// ran is asynqmon's answer to running a batch.
type ran struct {
	Pending []string `json:"pending_ids"`
	Errors  []string `json:"error_ids"`
	late    bool     // the time was up before the rest
}

// run runs those of the tasks that it makes sense to. Dead letters in doubt are left alone: many at once are not looked at one by one, and
// each may arrive twice.
func (g *gate) run(ctx context.Context, queue, sender string, k kind, ids []string) (ruling, error) {
	out := ran{Pending: []string{}, Errors: []string{}}
	doubts, why := 0, ""
	for _, id := range ids {
		if out.late = ctx.Err() != nil; out.late {
			break
		}
		code, problem, err := g.lookAndPrepare(ctx, queue, sender, k, id)
		if out.late = err != nil && ctx.Err() != nil; out.late {
			break
		}
		switch {
		case err != nil:
			return ruling{}, err
		case code == codeInDoubt:
			doubts++
		case problem == "":
			err := g.tasks.RunTask(queue, id)
			if err == nil {
				out.Pending = append(out.Pending, id)
				continue
			}
			why = "asynq has not run it"
		default:
			why = problem
		}
		out.Errors = append(out.Errors, id)
	}
	var notices []string
	if doubts > 0 {
		notices = append(notices, fmt.Sprintf("%d left alone that may have been delivered: run each by itself, or use gupdispatch dead replay "+
			"--sender %s --code %s.", doubts, sender, codeInDoubt))
	}
	if others := len(out.Errors) - doubts; others > 0 {
		notices = append(notices, fmt.Sprintf("%d not run; the last one: %s.", others, why))
	}
	if out.late {
		notices = append(notices, "The time was up before the rest, which was not tried: press again.")
	}
	return ruling{status: http.StatusOK, body: out, notice: strings.Join(notices, " ")}, nil
}

// lookAndPrepare is prepare for the task with this id, which may be gone.
func (g *gate) lookAndPrepare(ctx context.Context, queue, sender string, k kind, id string) (code, problem string, err error) {
	info, err := g.look(queue, id)
	if err != nil || info == nil {
		return "", "it is not there any more", err
	}
	return g.prepare(ctx, sender, k, info)
}

// runAll runs a whole list, task by task. They are gathered first: running them moves the pages of the list.
func (g *gate) runAll(ctx context.Context, d deed, sender string) (ruling, error) {
	list := map[string]func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){
		"scheduled": g.tasks.ListScheduledTasks, "retry": g.tasks.ListRetryTasks, "archived": g.tasks.ListArchivedTasks,
	}[d.list]
	if list == nil {
		return pass(""), nil // asynqmon has no such action, or there are no such tasks of ours
	}
	var ids []string
	for page := 1; len(ids) < maxRunAll; page++ {
		some, err := list(d.queue, asynq.PageSize(listPage), asynq.Page(page))
		if err != nil && !errors.Is(err, asynq.ErrQueueNotFound) {
			return ruling{}, err
		}
		for _, info := range some {
			ids = append(ids, info.ID)
		}
		if len(some) < listPage || ctx.Err() != nil {
			break
		}
	}
	r, err := g.run(ctx, d.queue, sender, messages, ids)
	if err != nil {
		return r, err
	}
	out := r.body.(ran)
	r.body = map[string]int{"scheduled": len(out.Pending)}
	if len(out.Errors) > 0 || out.late { // which the audit log has, too
		r.notice = fmt.Sprintf("%d sent again. %s", len(out.Pending), r.notice)
	} else {
		r.detail = fmt.Sprintf("%d sent again.", len(out.Pending))
	}
	return r, nil
}
