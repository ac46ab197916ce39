// Command gupdispatch takes over WhatsApp messages and brings each to Gupshup once. It is the only place that knows every
// package: it parses, builds, runs and turns what happened into an exit code.
//
// One file holds one command. env.go is what all commands share, build.go and redis.go are the wiring from configuration to
// running parts, process.go is what `worker` and `serve` run.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9"
)

func main() {
	// What matters of the client's own log lines comes back as errors, which are reported in our format.
	redis.SetLogger(silence{})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal asks for an orderly end; with the handler gone, a second one ends at once
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program: it executes one command line and returns the exit code. Tests call it.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return newEnv(environ, stdin, stdout, stderr).execute(ctx, args)
}

// silence is a log that nothing is written to.
type silence struct{}

// Printf implements the client's logger.
func (silence) Printf(context.Context, string, ...any) {}
