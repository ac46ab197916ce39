package view

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

// Every class of failures has advice, so that nobody finds a message that failed and nothing more.
func TestEveryClassHasAdvice(t *testing.T) {
	t.Parallel()
	for _, c := range gupshup.Classes() {
		require.NotEmpty(t, Advice(c), c)
	}
	require.Len(t, advice, len(gupshup.Classes()))
	require.Empty(t, Advice(""))
}
