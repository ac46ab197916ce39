package gupshuptest_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// fakeT is a test that only remembers what was said to it.
type fakeT struct {
	testing.TB
	cleanups []func()
	errors   []string
	fatal    string
}

func (f *fakeT) Helper()                   {}
func (f *fakeT) Cleanup(fn func())         { f.cleanups = append(f.cleanups, fn) }
func (f *fakeT) Errorf(s string, a ...any) { f.errors = append(f.errors, fmt.Sprintf(s, a...)) }
func (f *fakeT) Fatalf(s string, a ...any) {
	f.fatal = fmt.Sprintf(s, a...)
	panic(f.fatal)
}

func (f *fakeT) end() {
	for _, fn := range f.cleanups {
		fn()
	}
}

func TestStrictServerWantsItsRulesUsed(t *testing.T) {
	t.Parallel()
	rules := []gupshuptest.Rule{
		{Destination: "*1", Times: 1, Fault: teapot()},
		{Destination: "*2", Times: 2, Fault: teapot()},
		{Destination: "*3", Fault: teapot()},
	}
	for strict, want := range map[bool]int{true: 1, false: 0} {
		var fake fakeT
		srv := gupshuptest.NewServer(&fake, gupshuptest.Config{Rules: rules, Strict: strict})
		send(t, srv, "49151100001")
		send(t, srv, "49151100002")
		fake.end()
		require.Len(t, fake.errors, want, "strict %v", strict)
		if strict {
			require.Contains(t, fake.errors[0], "rules[1]")
			require.Contains(t, fake.errors[0], "1 of 2")
		}
	}
}

func TestServerRefusesAnInvalidConfiguration(t *testing.T) {
	t.Parallel()
	var fake fakeT
	require.Panics(t, func() { gupshuptest.NewServer(&fake, gupshuptest.Config{LegacySM: "x"}) })
	require.Contains(t, fake.fatal, "legacy sm")
	require.Empty(t, fake.cleanups)
}

func TestClosedServerRefusesConnections(t *testing.T) {
	t.Parallel()
	srv := gupshuptest.NewServer(t, gupshuptest.Config{})
	send(t, srv, testNumber)
	srv.Close()
	_, err := post(t.Context(), newClient(t), srv.URL+sessionPath, textForm(testNumber))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.EqualValues(t, 1, srv.Stats().Accepted)
}
