package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/config"
	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
)

// usageError is a command line that cannot be understood. It ends with exitUsage.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{text: fmt.Sprintf(format, args...)} }

// errReported ends a command whose failure has been told in full already.
var errReported = errors.New("failed, as reported above")

// report prints an error, if there is one, and returns the exit code that belongs to it.
func (e *env) report(err error) int {
	var usage *usageError
	var problems config.Problems
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errReported):
		return exitFailed
	case errors.As(err, &problems):
		e.note("gupdispatch: %s", err)
		return exitUsage
	case errors.As(err, &usage):
		e.note("gupdispatch: %s", err)
		return exitUsage
	}
	if errors.Is(err, context.Canceled) {
		err = fmt.Errorf("interrupted: %w", err)
	}
	e.note("gupdispatch: %s", explain(err))
	return exitFailed
}

// explain is an error for people: the fields of a message that are wrong come one on a line.
func explain(err error) string {
	if errors.Is(err, ledger.ErrNoMemory) || redis.HasErrorPrefix(err, "OOM") {
		return "Redis has no memory left, so this was not done: give Redis more maxmemory, or make room with `gupdispatch dead purge`, and repeat it"
	}
	var fields gupshup.FieldErrors
	if !errors.As(err, &fields) {
		return err.Error()
	}
	if len(fields) == 1 {
		return "the message is not valid: " + fields[0].Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the message is not valid, %d fields are wrong:", len(fields))
	for _, f := range fields {
		b.WriteString("\n  " + f.Error())
	}
	return b.String()
}
