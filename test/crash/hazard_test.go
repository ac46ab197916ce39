//go:build unix

package crash

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A moment is before a step, or after it: executed, but its result not yet seen by the code that asked for it.
type moment string

const (
	before moment = "before"
	after  moment = "after"
)

// point is where a process can be harmed.
type point struct {
	Step string
	When moment
}

func (p point) String() string { return string(p.When) + " " + p.Step }

// steps lists, by role, the steps that a process can be killed before and after.
var steps = map[string][]string{
	workerRole: {
		"pace", "claim", httpStep, "commit", "resolve", "sweep", // ours
		"asynq dequeue", "asynq enqueue", "asynq done", "asynq complete", "asynq retry", "asynq archive",
	},
	producerRole: {"accept", "asynq enqueue"},
	operatorRole: {"replay", "asynq enqueue"},
	receiverRole: {"receive"},
}

// httpStep is the HTTP attempt at Gupshup.
const httpStep = "HTTP attempt"

// points lists all points of a role.
func points(role string) (all []point) {
	for _, s := range steps[role] {
		all = append(all, point{s, before}, point{s, after})
	}
	return all
}

// armed is a point that strikes when it is reached for the Nth time.
type armed struct {
	Point point
	Nth   int
}

// plan is the harm that a process does to itself. The first point reached strikes; without any, or if none is reached in time,
// it is struck after a while.
type plan struct {
	Points []armed
	After  time.Duration // 0: never
	Stop   bool          // SIGSTOP instead of SIGKILL
	Lose   float64       // share of steps in Redis whose reply gets lost, while the process lives on
}

// reportFD is the pipe to the parent in a child.
const reportFD = 3

// hazard carries out a plan, and reports to the parent.
type hazard struct {
	reports *os.File

	mu    sync.Mutex
	left  map[point]int
	stop  bool
	lose  float64
	seen  map[string]bool
	spent bool
}

func newHazard(reports *os.File) *hazard {
	return &hazard{reports: reports, left: map[point]int{}, seen: map[string]bool{}}
}

// takeOrder reads the next plan, which replaces the one before.
func (h *hazard) takeOrder(orders *json.Decoder) error {
	var p plan
	if err := orders.Decode(&p); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.left)
	for _, a := range p.Points {
		h.left[a.Point] = a.Nth
	}
	h.stop, h.lose, h.spent = p.Stop, p.Lose, false
	if p.After > 0 {
		time.AfterFunc(p.After, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.strike(randomly)
		})
	}
	return nil
}

// randomly is what harm at no point of the plan is counted as.
const randomly = "at random"

// at is called wherever a step begins or ends. It does not return if the plan strikes here, or only after SIGCONT.
func (h *hazard) at(step string, when moment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.seen[step] {
		h.seen[step] = true
		h.report("seen", step)
	}
	p := point{step, when}
	if h.left[p] == 0 {
		return
	}
	if h.left[p]--; h.left[p] == 0 {
		h.strike(p.String())
	}
}

// loses says whether the reply to a step that was executed gets lost.
func (h *hazard) loses(step string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if rand.Float64() >= h.lose {
		return false
	}
	h.report("lost", step)
	return true
}

// strike harms the process. All others who reach a point meanwhile wait for the lock, so one point is one harm.
func (h *hazard) strike(where string) {
	if h.spent {
		return
	}
	h.spent = true
	h.report("harm", where)
	if h.stop {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way
}

// report writes one line; a pipe takes it whole.
func (h *hazard) report(words ...any) {
	_, _ = h.reports.WriteString(strings.TrimSuffix(fmt.Sprintln(words...), "\n") + "\n")
}
