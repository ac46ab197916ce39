package httpapi

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/notify"
)

// scope is how much a deed is about.
type scope string

const (
	oneQueue scope = "queue"
	oneTask  scope = "task"  // by its id
	aBatch   scope = "tasks" // by their ids, in the body
	allTasks scope = "all"   // of one list
)

// deed is one thing that a person asks asynq's web UI to do.
type deed struct {
	queue string
	scope scope
	verb  string // run, archive, delete, cancel, pause or resume
	list  string // that it was asked from: pending, scheduled, retry, archived, completed, active or aggregating
	id    string // of a task
}

// lists are asynq's lists of tasks by state.
var lists = []string{"active", "pending", "scheduled", "retry", "archived", "completed", "aggregating"}

// readDeed reads an action of asynqmon's API. What it does not know is not let through: asynqmon's router might read it another way.
func readDeed(method, path string) (d deed, ok bool) {
	rest, found := strings.CutPrefix(path, uiAPI+"queues/")
	parts := strings.Split(rest, "/")
	if !found || slices.ContainsFunc(parts, func(p string) bool { return p == "" || p == "." || p == ".." }) {
		return deed{}, false
	}
	d = deed{queue: parts[0], verb: "delete"}
	if len(parts) > 2 && parts[1] == "groups" {
		parts = append(parts[:1], parts[3:]...)
	}
	var last string
	switch deleting := method == http.MethodDelete; {
	case method != http.MethodPost && !deleting:
		return deed{}, false
	case len(parts) == 1:
		d.scope = oneQueue
		if !deleting {
			d.queue, d.verb = cutLast(parts[0])
		}
		return d, d.queue != "" && (deleting || d.verb == "pause" || d.verb == "resume")
	case len(parts) == 2:
		d.list, last, _ = strings.Cut(parts[1], "_tasks:")
		verb, all := strings.CutSuffix(last, "_all")
		batch, some := strings.CutPrefix(last, "batch_")
		switch {
		case all:
			d.scope, d.verb = allTasks, verb
		case some && !deleting:
			d.scope, d.verb = aBatch, batch
		}
		// asynqmon takes delete_all with DELETE, and everything else with POST.
		ok = d.scope != "" && deleting == (all && verb == "delete")
	case len(parts) == 3:
		d.scope, d.id, ok = oneTask, parts[2], true
		if d.list, last, _ = strings.Cut(parts[1], "_tasks"); last != "" || parts[1] == d.list {
			return deed{}, false
		}
		if !deleting {
			d.id, d.verb = cutLast(parts[2])
			ok = d.verb != "delete"
		}
	}
	known := slices.Contains(lists, d.list) && slices.Contains([]string{"run", "archive", "delete", "cancel"}, d.verb)
	return d, ok && known && (d.scope != oneTask || d.id != "")
}

// cutLast splits "m-1:2:run" into "m-1:2" and "run".
func cutLast(text string) (name, verb string) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return "", ""
	}
	return text[:i], text[i+1:]
}

// action names the deed in the audit log: task.run, tasks.delete, all.archive, queue.pause.
func (d deed) action() string { return string(d.scope) + "." + d.verb }

// target names what it is done to.
func (d deed) target() string {
	switch d.scope {
	case oneTask:
		return d.queue + " " + d.id
	case aBatch, allTasks:
		return d.queue + " " + d.list
	}
	return d.queue
}

// kind is whose a queue is, and so what a deed there can break.
type kind int

const (
	foreign  kind = iota // another application's, on the same Redis: none of our business
	messages             // its tasks bring messages, of which the ledger knows
	news                 // its tasks tell the application or the operators something
)

var senderName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// queueKind reads a queue's name. The sender need not be configured here: another process may have it.
func queueKind(queue string) (sender string, k kind) {
	i := strings.LastIndexByte(queue, '.')
	if i < 0 || !senderName.MatchString(queue[:i]) {
		return "", foreign
	}
	sender = queue[:i]
	switch {
	case slices.Contains(message.Lanes, message.Priority(queue[i+1:])):
		return sender, messages
	case queue == notify.Queue(sender), queue == notify.AlertQueue(sender):
		return sender, news
	}
	return "", foreign
}
