package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gupdispatch/gupdispatch/config"
)

// Exit codes; part of the contract.
const (
	exitOK     = 0
	exitFailed = 1 // the command was understood and did not succeed
	exitUsage  = 2 // wrong usage or configuration
)

// env is the world as a command sees it: what the process was given, and the flags of the root command. No command touches
// os.Stdin, os.Stdout, os.Stderr or os.Getenv itself.
type env struct {
	environ []string // "NAME=value" entries
	stdin   io.Reader
	stdout  io.Writer // results only
	stderr  io.Writer // logs, questions, errors
	// isTerminal tells whether a person sits at the other end of stdin, stdout or stderr.
	isTerminal func(stream any) bool
	now        func() time.Time
	userName   func() string // who runs the command
	self       string        // what this process is called in holds and logs

	configFile string        // --config
	redisWait  time.Duration // --redis-wait
}

func newEnv(environ []string, stdin io.Reader, stdout, stderr io.Writer) *env {
	out, errs := &stream{w: stdout}, &stream{w: stderr}
	return &env{environ: environ, stdin: stdin, stdout: out, stderr: errs, isTerminal: isTerminal, now: time.Now, userName: currentUser, self: processName()}
}

// processName is the name of the machine, or container, and the process's number there.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + ":" + strconv.Itoa(os.Getpid())
}

// execute runs one command line and returns the exit code. Every error is reported here and nowhere else.
func (e *env) execute(ctx context.Context, args []string) int {
	root := newRoot(e)
	root.SetArgs(args)
	begun := false // until a command begins, every error is about the command line
	root.PersistentPreRun = func(*cobra.Command, []string) { begun = true }
	err := root.ExecuteContext(ctx)
	if err != nil && !begun {
		err = &usageError{text: err.Error()}
	}
	return e.report(err)
}

// config loads the configuration that --config names, or the default one.
func (e *env) config() (*config.Config, error) { return config.Load(e.configFile, e.environ) }

// note tells the person at the command line something that is not the result.
func (e *env) note(format string, args ...any) { fmt.Fprintf(e.stderr, format+"\n", args...) }

// stream is a writer that several goroutines may use: a command's own lines and the log come out whole.
type stream struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// isTerminal sees through stream.
func isTerminal(of any) bool {
	if s, ok := of.(*stream); ok {
		of = s.w
	}
	f, ok := of.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
