package worker

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// Codes come from callbacks, which can carry anything: their label must not grow without end.
func TestTheLabelCodeIsBounded(t *testing.T) {
	t.Parallel()
	m := newMetrics(prometheus.NewRegistry())
	for i := range 5000 {
		m.died("shop", fmt.Sprint(700000+i))
	}
	require.Equal(t, strangeCodes+1, testutil.CollectAndCount(m.deadLetters), "and one for all others")
	for _, code := range []string{"1002", "131026"} {
		m.died("shop", code)
		require.InDelta(t, 1, testutil.ToFloat64(m.deadLetters.WithLabelValues("shop", code)), 0, "one of the table always has its own")
	}
	m.died("shop", "whatever +91 98765 43210 they think of")
	m.died("shop", "700000")
	require.Equal(t, strangeCodes+3, testutil.CollectAndCount(m.deadLetters))
}
