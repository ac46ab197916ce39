//go:build unix

package crash

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fleet starts processes and remembers what they report.
type fleet struct {
	t    *testing.T
	base spec

	mu       sync.Mutex
	accepted map[int]bool
	refused  map[int]bool
	seen     map[string]map[string]bool // role → steps
	harms    map[string]map[string]int  // role → where → times
	lost     map[string]int             // step → replies lost
	missing  map[string]map[point]bool  // role → points where none was killed yet
	known    map[string]string          // Gupshup's messageId → number: told to a worker that had time to write it down
}

// newFleet makes a fleet whose processes of these roles are to be killed at every point.
func newFleet(t *testing.T, base spec, harmed []string) *fleet {
	f := &fleet{
		t: t, base: base, accepted: map[int]bool{}, refused: map[int]bool{}, seen: map[string]map[string]bool{},
		harms: map[string]map[string]int{}, lost: map[string]int{}, missing: map[string]map[point]bool{},
		known: map[string]string{},
	}
	for _, role := range harmed {
		f.seen[role], f.harms[role], f.missing[role] = map[string]bool{}, map[string]int{}, map[point]bool{}
		for _, p := range points(role) {
			f.missing[role][p] = true
		}
	}
	return f
}

// process is one child.
type process struct {
	f      *fleet
	role   string
	cmd    *exec.Cmd
	orders *json.Encoder
	ready  chan struct{} // closed when it is about to work
	harm   chan string   // carries where it harmed itself
	done   chan struct{} // closed when it has ended and all of its reports were read
	told   []told        // what Gupshup answered to a worker
	state  *os.ProcessState
}

// told is a success that Gupshup told a worker.
type told struct {
	at            time.Time
	to, messageID string
}

// timeToCommit is how long a worker may take to write down what it was told: two tries, half a second apart, and some more.
const timeToCommit = 4 * time.Second

// start runs a child in a role, with a plan. The end of the test ends it.
func (f *fleet) start(s spec, harm plan) *process {
	f.t.Helper()
	raw, err := json.Marshal(s)
	require.NoError(f.t, err)
	reports, theirs, err := os.Pipe()
	require.NoError(f.t, err)
	p := &process{
		f: f, role: s.Role, cmd: exec.Command(os.Args[0]), //nolint:gosec // this very binary
		ready: make(chan struct{}), harm: make(chan string, 1), done: make(chan struct{}),
	}
	var said tail
	p.cmd.Env = append(os.Environ(), roleVar+"="+string(raw))
	p.cmd.ExtraFiles = []*os.File{theirs} // the first is reportFD
	p.cmd.Stdout, p.cmd.Stderr = &said, &said
	if os.Getenv("CRASH_LOG") != "" {
		p.cmd.Stderr = io.MultiWriter(&said, os.Stderr)
	}
	orders, err := p.cmd.StdinPipe() // closed with this process
	require.NoError(f.t, err)
	p.orders = json.NewEncoder(orders)
	require.NoError(f.t, p.cmd.Start())
	require.NoError(f.t, theirs.Close())
	p.arm(harm)
	go func() {
		p.read(reports)
		_ = p.cmd.Wait()
		p.state = p.cmd.ProcessState
		f.knows(p)
		how, ok := p.state.Sys().(syscall.WaitStatus)
		if killed := how.Signaled() && how.Signal() == syscall.SIGKILL; !ok || !killed && how.ExitStatus() != 0 {
			f.t.Errorf("a %s ended by itself, with %s:\n%s", s.Role, p.state, said.String())
		}
		close(p.done)
	}()
	f.t.Cleanup(p.kill)
	return p
}

// arm gives a child a new plan.
func (p *process) arm(harm plan) { _ = p.orders.Encode(harm) } // it may have ended already

// read takes in a child's reports until its end.
func (p *process) read(reports *os.File) {
	defer func() { _ = reports.Close() }()
	lines := bufio.NewScanner(reports)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "ready":
			close(p.ready)
		case "told":
			to, id, _ := strings.Cut(rest, " ")
			p.told = append(p.told, told{time.Now(), to, id})
		case "harm":
			p.f.harmed(p.role, rest)
			p.harm <- rest
		default:
			p.f.note(p.role, word, rest)
		}
	}
}

// knows takes in what a worker that has ended must have written down: all if it ended in order, and else what it was told some
// time before its death.
func (f *fleet) knows(p *process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range p.told {
		if p.state.Success() || time.Since(t.at) > timeToCommit {
			f.known[t.messageID] = t.to
		}
	}
}

func (f *fleet) note(role, word, rest string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch word {
	case "seen":
		if f.seen[role] != nil {
			f.seen[role][rest] = true
		}
	case "lost":
		f.lost[rest]++
	case "accepted", "refused":
		for n := range strings.FieldsSeq(rest) {
			if i, err := strconv.Atoi(n); err == nil {
				map[string]map[int]bool{"accepted": f.accepted, "refused": f.refused}[word][i] = true
			}
		}
	}
}

func (f *fleet) harmed(role, where string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.harms[role] == nil {
		f.harms[role] = map[string]int{}
	}
	f.harms[role][where]++
	for p := range f.missing[role] {
		if p.String() == where {
			delete(f.missing[role], p)
		}
	}
}

// kill ends the process at once and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.done
}

// killAtRandom is kill, counted.
func (p *process) killAtRandom() {
	p.f.harmed(p.role, randomly)
	p.kill()
}

// stop ends the process as an operator would, and waits for its end.
func (p *process) stop() {
	select {
	case <-p.ready: // from now on it heeds the signal
	case <-p.done:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(shutdownTimeout + 20*time.Second):
		p.f.t.Errorf("a %s did not end after SIGTERM", p.role)
		p.kill()
	}
}

// open is the lowest message that no producer has had an answer to.
func (f *fleet) open(n int) (i int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i < n && (f.accepted[i] || f.refused[i]) {
		i++
	}
	return i
}

// pending lists the points of a role that still want a kill.
func (f *fleet) pending(role string) (left []point) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.missing[role] {
		left = append(left, p)
	}
	return left
}

// tail keeps the last of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailSize = 16 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(b)
	if over := t.buf.Len() - tailSize; over > 0 {
		t.buf.Next(over)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
