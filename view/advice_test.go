package view

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

// Every class of failures has advice, so that nobody finds a message that failed and nothing more.
func TestEveryClassHasAdvice(t *testing.T) {
	t.Parallel()
	for _, c := range gupshup.Classes() {
		require.NotEmpty(t, Advice(c, false), c)
		require.NotContains(t, strings.ToLower(Advice(c, false)), "replay", "only a dead letter can be")
	}
	require.Len(t, advice, len(gupshup.Classes()))
	require.Empty(t, Advice("", true))
	require.Contains(t, Advice(gupshup.ClassTransient, true), "Replay the message.")
}
