package config

import (
	"fmt"
	"strings"
)

// Problem is one thing wrong with the configuration.
type Problem struct {
	Key  string // the key's path ("senders[demo].rate"), the environment variable or the file
	What string // what is wrong with it; never the value of a secret
	Fix  string // what to do
}

func (p Problem) String() string { return p.Key + ": " + p.What + "; " + p.Fix }

// Problems is every problem found at once. It is the only error type Load, Validate and the secret checks return.
type Problems []Problem

// Error lists the problems, one a line.
func (p Problems) Error() string {
	if len(p) == 1 {
		return "configuration: " + p[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "configuration: %d problems", len(p))
	for _, one := range p {
		b.WriteString("\n  " + one.String())
	}
	return b.String()
}

// add appends a problem; what may be a format with arguments.
func (p *Problems) add(key, fix, what string, args ...any) {
	*p = append(*p, Problem{Key: key, What: fmt.Sprintf(what, args...), Fix: fix})
}

// err returns nil instead of an empty list, so that callers can compare with nil.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}
