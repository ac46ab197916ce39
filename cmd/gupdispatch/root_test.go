package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
)

func TestWrongFlagsAreToldInOurWords(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	for want, args := range map[string][]string{
		`"--rate" flag: it must be a number; see`:                        {"campaign", "create", "--rate", "fast"},
		`"--limit" flag: it must be a whole number; see`:                 {"dead", "list", "--limit", "x"},
		`"--dry-run" flag: it must be true or false; see`:                {"dead", "replay", "--dry-run=x"},
		`"--timeout" flag: it must be a duration such as 90s or 2h; see`: {"send", "--timeout", "soon"},
	} {
		got := s.run(args...)
		require.Equal(t, exitUsage, got.code)
		require.Contains(t, got.errs, want)
	}
}
