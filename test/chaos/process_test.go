//go:build linux

package chaos

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is one that the test started. The end of the test ends it.
type process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	said *tail
	done chan struct{}

	mu     sync.Mutex
	killed bool
}

// start runs a command. It must not end before it is killed or stopped.
func start(t testing.TB, name string, env []string, path string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: exec.Command(path, args...), said: &tail{}, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // should the test itself be killed
	require.NoError(t, p.cmd.Start())
	go func() {
		err := p.cmd.Wait()
		p.mu.Lock()
		if !p.killed {
			t.Errorf("%s ended by itself: %v\n%s", name, err, p.said)
		}
		p.mu.Unlock()
		close(p.done)
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// ends says that its end is wanted.
func (p *process) ends() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = true
}

// kill is SIGKILL, and waits for the end.
func (p *process) kill() {
	p.ends()
	p.signal(syscall.SIGKILL)
	<-p.done
}

// stop is SIGTERM, as an orchestrator sends it: it must end in order, within its grace.
func (p *process) stop(grace time.Duration) {
	p.ends()
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			p.t.Errorf("%s did not stop in order (exit code %d):\n%s", p.name, code, p.said)
		}
	case <-time.After(grace):
		p.t.Errorf("%s did not stop within %s", p.name, grace)
		p.kill()
	}
}

// tail keeps the last of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailSize = 8 << 10

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

var ports struct {
	sync.Mutex
	given map[string]bool
}

// freePort returns a port that nobody listens on, and no other test was given.
func freePort(t testing.TB) string {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.given == nil {
		ports.given = map[string]bool{}
	}
	for {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		_, port, err := net.SplitHostPort(free.Addr().String())
		require.NoError(t, err)
		require.NoError(t, free.Close())
		if !ports.given[port] {
			ports.given[port] = true
			return port
		}
	}
}

// needs returns where a program is, or skips the test, loudly.
func needs(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("GUPDISPATCH_REQUIRE_REDIS") == "1" {
			t.Fatalf("GUPDISPATCH_REQUIRE_REDIS=1, but there is no %s in PATH", name)
		}
		t.Skipf("SKIPPED: this test needs %s in PATH", name)
	}
	return path
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}
